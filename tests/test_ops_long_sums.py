"""Sums over ten thousand images, or a million pixels, are as exact in float32 as short ones."""

import numpy as np
import pytest
from support import every_isa, results_on_threads, use_isa

from fastcnn import ops


def positive(*shape):
    """Equal numbers: a chain of them is rounded to the same side again and again, and loses four digits."""
    return np.full(shape, 0.1, np.float32)


def linear(batch):
    dy = positive(batch, 19)
    return ops.linear_backward(dy, np.ones((batch, 2), np.float32), np.ones((19, 2), np.float32)), dy


def linear_relu(batch):
    dy, x, weight = positive(batch, 19), np.ones((batch, 2), np.float32), np.ones((19, 2), np.float32)
    return ops.linear_relu_dropout_backward(dy, np.ones_like(dy), x, weight), dy


def bias(*shape):
    dy = positive(*shape)
    return (None, ops.conv2d_backward_bias(dy)), dy


def max_stage(batch, channels, side):
    x, weight = np.ones((batch, channels, side, side), np.float32), np.ones((5, channels, 1, 1), np.float32)
    y, argmax = ops.conv2d_relu_max_pool2d(x, weight)
    dy = positive(*y.shape)
    return ops.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, input_gradient=False), dy


def mean_stage(batch, channels, side):
    x, weight = np.ones((batch, channels, side, side), np.float32), np.ones((5, channels, 1, 1), np.float32)
    y, active = ops.conv2d_relu_avg_pool2d(x, weight)
    dy = positive(*y.shape)
    return ops.conv2d_relu_avg_pool2d_backward(dy, active, x, weight, input_gradient=False), dy


def tanh_stage(batch, channels, side):
    x, weight = np.zeros((batch, channels, side, side), np.float32), np.ones((5, channels, 1, 1), np.float32)
    y, z = ops.conv2d_tanh_avg_pool2d(x, weight)
    dy = positive(*y.shape)
    return ops.conv2d_tanh_avg_pool2d_backward(dy, z, x, weight, input_gradient=False), dy


CASES = {
    "linear": (linear, 20_000),
    "linear and ReLU": (linear_relu, 20_000),
    "many images": (bias, 40_000, 3, 1, 1),
    "many images of few pixels": (bias, 20_000, 3, 3, 3),
    "many pixels": (bias, 1, 2, 1000, 1000),
    "max stage": (max_stage, 20_000, 3, 2),
    "max stage of one channel": (max_stage, 20_000, 1, 2),
    "max stage of a large map": (max_stage, 1, 3, 1200),
    "max stage of one channel and a large map": (max_stage, 1, 1, 1200),
    "mean stage": (mean_stage, 20_000, 40, 2),
    "mean stage of few channels": (mean_stage, 20_000, 1, 2),
    "mean stage of a large map": (mean_stage, 1, 40, 300),
    "mean stage of few channels and a large map": (mean_stage, 1, 1, 1200),
    "tanh stage": (tanh_stage, 20_000, 2, 2),
}


@every_isa
@pytest.mark.parametrize(("sum_up", "sizes"), [(call, sizes) for call, *sizes in CASES.values()], ids=CASES)
def test_a_bias_gradient_is_as_exact_for_many_terms_as_for_few(isa, sum_up, sizes):
    with use_isa(isa):
        gradients, dy = sum_up(*sizes)
    expected = dy.sum(axis=(0, *range(2, dy.ndim)), dtype=np.float64)
    np.testing.assert_allclose(gradients[-1], expected, rtol=8e-7)


@pytest.mark.parametrize("name", ["linear", "many images of few pixels", "max stage", "mean stage of few channels"])
def test_the_bits_of_a_long_sum_do_not_depend_on_threads(name):
    sum_up, *sizes = CASES[name]

    one, two, three = results_on_threads(lambda: sum_up(*sizes)[0][-1])
    assert one == two == three
