"""Average-pooling and its backward against the oracle: padding that counts or not, NaN, overlapping windows."""

import numpy as np
import pytest
from cases import PoolCase, pool_cases
from hypothesis import given
from numpy.testing import assert_array_equal
from support import (
    assert_within_bound,
    every_dtype,
    every_isa,
    every_layout,
    integers,
    poisoned_memory,
    reals,
    results_on_threads,
    use_isa,
)

from fastcnn import ops
from fastcnn.backends import reference

LARGE_CASES = [
    PoolCase((7, 5, 40, 38), (2, 2), (2, 2), (0, 0), seed=0),
    PoolCase((3, 33, 21, 20), (3, 3), (2, 2), (1, 1), seed=1),
    PoolCase((1, 40, 90, 90), (5, 3), (1, 1), (2, 0), seed=2),
    PoolCase((5, 7, 13, 100), (3, 3), (2, 2), (1, 1), seed=3),
]
MOST_CELLS = 25  # of a window of pool_cases
EVERY_CELL_COUNT = 3600  # a multiple of every number of cells that a window of pool_cases may have

counting_padding_or_not = pytest.mark.parametrize("count_padding", [True, False], ids=["zeros count", "inside only"])


def some_strange_numbers(rng, shape, dtype):
    """Small integers with a NaN or an infinity here and there."""
    strange = rng.choice(np.array([np.nan, np.inf, -np.inf, -0.0], dtype), shape)
    return np.where(rng.random(shape) < 0.05, strange, integers(rng, shape, dtype))


@every_isa
@every_dtype
@counting_padding_or_not
@pytest.mark.parametrize("fill", [integers, some_strange_numbers], ids=lambda fill: fill.__name__)
@given(case=pool_cases())
def test_the_mean_of_integers_is_rounded_once(isa, dtype, count_padding, fill, case):
    x, _ = case.arrays(fill, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.avg_pool2d(x, *case.window, count_padding)
    with np.errstate(invalid="ignore"):
        assert_array_equal(y, reference.avg_pool2d(x, *case.window, count_padding).astype(dtype))


@every_isa
@every_dtype
@counting_padding_or_not
@given(case=pool_cases())
def test_forward_rounds_within_the_bound(isa, dtype, count_padding, case):
    x, _ = case.arrays(reals, dtype)
    with use_isa(isa):
        y = ops.avg_pool2d(x, *case.window, count_padding)
    expected = reference.avg_pool2d(x, *case.window, count_padding)
    assert_within_bound(y, expected, reference.avg_pool2d(abs(x), *case.window, count_padding), MOST_CELLS)


@every_isa
@every_dtype
@counting_padding_or_not
@given(case=pool_cases())
def test_backward_is_exact_on_integers(isa, dtype, count_padding, case):
    x, dy = case.arrays(integers, dtype)
    dy *= EVERY_CELL_COUNT
    with use_isa(isa), poisoned_memory():
        dx = ops.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    assert_array_equal(dx, reference.avg_pool2d_backward(dy, x.shape, *case.window, count_padding))


@every_isa
@every_dtype
@counting_padding_or_not
@given(case=pool_cases())
def test_backward_rounds_within_the_bound(isa, dtype, count_padding, case):
    x, dy = case.arrays(reals, dtype)
    with use_isa(isa):
        dx = ops.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    expected = reference.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    magnitude = reference.avg_pool2d_backward(abs(dy), x.shape, *case.window, count_padding)
    assert_within_bound(dx, expected, magnitude, MOST_CELLS)


@every_isa
@every_dtype
def test_windows_of_2x2_give_the_bits_of_the_general_kernel(isa, dtype):
    x = reals(np.random.default_rng(0), (2, 3, 8, 70), dtype)
    gaps = np.full((2, 3, 8, 105), np.nan, dtype)  # a column between windows, so that the stride is 3
    gaps[..., 0::3], gaps[..., 1::3] = x[..., 0::2], x[..., 1::2]
    with use_isa(isa):
        assert_array_equal(ops.avg_pool2d(x, 2), ops.avg_pool2d(gaps, 2, (2, 3)))


@every_isa
@every_dtype
@counting_padding_or_not
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_planes_and_maps_of_several_tiles(isa, dtype, count_padding, case):
    x, dy = case.arrays(integers, dtype)
    dy *= EVERY_CELL_COUNT
    with use_isa(isa), poisoned_memory():
        y = ops.avg_pool2d(x, *case.window, count_padding)
        dx = ops.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    assert_array_equal(y, reference.avg_pool2d(x, *case.window, count_padding).astype(dtype))
    assert_array_equal(dx, reference.avg_pool2d_backward(dy, x.shape, *case.window, count_padding))


@every_isa
@counting_padding_or_not
def test_a_window_may_have_more_than_255_cells(isa, count_padding):
    case = PoolCase((2, 3, 40, 44), (20, 17), (3, 2), (10, 8), seed=0)
    x, dy = case.arrays(integers, np.float64)
    with use_isa(isa), poisoned_memory():
        y = ops.avg_pool2d(x, *case.window, count_padding)
        dx = ops.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    assert_array_equal(y, reference.avg_pool2d(x, *case.window, count_padding))
    np.testing.assert_allclose(dx, reference.avg_pool2d_backward(dy, x.shape, *case.window, count_padding), atol=1e-12)


def test_a_window_of_more_cells_than_an_int_holds_is_divided_all_the_same():
    x, side = np.full((1, 1, 1, 1), 8.0), 2**40
    assert ops.avg_pool2d(x, side, padding=side // 2).item() == 8.0 / side / side
    assert ops.avg_pool2d(x, side, padding=side // 2, count_include_pad=False).item() == 8.0


def test_without_padding_the_mean_of_a_constant_is_that_constant():
    x = np.full((1, 2, 7, 8), 3.0, np.float32)
    assert_array_equal(ops.avg_pool2d(x, 3, 2, 1, count_include_pad=False), np.full((1, 2, 4, 4), 3.0))


def test_stride_defaults_to_the_window():
    x = np.arange(49.0).reshape(1, 1, 7, 7)
    assert_array_equal(ops.avg_pool2d(x, (2, 3)), ops.avg_pool2d(x, (2, 3), (2, 3)))
    dy = np.arange(6.0).reshape(1, 1, 3, 2)
    one, other = (ops.avg_pool2d_backward(dy, x.shape, (2, 3), stride) for stride in (None, (2, 3)))
    assert_array_equal(one, other)


@every_isa
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_same_bits_on_any_number_of_threads(isa, case):
    x, dy = case.arrays(reals, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: (ops.avg_pool2d(x, *case.window), ops.avg_pool2d_backward(dy, x.shape, *case.window))
        )
    assert one == two == three


@every_layout
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_any_memory_layout_gives_the_same_bits(lay_out, case):
    x, dy = case.arrays(reals, np.float32)
    assert_array_equal(ops.avg_pool2d(lay_out(x), *case.window), ops.avg_pool2d(x, *case.window))
    strided = ops.avg_pool2d_backward(lay_out(dy), x.shape, *case.window)
    assert_array_equal(strided, ops.avg_pool2d_backward(dy, x.shape, *case.window))
