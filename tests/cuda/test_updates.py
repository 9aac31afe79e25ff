"""The optimizers' updates on the GPU, what comes before them, and norms, against the oracle."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_dtype, integers, reals
from there import there

from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda import updates
from fastcnn.backends.cuda.array import to_device
from fastcnn.errors import ConfigError, ShapeError

SIZES = (1, 3, 15, 17, 33, 300)
every_size = pytest.mark.parametrize("size", SIZES)
STEPS = 5
UPDATES = {  # name: how many states, settings
    "sgd_update": (0, (0.01,)),
    "momentum_update": (1, (0.01, 0.9)),
    "momentum_update nesterov": (1, (0.01, 0.9, True)),
    "rmsprop_update": (1, (0.001, 0.999, 1e-8)),
    "rmsprop_update plain": (1, (0.001, 0.0, 1e-8)),
    "adam_update": (2, (0.01, 0.9, 0.999, 1e-8)),
    "adam_update decaying": (2, (0.01, 0.5, 0.0, 1e-8)),
}


@every_dtype
@every_size
@pytest.mark.parametrize("name", UPDATES)
def test_some_steps_follow_the_oracle(device, dtype, size, name):
    (states, settings), rng = UPDATES[name], np.random.default_rng(size)
    data, *kept = (np.zeros(size, dtype) for _ in range(1 + states))
    data[...] = reals(rng, size, dtype)
    expected = [array.astype(np.float64) for array in (data, *kept)]
    reach = [abs(array) for array in expected]  # the same over absolute values: nothing cancels
    name, _, variant = name.partition(" ")
    for step in range(1, STEPS + 1):
        grad = reals(rng, size, dtype) * dtype(10.0 ** -(2 * step))
        late = () if name != "adam_update" else (step, 0.5) if variant else (step,)
        there(name, data, grad, *kept, *settings, *late)
        getattr(reference, name)(expected[0], grad, *expected[1:], *settings, *late)
        getattr(reference, name)(reach[0], -abs(grad), *reach[1:], *settings, *late[:1])
    for got, oracle, most in zip((data, *kept), expected, reach, strict=True):
        bound = 4 * STEPS * np.finfo(dtype).eps * (abs(oracle) + abs(most)) + np.finfo(dtype).tiny
        np.testing.assert_array_less(abs(got - oracle), bound)


def test_a_late_step_of_adam_is_no_longer_corrected(device):
    data, first, second = np.zeros(37), np.ones(37), np.ones(37)
    there("adam_update", data, np.ones(37), first, second, 0.5, 0.9, 0.999, 0.0, 10**9)
    np.testing.assert_allclose(data, np.full(37, -0.5), rtol=1e-12)


@pytest.mark.parametrize("name", UPDATES)
def test_the_gradient_is_left_alone_and_a_zero_one_moves_nothing(device, name):
    states, settings = UPDATES[name]
    name = name.split()[0]
    data, grad = np.ones(37, np.float32), np.zeros(37, np.float32)
    there(name, data, grad, *np.zeros((states, 37), np.float32), *settings, *((1,) if name == "adam_update" else ()))
    assert_array_equal(data, np.ones(37))
    assert_array_equal(grad, np.zeros(37))


def test_neighbours_of_a_slice_stay_untouched(device):
    arena = to_device(np.zeros(64, np.float32))
    updates.sgd_update(arena[13:44], to_device(np.ones(31, np.float32)), 1.0)
    assert_array_equal(np.flatnonzero(arena.numpy()), np.arange(13, 44))


def test_a_gradient_may_lie_where_the_update_writes(device):
    arena = to_device(np.arange(9.0))
    updates.sgd_update(arena[1:], arena[:-1], 1.0)
    assert_array_equal(arena.numpy(), [0, *np.ones(8)])
    arena = to_device(np.arange(9.0))
    updates.sgd_update(arena[:-1], arena[1:], 1.0)
    assert_array_equal(arena.numpy(), [*-np.ones(8), 8])


def test_arrays_that_are_both_updated_may_not_overlap(device):
    arena, grad = to_device(np.zeros(9)), to_device(np.zeros(5))
    with pytest.raises(ShapeError) as on_device:
        updates.momentum_update(arena[:5], grad, arena[4:], 0.1, 0.9)
    here = np.zeros(9)
    with pytest.raises(ShapeError) as error:
        cpu.momentum_update(here[:5], np.zeros(5), here[4:], 0.1, 0.9)
    assert str(on_device.value) == str(error.value)
    updates.momentum_update(arena[:4], grad[:4], arena[5:], 0.1, 0.9)


# ---- the gradient before an update, and its norm ---------------------------------------------------------------------


@every_dtype
@every_size
@pytest.mark.parametrize("limit", [0.0, 2.0, np.inf])
def test_a_gradient_is_adjusted_exactly_on_integers(device, dtype, size, limit):
    rng = np.random.default_rng(size)
    grad, data = integers(rng, size, dtype), integers(rng, size, dtype)
    expected = grad.copy()
    reference.adjust_gradient(expected, data, 2.0, limit, 0.5, 0.25)
    there("adjust_gradient", grad, data, 2.0, limit, 0.5, 0.25)
    assert_array_equal(grad, expected)


@every_dtype
def test_clipping_lets_a_nan_through_and_cuts_infinity(device, dtype):
    grad = np.array([np.nan, np.inf, -np.inf, 1.0, -7.0] * 7, dtype)
    there("adjust_gradient", grad, np.zeros(35, dtype), limit=3.0)
    assert_array_equal(grad, np.array([np.nan, 3.0, -3.0, 1.0, -3.0] * 7, dtype))


def test_a_gradient_may_be_penalised_by_itself(device):
    grad = to_device(np.arange(5.0))
    updates.adjust_gradient(grad[1:], grad[:-1], l2=1.0)
    assert_array_equal(grad.numpy(), [0.0, 1.0, 3.0, 5.0, 7.0])


@every_dtype
@pytest.mark.parametrize("size", [1, 31, 33, 255, 257, 4095, 4097, 9000])
def test_a_sum_of_squares_is_exact_on_integers(device, dtype, size):
    x = integers(np.random.default_rng(size), size, dtype)
    assert there("sum_of_squares", x) == reference.sum_of_squares(x)


def test_a_sum_of_squares_of_many_chunks(device):
    sums = np.arange(600.0)
    from fastcnn.backends.cuda.arguments import launch
    from fastcnn.backends.cuda.kernels import updates as kernels

    result = to_device(np.zeros(1))
    launch(kernels.sum_sums(), (1,), (kernels.THREADS,), to_device(sums), result, 600)
    assert result.numpy()[0] == sums.sum()


def test_a_sum_of_squares_is_added_up_in_double_precision(device):
    x = reals(np.random.default_rng(0), 5000, np.float32) * np.float32(1e25)
    assert abs(there("sum_of_squares", x) / reference.sum_of_squares(x) - 1) < 1e-12


def test_a_sum_of_squares_of_nothing_is_zero_and_of_a_nan_is_nan(device):
    assert there("sum_of_squares", np.zeros(0)) == 0.0
    assert np.isnan(there("sum_of_squares", np.array([1.0, np.nan])))


# ---- errors ----------------------------------------------------------------------------------------------------------

X, Y = np.zeros(3), np.zeros(4)
REFUSED = [
    ("sgd_update", (X, Y, 0.1), ShapeError),
    ("sgd_update", (X, X, np.inf), ConfigError),
    ("momentum_update", (X, X, Y, 0.1, 0.9), ShapeError),
    ("rmsprop_update", (X, X, X.copy(), 0.1, 0.9, np.nan), ConfigError),
    ("adam_update", (X, X, X.copy(), X.copy(), 0.1, 1.0, 0.9, 1e-8, 1), ConfigError),
    ("adam_update", (X, X, X.copy(), X.copy(), 0.1, 0.9, 0.9, 1e-8, 0), ConfigError),
    ("adjust_gradient", (X, Y), ShapeError),
    ("adjust_gradient", (X, X, 1.0, -1.0), ConfigError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), REFUSED)
def test_errors_are_those_of_the_cpu(device, name, arguments, error):
    with pytest.raises(error) as here:
        getattr(cpu, name)(*arguments)
    with pytest.raises(error) as on_device:
        there(name, *arguments)
    assert str(on_device.value) == str(here.value)
