"""The sum of two arrays, and arrays joined along an axis and taken apart again: exact, and bits copied as they are."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import TAILS, flat_sizes, seeds
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, every_layout, poisoned_memory, reals, results_on_threads, use_isa

from fastcnn import ops
from fastcnn.backends import reference


@dataclass(frozen=True)
class JoinCase:
    """Parts of one shape but along an axis."""

    shape: tuple
    axis: int
    sizes: tuple
    seed: int

    def parts(self, dtype):
        rng = np.random.default_rng(self.seed)
        before, behind = self.shape[: self.axis], self.shape[self.axis + 1 :]
        return [reals(rng, (*before, size, *behind), dtype) for size in self.sizes]


@st.composite
def join_cases(draw):
    """One to five parts of up to four dimensions, some of them empty."""
    shape = tuple(draw(st.lists(st.integers(0, 3) | st.sampled_from(TAILS), min_size=1, max_size=4)))
    sizes = tuple(draw(st.lists(st.integers(0, 9), min_size=1, max_size=5)))
    return JoinCase(shape, draw(st.integers(0, len(shape) - 1)), sizes, draw(seeds))


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_a_sum_is_rounded_once(isa, dtype, size, seed):
    rng = np.random.default_rng(seed)
    a, b = reals(rng, size, dtype), reals(rng, size, dtype)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.add(a, b), reference.add(a, b).astype(dtype))


@every_isa
def test_a_sum_of_special_numbers(isa):
    a = np.array([np.nan, 1.0, np.inf, np.inf, -0.0] * 7, np.float32)
    b = np.array([1.0, np.nan, np.inf, -np.inf, 0.0] * 7, np.float32)
    with use_isa(isa):
        assert_array_equal(ops.add(a, b), np.array([np.nan, np.nan, np.inf, np.nan, 0.0] * 7))


@every_isa
@every_dtype
@given(case=join_cases())
def test_concat_joins_as_the_oracle_does(isa, dtype, case):
    parts = case.parts(dtype)
    with use_isa(isa), poisoned_memory():
        joined = ops.concat(parts, case.axis)
    assert_array_equal(joined, reference.concat(parts, case.axis))
    assert joined.dtype == dtype


@every_isa
@every_dtype
@given(case=join_cases())
def test_concat_backward_cuts_as_the_oracle_does(isa, dtype, case):
    dy = np.concatenate(case.parts(dtype), case.axis)
    with use_isa(isa), poisoned_memory():
        parts = ops.concat_backward(dy, case.sizes, case.axis)
    expected = reference.concat_backward(dy, case.sizes, case.axis)
    assert [part.shape for part in parts] == [part.shape for part in expected]
    assert all(np.array_equal(part, other) for part, other in zip(parts, expected, strict=True))


@every_isa
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_long_rows_are_copied_whole(isa, axis):
    rng = np.random.default_rng(0)
    parts = [reals(rng, (7, 90, 101), np.float32) for _ in range(2)]
    with use_isa(isa), poisoned_memory():
        joined = ops.concat(parts, axis)
        apart = ops.concat_backward(joined, [part.shape[axis] for part in parts], axis)
    assert_array_equal(joined, np.concatenate(parts, axis))
    assert_array_equal(apart, parts)


def test_the_axis_is_the_channels_where_none_is_given_and_may_be_counted_from_the_end():
    a, b = np.zeros((2, 1, 3, 4)), np.ones((2, 5, 3, 4))
    joined = ops.concat((a, b))
    assert joined.shape == (2, 6, 3, 4)
    assert_array_equal(ops.concat((a, b), -3), joined)
    assert_array_equal(ops.concat_backward(joined, (1, 5), -3)[1], b)


def test_bits_are_copied_as_they_are():
    words = np.array([0x7FC00001, 0xFFC12345, 0x00000001, 0x80000000, 0x7F800000], np.uint32)  # NaNs, a denormal, ...
    x = words.view(np.float32).reshape(1, 5)
    joined = ops.concat((x, x))
    assert_array_equal(joined.view(np.uint32)[0], np.tile(words, 2))
    assert_array_equal(ops.concat_backward(joined, (5, 5))[1].view(np.uint32)[0], words)


def test_results_are_copies():
    x = np.zeros((1, 3))
    ops.concat([x])[...] = 1
    ops.concat_backward(x, [3])[0][...] = 1
    assert_array_equal(x, np.zeros((1, 3)))


@every_isa
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_same_bits_on_any_number_of_threads(isa, axis):
    rng = np.random.default_rng(0)
    parts = [reals(rng, (7, 90, 101), np.float32) for _ in range(2)]
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: (
                joined := ops.concat(parts, axis),
                *ops.concat_backward(joined, [part.shape[axis] for part in parts], axis),
                ops.add(*parts),
            )
        )
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    rng = np.random.default_rng(0)
    a, b = reals(rng, (3, 5, 7), np.float32), reals(rng, (3, 5, 7), np.float32)
    assert_array_equal(ops.add(lay_out(a), lay_out(b)), ops.add(a, b))
    assert_array_equal(ops.concat((lay_out(a), b)), ops.concat((a, b)))
    for got, expected in zip(ops.concat_backward(lay_out(a), (2, 3)), ops.concat_backward(a, (2, 3)), strict=True):
        assert_array_equal(got, expected)
