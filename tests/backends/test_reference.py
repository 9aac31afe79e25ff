"""The oracle itself: against the bare formula cell by cell, and every backward against its forward."""

import numpy as np
import pytest
from cases import conv_cases, pool_cases
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal
from support import integers, reals

from fastcnn.backends import reference


def conv2d_by_cells(x, weight, bias, stride, padding, dilation, output_shape):
    """One sum per output cell, written with the index formula of a convolution."""
    y = np.zeros(output_shape)
    for n, o, i, j in np.ndindex(*output_shape):
        y[n, o, i, j] = bias[o]
        for r, s in np.ndindex(*weight.shape[2:]):
            row = i * stride[0] + r * dilation[0] - padding[0]
            column = j * stride[1] + s * dilation[1] - padding[1]
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                y[n, o, i, j] += x[n, :, row, column] @ weight[o, :, r, s]
    return y


GEOMETRIES = [((1, 1), (0, 0), (1, 1)), ((2, 1), (1, 3), (1, 2)), ((3, 2), (2, 0), (2, 1))]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_conv2d_is_the_formula(geometry):
    rng = np.random.default_rng(0)
    x, weight, bias = (integers(rng, shape, float) for shape in [(2, 3, 7, 8), (4, 3, 3, 2), (4,)])
    y = reference.conv2d(x, weight, bias, *geometry)
    assert_array_equal(y, conv2d_by_cells(x, weight, bias, *geometry, y.shape))


@given(case=conv_cases())
def test_conv2d_backward_input_is_the_adjoint(case):
    x, weight, _, dy = case.arrays(integers, float)
    dx = reference.conv2d_backward_input(dy, weight, x.shape, *case.geometry)
    assert np.sum(reference.conv2d(x, weight, None, *case.geometry) * dy) == np.sum(x * dx)


@given(case=conv_cases())
def test_conv2d_backward_weight_is_the_adjoint(case):
    x, weight, _, dy = case.arrays(integers, float)
    dweight = reference.conv2d_backward_weight(dy, x, weight.shape, *case.geometry)
    assert np.sum(reference.conv2d(x, weight, None, *case.geometry) * dy) == np.sum(weight * dweight)


@given(case=conv_cases())
def test_columns_times_weights_are_the_convolution(case):
    x, weight, _, dy = case.arrays(integers, float)
    product = weight.reshape(len(weight), -1) @ reference.im2col(x, case.kernel_size, *case.geometry)
    assert_array_equal(product.reshape(dy.shape), reference.conv2d(x, weight, None, *case.geometry))


@given(case=conv_cases())
def test_col2im_is_the_adjoint_of_im2col(case):
    x, *_ = case.arrays(integers, float)
    geometry = (case.kernel_size, *case.geometry)
    columns = reference.im2col(x, *geometry)
    other = integers(np.random.default_rng(1), columns.shape, float)
    assert np.sum(columns * other) == np.sum(x * reference.col2im(other, x.shape, *geometry))


@given(case=pool_cases())
def test_max_pool2d_backward_sends_each_gradient_to_a_cell_of_the_largest_value(case):
    x, dy = case.arrays(integers, float)
    y, argmax = reference.max_pool2d(x, *case.window)
    assert np.sum(x * reference.max_pool2d_backward(dy, argmax, x.shape, *case.window)) == np.sum(y * dy)


@given(case=pool_cases())
def test_avg_pool2d_is_the_mean_of_each_window(case):
    x, _ = case.arrays(reals, float)
    (height, width), stride, (top, left) = case.window
    zeros, ones = (np.pad(a, ((0, 0), (0, 0), (top, top), (left, left))) for a in (x, np.ones_like(x)))
    y, inside_only = (reference.avg_pool2d(x, *case.window, count) for count in (True, False))
    for i, j in np.ndindex(*y.shape[2:]):
        window = np.s_[:, :, i * stride[0] : i * stride[0] + height, j * stride[1] : j * stride[1] + width]
        assert_allclose(y[:, :, i, j], zeros[window].mean(axis=(2, 3)), atol=1e-14)
        mean = np.average(zeros[window], axis=(2, 3), weights=ones[window])
        assert_allclose(inside_only[:, :, i, j], mean, atol=1e-14)


@pytest.mark.parametrize("count_padding", [True, False])
@given(case=pool_cases())
def test_avg_pool2d_backward_is_the_adjoint(count_padding, case):
    x, dy = case.arrays(reals, float)
    dx = reference.avg_pool2d_backward(dy, x.shape, *case.window, count_padding)
    y = reference.avg_pool2d(x, *case.window, count_padding)
    assert_allclose(np.sum(y * dy), np.sum(x * dx), atol=1e-10)


def numeric_gradient(function, x, dy, step=1e-6):
    """Central differences of sum(function(x) * dy)."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        shift = np.zeros(x.shape)
        shift[index] = step
        gradient[index] = np.sum((function(x + shift) - function(x - shift)) * dy) / (2 * step)
    return gradient


ROWS = reals(np.random.default_rng(0), (3, 5), float)
GRADIENT = reals(np.random.default_rng(1), (3, 5), float)


def test_relu_backward_is_the_derivative():
    dx = reference.relu_backward(GRADIENT, reference.relu(ROWS))
    assert_allclose(dx, numeric_gradient(reference.relu, ROWS, GRADIENT), atol=1e-8)


def test_leaky_relu_backward_is_the_derivative():
    dx = reference.leaky_relu_backward(GRADIENT, ROWS, 0.3)
    assert_allclose(dx, numeric_gradient(lambda x: reference.leaky_relu(x, 0.3), ROWS, GRADIENT), atol=1e-8)


def test_sigmoid_is_the_formula():
    assert_allclose(reference.sigmoid(ROWS), 1 / (1 + np.exp(-ROWS)))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_backwards_written_in_the_output_are_the_derivative(name):
    forward, backward = getattr(reference, name), getattr(reference, f"{name}_backward")
    assert_allclose(backward(GRADIENT, forward(ROWS)), numeric_gradient(forward, ROWS, GRADIENT), atol=1e-8)


def test_concat_backward_undoes_concat():
    parts = [ROWS[:, :1], ROWS[:, 1:1], ROWS[:, 1:]]
    for part, back in zip(parts, reference.concat_backward(reference.concat(parts), [1, 0, 4]), strict=True):
        assert_array_equal(part, back)


def test_the_fused_backward_is_the_derivative():
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (reals(rng, shape, float) for shape in [(2, 2, 6, 7), (3, 2, 3, 2), (3,), (2, 3, 2, 2)])
    geometry = ((1, 2), (0, 1), 1, (2, 2))
    y, argmax = reference.conv2d_relu_max_pool2d(x, weight, bias, *geometry)
    got = reference.conv2d_relu_max_pool2d_backward(dy, y, argmax, x, weight, *geometry)

    def pooled(*arrays):
        return reference.conv2d_relu_max_pool2d(*arrays, *geometry)[0]

    assert_allclose(got[0], numeric_gradient(lambda a: pooled(a, weight, bias), x, dy), atol=1e-8)
    assert_allclose(got[1], numeric_gradient(lambda a: pooled(x, a, bias), weight, dy), atol=1e-8)
    assert_allclose(got[2], numeric_gradient(lambda a: pooled(x, weight, a), bias, dy), atol=1e-8)


def test_softmax_backward_is_the_derivative():
    dx = reference.softmax_backward(GRADIENT, reference.softmax(ROWS))
    assert_allclose(dx, numeric_gradient(reference.softmax, ROWS, GRADIENT), atol=1e-8)


def test_log_softmax_backward_is_the_derivative():
    dx = reference.log_softmax_backward(GRADIENT, reference.log_softmax(ROWS))
    assert_allclose(dx, numeric_gradient(reference.log_softmax, ROWS, GRADIENT), atol=1e-8)


@pytest.mark.parametrize("target", [np.array([4, 0, 2]), abs(GRADIENT)], ids=["indices", "soft"])
def test_cross_entropy_backward_is_the_derivative(target):
    dy = np.array([1.0, -2.0, 0.5])
    dlogits = reference.cross_entropy_backward(dy, ROWS, target)
    numeric = numeric_gradient(lambda x: reference.cross_entropy(x, target), ROWS, dy)
    assert_allclose(dlogits, numeric, atol=1e-8)
