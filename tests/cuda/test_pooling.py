"""Pooling on the GPU, against the oracle: ties, NaN, padding, overlapping windows, wrong winners."""

import numpy as np
import pytest
from cases import PoolCase
from numpy.testing import assert_array_equal
from support import assert_within_bound, every_dtype, integers, reals
from there import there

from fastcnn.backends import cpu, reference
from fastcnn.errors import DTypeError, ShapeError

CASES = [
    PoolCase((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), seed=0),
    PoolCase((1, 2, 7, 7), (2, 2), (2, 2), (0, 0), seed=1),  # the last row and column belong to no window
    PoolCase((1, 3, 5, 9), (3, 3), (2, 2), (1, 1), seed=2),
    PoolCase((2, 1, 6, 5), (3, 2), (1, 1), (1, 1), seed=3),
    PoolCase((1, 2, 9, 8), (2, 1), (3, 4), (0, 0), seed=4),  # gaps between windows
    PoolCase((1, 1, 17, 3), (5, 3), (2, 1), (2, 0), seed=5),
    PoolCase((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), seed=6),
    PoolCase((3, 1, 1, 33), (1, 4), (1, 3), (0, 2), seed=7),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.input_shape} {case.window}")


def strange_numbers(rng, shape, dtype):
    """Few different values: ties and special cases everywhere."""
    return rng.choice(np.array([np.nan, np.inf, -np.inf, -np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], dtype), shape)


@every_dtype
@every_case
@pytest.mark.parametrize("fill", [integers, reals, strange_numbers], ids=lambda fill: fill.__name__)
def test_the_first_largest_cell_of_each_window_wins(device, dtype, case, fill):
    x, _ = case.arrays(fill, dtype)
    y, argmax = there("max_pool2d", x, *case.window)
    expected_y, expected_argmax = reference.max_pool2d(x, *case.window)
    assert_array_equal(y, expected_y)
    assert_array_equal(argmax, expected_argmax)
    assert (y.dtype, argmax.dtype) == (dtype, np.uint8)


@every_dtype
@every_case
def test_max_pooling_backward_adds_to_the_winners(device, dtype, case):
    x, dy = case.arrays(integers, dtype)
    argmax = reference.max_pool2d(x, *case.window)[1]
    dx = there("max_pool2d_backward", dy, argmax, x.shape, *case.window)
    assert_array_equal(dx, reference.max_pool2d_backward(dy, argmax, x.shape, *case.window))


@every_dtype
@every_case
@pytest.mark.parametrize("count_padding", [True, False])
def test_means_are_within_the_bound(device, dtype, case, count_padding):
    x, dy = case.arrays(reals, dtype)
    y = there("avg_pool2d", x, *case.window, count_padding)
    dx = there("avg_pool2d_backward", dy, x.shape, *case.window, count_padding)
    window, terms = (*case.window, count_padding), case.kernel_size[0] * case.kernel_size[1]
    assert_within_bound(y, reference.avg_pool2d(x, *window), reference.avg_pool2d(abs(x), *window), terms)
    expected = (reference.avg_pool2d_backward(gradient, x.shape, *window) for gradient in (dy, abs(dy)))
    assert_within_bound(dx, *expected, terms)


@every_dtype
@every_case
def test_means_are_exact_where_nothing_is_rounded(device, dtype, case):
    x, dy = case.arrays(integers, dtype)
    cells = case.kernel_size[0] * case.kernel_size[1]
    x, dy = x * cells, dy * cells
    assert_array_equal(there("avg_pool2d", x, *case.window), reference.avg_pool2d(x, *case.window))
    dx = there("avg_pool2d_backward", dy, x.shape, *case.window)
    assert_array_equal(dx, reference.avg_pool2d_backward(dy, x.shape, *case.window))


@pytest.mark.parametrize("count_padding", [True, False])
def test_a_nan_spoils_the_means_that_hold_it_and_no_other(device, count_padding):
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 3] = np.nan
    expected = np.isnan(reference.avg_pool2d(x, 3, 2, 1, count_padding))
    assert_array_equal(np.isnan(there("avg_pool2d", x, 3, 2, 1, count_padding)), expected)


def test_a_window_may_have_255_cells(device):
    case = PoolCase((1, 1, 15, 18), (15, 17), (3, 2), (7, 8), seed=0)
    x, dy = case.arrays(reals, np.float32)
    argmax = there("max_pool2d", x, *case.window)[1]
    assert_array_equal(argmax, reference.max_pool2d(x, *case.window)[1])
    dx = there("max_pool2d_backward", np.round(dy), argmax, x.shape, *case.window)
    assert_array_equal(dx, reference.max_pool2d_backward(np.round(dy), argmax, x.shape, *case.window))


@pytest.mark.parametrize(
    ("window", "place", "winner"),
    [((2, 2, 0), (0, 0), 4), ((3, 3, 0), (1, 1), 9), ((3, 2, 1), (2, 2), 9), ((3, 2, 1), (0, 0), 0)],
    ids=["2x2", "side by side", "overlapping", "in the padding"],
)
def test_an_argmax_outside_the_window_or_the_plane_is_refused(device, window, place, winner):
    shape = cpu.pool_output_shape((1, 2, 9, 9), *window)
    argmax = np.full(shape, window[0] + 1, np.uint8)  # the second cell of the second row: inside of all planes
    dy = np.ones(shape, np.float32)
    there("max_pool2d_backward", dy, argmax, (1, 2, 9, 9), *window)
    for wrong in (winner, 250):
        argmax[0, 1, *place] = wrong
        assert_same_error(ShapeError, "max_pool2d_backward", dy, argmax, (1, 2, 9, 9), *window)


def assert_same_error(error, name, *arguments):
    with pytest.raises(error) as here:
        getattr(cpu, name)(*arguments)
    with pytest.raises(error) as on_device:
        there(name, *arguments)
    assert str(on_device.value) == str(here.value)


X, BYTES = np.zeros((1, 2, 4, 4)), np.zeros((1, 2, 2, 2), np.uint8)
REFUSED = [
    ("max_pool2d", (X[0], 2), ShapeError),
    ("max_pool2d", (X, 5), ShapeError),
    ("max_pool2d", (X, 2, 0), ShapeError),
    ("max_pool2d", (X, 2, 2, 2), ShapeError),
    ("max_pool2d", (X, "2"), ShapeError),
    ("max_pool2d_backward", (X, BYTES, (1, 2, 4, 4), 2), ShapeError),
    ("max_pool2d_backward", (X[:, :, :2, :2], BYTES[:, :1], (1, 2, 4, 4), 2), ShapeError),
    ("max_pool2d_backward", (X[:, :, :2, :2], X, (1, 2, 4, 4), 2), DTypeError),
    ("max_pool2d_backward", (X, BYTES, (1, 2, 4), 2), ShapeError),
    ("avg_pool2d", (X, 5), ShapeError),
    ("avg_pool2d_backward", (X, (1, 2, 4, 4), 2), ShapeError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), REFUSED)
def test_errors_are_those_of_the_cpu(device, name, arguments, error):
    assert_same_error(error, name, *arguments)


def test_arrays_of_no_samples_work(device):
    nothing = np.zeros((0, 2, 4, 4), np.float32)
    y, argmax = there("max_pool2d", nothing, 2)
    assert y.shape == argmax.shape == there("avg_pool2d", nothing, 2).shape == (0, 2, 2, 2)
    assert there("max_pool2d_backward", y, argmax, nothing.shape, 2).shape == nothing.shape
    assert there("avg_pool2d_backward", y, nothing.shape, 2).shape == nothing.shape
