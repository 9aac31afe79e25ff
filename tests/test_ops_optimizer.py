"""Fifty steps of each optimizer beside the oracle; the gradient before a step, clipped and penalised; its norm."""

import numpy as np
import pytest
from cases import TAILS, flat_sizes, seeds
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

from fastcnn import ops
from fastcnn.backends import reference

STEPS = 50
every_size = pytest.mark.parametrize("size", (*TAILS, 1000, 40_001))


def fifty_gradients(size, dtype):
    """From large to tiny, so that eps matters for some."""
    rng = np.random.default_rng(size)
    return [reals(rng, size, dtype) * dtype(10.0 ** (-step / 8)) for step in range(STEPS)]


def assert_followed(got, expected, moved):
    """Each step may add two roundings of what has moved so far."""
    bound = 2 * STEPS * np.finfo(got.dtype).eps * (abs(expected) + moved)
    np.testing.assert_array_less(abs(got - expected), bound + np.finfo(got.dtype).tiny)


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("decay", [0.999, 0.9, 0.0])
def test_fifty_steps_of_rmsprop_follow_the_oracle(isa, dtype, size, decay):
    data = reals(np.random.default_rng(0), size, dtype)
    expected, moved = data.astype(np.float64), np.zeros(size)
    average, expected_average = np.zeros(size, dtype), np.zeros(size)
    with use_isa(isa):
        for grad in fifty_gradients(size, dtype):
            before = expected.copy()
            ops.rmsprop_update(data, grad, average, 0.001, decay, 1e-8)
            reference.rmsprop_update(expected, grad, expected_average, 0.001, decay, 1e-8)
            moved += abs(expected - before)
    assert_followed(data, expected, moved)


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("decay", [0.999, 0.9, 0.0])
def test_the_mean_square_of_rmsprop_follows_the_oracle(isa, dtype, size, decay):
    data, average, expected_average = np.zeros(size, dtype), np.zeros(size, dtype), np.zeros(size)
    with use_isa(isa):
        for grad in fifty_gradients(size, dtype):
            ops.rmsprop_update(data, grad, average, 0.001, decay, 1e-8)
            reference.rmsprop_update(np.zeros(size), grad, expected_average, 0.001, decay, 1e-8)
    assert_followed(average, expected_average, 0)


@every_isa
@every_dtype
@every_size
def test_fifty_steps_of_sgd_follow_the_oracle(isa, dtype, size):
    data = reals(np.random.default_rng(0), size, dtype)
    expected, moved = data.astype(np.float64), np.zeros(size)
    with use_isa(isa):
        for grad in fifty_gradients(size, dtype):
            ops.sgd_update(data, grad, 0.01)
            reference.sgd_update(expected, grad, 0.01)
            moved += abs(0.01 * grad)
    assert_followed(data, expected, moved)


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
def test_fifty_steps_of_momentum_follow_the_oracle(isa, dtype, size, nesterov):
    data, velocity = reals(np.random.default_rng(0), size, dtype), np.zeros(size, dtype)
    expected, expected_velocity = data.astype(np.float64), np.zeros(size)
    reach, speed = abs(expected), np.zeros(size)  # the same over absolute values: nothing cancels
    with use_isa(isa):
        for grad in fifty_gradients(size, dtype):
            ops.momentum_update(data, grad, velocity, 0.01, 0.9, nesterov)
            reference.momentum_update(expected, grad, expected_velocity, 0.01, 0.9, nesterov)
            reference.momentum_update(reach, -abs(grad), speed, 0.01, 0.9, nesterov)
    assert_followed(data, expected, reach)
    assert_followed(velocity, expected_velocity, abs(speed))


@every_isa
@every_dtype
@every_size
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.9), (0.5, 0.0)], ids=str)
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_fifty_steps_of_adam_follow_the_oracle(isa, dtype, size, betas, weight_decay):
    data, expected = reals(np.random.default_rng(0), size, dtype), np.zeros(size)
    first, second = np.zeros(size, dtype), np.zeros(size, dtype)
    moments, reach, magnitudes = np.zeros((2, size)), abs(data).astype(np.float64), np.zeros((2, size))
    expected[...] = data
    with use_isa(isa):
        for step, grad in enumerate(fifty_gradients(size, dtype), 1):
            ops.adam_update(data, grad, first, second, 0.01, *betas, 1e-8, step, weight_decay)
            reference.adam_update(expected, grad, *moments, 0.01, *betas, 1e-8, step, weight_decay)
            reference.adam_update(reach, -abs(grad), *magnitudes, 0.01, *betas, 1e-8, step)
    assert_followed(data, expected, reach)
    assert_followed(first, moments[0], abs(magnitudes[0]))
    assert_followed(second, moments[1], 0)


@every_isa
def test_the_weight_decay_of_adam_does_not_go_through_the_moments(isa):
    data, first, second = np.full(37, 8.0), np.zeros(37), np.zeros(37)
    with use_isa(isa):
        ops.adam_update(data, np.zeros(37), first, second, 0.5, 0.9, 0.999, 1e-8, 1, weight_decay=0.5)
    assert_array_equal(data, np.full(37, 6.0))
    assert_array_equal(first, np.zeros(37))


@every_isa
def test_a_late_step_of_adam_is_no_longer_corrected(isa):
    data, first, second = np.zeros(37), np.ones(37), np.ones(37)
    with use_isa(isa):
        ops.adam_update(data, np.ones(37), first, second, 0.5, 0.9, 0.999, 0.0, 10**9)
    np.testing.assert_allclose(data, np.full(37, -0.5), rtol=1e-12)


def every_update(data, grad, *states):
    """One step of every optimizer on the same arrays."""
    ops.sgd_update(data, grad, 0.1)
    ops.momentum_update(data, grad, states[0], 0.1, 0.9)
    ops.momentum_update(data, grad, states[0], 0.1, 0.9, nesterov=True)
    ops.rmsprop_update(data, grad, states[1], 0.1, 0.9, 1e-8)
    ops.adam_update(data, grad, states[0], states[1], 0.1, 0.9, 0.999, 1e-8, 1, 0.1)


@every_isa
def test_the_gradient_is_left_alone(isa):
    data, grad, first, second = (np.ones(37, np.float32) for _ in range(4))
    with use_isa(isa):
        every_update(data, grad, first, second)
    assert_array_equal(grad, np.ones(37))


def test_a_zero_gradient_moves_nothing():
    data, zero = np.ones(37, np.float32), np.zeros(37, np.float32)
    ops.rmsprop_update(data, zero, np.zeros_like(data), 0.1, 0.9, 1e-8)
    ops.momentum_update(data, zero, np.zeros_like(data), 0.1, 0.9)
    ops.adam_update(data, zero, np.zeros_like(data), np.zeros_like(data), 0.1, 0.9, 0.999, 1e-8, 1)
    assert_array_equal(data, np.ones(37))


def test_neighbours_of_the_arena_slice_stay_untouched():
    arena = np.zeros(64, np.float32)
    ops.sgd_update(arena[13:44], np.ones(31, np.float32), 1.0)
    assert_array_equal(np.flatnonzero(arena), np.arange(13, 44))


# ---- the gradient before an update, and its norm ---------------------------------------------------------------------


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds, limit=st.sampled_from((0.0, 2.0, 5.0, np.inf)))
def test_a_gradient_is_adjusted_exactly_on_integers(isa, dtype, size, seed, limit):
    rng = np.random.default_rng(seed)
    grad, data = integers(rng, size, dtype), integers(rng, size, dtype)
    expected = grad.copy()
    reference.adjust_gradient(expected, data, 2.0, limit, 0.5, 0.25)
    with use_isa(isa):
        ops.adjust_gradient(grad, data, 2.0, limit, 0.5, 0.25)
    assert_array_equal(grad, expected)


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_a_gradient_is_adjusted_within_the_bound(isa, dtype, size, seed):
    rng = np.random.default_rng(seed)
    grad, data = reals(rng, size, dtype), reals(rng, size, dtype)
    expected, bound = grad.astype(np.float64), 0.3 * abs(grad) + 0.1 + 0.7 * abs(data)
    reference.adjust_gradient(expected, data, 0.3, 0.2, 0.1, 0.7)
    with use_isa(isa):
        ops.adjust_gradient(grad, data, 0.3, 0.2, 0.1, 0.7)
    np.testing.assert_array_less(abs(grad - expected), 4 * np.finfo(dtype).eps * bound)


@every_isa
@every_dtype
def test_clipping_lets_a_nan_through_and_cuts_infinity(isa, dtype):
    grad = np.array([np.nan, np.inf, -np.inf, 1.0, -7.0] * 7, dtype)
    with use_isa(isa):
        ops.adjust_gradient(grad, np.zeros(35, dtype), limit=3.0)
    assert_array_equal(grad, np.array([np.nan, 3.0, -3.0, 1.0, -3.0] * 7, dtype))


@every_isa
def test_without_settings_a_gradient_stays_as_it_is(isa):
    rng = np.random.default_rng(0)
    grad, data = reals(rng, 1003, np.float32), reals(rng, 1003, np.float32)
    before = grad.copy()
    with use_isa(isa):
        ops.adjust_gradient(grad, data)
    assert_array_equal(grad, before)


def test_the_penalty_of_l1_is_none_at_zero():
    grad = np.zeros(3)
    ops.adjust_gradient(grad, np.array([-2.0, 0.0, 2.0]), l1=0.5)
    assert_array_equal(grad, [-0.5, 0.0, 0.5])


def test_a_gradient_may_be_penalised_by_itself():
    grad = np.arange(5.0)
    ops.adjust_gradient(grad[1:], grad[:-1], l2=1.0)
    assert_array_equal(grad, [0.0, 1.0, 3.0, 5.0, 7.0])


@every_layout
def test_weights_of_any_memory_layout_give_the_same_penalty(lay_out):
    data = reals(np.random.default_rng(0), (3, 5, 7), np.float32)
    grad, expected = np.zeros_like(data), np.zeros_like(data)
    ops.adjust_gradient(grad, lay_out(data), l2=0.5)
    ops.adjust_gradient(expected, data, l2=0.5)
    assert_array_equal(grad, expected)


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_a_sum_of_squares_is_exact_on_integers(isa, dtype, size, seed):
    x = integers(np.random.default_rng(seed), size, dtype)
    with use_isa(isa), poisoned_memory():
        assert ops.sum_of_squares(x) == reference.sum_of_squares(x)


@every_isa
@every_dtype
def test_a_sum_of_squares_is_added_up_in_double_precision(isa, dtype):
    x = reals(np.random.default_rng(0), 100_003, dtype) * dtype(1e25)
    with use_isa(isa), poisoned_memory():
        assert abs(ops.sum_of_squares(x) / reference.sum_of_squares(x) - 1) < 1e-12


@every_isa
@every_layout
def test_a_sum_of_squares_of_any_memory_layout_is_the_same(isa, lay_out):
    x = reals(np.random.default_rng(0), (3, 5, 7), np.float32)
    with use_isa(isa):
        assert ops.sum_of_squares(lay_out(x)) == pytest.approx(reference.sum_of_squares(x), rel=1e-14)


def test_a_sum_of_squares_of_nothing_is_zero_and_of_a_nan_is_nan():
    assert ops.sum_of_squares(np.zeros(0)) == 0.0
    assert np.isnan(ops.sum_of_squares(np.array([1.0, np.nan])))


# ---- threads ---------------------------------------------------------------------------------------------------------


@every_isa
def test_same_bits_on_any_number_of_threads(isa):
    gradients = fifty_gradients(100_003, np.float32)[:3]

    def train():
        data, first, second = np.ones((3, 100_003), np.float32)
        norms = []
        for grad in gradients:
            adjusted = grad.copy()
            ops.adjust_gradient(adjusted, data, 0.5, 1.0, 0.01, 0.01)
            every_update(data, adjusted, first, second)
            norms.append(ops.sum_of_squares(adjusted))
        return data, first, second, np.array(norms)

    with use_isa(isa), poisoned_memory():
        one, two, three = results_on_threads(train)
    assert one == two == three
