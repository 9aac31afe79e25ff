"""Convolution, ReLU, pooling and dropout in one call on the GPU, against the float64 oracle."""

import numpy as np
import pytest
from support import assert_within_bound, every_dtype, integers, reals

from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda import fused
from fastcnn.backends.cuda.array import to_device
from fastcnn.errors import ConfigError, DTypeError, ShapeError

DEVICES = "first thread first", "GPU"

# input, weight, stride, padding, dilation, pool_size
ONE_PASS = {
    "one window": ((1, 1, 2, 2), (1, 1, 1, 1), 1, 0, 1, 2),
    "Gorgonia's first": ((2, 1, 8, 8), (9, 1, 3, 3), 1, 1, 1, 2),
    "odd maps": ((2, 3, 7, 5), (3, 3, 3, 3), 1, 1, 1, 2),
    "many channels": ((1, 33, 4, 4), (3, 33, 3, 3), 1, 1, 1, 2),
    "many outputs": ((1, 2, 3, 2), (65, 2, 3, 3), 1, 1, 1, 2),
    "sixteen to seventeen": ((2, 16, 4, 6), (17, 16, 3, 3), 1, 1, 1, 2),
    "5x5 without padding": ((2, 2, 8, 9), (3, 2, 5, 5), 1, 0, 1, 2),
    "2x2, padded": ((1, 2, 4, 5), (3, 2, 2, 2), 1, 1, 1, 2),
    "two strips": ((1, 1, 4, 258), (1, 1, 1, 1), 1, 0, 1, 2),
}
ONE_PASS_MAX = ONE_PASS | {"3x3 windows": ((2, 2, 7, 9), (5, 2, 3, 3), 1, 1, 1, 3)}
SEPARATE = {
    "strided": ((2, 2, 9, 8), (3, 2, 3, 3), 2, 1, 1, 2),
    "dilated": ((1, 2, 7, 8), (2, 2, 2, 2), 1, 1, 2, 2),
    "oblong windows": ((2, 2, 6, 9), (3, 2, 3, 3), 1, 1, 1, (2, 3)),
    "oblong filters": ((1, 2, 6, 6), (3, 2, 3, 1), 1, (1, 0), 1, 2),
    "padding beyond the filter": ((1, 1, 3, 3), (1, 1, 1, 1), 1, 1, 1, 2),
}


def every(shapes):
    return pytest.mark.parametrize("shapes", shapes.values(), ids=shapes.keys())


def arrays_of(shapes, fill, dtype=np.float32):
    """x, weight, bias, dy and the geometry."""
    input_shape, weight_shape, *geometry = shapes
    rng = np.random.default_rng(13)
    maps = cpu.conv_output_shape(input_shape, weight_shape, *geometry[:3])
    windows = cpu.pool_output_shape(maps, geometry[3])
    sizes = (input_shape, weight_shape, weight_shape[:1], windows)
    return *(fill(rng, size, dtype) for size in sizes), geometry


def assert_all_equal(got, expected):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def check_max(shapes, algorithm="auto", p=0.0, dtype=np.float32):
    x, weight, bias, dy, geometry = arrays_of(shapes, integers, dtype)
    on_gpu = [to_device(array) for array in (x, weight, bias, dy)]
    drop = {"p": p, "seed": 5, "offset": 2**33}
    y, argmax = fused.conv2d_relu_max_pool2d(*on_gpu[:3], *geometry, algorithm, **drop)
    expected = reference.conv2d_relu_max_pool2d(x, weight, bias, *geometry, **drop)
    assert_all_equal((y, argmax), expected)
    gradients = fused.conv2d_relu_max_pool2d_backward(on_gpu[3], y, argmax, *on_gpu[:2], *geometry, algorithm, p)
    assert_all_equal(gradients, reference.conv2d_relu_max_pool2d_backward(dy, *expected, x, weight, *geometry, p=p))


def check_mean(shapes, algorithm="auto"):
    x, weight, bias, dy, geometry = arrays_of(shapes, integers)
    dy *= 12  # so that shares of windows are whole numbers, too
    on_gpu = [to_device(array) for array in (x, weight, bias, dy)]
    y, active = fused.conv2d_relu_avg_pool2d(*on_gpu[:3], *geometry, algorithm)
    expected = reference.conv2d_relu_avg_pool2d(x, weight, bias, *geometry)
    np.testing.assert_allclose(y.numpy(), expected[0], rtol=1e-6)
    np.testing.assert_array_equal(active.numpy(), expected[1])
    gradients = fused.conv2d_relu_avg_pool2d_backward(on_gpu[3], active, *on_gpu[:2], *geometry, algorithm)
    assert_all_equal(gradients, reference.conv2d_relu_avg_pool2d_backward(dy, expected[1], x, weight, *geometry))


@every(ONE_PASS_MAX)
def test_one_pass_with_the_maximum_is_exact_on_integers(device, shapes):
    assert fused.conv2d_relu_max_pool2d_algorithm(*shapes) == "direct"
    check_max(shapes)


MEANS = {name: ONE_PASS[name] for name in ("one window", "odd maps", "sixteen to seventeen", "5x5 without padding")}


@every(MEANS)
def test_one_pass_with_the_mean_is_exact_on_integers(device, shapes):
    assert fused.conv2d_relu_avg_pool2d_algorithm(*shapes) == "direct"
    check_mean(shapes)


@every(SEPARATE)
def test_separate_kernels_take_the_rest(device, shapes):
    assert fused.conv2d_relu_max_pool2d_algorithm(*shapes) is None
    check_max(shapes, p=0.5)


def test_separate_kernels_take_means_of_any_window(device):
    check_mean(SEPARATE["oblong windows"])


def test_im2col_runs_separate_kernels(device):
    check_max(ONE_PASS["2x2, padded"], "im2col")
    assert any(name.startswith("im2col") for name in device.launched)
    assert not any(name.startswith("conv_pool") for name in device.launched)


@pytest.mark.parametrize("p", [0.5, 0.75, 1.0])
def test_dropout_draws_as_on_the_cpu(device, p):
    check_max(ONE_PASS["odd maps"], p=p)


def test_float64_is_exact_on_integers(device):
    check_max(ONE_PASS["sixteen to seventeen"], dtype=np.float64)


@every_dtype
def test_rounds_no_more_than_its_sums_are_long(device, dtype):
    x, weight, bias, dy, geometry = arrays_of(ONE_PASS["sixteen to seventeen"], reals, dtype)
    on_gpu = [to_device(array) for array in (x, weight, bias, dy)]
    y, argmax = fused.conv2d_relu_max_pool2d(*on_gpu[:3], *geometry)
    gradients = fused.conv2d_relu_max_pool2d_backward(on_gpu[3], y, argmax, *on_gpu[:2], *geometry)
    y, argmax = y.numpy(), argmax.numpy()
    expected = reference.conv2d_relu_max_pool2d(x, weight, bias, *geometry)[0]
    magnitude = reference.conv2d(*map(np.abs, (x, weight, bias)), *geometry[:3]).max()
    assert_within_bound(y, expected, magnitude, weight[0].size)
    expected = reference.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *geometry)
    magnitudes = reference.conv2d_relu_max_pool2d_backward(abs(dy), y, argmax, abs(x), abs(weight), *geometry)
    terms = (weight[:, 0].size, dy[:, 0].size, dy[:, 0].size)
    for one, other, magnitude, count in zip(gradients, expected, magnitudes, terms, strict=True):
        assert_within_bound(one.numpy(), other, magnitude, count)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_first_of_equals_wins_and_nan_before_numbers(device, stride):
    x = np.zeros((1, 1, 4, 8), np.float32)
    x[0, 0, 0, :4] = x[0, 0, 2, :4] = [3, 3, np.nan, 9]
    x[0, 0, 0, 4:] = x[0, 0, 2, 4:] = [-1, -2, -3, np.nan]
    weight = np.ones((1, 1, 1, 1), np.float32)
    y, argmax = fused.conv2d_relu_max_pool2d(to_device(x), to_device(weight), stride=stride)
    assert_all_equal((y, argmax), reference.conv2d_relu_max_pool2d(x, weight, stride=stride))


def test_an_empty_batch_gives_zero_gradients(device):
    x, weight = to_device(np.ones((0, 2, 4, 4))), to_device(np.ones((3, 2, 3, 3)))
    y, argmax = fused.conv2d_relu_max_pool2d(x, weight, padding=1)
    assert y.shape == argmax.shape == (0, 3, 2, 2)
    dx, dweight, dbias = fused.conv2d_relu_max_pool2d_backward(y, y, argmax, x, weight, padding=1)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dweight.numpy(), np.zeros(weight.shape))
    np.testing.assert_array_equal(dbias.numpy(), np.zeros(3))


def test_the_input_gradient_can_be_left_out(device):
    x, weight, _, dy, geometry = arrays_of(ONE_PASS["odd maps"], integers)
    x, weight, dy = map(to_device, (x, weight, dy))
    y, argmax = fused.conv2d_relu_max_pool2d(x, weight, None, *geometry)
    gradients = fused.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *geometry, input_gradient=False)
    assert gradients[0] is None
    assert not any(name.startswith("conv_pool_backward_input") for name in device.launched)


@pytest.mark.parametrize(
    "shape",
    [((100, 1, 28, 28), (32, 1, 3, 3)), ((100, 32, 14, 14), (64, 32, 3, 3)), ((100, 64, 7, 7), (128, 64, 3, 3))],
)
def test_the_stages_of_gorgonias_network_take_one_pass(shape):
    for dtype in (np.float32, np.float64):
        assert fused.conv2d_relu_max_pool2d_algorithm(*shape, padding=1, dtype=dtype) == "direct"


def test_arguments_that_do_not_fit_are_refused(device):
    x, weight = to_device(np.ones((1, 1, 4, 4))), to_device(np.ones((1, 1, 3, 3)))
    with pytest.raises(ConfigError, match="on the CPU only"):
        fused.conv2d_relu_max_pool2d(x, weight, algorithm="winograd")
    with pytest.raises(ShapeError, match="up to 8 pixels"):
        fused.conv2d_relu_avg_pool2d(x, weight, padding=1, pool_size=3)
    y = to_device(np.ones((1, 1, 1, 1)))
    with pytest.raises(DTypeError, match="argmax must be the uint8 array"):
        fused.conv2d_relu_max_pool2d_backward(y, y, y, x, weight)
