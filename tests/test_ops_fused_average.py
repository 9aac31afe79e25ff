"""Convolution, ReLU and average-pooling in one call, both ways: by one kernel, and by a kernel each."""

import numpy as np
import pytest
from cases import FIVE, LARGE, ONE_CHANNEL, PADDED, PLAIN, SMALL_IMAGES, ConvCase, conv_cases
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
from fastcnn.errors import DTypeError, ShapeError

CASES = [LARGE, SMALL_IMAGES, ONE_CHANNEL, FIVE, PADDED]
windows = st.sampled_from(((2, 2), (2, 2), (1, 1), (1, 2), (3, 2), (2, 4)))
TIMES = 24  # so that a gradient's share of a window is whole


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows)
@example(case=LARGE, window=(2, 2))
@example(case=FIVE, window=(2, 2))
def test_forward_is_exact_on_integers(isa, dtype, case, window):
    x, weight, bias, _ = case.pooled_arrays(window, integers, dtype, TIMES)
    how = (*case.geometry, window, "direct")
    with use_isa(isa), poisoned_memory():
        y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *how)
    expected, let_through = reference.conv2d_relu_avg_pool2d(x, weight, bias, *how)
    assert_array_equal(y, expected.astype(dtype))
    assert_array_equal(active, let_through)


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows, bits=st.integers(0, 255))
@example(case=SMALL_IMAGES, window=(2, 2), bits=0)
@example(case=ONE_CHANNEL, window=(2, 2), bits=0)
@example(case=LARGE, window=(2, 2), bits=0)
@example(case=FIVE, window=(2, 2), bits=240)
@example(case=PADDED, window=(2, 2), bits=0)
def test_backward_is_exact_on_integers(isa, dtype, case, window, bits):
    x, weight, _, dy = case.pooled_arrays(window, small_integers, dtype, TIMES)
    rng = np.random.default_rng(case.seed)
    active = rng.integers(0, 256, dy.shape).astype(np.uint8) | np.uint8(bits)
    arguments = (dy, active, x, weight, *case.geometry, window, "direct")
    with use_isa(isa), poisoned_memory():
        gradients = ops.conv2d_relu_avg_pool2d_backward(*arguments)
    for got, expected in zip(gradients, reference.conv2d_relu_avg_pool2d_backward(*arguments), strict=True):
        assert_array_equal(got, expected)


@every_isa
@every_dtype
@given(case=conv_cases())
@example(case=LARGE)
@example(case=FIVE)
def test_reals_stay_within_the_bound(isa, dtype, case):
    x, weight, bias, dy = case.pooled_arrays((2, 2), reals, dtype, TIMES)
    how = (*case.geometry, 2, "direct")
    with use_isa(isa), poisoned_memory():
        y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *how)
        gradients = ops.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, *how)
    absolute = [abs(array) for array in (dy, x, weight, bias)]
    expected, magnitude = (reference.conv2d_relu_avg_pool2d(*a, *how)[0] for a in ((x, weight, bias), absolute[1:]))
    assert_within_bound(y, expected, magnitude, x[0].size)
    expected = reference.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, *how)
    magnitudes = reference.conv2d_relu_avg_pool2d_backward(absolute[0], active, *absolute[1:3], *how)
    terms = (4 * dy[0].size, 4 * dy.size, 4 * dy.size)
    for got, wanted, size, count in zip(gradients, expected, magnitudes, terms, strict=True):
        assert_within_bound(got, wanted, size, count)


@every_isa
@every_dtype
@pytest.mark.parametrize("side", [14, 15, 21])
def test_by_winograd_a_stage_stays_within_the_promised_error(isa, dtype, side):
    case = ConvCase((2, 20, side, side), (19, 20, 3, 3), *PLAIN, seed=0)
    x, weight, bias, dy = case.arrays(reals, dtype)
    dy = np.ascontiguousarray(dy[:, :, : side // 2, : side // 2])
    how = (*case.geometry, 2, "winograd")
    with use_isa(isa), poisoned_memory():
        y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *how)
        gradients = ops.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, *how)
    wanted = (
        reference.conv2d_relu_avg_pool2d(x, weight, bias, *how)[0],
        *reference.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, *how),
    )
    for got, expected in zip((y, *gradients), wanted, strict=True):
        assert abs(got - expected).max() <= {np.float32: 5e-6, np.float64: 1e-14}[dtype] * abs(expected).max()


@every_isa
@every_dtype
@pytest.mark.parametrize("algorithm", ["direct", "winograd", "im2col"])
@pytest.mark.parametrize("case", CASES)
def test_active_pixels_may_be_left_out(isa, dtype, algorithm, case):
    x, weight, bias, _ = case.arrays(reals, dtype)
    how = (*case.geometry, 2, algorithm)
    with use_isa(isa), poisoned_memory():
        whole, _ = ops.conv2d_relu_avg_pool2d(x, weight, bias, *how)
        y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *how, for_backward=False)
    assert active is None
    assert_array_equal(y, whole)


@every_isa
@every_dtype
@given(case=conv_cases(), window=windows)
def test_by_columns_the_bits_are_those_of_the_three_operations(isa, dtype, case, window):
    x, weight, bias, dy = case.pooled_arrays(window, reals, dtype, TIMES)
    geometry, algorithm = case.geometry, "im2col"
    with use_isa(isa), poisoned_memory():
        y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *geometry, window, algorithm)
        fused = ops.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, *geometry, window, algorithm)
        activated = ops.relu(ops.conv2d(x, weight, bias, *geometry, algorithm))
        gradient = ops.relu_backward(ops.avg_pool2d_backward(dy, activated.shape, window), activated)
        apart = (
            ops.avg_pool2d(activated, window),
            ops.conv2d_backward_input(gradient, weight, x.shape, *geometry, algorithm),
            ops.conv2d_backward_weight(gradient, x, weight.shape, *geometry, algorithm),
            ops.conv2d_backward_bias(gradient),
        )
    for got, expected in zip((y, *fused), apart, strict=True):
        assert_array_equal(got, expected)


@pytest.mark.parametrize("case", CASES)
def test_the_input_gradient_may_be_left_out(case):
    x, weight, bias, _ = case.arrays(reals, np.float32)
    y, active = ops.conv2d_relu_avg_pool2d(x, weight, bias, *case.geometry)
    whole = ops.conv2d_relu_avg_pool2d_backward(y, active, x, weight, *case.geometry)
    less = ops.conv2d_relu_avg_pool2d_backward(y, active, x, weight, *case.geometry, input_gradient=False)
    assert less[0] is None
    assert_array_equal(less[1], whole[1])
    assert_array_equal(less[2], whole[2])


@every_isa
@pytest.mark.parametrize("channels", [1, 70])
def test_pixels_that_no_window_reads_do_not_matter(isa, channels):
    x, weight = np.ones((2, channels, 5, 31), np.float32), np.ones((3, channels, 1, 1), np.float32)
    x[:, :, 4:] = x[..., 30:] = np.nan
    with use_isa(isa), poisoned_memory():
        y, active = ops.conv2d_relu_avg_pool2d(x, weight)
        dx, dweight, dbias = ops.conv2d_relu_avg_pool2d_backward(np.ones_like(y), active, x, weight)
    windows = 2 * 2 * 15
    assert_array_equal(y, np.full((2, 3, 2, 15), channels))
    assert_array_equal(dx, np.where(np.isnan(x), 0, 0.75))
    assert_array_equal(dweight.ravel(), [windows] * 3 * channels)
    assert_array_equal(dbias, [windows] * 3)


@every_isa
@pytest.mark.parametrize("channels", [1, 70])
def test_a_nan_reaches_the_output_and_all_gradients(isa, channels):
    x, weight = -np.ones((1, channels, 2, 4), np.float32), np.ones((1, channels, 1, 1), np.float32)
    x[0, 0, 1, 1] = np.nan
    with use_isa(isa):
        y, active = ops.conv2d_relu_avg_pool2d(x, weight)
        dx, dweight, dbias = ops.conv2d_relu_avg_pool2d_backward(y, active, x, weight)
    assert_array_equal(y, [[[[np.nan, 0]]]])
    assert_array_equal(active, [[[[8, 0]]]])
    assert np.isnan(dx[0, 0, 1, 1]) and np.isnan(dweight[0, 0]).all() and np.isnan(dbias).all()
    assert (dx[..., 2:] == 0).all() and (dx[:, :, 0] == 0).all()


def test_windows_that_a_byte_has_no_bits_for_are_refused():
    x, weight = np.ones((1, 1, 9, 9), np.float32), np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(ShapeError, match="up to 8 pixels, got 3x3"):
        ops.conv2d_relu_avg_pool2d(x, weight, pool_size=3)
    with pytest.raises(ShapeError, match="up to 8 pixels, got 2x5"):
        ops.conv2d_relu_avg_pool2d_backward(x, x, x, weight, pool_size=(2, 5))


def test_arrays_that_no_forward_returned_are_refused():
    x, weight = np.ones((1, 1, 5, 5), np.float32), np.ones((1, 1, 1, 1), np.float32)
    y, active = ops.conv2d_relu_avg_pool2d(x, weight)
    with pytest.raises(DTypeError, match="active must be the uint8 array"):
        ops.conv2d_relu_avg_pool2d_backward(y, y, x, weight)
    with pytest.raises(ShapeError, match="active"):
        ops.conv2d_relu_avg_pool2d_backward(y, active[:, :, :1], x, weight)
    with pytest.raises(ShapeError, match="dy"):
        ops.conv2d_relu_avg_pool2d_backward(y[:, :, :1], active, x, weight)


def test_no_images_have_no_gradient():
    x, weight = np.ones((0, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    y, active = ops.conv2d_relu_avg_pool2d(x, weight)
    dx, dweight, dbias = ops.conv2d_relu_avg_pool2d_backward(y, active, x, weight)
    assert y.shape == active.shape == (0, 3, 1, 1) and dx.shape == x.shape
    assert_array_equal(dweight, np.zeros_like(weight))
    assert_array_equal(dbias, np.zeros(3))


def test_the_kernel_has_a_name():
    name = ops.conv2d_relu_avg_pool2d_algorithm
    assert name((64, 1, 28, 28), (20, 1, 3, 3)) == "direct"
    assert name((64, 32, 14, 14), (64, 32, 3, 3), padding=1) == "winograd"
    assert name((64, 1, 28, 28), (20, 1, 3, 3), pool_size=1) is None
    assert name((64, 1, 28, 28), (20, 1, 3, 3), pool_size=(2, 4)) is None
    assert name((64, 1, 28, 28), (20, 1, 3, 3), stride=2) is None
    assert name((64, 1, 28, 28), (20, 1, 9, 9)) is None
