"""ReLU and dropout: equal to the oracle element by element, and random bits that look random."""

import numpy as np
import pytest
from cases import flat_sizes, seeds
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import (
    every_dtype,
    every_isa,
    every_layout,
    integers,
    poisoned_memory,
    reals,
    results_on_threads,
    use_isa,
)

from fastcnn import _core, ops
from fastcnn.backends import reference
from fastcnn.backends.reference.pointwise import dropout_bits

full_seeds = st.integers(0, 2**64 - 1) | st.sampled_from((0, 1, 2**32, 2**64 - 1))
probabilities = st.sampled_from((0.0, 0.2, 0.5, 0.55, 1.0)) | st.floats(0, 1)


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_relu_keeps_what_is_above_zero(isa, dtype, size, seed):
    x = reals(np.random.default_rng(seed), size, dtype)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.relu(x), reference.relu(x))


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_relu_backward_passes_the_gradient_where_the_output_is_above_zero(isa, dtype, size, seed):
    rng = np.random.default_rng(seed)
    y, dy = reference.relu(integers(rng, size, dtype)).astype(dtype), reals(rng, size, dtype)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.relu_backward(dy, y), reference.relu_backward(dy, y))


@every_isa
@every_dtype
def test_relu_of_special_numbers(isa, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1e-40, 3.0] * 7, dtype)
    with use_isa(isa):
        assert_array_equal(ops.relu(x), np.array([np.nan, np.inf, 0, 0, 0, 0, 3.0] * 7, dtype))


@every_isa
def test_relu_backward_is_zero_at_zero_even_for_a_nan_gradient(isa):
    dy, y = np.full(37, np.nan, np.float32), np.zeros(37, np.float32)
    with use_isa(isa):
        assert_array_equal(ops.relu_backward(dy, y), np.zeros(37))


@every_isa
@every_dtype
@pytest.mark.parametrize("first", [2**32 - 16384, 2**32, 2**33, 2**62])
def test_dropout_draws_by_the_whole_of_a_64_bit_index(isa, dtype, first):
    x = np.ones(20_000, dtype)
    with use_isa(isa):
        y = _core.dropout(x, 0.3, 5, 6, first)
    assert_array_equal(y != 0, dropout_bits(5, 6, x.size, first) >= int(0.3 * 2**32))


@every_isa
@every_dtype
@given(size=flat_sizes(), p=probabilities, seed=full_seeds, offset=full_seeds)
def test_dropout_drops_the_elements_that_the_oracle_drops(isa, dtype, size, p, seed, offset):
    x = np.ones(size, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.dropout(x, p, seed, offset)
    assert_array_equal(y != 0, reference.dropout(x, p, seed, offset) != 0)


@every_isa
@every_dtype
@given(size=flat_sizes(), p=probabilities, seed=seeds)
def test_dropout_scales_what_it_keeps(isa, dtype, size, p, seed):
    x = reals(np.random.default_rng(seed), size, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.dropout(x, p, seed)
    np.testing.assert_allclose(y, reference.dropout(x, p, seed), rtol=2 * np.finfo(dtype).eps)


@every_isa
@every_dtype
@given(size=flat_sizes(), p=probabilities, seed=full_seeds, offset=full_seeds)
def test_dropout_backward_is_the_same_linear_map(isa, dtype, size, p, seed, offset):
    dy = np.random.default_rng(size).standard_normal(size).astype(dtype)
    with use_isa(isa), poisoned_memory():
        dx = ops.dropout_backward(dy, p, seed, offset)
        assert_array_equal(dx, ops.dropout(dy, p, seed, offset))


def test_dropout_of_nothing_changes_nothing():
    x = np.array([1.0, -2.0, np.nan, np.inf])
    assert_array_equal(ops.dropout(x, 0.0, 7), x)


def test_dropout_of_everything_leaves_zeros():
    assert_array_equal(ops.dropout(np.array([1.0, -2.0, np.nan, np.inf]), 1.0, 7), np.zeros(4))


def test_dropout_drops_by_index_whatever_the_shape():
    x = np.ones(600, np.float32)
    assert_array_equal(ops.dropout(x.reshape(10, 4, 5, 3), 0.5, 1).ravel(), ops.dropout(x, 0.5, 1))


@every_isa
def test_same_bits_on_any_number_of_threads(isa):
    x = reals(np.random.default_rng(0), 300_001, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: (
                ops.relu(x),
                ops.relu_backward(x, x),
                ops.dropout(x, 0.5, 3),
                ops.dropout_backward(x, 0.5, 3),
            )
        )
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    rng = np.random.default_rng(0)
    x, dy = reals(rng, (3, 5, 7), np.float32), reals(rng, (3, 5, 7), np.float32)

    def operations(x, dy):
        return np.stack([ops.relu(x), ops.relu_backward(dy, x), ops.dropout(x, 0.5, 3)])

    assert_array_equal(operations(lay_out(x), lay_out(dy)), operations(x, dy))


# The bits themselves. Seeds are fixed, so these tests never flicker; limits lie five standard deviations out.
COUNT = 1 << 18
STREAMS = [(0, 0), (0, 1), (1, 0), (2**63, 2**32), (2**64 - 1, 2**64 - 1)]
every_stream = pytest.mark.parametrize("seed, offset", STREAMS)


def uniform(seed, offset):
    return reference.dropout_bits(seed, offset, COUNT) / 2**32


@every_stream
def test_kept_share_is_one_minus_p(seed, offset):
    for p in (0.05, 0.2, 0.5, 0.55, 0.95):
        kept = np.count_nonzero(ops.dropout(np.ones(COUNT, np.float32), p, seed, offset)) / COUNT
        assert abs(kept - (1 - p)) < 5 * np.sqrt(p * (1 - p) / COUNT)


@every_stream
def test_bits_have_the_mean_of_a_uniform_draw(seed, offset):
    assert abs(uniform(seed, offset).mean() - 0.5) < 5 * np.sqrt(1 / 12 / COUNT)


@every_stream
@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_every_byte_takes_each_value_equally_often(seed, offset, shift):
    byte = (reference.dropout_bits(seed, offset, COUNT) >> shift) % 256
    observed, expected = np.bincount(byte.astype(np.int64), minlength=256), COUNT / 256
    chi_square = np.sum((observed - expected) ** 2 / expected)
    assert abs(chi_square - 255) < 5 * np.sqrt(2 * 255)


@every_stream
@pytest.mark.parametrize("lag", [1, 2, 3, 16, 28, 784, 4096])
def test_bits_do_not_follow_from_their_neighbours(seed, offset, lag):
    draws = uniform(seed, offset)
    assert abs(correlation(draws[lag:], draws[:-lag])) < 5 / np.sqrt(COUNT)


@pytest.mark.parametrize("other", [*STREAMS[1:], (1, 1), (0, 2), (2**32, 0), (0, 2**32)])
def test_different_seeds_and_offsets_are_uncorrelated(other):
    assert abs(correlation(uniform(0, 0), uniform(*other))) < 5 / np.sqrt(COUNT)


def test_each_of_many_consecutive_steps_draws_its_own_first_bits():
    first = {reference.dropout_bits(seed, offset, 1).item() for seed in range(50) for offset in range(50)}
    assert len(first) > 2495  # 2500 draws out of 2**32 meet less than once in a thousand runs


def correlation(a, b):
    return np.corrcoef(a, b)[0, 1]
