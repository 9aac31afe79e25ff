"""Several operations, one after the other."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.backends.reference.convolution import (
    conv2d,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    matmul,
)
from fastcnn.backends.reference.pointwise import dropout, relu, relu_backward, tanh, tanh_backward
from fastcnn.backends.reference.pooling import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from fastcnn.backends.reference.taps import Array, Pair, float64, output_size, pad, pair_of


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """y[n,o] = bias[o] + sum over i of x[n,i] * weight[o,i]."""
    y = matmul(x, weight, transpose_b=True)
    return y if bias is None else y + float64(bias)


def linear_backward(
    dy: ArrayLike, x: ArrayLike, weight: ArrayLike, input_gradient: bool = True, out: Array | None = None
) -> tuple[Array | None, Array, Array]:
    """dx, dweight, dbias."""
    dx, dweight = matmul(dy, weight) if input_gradient else None, matmul(dy, x, transpose_a=True)
    if out is not None:
        out[...] = dweight
        dweight = out
    return dx, dweight, conv2d_backward_bias(dy)


def linear_relu_dropout(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, p: float = 0.0, seed: int = 0, offset: int = 0
) -> Array:
    """The three operations, one after the other."""
    return dropout(relu(linear(x, weight, bias)), p, seed, offset)


def linear_relu_dropout_backward(
    dy: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    p: float = 0.0,
    input_gradient: bool = True,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array]:
    """What dropout kept and ReLU let through is scaled as dropout did; the rest is 0."""
    gradient = relu_backward(float64(dy) * (1 / (1 - p) if p < 1 else 0), y)
    return linear_backward(gradient, x, weight, input_gradient, out)


def conv2d_relu_max_pool2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    for_backward: bool = True,
) -> tuple[Array, NDArray[np.uint8] | None]:
    """The four operations, one after the other."""
    y, argmax = max_pool2d(relu(conv2d(x, weight, bias, stride, padding, dilation)), pool_size)
    return dropout(y, p, seed, offset), argmax if for_backward else None


def conv2d_relu_max_pool2d_backward(
    dy: ArrayLike,
    y: ArrayLike,
    argmax: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """The backwards in the opposite order.

    Of ReLU's output only the cells that won a window and were not dropped are known, and no other cell has a gradient
    to let through.
    """
    x, weight = float64(x), float64(weight)
    padded_size = pad(x, padding).shape[2:]
    convolved = (len(x), len(weight), *output_size(padded_size, weight.shape[2:], stride, dilation))
    winners = max_pool2d_backward(y, argmax, convolved, pool_size)
    kept = float64(dy) * (1 / (1 - p) if p < 1 else 0)
    gradient = relu_backward(max_pool2d_backward(kept, argmax, convolved, pool_size), winners)
    dx = conv2d_backward_input(gradient, weight, x.shape, stride, padding, dilation) if input_gradient else None
    dweight = conv2d_backward_weight(gradient, x, weight.shape, stride, padding, dilation)
    return dx, dweight, conv2d_backward_bias(gradient)


def conv2d_relu_avg_pool2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    for_backward: bool = True,
) -> tuple[Array, NDArray[np.uint8] | None]:
    """The three operations, one after the other, and of each window a bit for each pixel that is not 0."""
    activated = relu(conv2d(x, weight, bias, stride, padding, dilation))
    y, (height, width) = avg_pool2d(activated, pool_size), pair_of(pool_size)
    active = np.zeros(y.shape, np.uint8)
    for n, c, i, j in np.ndindex(*y.shape):
        for a, b in np.ndindex(height, width):
            if activated[n, c, i * height + a, j * width + b] != 0:
                active[n, c, i, j] += 2 ** (a * width + b)
    return y, active if for_backward else None


def conv2d_relu_avg_pool2d_backward(
    dy: ArrayLike,
    active: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """The backwards in the opposite order; of ReLU's output it counts only where it is not 0."""
    x, weight, (height, width) = float64(x), float64(weight), pair_of(pool_size)
    padded_size = pad(x, padding).shape[2:]
    convolved = (len(x), len(weight), *output_size(padded_size, weight.shape[2:], stride, dilation))
    gradient = avg_pool2d_backward(dy, convolved, pool_size)
    for n, c, i, j in np.ndindex(*np.shape(dy)):
        for a, b in np.ndindex(height, width):
            if not np.asarray(active)[n, c, i, j] & 2 ** (a * width + b):
                gradient[n, c, i * height + a, j * width + b] = 0
    dx = conv2d_backward_input(gradient, weight, x.shape, stride, padding, dilation) if input_gradient else None
    dweight = conv2d_backward_weight(gradient, x, weight.shape, stride, padding, dilation)
    return dx, dweight, conv2d_backward_bias(gradient)


def conv2d_tanh_avg_pool2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
) -> tuple[Array, Array]:
    """The three operations, one after the other, and what the second made."""
    activated = tanh(conv2d(x, weight, bias, stride, padding, dilation))
    return avg_pool2d(activated, pool_size), activated


def conv2d_tanh_avg_pool2d_backward(
    dy: ArrayLike,
    activated: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """The backwards in the opposite order."""
    gradient = tanh_backward(avg_pool2d_backward(dy, np.shape(activated), pool_size), activated)
    dx = conv2d_backward_input(gradient, weight, np.shape(x), stride, padding, dilation) if input_gradient else None
    dweight = conv2d_backward_weight(gradient, x, np.shape(weight), stride, padding, dilation)
    return dx, dweight, conv2d_backward_bias(gradient)
