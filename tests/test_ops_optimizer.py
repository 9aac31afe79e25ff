"""RMSprop and SGD: fifty steps beside the oracle."""

import numpy as np
import pytest
from cases import TAILS
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, poisoned_memory, reals, results_on_threads, use_isa

from fastcnn import ops
from fastcnn.backends import reference

STEPS = 50
every_size = pytest.mark.parametrize("size", (*TAILS, 1000, 5003))


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
def test_the_gradient_is_left_alone(isa):
    data, grad, average = (np.ones(37, np.float32) for _ in range(3))
    with use_isa(isa):
        ops.rmsprop_update(data, grad, average, 0.1, 0.9, 1e-8)
        ops.sgd_update(data, grad, 0.1)
    assert_array_equal(grad, np.ones(37))


def test_a_zero_gradient_moves_nothing():
    data, average = np.ones(37, np.float32), np.zeros(37, np.float32)
    ops.rmsprop_update(data, np.zeros(37, np.float32), average, 0.1, 0.9, 1e-8)
    assert_array_equal(data, np.ones(37))


def test_neighbours_of_the_arena_slice_stay_untouched():
    arena = np.zeros(64, np.float32)
    ops.sgd_update(arena[13:44], np.ones(31, np.float32), 1.0)
    assert_array_equal(np.flatnonzero(arena), np.arange(13, 44))


@every_isa
def test_same_bits_on_any_number_of_threads(isa):
    gradients = fifty_gradients(100_003, np.float32)[:3]

    def train():
        data, average = np.ones(100_003, np.float32), np.zeros(100_003, np.float32)
        for grad in gradients:
            ops.rmsprop_update(data, grad, average, 0.001, 0.999, 1e-8)
            ops.sgd_update(data, grad, 0.1)
        return data, average

    with use_isa(isa), poisoned_memory():
        one, two, three = results_on_threads(train)
    assert one == two == three
