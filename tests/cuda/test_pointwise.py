"""Activations, dropout, sums and joins on the GPU, against the oracle."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import assert_within_bound, every_dtype, integers, reals
from there import there

from fastcnn.backends import cpu, reference
from fastcnn.errors import ConfigError, DTypeError, ShapeError

EXACT = ("relu", "relu_backward", "leaky_relu", "leaky_relu_backward", "add", "sigmoid_backward", "tanh_backward")
ONE = ("relu", "leaky_relu", "sigmoid", "tanh")
SIZES = (1, 3, 15, 17, 33, 256, 600)
STRANGE = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-30, -1e-30, 1000.0, -1000.0)


def arguments_of(name, x, y):
    slope = (0.25,) if name.startswith("leaky") else ()
    return (x, *slope) if name in ONE else (x, y, *slope)


@every_dtype
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXACT)
def test_is_exact_on_integers(device, dtype, size, name):
    rng = np.random.default_rng(size)
    arguments = arguments_of(name, integers(rng, size, dtype), integers(rng, size, dtype))
    got = there(name, *arguments)
    assert got.dtype == dtype
    assert_array_equal(got, getattr(reference, name)(*arguments))


@every_dtype
@pytest.mark.parametrize("name", [*ONE, *EXACT])
def test_rounds_within_a_few_places(device, dtype, name):
    rng = np.random.default_rng(0)
    arguments = arguments_of(name, 10 * reals(rng, (5, 7, 11), dtype), reals(rng, (5, 7, 11), dtype))
    expected = getattr(reference, name)(*arguments)
    places = 4 if name in ONE else 16  # 1 - y loses some places of y near 1 where the oracle does not
    assert_within_bound(there(name, *arguments), expected, abs(expected) + (name not in ONE) * 100, 0, places)


@every_dtype
@pytest.mark.parametrize("name", [*ONE, *EXACT])
def test_strange_numbers_give_what_the_oracle_gives(device, dtype, name):
    x, y = np.array(np.meshgrid(STRANGE, STRANGE)).reshape(2, -1).astype(dtype)
    arguments = arguments_of(name, x, y)
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(*arguments)
        np.testing.assert_allclose(there(name, *arguments), expected.astype(dtype), rtol=1e-6)


def test_sigmoid_and_tanh_keep_small_numbers(device):
    x = np.array([1e-30, -1e-30, -80.0], np.float32)
    np.testing.assert_allclose(there("tanh", x)[:2], x[:2], rtol=1e-6)
    np.testing.assert_allclose(there("sigmoid", x)[2], np.exp(-80.0), rtol=1e-5)


@every_dtype
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.55, 0.999, 1.0])
@pytest.mark.parametrize("name", ["dropout", "dropout_backward"])
def test_dropout_drops_what_the_cpu_drops_and_scales_alike(device, dtype, p, name):
    x = reals(np.random.default_rng(0), (17, 31), dtype)
    for seed, offset in ((0, 0), (1, 2), (2**64 - 1, 2**64 - 1), (2**63, 12345678901234567)):
        assert_array_equal(there(name, x, p, seed, offset), getattr(cpu, name)(x, p, seed, offset))


@every_dtype
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_joins_and_cuts_like_the_oracle(device, dtype, axis):
    rng = np.random.default_rng(axis + 1)
    shapes = [[3, 5, 7] for _ in range(3)]
    for shape, length in zip(shapes, (1, 4, 3), strict=True):
        shape[axis] = length
    arrays = [reals(rng, shape, dtype) for shape in shapes]
    whole = there("concat", arrays, axis)
    assert_array_equal(whole, np.concatenate(arrays, axis))
    parts = there("concat_backward", whole, [1, 4, 3], axis)
    for part, array in zip(parts, arrays, strict=True):
        assert_array_equal(part, array)


def test_arrays_of_no_samples_work(device):
    nothing = np.zeros((0, 3), np.float32)
    for name in (*ONE, *EXACT):
        assert there(name, *arguments_of(name, nothing, nothing)).shape == (0, 3)
    assert there("dropout", nothing, 0.5, 1).shape == (0, 3)
    assert there("concat", [nothing, nothing]).shape == (0, 6)
    assert [part.shape for part in there("concat_backward", nothing, [3, 0])] == [(0, 3), (0, 0)]
    assert device.launched == []


X, Y = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
REFUSED = [
    ("relu_backward", (X, Y), ShapeError),
    ("leaky_relu_backward", (X, Y), ShapeError),
    ("leaky_relu", (X, np.nan), ConfigError),
    ("sigmoid_backward", (X, Y), ShapeError),
    ("tanh_backward", (X, Y), ShapeError),
    ("add", (X, Y), ShapeError),
    ("dropout", (X, 1.5, 0), ConfigError),
    ("dropout", (X, 0.5, -1), ConfigError),
    ("dropout_backward", (X, 0.5, 0, 2**64), ConfigError),
    ("concat", ([],), DTypeError),
    ("concat", ([X, Y], 0), ShapeError),
    ("concat", ([X], 2), ShapeError),
    ("concat_backward", (X, [1, 1]), ShapeError),
    ("concat_backward", (X, [1, None]), ShapeError),
    ("concat_backward", (X, [3], 7), ShapeError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), REFUSED)
def test_errors_are_those_of_the_cpu(device, name, arguments, error):
    with pytest.raises(error) as here:
        getattr(cpu, name)(*arguments)
    with pytest.raises(error) as on_device:
        there(name, *arguments)
    assert str(on_device.value) == str(here.value)


def test_arrays_of_the_host_and_of_other_types_are_refused(device):
    from fastcnn.backends.cuda import pointwise
    from fastcnn.backends.cuda.array import to_device

    with pytest.raises(DTypeError, match=r"relu: x must be on the GPU .* got ndarray; fastcnn\.cuda\.to_device"):
        pointwise.relu(X)
    with pytest.raises(DTypeError, match="x must be float32 or float64, got int64"):
        pointwise.relu(to_device(np.zeros(3, np.int64)))
    with pytest.raises(DTypeError, match="b is float64 but its partner is float32"):
        there("add", X, X.astype(np.float64))
