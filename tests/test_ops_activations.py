"""Leaky ReLU, sigmoid and tanh: close to the oracle entry by entry, also where exp overflows and digits cancel."""

import numpy as np
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

from fastcnn import ops
from fastcnn.backends import reference

slopes = st.sampled_from((0.0, 0.01, 0.25, 1.0, -0.5, 3.0))
scales = st.sampled_from((1e-3, 1.0, 10.0, 1000.0))


def assert_close(got, expected, ulps=4):
    """Each entry within a few units of its last place; what is denormal may have become 0."""
    bound = ulps * np.finfo(got.dtype).eps * abs(expected) + np.finfo(got.dtype).tiny
    np.testing.assert_array_less(abs(got - expected), bound)


# ---- leaky ReLU ------------------------------------------------------------------------------------------------------


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds)
def test_leaky_relu_is_exact_on_integers(isa, dtype, size, seed):
    rng = np.random.default_rng(seed)
    x, dy = integers(rng, size, dtype), integers(rng, size, dtype)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.leaky_relu(x, 0.25), reference.leaky_relu(x, 0.25))
        assert_array_equal(ops.leaky_relu_backward(dy, x, 0.25), reference.leaky_relu_backward(dy, x, 0.25))


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds, slope=slopes)
def test_leaky_relu_rounds_the_slope_and_the_product(isa, dtype, size, seed, slope):
    rng = np.random.default_rng(seed)
    x, dy = reals(rng, size, dtype), reals(rng, size, dtype)
    with use_isa(isa):
        assert_close(ops.leaky_relu(x, slope), reference.leaky_relu(x, slope))
        assert_close(ops.leaky_relu_backward(dy, x, slope), reference.leaky_relu_backward(dy, x, slope))


@every_isa
@every_dtype
def test_leaky_relu_of_special_numbers(isa, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -8.0, 3.0] * 7, dtype)
    with use_isa(isa):
        y = ops.leaky_relu(x, 0.5)
    assert_array_equal(y, np.array([np.nan, np.inf, -np.inf, 0.0, 0.0, -4.0, 3.0] * 7, dtype))
    assert_array_equal(np.signbit(y[3:5]), [False, True])


@every_isa
def test_the_gradient_of_leaky_relu_at_zero_is_the_slope(isa):
    with use_isa(isa):
        dx = ops.leaky_relu_backward(np.full(37, 8.0, np.float32), np.zeros(37, np.float32), 0.25)
    assert_array_equal(dx, np.full(37, 2.0))


# ---- sigmoid and tanh ------------------------------------------------------------------------------------------------


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds, scale=scales)
def test_sigmoid_is_close_to_the_oracle(isa, dtype, size, seed, scale):
    x = reals(np.random.default_rng(seed), size, dtype) * dtype(scale)
    with use_isa(isa), poisoned_memory():
        assert_close(ops.sigmoid(x), reference.sigmoid(x))


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds, scale=scales)
def test_tanh_is_close_to_the_oracle(isa, dtype, size, seed, scale):
    x = reals(np.random.default_rng(seed), size, dtype) * dtype(scale)
    with use_isa(isa), poisoned_memory():
        assert_close(ops.tanh(x), reference.tanh(x))


@every_isa
@every_dtype
@given(size=flat_sizes(), seed=seeds, scale=scales)
def test_gradients_are_close_to_the_oracle_also_where_the_function_is_flat(isa, dtype, size, seed, scale):
    rng = np.random.default_rng(seed)
    x, dy = reals(rng, size, dtype) * dtype(scale), reals(rng, size, dtype)
    s, t = reference.sigmoid(x).astype(dtype), reference.tanh(x).astype(dtype)
    s[s < np.finfo(dtype).tiny] = 0  # as ops.sigmoid flushes it
    with use_isa(isa), poisoned_memory():
        assert_close(ops.sigmoid_backward(dy, s), reference.sigmoid_backward(dy, s))
        assert_close(ops.tanh_backward(dy, t), reference.tanh_backward(dy, t))


@every_isa
@every_dtype
def test_sigmoid_and_tanh_of_special_numbers(isa, dtype):
    largest = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, largest, -largest, 0.0, -0.0] * 7, dtype)
    with use_isa(isa):
        s, t = ops.sigmoid(x), ops.tanh(x)
    assert_array_equal(s, np.array([np.nan, 1, 0, 1, 0, 0.5, 0.5] * 7, dtype))
    assert_array_equal(t, np.array([np.nan, 1, -1, 1, -1, 0, 0] * 7, dtype))
    assert_array_equal(np.signbit(t[5:7]), [False, True])


@every_isa
@every_dtype
def test_a_nan_gradient_or_output_gives_a_nan_gradient(isa, dtype):
    nan, half = np.full(37, np.nan, dtype), np.full(37, 0.5, dtype)
    with use_isa(isa):
        for backward in (ops.sigmoid_backward, ops.tanh_backward):
            assert_array_equal(backward(nan, half), nan)
            assert_array_equal(backward(half, nan), nan)


# ---- all of them -----------------------------------------------------------------------------------------------------


def all_activations(x, dy):
    y = ops.tanh(x)
    return (
        ops.leaky_relu(x),
        ops.leaky_relu_backward(dy, x),
        ops.sigmoid(x),
        ops.sigmoid_backward(dy, y),
        y,
        ops.tanh_backward(dy, y),
    )


@every_isa
def test_same_bits_on_any_number_of_threads(isa):
    rng = np.random.default_rng(0)
    x, dy = reals(rng, 100_003, np.float32), reals(rng, 100_003, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(lambda: all_activations(x, dy))
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    rng = np.random.default_rng(0)
    x, dy = reals(rng, (3, 5, 7), np.float32), reals(rng, (3, 5, 7), np.float32)
    assert_array_equal(np.stack(all_activations(lay_out(x), lay_out(dy))), np.stack(all_activations(x, dy)))
