"""Softmax, log-softmax and cross-entropy with their backwards, from plain rows to extreme ones."""

import numpy as np
import pytest
from cases import row_shapes, seeds
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, every_layout, poisoned_memory, reals, results_on_threads, use_isa

from fastcnn import ops
from fastcnn.backends import reference

scales = st.sampled_from((0.1, 1.0, 10.0, 50.0))


def assert_close(got, expected, magnitude, classes):
    """|got - expected| <= (classes + 8) * eps * magnitude: the sum over a row, and a few roundings.

    Kernels flush denormals, which may cost the smallest normal number a few times more.
    """
    number = np.finfo(got.dtype)
    bound = (classes + 8) * number.eps * magnitude + 16 * number.tiny
    np.testing.assert_array_less(abs(got - expected), bound)


def logits_of(shape, scale, seed, dtype):
    return (reals(np.random.default_rng(seed), shape, np.float64) * scale).astype(dtype)


def spread(logits):
    """1 + how far each logit lies below its row's largest: rounding in exp and log grows with it."""
    logits = logits.astype(np.float64)
    return 1 + logits.max(axis=-1, keepdims=True) - logits


@every_isa
@every_dtype
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_softmax_agrees_with_the_oracle(isa, dtype, shape, scale, seed):
    x = logits_of(shape, scale, seed, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.softmax(x)
    expected = reference.softmax(x)
    assert_close(y, expected, spread(x) * expected, shape[1])


@every_isa
@every_dtype
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_log_softmax_agrees_with_the_oracle(isa, dtype, shape, scale, seed):
    x = logits_of(shape, scale, seed, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.log_softmax(x)
    assert_close(y, reference.log_softmax(x), spread(x), shape[1])


@every_isa
@every_dtype
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_softmax_backward_agrees_with_the_oracle(isa, dtype, shape, scale, seed):
    y = reference.softmax(logits_of(shape, scale, seed, dtype)).astype(dtype)
    dy = logits_of(shape, 1.0, seed + 1, dtype)
    with use_isa(isa), poisoned_memory():
        dx = ops.softmax_backward(dy, y)
    magnitude = y * (abs(dy) + np.sum(abs(dy) * y, axis=1, keepdims=True))
    assert_close(dx, reference.softmax_backward(dy, y), magnitude, shape[1])


@every_isa
@every_dtype
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_log_softmax_backward_agrees_with_the_oracle(isa, dtype, shape, scale, seed):
    y = reference.log_softmax(logits_of(shape, scale, seed, dtype)).astype(dtype)
    dy = logits_of(shape, 1.0, seed + 1, dtype)
    with use_isa(isa), poisoned_memory():
        dx = ops.log_softmax_backward(dy, y)
    magnitude = abs(dy) + np.exp(y) * (1 - y) * np.sum(abs(dy), axis=1, keepdims=True)
    assert_close(dx, reference.log_softmax_backward(dy, y), magnitude, shape[1])


def class_indices(shape, seed, dtype):
    return np.random.default_rng(seed).integers(0, shape[1], shape[0])


def soft_weights(shape, seed, dtype):
    """Weights that do not sum to 1, as Gorgonia's 0.9 and 0.1 do not."""
    return np.random.default_rng(seed).random(shape).astype(dtype)


every_target = pytest.mark.parametrize("target_of", [class_indices, soft_weights], ids=lambda f: f.__name__)


@every_isa
@every_dtype
@every_target
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_cross_entropy_agrees_with_the_oracle(isa, dtype, target_of, shape, scale, seed):
    x, target = logits_of(shape, scale, seed, dtype), target_of(shape, seed, dtype)
    with use_isa(isa), poisoned_memory():
        loss = ops.cross_entropy(x, target)
    magnitude = np.sum(spread(x) * (1 if target.ndim == 1 else target), axis=1)
    assert_close(loss, reference.cross_entropy(x, target), magnitude, shape[1])


@every_isa
@every_dtype
@every_target
@given(shape=row_shapes(), scale=scales, seed=seeds)
def test_cross_entropy_backward_agrees_with_the_oracle(isa, dtype, target_of, shape, scale, seed):
    x, target = logits_of(shape, scale, seed, dtype), target_of(shape, seed, dtype)
    dy = logits_of(shape[0], 1.0, seed + 1, dtype)
    with use_isa(isa), poisoned_memory():
        dlogits = ops.cross_entropy_backward(dy, x, target)
    weights = np.eye(shape[1])[target] if target.ndim == 1 else target.astype(np.float64)
    probability = reference.softmax(x) * spread(x)
    magnitude = abs(dy)[:, None] * (probability * weights.sum(axis=1, keepdims=True) + weights)
    assert_close(dlogits, reference.cross_entropy_backward(dy, x, target), magnitude, shape[1])


@every_isa
@every_dtype
@pytest.mark.parametrize("shift", [-1000.0, 1000.0, 30000.0])
def test_log_softmax_does_not_see_a_shift_of_its_row(isa, dtype, shift):
    x = np.array([[0.0, 1.0, -2.0, 5.0, 3.0, 0.5, -7.0, 2.0, 4.0, -1.0, 8.0]], dtype)
    with use_isa(isa):
        assert_array_equal(ops.log_softmax(x + dtype(shift)), ops.log_softmax(x))


@every_isa
@every_dtype
def test_logits_far_apart_give_a_certain_row(isa, dtype):
    x = np.array([[1000.0, -1000.0, 0.0]], dtype)
    with use_isa(isa):
        assert_array_equal(ops.softmax(x), [[1, 0, 0]])


@every_isa
@every_dtype
def test_logits_far_apart_have_finite_logarithms(isa, dtype):
    x = np.array([[1000.0, -1000.0, 0.0]], dtype)
    with use_isa(isa):
        assert_array_equal(ops.log_softmax(x), [[0, -2000, -1000]])


@every_isa
@every_dtype
def test_minus_infinity_is_a_class_without_probability(isa, dtype):
    x = np.array([[0.0, -np.inf, 0.0]], dtype)
    with use_isa(isa):
        assert_array_equal(ops.softmax(x), [[0.5, 0, 0.5]])


@every_isa
@every_dtype
def test_minus_infinity_has_a_logarithm_of_minus_infinity(isa, dtype):
    with use_isa(isa):
        y = ops.log_softmax(np.array([[0.0, -np.inf]], dtype))
    assert_array_equal(y, [[0, -np.inf]])


@every_isa
@every_dtype
@pytest.mark.parametrize("operation", [ops.softmax, ops.log_softmax], ids=lambda f: f.__name__)
@pytest.mark.parametrize("column", [0, 4, 9])
def test_nan_fills_its_row_and_no_other(isa, dtype, operation, column):
    x = np.ones((3, 10), dtype)
    x[1, column] = np.nan
    with use_isa(isa):
        assert_array_equal(np.isnan(operation(x)).mean(axis=1), [0, 1, 0])


@every_isa
def test_nan_logits_give_a_nan_loss_for_their_sample_only(isa):
    x = np.ones((3, 10), np.float32)
    x[1, 3] = np.nan
    with use_isa(isa):
        assert_array_equal(np.isnan(ops.cross_entropy(x, np.array([3, 0, 9]))), [False, True, False])


@every_isa
def test_a_certain_and_right_sample_costs_nothing(isa):
    with use_isa(isa):
        loss = ops.cross_entropy(np.array([[1000.0, 0.0]], np.float32), np.array([0]))
    assert_array_equal(loss, [0])


@every_isa
@every_dtype
@pytest.mark.parametrize("target", [np.array([0]), np.array([[1.0, 0.0]])], ids=["index", "soft"])
def test_a_class_of_target_zero_costs_nothing_at_minus_infinity(isa, dtype, target):
    target = target if target.ndim == 1 else target.astype(dtype)
    with use_isa(isa):
        loss = ops.cross_entropy(np.array([[0.0, -np.inf]], dtype), target)
    assert_array_equal(loss, [0])


@every_isa
@every_dtype
def test_a_target_at_minus_infinity_costs_infinity(isa, dtype):
    with use_isa(isa):
        loss = ops.cross_entropy(np.array([[0.0, -np.inf]], dtype), np.array([1]))
    assert_array_equal(loss, [np.inf])


@pytest.mark.parametrize("index_dtype", [np.uint8, np.int32, np.int64, np.uint64])
def test_class_indices_of_any_integer_type_work(index_dtype):
    x = logits_of((6, 10), 1.0, 0, np.float32)
    target = np.array([0, 9, 5, 1, 1, 8])
    assert_array_equal(ops.cross_entropy(x, target.astype(index_dtype)), ops.cross_entropy(x, target))


@every_isa
def test_same_bits_on_any_number_of_threads(isa):
    x = logits_of((3001, 10), 1.0, 0, np.float32)
    target = soft_weights(x.shape, 0, np.float32)

    def operations():
        y, log_y, loss = ops.softmax(x), ops.log_softmax(x), ops.cross_entropy(x, target)
        backwards = ops.softmax_backward(x, y), ops.log_softmax_backward(x, log_y)
        return y, log_y, loss, *backwards, ops.cross_entropy_backward(loss, x, target)

    with use_isa(isa):
        one, two, three = results_on_threads(operations)
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    x, target = logits_of((33, 10), 1.0, 0, np.float32), soft_weights((33, 10), 0, np.float32)
    dy = logits_of(33, 1.0, 1, np.float32)

    def operations(x, target, dy):
        y, loss = ops.softmax(x), ops.cross_entropy(x, target)
        return y, ops.softmax_backward(x, y), loss, ops.cross_entropy_backward(dy, x, target)

    strided = operations(lay_out(x), lay_out(target), lay_out(dy))
    for got, expected in zip(strided, operations(x, target, dy), strict=True):
        assert_array_equal(got, expected)


@every_isa
@pytest.mark.parametrize(("dtype", "large"), [(np.float32, 88.5), (np.float64, 709.5)])
def test_exponentials_reach_up_to_the_largest_number_and_then_infinity(isa, dtype, large):
    y = np.array([[large, 0], [10 * large, 0]], dtype)  # no logarithms of probabilities, but nobody looks
    with use_isa(isa):
        dx = ops.log_softmax_backward(np.full((2, 2), 0.25, dtype), y)
    np.testing.assert_allclose(dx[0], [-np.exp(large) / 2, -0.25], rtol=1e-5)
    assert_array_equal(dx[1], [-np.inf, -0.25])
