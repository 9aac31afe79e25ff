"""Arguments larger than the arrays: they cost nothing, are refused, or do what the next smaller one does."""

import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, integers, poisoned_memory, use_isa

from fastcnn import ops
from fastcnn.backends import reference
from fastcnn.errors import ConfigError, ShapeError

HUGE = (2**27, 2**32, 2**40, 2**58)
RNG = np.random.default_rng(0)


def convolution(algorithm, stride, padding=0, dilation=1, height=5, width=4, kernel=(2, 3)):
    """All that convolutions do with a 5x4 map, say, and arrays that it fits."""
    sizes, geometry = ((2, 3, height, width), (4, 3, *kernel)), (stride, padding, dilation)
    x, weight = (integers(RNG, shape, np.float32) for shape in sizes)
    dy = integers(RNG, ops.conv_output_shape(*sizes, *geometry), np.float32)
    columns = integers(RNG, (2, 3 * kernel[0] * kernel[1], dy.shape[2] * dy.shape[3]), np.float32)
    how = (*geometry, algorithm)
    return {
        "conv2d": (x, weight, None, *how),
        "conv2d_backward_input": (dy, weight, x.shape, *how),
        "conv2d_backward_weight": (dy, x, weight.shape, *how),
        "im2col": (x, kernel, *geometry),
        "col2im": (columns, x.shape, kernel, *geometry),
    }


def assert_same(calls):
    for name, arguments in calls.items():
        with poisoned_memory():
            got = getattr(ops, name)(*arguments)
        assert_array_equal(got, getattr(reference, name)(*arguments), err_msg=name)


@every_isa
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col"])
@pytest.mark.parametrize("huge", HUGE)
def test_a_stride_that_leads_out_of_the_map_costs_nothing(isa, algorithm, huge):
    start = time.perf_counter()
    with use_isa(isa):
        for stride in ((huge, huge), (1, huge), (huge, 2)):
            assert_same(convolution(algorithm, stride))
            assert_same(convolution(algorithm, stride, padding=(1, 0)))
    assert time.perf_counter() - start < 5


def test_strides_whose_product_wraps_to_zero():
    one = np.ones((1, 1, 1, 1), np.float32)
    for stride in ((2**32, 2**32), (2**62 // 16, 16)):
        assert ops.conv2d_backward_input(one, one, one.shape, stride).item() == 1
        assert ops.conv2d_relu_max_pool2d(one, one, None, stride, pool_size=1)[0].item() == 1


@every_isa
@every_dtype
@pytest.mark.parametrize("stride", [(2, 3), (4, 5), (5, 4), (6, 6)])
def test_strides_about_as_large_as_the_map(isa, dtype, stride):
    with use_isa(isa):
        for algorithm in ("direct", "im2col"):
            assert_same(convolution(algorithm, stride))
            assert_same(convolution(algorithm, stride, padding=(2, 1), kernel=(1, 1)))


@pytest.mark.parametrize("huge", HUGE)
def test_a_dilation_between_no_two_taps_costs_nothing(huge):
    for algorithm in ("auto", "direct", "im2col"):
        assert_same(convolution(algorithm, 2, dilation=(huge, 1), kernel=(1, 3)))
        assert_same(convolution(algorithm, 1, dilation=(1, huge), kernel=(3, 1)))


@pytest.mark.parametrize("reach", [3000, 2**17])
def test_padding_that_only_dilated_taps_see_is_not_stored(reach):
    """The map is 5x4, the filter's outer taps lie `reach` apart: the padded map would have reach**2 pixels."""
    geometry, start = (1, reach, reach), time.perf_counter()
    x, weight = integers(RNG, (2, 3, 5, 4), np.float32), integers(RNG, (4, 3, 3, 3), np.float32)
    centre = np.ascontiguousarray(weight[:, :, 1:2, 1:2])
    y = ops.conv2d(x, weight, None, *geometry)
    assert_array_equal(y, reference.conv2d(x, centre))  # all other taps see zeros alone
    assert_array_equal(
        ops.conv2d_backward_input(y, weight, x.shape, *geometry), reference.conv2d_backward_input(y, centre, x.shape)
    )
    expected = np.zeros(weight.shape)
    expected[:, :, 1:2, 1:2] = reference.conv2d_backward_weight(y, x, centre.shape)
    assert_array_equal(ops.conv2d_backward_weight(y, x, weight.shape, *geometry), expected)
    assert time.perf_counter() - start < 2
    with pytest.raises(ConfigError, match=r"conv2d: algorithm 'direct' .* use 'auto' or 'im2col'"):
        ops.conv2d(x, weight, None, *geometry, algorithm="direct")


@every_isa
@pytest.mark.parametrize("huge", HUGE)
def test_pooling_takes_any_stride_and_a_padded_window_of_any_size(isa, huge):
    x = integers(RNG, (1, 17, 3, 20), np.float32)
    with use_isa(isa):
        for window in ((2, (huge, huge), 0), ((3, 2), (1, huge), 1), (3, (huge, 1), (0, 1))):
            y, argmax = ops.max_pool2d(x, *window)
            expected = reference.max_pool2d(x, *window)
            assert_array_equal(y, expected[0])
            assert_array_equal(argmax, expected[1])
            dx = ops.max_pool2d_backward(y, argmax, x.shape, *window)
            assert_array_equal(dx, reference.max_pool2d_backward(y, argmax, x.shape, *window))
            assert_array_equal(ops.avg_pool2d(x, *window), reference.avg_pool2d(x, *window).astype(np.float32))
            ops.avg_pool2d_backward(y, x.shape, *window)
        whole = ops.avg_pool2d(x, huge, huge, huge // 2, False)
        np.testing.assert_allclose(whole[0, :, -1, -1], x[0].mean(axis=(1, 2)), rtol=1e-5)


def test_a_product_of_sizes_that_cannot_be_addressed_is_refused():
    one = np.ones((1, 1, 1, 1), np.float32)
    for padding in (2**31, (2**59, 0), (0, 2**60), 2**62):
        with pytest.raises(ShapeError):
            ops.conv2d(one, one, padding=padding)


ALGORITHMS = {
    "conv2d": ops.conv2d_algorithm,
    "conv2d_relu_max_pool2d": ops.conv2d_relu_max_pool2d_algorithm,
    "conv2d_relu_avg_pool2d": ops.conv2d_relu_avg_pool2d_algorithm,
}
REFUSED = {
    "no fit": ({}, ((1, 1, 2, 2), (1, 1, 3, 3)), "ShapeError"),
    "stride": ({"stride": 0}, ((1, 1, 9, 9), (1, 1, 3, 3)), "ShapeError"),
    "channels": ({}, ((1, 2, 9, 9), (1, 1, 3, 3)), "ShapeError"),
    "dtype": ({"dtype": np.int32}, ((1, 1, 9, 9), (1, 1, 3, 3)), "DTypeError"),
    "no dtype": ({"dtype": None}, ((1, 1, 9, 9), (1, 1, 3, 3)), "DTypeError"),
    "pool of 0": ({"pool_size": 0}, ((1, 1, 9, 9), (1, 1, 3, 3)), "ShapeError"),
    "pool too large": ({"pool_size": 8}, ((1, 1, 9, 9), (1, 1, 3, 3)), "ShapeError"),
    "pool too wide": ({"pool_size": (1, 8)}, ((1, 1, 9, 9), (1, 1, 3, 3)), "ShapeError"),
    "pool of 256 cells": ({"pool_size": 16}, ((1, 1, 40, 40), (1, 1, 3, 3)), "ShapeError"),
    "no pool": ({"pool_size": "2"}, ((1, 1, 9, 9), (1, 1, 3, 3)), "ShapeError"),
}


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("arguments", "shapes", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_who_asks_for_an_algorithm_is_refused_what_the_operation_refuses(name, arguments, shapes, error):
    if "pool_size" in arguments and name == "conv2d":
        pytest.skip("takes no pool_size")
    with pytest.raises(ValueError if error == "ShapeError" else TypeError, match=rf"^{name}_algorithm: "):
        ALGORITHMS[name](*shapes, **arguments)


def test_a_window_of_nine_pixels_has_no_bits_for_the_average():
    with pytest.raises(ShapeError, match="up to 8 pixels"):
        ops.conv2d_relu_avg_pool2d_algorithm((1, 1, 9, 9), (1, 1, 3, 3), pool_size=3)


@pytest.mark.parametrize(("kernel", "algorithm"), [((7, 7), "direct"), ((7, 8), None), ((8, 7), None)])
def test_a_stage_takes_filters_of_up_to_seven_by_seven(kernel, algorithm):
    x, weight = integers(RNG, (2, 3, 12, 13), np.float32), integers(RNG, (4, 3, *kernel), np.float32)
    assert ops.conv2d_relu_max_pool2d_algorithm(x.shape, weight.shape) == algorithm
    assert_array_equal(ops.conv2d_relu_max_pool2d(x, weight)[0], reference.conv2d_relu_max_pool2d(x, weight)[0])


@pytest.mark.parametrize("pool", [ops.max_pool2d, ops.avg_pool2d])
@pytest.mark.parametrize(
    ("window", "padding"), [((3, 3), (1, 2)), ((3, 3), (2, 1)), ((1, 4), (1, 0)), ((4, 1), (0, 1))]
)
def test_padding_over_half_the_window_is_refused_down_and_across(pool, window, padding):
    with pytest.raises(ShapeError, match="padding must be between 0 and half"):
        pool(np.zeros((1, 1, 6, 6)), window, 1, padding)
    pool(np.zeros((1, 1, 6, 6)), window, 1, (window[0] // 2, window[1] // 2))
