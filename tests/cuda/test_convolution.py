"""Convolution on the GPU, in all directions and by both algorithms, against the float64 oracle."""

import numpy as np
import pytest
from support import assert_within_bound, every_dtype, integers, reals

from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda import convolution
from fastcnn.backends.cuda.array import to_device
from fastcnn.errors import ConfigError, DTypeError, ShapeError

DEVICES = "first thread first", "GPU"

# input, weight, stride, padding, dilation
SHAPES = {
    "one pixel": ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0, 1),
    "Gorgonia's first": ((2, 1, 6, 6), (5, 1, 3, 3), 1, 1, 1),
    "two tiles of channels": ((1, 1, 3, 4), (65, 1, 2, 2), 1, 0, 1),
    "two tiles of pixels": ((3, 2, 5, 5), (3, 2, 3, 3), 1, 1, 1),
    "uneven in everything": ((2, 3, 8, 7), (4, 3, 3, 2), (2, 1), (1, 2), (1, 2)),
    "strides beyond the filter": ((1, 2, 9, 10), (3, 2, 2, 2), (3, 4), 1, 1),
    "padding beyond the filter": ((1, 1, 3, 3), (2, 1, 2, 2), 1, 3, 1),
    "many channels": ((1, 17, 3, 3), (3, 17, 3, 3), 1, 1, 1),
}
every_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())


def arrays_of(shapes, fill, dtype):
    """x, weight, bias, dy and the geometry."""
    input_shape, weight_shape, *geometry = shapes
    rng = np.random.default_rng(7)
    output_shape = cpu.conv_output_shape(input_shape, weight_shape, *geometry)
    sizes = (input_shape, weight_shape, weight_shape[:1], output_shape)
    return *(fill(rng, size, dtype) for size in sizes), geometry


@every_shape
def test_all_directions_are_exact_on_integers(device, shapes):
    check(shapes, "direct")


@pytest.mark.parametrize("name", ["uneven in everything", "Gorgonia's first"])
def test_convolving_columns_is_exact_on_integers(device, name):
    check(SHAPES[name], "im2col")
    assert {name.split("(")[0] for name in device.launched} >= {"im2col", "col2im"}


def check(shapes, algorithm):
    """Hold forward and backwards to the oracle."""
    x, weight, bias, dy, geometry = arrays_of(shapes, integers, np.float32)
    on_gpu, how = [to_device(array) for array in (x, weight, bias, dy)], (*geometry, algorithm)
    y = convolution.conv2d(*on_gpu[:3], *how)
    dx = convolution.conv2d_backward_input(on_gpu[3], on_gpu[1], x.shape, *how)
    dweight = convolution.conv2d_backward_weight(on_gpu[3], on_gpu[0], weight.shape, *how)
    np.testing.assert_array_equal(y.numpy(), reference.conv2d(x, weight, bias, *geometry))
    np.testing.assert_array_equal(dx.numpy(), reference.conv2d_backward_input(dy, weight, x.shape, *geometry))
    np.testing.assert_array_equal(dweight.numpy(), reference.conv2d_backward_weight(dy, x, weight.shape, *geometry))


@every_dtype
def test_rounds_no_more_than_its_sums_are_long(device, dtype):
    x, weight, bias, dy, geometry = arrays_of(SHAPES["uneven in everything"], reals, dtype)
    inputs = (x, weight, bias)
    y = convolution.conv2d(*map(to_device, inputs), *geometry).numpy()
    assert y.dtype == dtype
    magnitude = reference.conv2d(*map(np.abs, inputs), *geometry)
    assert_within_bound(y, reference.conv2d(*inputs, *geometry), magnitude, weight[0].size)
    dweight = convolution.conv2d_backward_weight(to_device(dy), to_device(x), weight.shape, *geometry).numpy()
    magnitude = reference.conv2d_backward_weight(np.abs(dy), np.abs(x), weight.shape, *geometry)
    expected = reference.conv2d_backward_weight(dy, x, weight.shape, *geometry)
    assert_within_bound(dweight, expected, magnitude, dy[:, 0].size)
    dx = convolution.conv2d_backward_input(to_device(dy), to_device(weight), x.shape, *geometry).numpy()
    magnitude = reference.conv2d_backward_input(np.abs(dy), np.abs(weight), x.shape, *geometry)
    expected = reference.conv2d_backward_input(dy, weight, x.shape, *geometry)
    assert_within_bound(dx, expected, magnitude, weight[:, 0].size)


def test_both_algorithms_give_the_same_bits(device):
    x, weight, bias, _, geometry = arrays_of(SHAPES["uneven in everything"], reals, np.float32)
    inputs = [to_device(array) for array in (x, weight, bias)]
    direct, columns = (convolution.conv2d(*inputs, *geometry, how).numpy() for how in ("direct", "im2col"))
    np.testing.assert_array_equal(direct, columns)


def test_a_weight_gradient_in_parts_is_exact(device):
    x, weight, _, dy, geometry = arrays_of(((9, 1, 5, 6), (2, 1, 3, 3), 1, 1, 1), integers, np.float32)
    dweight = convolution.conv2d_backward_weight(to_device(dy), to_device(x), weight.shape, *geometry)
    assert any(name.startswith("sum_rows") for name in device.launched)
    np.testing.assert_array_equal(dweight.numpy(), reference.conv2d_backward_weight(dy, x, weight.shape, *geometry))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5, 1), (100, 3), (3, 2, 5, 7), (2, 3, 300), (300, 1, 2), (0, 4, 2, 2)])
def test_backward_bias_is_exact_on_integers(device, shape):
    dy = integers(np.random.default_rng(3), shape, np.float32)
    got = convolution.conv2d_backward_bias(to_device(dy)).numpy()
    np.testing.assert_array_equal(got, reference.conv2d_backward_bias(dy))


@every_shape
def test_columns_and_back_are_exact_on_integers(device, shapes):
    x, weight, _, _, geometry = arrays_of(shapes, integers, np.float64)
    window = (weight.shape[2:], *geometry)
    columns = convolution.im2col(to_device(x), *window).numpy()
    np.testing.assert_array_equal(columns, reference.im2col(x, *window))
    image = convolution.col2im(to_device(columns), x.shape, *window).numpy()
    np.testing.assert_array_equal(image, reference.col2im(columns, x.shape, *window))


def test_an_empty_batch_gives_empty_maps_and_zero_gradients(device):
    x, weight, dy = (to_device(np.ones(s, np.float32)) for s in ((0, 2, 5, 5), (3, 2, 3, 3), (0, 3, 3, 3)))
    assert convolution.conv2d(x, weight).shape == (0, 3, 3, 3)
    assert convolution.conv2d_backward_input(dy, weight, x.shape).shape == x.shape
    np.testing.assert_array_equal(
        convolution.conv2d_backward_weight(dy, x, weight.shape).numpy(), np.zeros(weight.shape)
    )


def test_nan_spreads_to_the_windows_that_hold_it_and_no_further(device):
    x, weight = np.ones((1, 1, 4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
    x[0, 0, 1, 1] = np.nan
    y = convolution.conv2d(to_device(x), to_device(weight)).numpy()
    np.testing.assert_array_equal(y, reference.conv2d(x, weight))


def test_winograd_is_refused_by_name(device):
    x, weight = to_device(np.ones((1, 1, 4, 4), np.float32)), to_device(np.ones((1, 1, 3, 3), np.float32))
    with pytest.raises(ConfigError, match="on the CPU only"):
        convolution.conv2d(x, weight, algorithm="winograd")
    with pytest.raises(ConfigError, match="must be one of 'auto', 'direct', 'im2col', got 'fast'"):
        convolution.conv2d(x, weight, algorithm="fast")
    assert convolution.conv2d_algorithm(x.shape, weight.shape) == "direct"


def test_arguments_that_do_not_fit_are_refused_as_on_the_cpu(device):
    x, weight = np.ones((1, 2, 4, 4), np.float32), np.ones((1, 2, 3, 3), np.float32)
    with pytest.raises(DTypeError, match="conv2d: weight must be on the GPU"):
        convolution.conv2d(to_device(x), weight)
    with pytest.raises(ShapeError) as on_gpu:
        convolution.conv2d(to_device(x[:, :1].copy()), to_device(weight))
    with pytest.raises(ShapeError) as on_cpu:
        cpu.conv2d(x[:, :1], weight)
    assert str(on_gpu.value) == str(on_cpu.value)
