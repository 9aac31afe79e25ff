"""Stages of a convolution, whatever follows it there: the same bits for any number of threads and any memory layout."""

import cases
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_isa, every_layout, reals, results_on_threads, use_isa

from fastcnn import ops

SHAPES = ("LARGE", "SMALL_IMAGES", "ONE_CHANNEL", "STRIPS", "FIVE", "PADDED", "PIECES", "LARGE_IMAGES", "MANY_WEIGHTS")


def maximum(x, weight, bias, geometry, lay_out):
    """What forward and backward give of arrays that are laid out; the output stands in for its gradient."""
    how = (*geometry, 2, "auto", 0.3)
    y, argmax = ops.conv2d_relu_max_pool2d(lay_out(x), lay_out(weight), lay_out(bias), *how, 1)
    taken = map(lay_out, (y, y, argmax, x, weight))
    return y, argmax, *ops.conv2d_relu_max_pool2d_backward(*taken, *how)


def average(x, weight, bias, geometry, lay_out):
    """The same."""
    y, active = ops.conv2d_relu_avg_pool2d(lay_out(x), lay_out(weight), lay_out(bias), *geometry)
    taken = map(lay_out, (y, active, x, weight))
    return y, active, *ops.conv2d_relu_avg_pool2d_backward(*taken, *geometry)


def average_of_tanh(x, weight, bias, geometry, lay_out):
    """The same."""
    y, activated = ops.conv2d_tanh_avg_pool2d(lay_out(x), lay_out(weight), lay_out(bias), *geometry)
    taken = map(lay_out, (y, activated, x, weight))
    return y, activated, *ops.conv2d_tanh_avg_pool2d_backward(*taken, *geometry)


every_stage = pytest.mark.parametrize("stage", [maximum, average, average_of_tanh])
every_shape = pytest.mark.parametrize("shape", SHAPES)


@every_isa
@every_stage
@every_shape
def test_same_bits_on_any_number_of_threads(isa, stage, shape):
    case = getattr(cases, shape)
    x, weight, bias, _ = case.arrays(reals, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(lambda: stage(x, weight, bias, case.geometry, np.asarray))
    assert one == two == three


@every_layout
@every_stage
@pytest.mark.parametrize("shape", ["LARGE", "PIECES"])
def test_any_memory_layout_gives_the_same_bits(lay_out, stage, shape):
    case = getattr(cases, shape)
    x, weight, bias, _ = case.arrays(reals, np.float32)
    plain = stage(x, weight, bias, case.geometry, np.asarray)
    for got, expected in zip(stage(x, weight, bias, case.geometry, lay_out), plain, strict=True):
        assert_array_equal(got, expected)
