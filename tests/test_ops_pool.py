"""Max-pooling and its backward against the oracle: ties, NaN, padding, overlapping windows."""

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
    PoolCase((1, 1, 90, 90), (5, 3), (1, 1), (2, 0), seed=2),
    PoolCase((5, 7, 13, 100), (3, 3), (2, 2), (1, 1), seed=3),
]


def strange_numbers(rng, shape, dtype):
    """Few different values, among them NaN, infinities and both zeros: ties and special cases everywhere."""
    values = np.array([np.nan, np.inf, -np.inf, -np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0], dtype)
    return rng.choice(values, shape)


@every_isa
@every_dtype
@pytest.mark.parametrize("fill", [integers, reals, strange_numbers], ids=lambda fill: fill.__name__)
@given(case=pool_cases())
def test_the_largest_cell_of_each_window_wins(isa, dtype, fill, case):
    x, _ = case.arrays(fill, dtype)
    with use_isa(isa), poisoned_memory():
        y, _ = ops.max_pool2d(x, *case.window)
    assert_array_equal(y, reference.max_pool2d(x, *case.window)[0])


@every_isa
@every_dtype
@pytest.mark.parametrize("fill", [integers, reals, strange_numbers], ids=lambda fill: fill.__name__)
@given(case=pool_cases())
def test_argmax_names_the_first_winner_in_its_window(isa, dtype, fill, case):
    x, _ = case.arrays(fill, dtype)
    with use_isa(isa), poisoned_memory():
        _, argmax = ops.max_pool2d(x, *case.window)
    assert_array_equal(argmax, reference.max_pool2d(x, *case.window)[1])


@every_isa
@every_dtype
@given(case=pool_cases())
def test_backward_is_exact_on_integers(isa, dtype, case):
    x, dy = case.arrays(integers, dtype)
    _, argmax = reference.max_pool2d(x, *case.window)
    with use_isa(isa), poisoned_memory():
        dx = ops.max_pool2d_backward(dy, argmax, x.shape, *case.window)
    assert_array_equal(dx, reference.max_pool2d_backward(dy, argmax, x.shape, *case.window))


@every_isa
@every_dtype
@given(case=pool_cases())
def test_backward_rounds_within_the_bound(isa, dtype, case):
    x, dy = case.arrays(reals, dtype)
    _, argmax = reference.max_pool2d(x, *case.window)
    with use_isa(isa):
        dx = ops.max_pool2d_backward(dy, argmax, x.shape, *case.window)
    expected = reference.max_pool2d_backward(dy, argmax, x.shape, *case.window)
    magnitude = reference.max_pool2d_backward(abs(dy), argmax, x.shape, *case.window)
    assert_within_bound(dx, expected, magnitude, terms=25)


@every_isa
def test_a_window_may_have_255_cells(isa):
    case = PoolCase((2, 3, 40, 44), (15, 17), (3, 2), (7, 8), seed=0)
    x, _ = case.arrays(reals, np.float32)
    with use_isa(isa), poisoned_memory():
        _, argmax = ops.max_pool2d(x, *case.window)
    assert_array_equal(argmax, reference.max_pool2d(x, *case.window)[1])


@every_isa
@every_dtype
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_planes_and_maps_of_several_tiles(isa, dtype, case):
    x, dy = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.max_pool2d(x, *case.window)
        dx = ops.max_pool2d_backward(dy, argmax, x.shape, *case.window)
    for got, expected in zip((y, argmax), reference.max_pool2d(x, *case.window), strict=True):
        assert_array_equal(got, expected)
    assert_array_equal(dx, reference.max_pool2d_backward(dy, argmax, x.shape, *case.window))


@every_isa
@pytest.mark.parametrize(
    ("window", "place", "winner"),
    [((2, 2, 0), (0, 0), 4), ((3, 3, 0), (1, 1), 9), ((3, 2, 1), (2, 2), 9), ((3, 2, 1), (0, 0), 0)],
    ids=["2x2", "side by side", "overlapping", "in the padding"],
)
def test_an_argmax_outside_the_window_or_the_plane_is_refused(isa, window, place, winner):
    shape = ops.pool_output_shape((2, 17, 9, 9), *window)
    argmax = np.full(shape, window[0] + 1, np.uint8)  # the second cell of the second row: inside of all planes
    dy = np.ones(shape, np.float32)
    with use_isa(isa):
        ops.max_pool2d_backward(dy, argmax, (2, 17, 9, 9), *window)
        for wrong in (winner, 250):
            argmax[1, 16, *place] = wrong
            with pytest.raises(ValueError):
                ops.max_pool2d_backward(dy, argmax, (2, 17, 9, 9), *window)


@every_isa
@pytest.mark.parametrize("width", [9, 10])  # the last windows reach one pixel out, or none
@pytest.mark.parametrize(
    ("place", "inside", "outside"),
    [((2, 0), (1, 4, 7), (0, 3, 6)), ((2, -1), (1, 4, 7), (2, 5, 8)), ((0, 2), (3, 4, 5), (0, 1, 2)),
     ((-1, 2), (3, 4, 5), (6, 7, 8))],
    ids=["left", "right", "above", "below"],
)  # fmt: skip
def test_an_argmax_one_past_any_edge_is_refused(isa, width, place, inside, outside):
    shape = (1, 5, width, width)
    argmax = np.full(ops.pool_output_shape(shape, 3, 2, 1), 4, np.uint8)
    dy = np.ones(argmax.shape, np.float32)
    there = outside if width == 9 or 0 in place else ()  # a map of 10 fills its last windows
    with use_isa(isa):
        for winner in range(9):
            argmax[0, 4, *place] = winner
            if winner in there:
                with pytest.raises(ValueError):
                    ops.max_pool2d_backward(dy, argmax, shape, 3, 2, 1)
            else:
                dx = ops.max_pool2d_backward(dy, argmax, shape, 3, 2, 1)
                assert_array_equal(dx, reference.max_pool2d_backward(dy, argmax, shape, 3, 2, 1))


def test_stride_defaults_to_the_window():
    x = np.arange(49.0).reshape(1, 1, 7, 7)
    assert_array_equal(ops.max_pool2d(x, (2, 3))[0], ops.max_pool2d(x, (2, 3), (2, 3))[0])


def test_padding_never_wins_over_minus_infinity():
    x = np.full((1, 1, 4, 4), -np.inf, np.float32)
    _, argmax = ops.max_pool2d(x, 3, 2, 1)
    assert_array_equal(argmax[0, 0], [[4, 3], [1, 0]])


def test_argmax_is_one_byte():
    _, argmax = ops.max_pool2d(np.zeros((1, 1, 4, 4)), 2)
    assert argmax.dtype == np.uint8


@every_isa
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_same_bits_on_any_number_of_threads(isa, case):
    x, dy = case.arrays(reals, np.float32)

    def operations():
        y, argmax = ops.max_pool2d(x, *case.window)
        return y, argmax, ops.max_pool2d_backward(dy, argmax, x.shape, *case.window)

    with use_isa(isa):
        one, two, three = results_on_threads(operations)
    assert one == two == three


@every_layout
def test_forward_takes_any_memory_layout(lay_out):
    case = LARGE_CASES[0]
    x, _ = case.arrays(reals, np.float32)
    for got, expected in zip(ops.max_pool2d(lay_out(x), *case.window), ops.max_pool2d(x, *case.window), strict=True):
        assert_array_equal(got, expected)


@every_layout
def test_backward_takes_any_memory_layout(lay_out):
    case = LARGE_CASES[1]
    x, dy = case.arrays(reals, np.float32)
    _, argmax = ops.max_pool2d(x, *case.window)
    strided = ops.max_pool2d_backward(lay_out(dy), lay_out(argmax), x.shape, *case.window)
    assert_array_equal(strided, ops.max_pool2d_backward(dy, argmax, x.shape, *case.window))
