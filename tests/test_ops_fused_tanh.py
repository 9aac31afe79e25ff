"""Convolution, tanh and average-pooling in one call, both ways: by pieces of the batch, and as a whole."""

import numpy as np
import pytest
from cases import LARGE, LARGE_IMAGES, MANY_WEIGHTS, PIECES, SMALL_IMAGES, STRIDED, conv_cases
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support import (
    assert_within_bound,
    every_dtype,
    every_isa,
    poisoned_memory,
    reals,
    small_integers,
    use_isa,
)

from fastcnn import _core, ops
from fastcnn.backends import reference
from fastcnn.backends.shapes import conv_shape, pool_shape
from fastcnn.errors import DTypeError, ShapeError

CASES = [PIECES, LARGE, LARGE_IMAGES, MANY_WEIGHTS, SMALL_IMAGES, STRIDED]
windows = st.sampled_from(((2, 2), (2, 2), (1, 1), (1, 2), (3, 2)))
TIMES = 12  # so that a gradient's share of a window is whole


@every_isa
@every_dtype
@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
@given(case=conv_cases(), window=windows)
@example(case=PIECES, window=(2, 2))
@example(case=LARGE_IMAGES, window=(2, 2))
@example(case=MANY_WEIGHTS, window=(2, 2))
def test_forward_gives_the_bits_of_the_three_operations(isa, dtype, algorithm, case, window):
    x, weight, bias, _ = case.pooled_arrays(window, reals, dtype, TIMES)
    with use_isa(isa), poisoned_memory():
        y, activated = ops.conv2d_tanh_avg_pool2d(x, weight, bias, *case.geometry, window, algorithm)
        apart = ops.tanh(ops.conv2d(x, weight, bias, *case.geometry, algorithm))
        assert_array_equal(activated, apart)
        assert_array_equal(y, ops.avg_pool2d(apart, window))


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows)
@example(case=PIECES, window=(2, 2))
@example(case=LARGE, window=(2, 2))
@example(case=LARGE_IMAGES, window=(2, 2))
@example(case=MANY_WEIGHTS, window=(2, 2))
@example(case=SMALL_IMAGES, window=(2, 2))
@example(case=STRIDED, window=(2, 2))
def test_backward_is_exact_on_integers(isa, dtype, case, window):
    x, weight, _, dy = case.pooled_arrays(window, small_integers, dtype, TIMES)
    activated = np.random.default_rng(case.seed).integers(0, 3, case.output_shape).astype(dtype)  # slopes 1, 0, -3
    arguments = (dy, activated, x, weight, *case.geometry, window, "direct")
    with use_isa(isa), poisoned_memory():
        gradients = ops.conv2d_tanh_avg_pool2d_backward(*arguments)
    for got, expected in zip(gradients, reference.conv2d_tanh_avg_pool2d_backward(*arguments), strict=True):
        assert_array_equal(got, expected)


@every_isa
@every_dtype
@given(case=conv_cases())
@example(case=PIECES)
def test_reals_stay_within_the_bound(isa, dtype, case):
    x, weight, _, dy = case.pooled_arrays((2, 2), reals, dtype, TIMES)
    activated = np.zeros(case.output_shape, dtype)  # slope 1: the magnitudes of sums are those of their terms
    how = (*case.geometry, 2)
    with use_isa(isa), poisoned_memory():
        gradients = ops.conv2d_tanh_avg_pool2d_backward(dy, activated, x, weight, *how)
    expected = reference.conv2d_tanh_avg_pool2d_backward(dy, activated, x, weight, *how)
    magnitudes = reference.conv2d_tanh_avg_pool2d_backward(abs(dy), activated, abs(x), abs(weight), *how)
    terms = (4 * dy[0].size, 4 * dy.size, 4 * dy.size)
    for got, wanted, size, count in zip(gradients, expected, magnitudes, terms, strict=True):
        assert_within_bound(got, wanted, size, count)


@pytest.mark.parametrize("case", CASES)
def test_the_input_gradient_has_the_bits_of_the_operations_and_may_be_left_out(case):
    x, weight, bias, _ = case.arrays(reals, np.float32)
    y, activated = ops.conv2d_tanh_avg_pool2d(x, weight, bias, *case.geometry)
    whole = ops.conv2d_tanh_avg_pool2d_backward(y, activated, x, weight, *case.geometry)
    less = ops.conv2d_tanh_avg_pool2d_backward(y, activated, x, weight, *case.geometry, input_gradient=False)
    dz = ops.tanh_backward(ops.avg_pool2d_backward(y, activated.shape, 2), activated)
    assert_array_equal(whole[0], ops.conv2d_backward_input(dz, weight, x.shape, *case.geometry))
    assert less[0] is None
    assert_array_equal(less[1], whole[1])
    assert_array_equal(less[2], whole[2])


@every_isa
def test_a_nan_reaches_the_gradients_of_its_window(isa):
    x, weight = np.ones((20, 1, 2, 4), np.float32), np.ones((1, 1, 1, 1), np.float32)
    x[7, 0, 1, 1] = np.nan
    with use_isa(isa):
        y, activated = ops.conv2d_tanh_avg_pool2d(x, weight)
        dx, dweight, dbias = ops.conv2d_tanh_avg_pool2d_backward(np.ones_like(y), activated, x, weight)
    assert_array_equal(np.argwhere(np.isnan(y)), [[7, 0, 0, 0]])
    assert_array_equal(np.argwhere(np.isnan(dx)), [[7, 0, 1, 1]])
    assert np.isnan(dweight).all() and np.isnan(dbias).all()


def test_no_images_have_no_gradient():
    x, weight = np.ones((0, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    y, activated = ops.conv2d_tanh_avg_pool2d(x, weight)
    dx, dweight, dbias = ops.conv2d_tanh_avg_pool2d_backward(y, activated, x, weight)
    assert y.shape == (0, 3, 1, 1) and activated.shape == (0, 3, 3, 3) and dx.shape == x.shape
    assert_array_equal(dweight, np.zeros_like(weight))
    assert_array_equal(dbias, np.zeros(3))


def test_arrays_that_no_forward_returned_are_refused():
    x, weight = np.ones((1, 1, 5, 5), np.float32), np.ones((1, 1, 1, 1), np.float32)
    y, activated = ops.conv2d_tanh_avg_pool2d(x, weight)
    with pytest.raises(DTypeError, match="activated"):
        ops.conv2d_tanh_avg_pool2d_backward(y, activated.astype(np.float64), x, weight)
    with pytest.raises(ShapeError, match="activated"):
        ops.conv2d_tanh_avg_pool2d_backward(y, activated[:, :, :1], x, weight)
    with pytest.raises(ShapeError, match="dy"):
        ops.conv2d_tanh_avg_pool2d_backward(y[:, :, :1], activated, x, weight)


@every_isa
@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("backward", [False, True])
def test_the_scratch_of_a_stage_is_enough_for_its_pooling(isa, double, backward):
    """Windows too large for a tile need a line as long as the map, where a 1x1 convolution needs almost nothing."""
    shape = conv_shape((1, 1, 20, 5000), (1, 1, 1, 1), 1, 0, 1)
    pooling = pool_shape(shape.output, (20, 300), None, 0, argmax=False)
    with use_isa(isa):
        whole, of_pooling = _core.conv_tanh_pool_scratch(shape, pooling, _core.ALGORITHMS["im2col"], double, backward)
    assert of_pooling >= 5000 * (8 if double else 4)
    assert whole >= of_pooling
