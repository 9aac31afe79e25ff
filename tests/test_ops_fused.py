"""Convolution, ReLU, max-pooling and dropout in one call, both ways: by one kernel, and by a kernel each."""

import numpy as np
import pytest
from cases import LARGE, ONE_CHANNEL, SMALL_IMAGES, STRIPS, conv_cases
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import (
    assert_within_bound,
    every_dtype,
    every_isa,
    integers,
    poisoned_memory,
    reals,
    small_integers,
    use_isa,
)

from fastcnn import ops
from fastcnn.backends import reference
from fastcnn.errors import ShapeError

windows = st.sampled_from(((2, 2), (1, 1), (3, 3), (3, 2)))
rates = st.sampled_from((0.0, 0.5, 0.75, 1.0))  # of dropout: its factor is exact


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows, p=rates)
@example(case=LARGE, window=(1, 1), p=0.5)
@example(case=LARGE, window=(2, 2), p=0.5)
@example(case=LARGE, window=(3, 3), p=0.0)
def test_forward_is_exact_on_integers(isa, dtype, case, window, p):
    x, weight, bias, _ = case.pooled_arrays(window, integers, dtype)
    how = (*case.geometry, window, "direct", p, case.seed, 7)
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *how)
    expected, winners = reference.conv2d_relu_max_pool2d(x, weight, bias, *how)
    assert_array_equal(y, expected)
    assert_array_equal(argmax, winners)


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows, p=rates)
@example(case=SMALL_IMAGES, window=(2, 2), p=0.5)
@example(case=ONE_CHANNEL, window=(2, 2), p=0.5)
def test_backward_is_exact_on_integers(isa, dtype, case, window, p):
    x, weight, bias, dy = case.pooled_arrays(window, small_integers, dtype)
    how = (*case.geometry, window, "auto", p)
    y, argmax = reference.conv2d_relu_max_pool2d(x, weight, bias, *how)
    arguments = (dy, y.astype(dtype), argmax, x, weight, *how)
    with use_isa(isa), poisoned_memory():
        gradients = ops.conv2d_relu_max_pool2d_backward(*arguments)
    for got, expected in zip(gradients, reference.conv2d_relu_max_pool2d_backward(*arguments), strict=True):
        assert_array_equal(got, expected)


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows)
def test_reals_stay_within_the_bound(isa, dtype, case, window):
    x, weight, bias, dy = case.pooled_arrays(window, reals, dtype)
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *case.geometry, window, "direct")
        gradients = ops.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *case.geometry, window)
    expected, _ = reference.conv2d_relu_max_pool2d(x, weight, bias, *case.geometry, window)
    absolute = [abs(array) for array in (dy, x, weight, bias)]
    magnitude = reference.conv2d_relu_max_pool2d(*absolute[1:], *case.geometry, window)[0]
    assert_within_bound(y, expected, magnitude, x[0].size)
    expected = reference.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *case.geometry, window)
    magnitudes = reference.conv2d_relu_max_pool2d_backward(
        absolute[0], y, argmax, *absolute[1:3], *case.geometry, window
    )
    terms = (dy[0].size, dy.size, dy.size)
    for got, wanted, size, count in zip(gradients, expected, magnitudes, terms, strict=True):
        assert_within_bound(got, wanted, size, count)


@every_isa
@every_dtype
@given(case=conv_cases())
def test_by_columns_the_bits_are_those_of_the_four_operations(isa, dtype, case):
    algorithm, how = "im2col", (*case.geometry, 2, "im2col", 0.3)
    x, weight, bias, dy = case.pooled_arrays((2, 2), reals, dtype)
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *how, 5, 9)
        fused = ops.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *how)
        activated = ops.relu(ops.conv2d(x, weight, bias, *case.geometry, algorithm))
        pooled, winners = ops.max_pool2d(activated, 2)
        pooled, dy = ops.dropout(pooled, 0.3, 5, 9), ops.dropout_backward(dy, 0.3, 5, 9)
        gradient = ops.relu_backward(ops.max_pool2d_backward(dy, winners, activated.shape, 2), activated)
        apart = (
            ops.conv2d_backward_input(gradient, weight, x.shape, *case.geometry, algorithm),
            ops.conv2d_backward_weight(gradient, x, weight.shape, *case.geometry, algorithm),
            ops.conv2d_backward_bias(gradient),
        )
    for got, expected in zip((y, argmax, *fused), (pooled, winners, *apart), strict=True):
        assert_array_equal(got, expected)


@every_isa
@every_dtype
@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("case", [LARGE, SMALL_IMAGES, ONE_CHANNEL, STRIPS])
def test_dropout_gives_the_bits_of_its_own_operation(isa, dtype, algorithm, p, case):
    x, weight, bias, _ = case.arrays(reals, dtype)
    dy = reals(np.random.default_rng(1), ops.pool_output_shape(case.output_shape, 2), dtype)
    x[0, 0, :3] = np.nan
    how = (*case.geometry, 2, algorithm)
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *how, p, 5, 9)
        gradients = ops.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *how, p)
        pooled, winners = ops.conv2d_relu_max_pool2d(x, weight, bias, *how)
        kept = ops.dropout_backward(dy, p, 5, 9)
        apart = ops.conv2d_relu_max_pool2d_backward(kept, pooled, winners, x, weight, *how)
        expected = (ops.dropout(pooled, p, 5, 9), winners, *apart)
    assert np.isnan(pooled).any()
    for got, wanted in zip((y, argmax, *gradients), expected, strict=True):
        assert_array_equal(got, wanted)


@every_isa
@pytest.mark.parametrize("case", [LARGE, ONE_CHANNEL])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_an_argmax_outside_its_window_is_refused_wherever_it_is(isa, case, window):
    x, weight, bias, _ = case.arrays(reals, np.float32)
    y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *case.geometry, window)
    for place in (0, argmax.size // 2, argmax.size - 1):
        for bad in (window * window, 255):
            wrong = argmax.copy()
            wrong.flat[place] = bad
            with use_isa(isa), pytest.raises(ShapeError, match="an argmax is not a cell of its window"):
                ops.conv2d_relu_max_pool2d_backward(y, y, wrong, x, weight, *case.geometry, window)


@every_isa
@every_dtype
@pytest.mark.parametrize("algorithm", ["direct", "winograd", "im2col"])
@pytest.mark.parametrize("case", [LARGE, SMALL_IMAGES, ONE_CHANNEL, STRIPS])
@pytest.mark.parametrize("window", [1, 2, 3])
def test_winners_may_be_left_out(isa, dtype, algorithm, case, window):
    x, weight, bias, _ = case.arrays(reals, dtype)
    x[0, 0, 2] = np.nan
    how = (*case.geometry, window, algorithm, 0.3, 5, 9)
    with use_isa(isa), poisoned_memory():
        whole, _ = ops.conv2d_relu_max_pool2d(x, weight, bias, *how)
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *how, for_backward=False)
    assert argmax is None
    assert_array_equal(y, whole)


def test_the_input_gradient_may_be_left_out():
    x, weight, bias, _ = LARGE.arrays(reals, np.float32)
    y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, *LARGE.geometry)
    whole = ops.conv2d_relu_max_pool2d_backward(y, y, argmax, x, weight, *LARGE.geometry)
    less = ops.conv2d_relu_max_pool2d_backward(y, y, argmax, x, weight, *LARGE.geometry, input_gradient=False)
    assert less[0] is None
    assert_array_equal(less[1], whole[1])
    assert_array_equal(less[2], whole[2])


@every_isa
def test_pixels_that_no_window_reads_do_not_matter(isa):
    x, weight = np.ones((2, 1, 5, 31), np.float32), np.ones((3, 1, 1, 1), np.float32)
    x[:, :, 4:] = x[..., 30:] = np.nan
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight)
        _, dweight, dbias = ops.conv2d_relu_max_pool2d_backward(np.ones_like(y), y, argmax, x, weight)
    windows = 2 * 2 * 15
    assert_array_equal(y, np.ones((2, 3, 2, 15)))
    assert_array_equal(dweight.ravel(), [windows] * 3)
    assert_array_equal(dbias, [windows] * 3)


@every_isa
@every_dtype
@pytest.mark.parametrize("side", (1, 2, 3))
@pytest.mark.parametrize("channels", (1, 65))  # by both of the direct ways
def test_the_first_nan_of_a_window_wins_then_the_first_of_the_largest(isa, dtype, channels, side):
    rng = np.random.default_rng(side)
    x = np.zeros((40, channels, 3 * side, 4 * side), dtype)
    x[:, 0] = rng.choice((-np.inf, -2, -1, 0, 1, 2, np.inf, np.nan), x[:, 0].shape)
    weight = np.zeros((5, channels, 1, 1), dtype)
    weight[:, 0] = 1  # the convolution hands on the first channel
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, pool_size=side, algorithm="direct")
    expected, winners = reference.max_pool2d(reference.relu(np.repeat(x[:, :1], 5, axis=1)), side)
    assert_array_equal(y, expected)
    assert_array_equal(argmax, winners)


@every_isa
def test_a_nan_reaches_the_output_and_all_gradients(isa):
    x, weight = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
    x[0, 0, 1, 1] = np.nan
    with use_isa(isa):
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight)
        gradients = ops.conv2d_relu_max_pool2d_backward(np.full_like(y, np.nan), y, argmax, x, weight)
    assert np.isnan(y).all()
    assert all(np.isnan(gradient).any() for gradient in gradients)
