"""Convolution, ReLU, max-pooling and dropout in one call, and their backward."""

from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, same_shape
from fastcnn.backends.cpu.convolution import algorithm_number, bias_of
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate
from fastcnn.backends.cpu.pooling import BAD_ARGMAX, argmax_of
from fastcnn.backends.shapes import Size, conv_shape, pair, pool_shape
from fastcnn.errors import ShapeError


def conv2d_relu_max_pool2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> tuple[Array, Array]:
    who = "conv2d_relu_max_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who)
    number, bias = algorithm_number(who, algorithm, shape), bias_of(who, bias, weight)
    p, key = dropout_rate(who, p), dropout_key(who, seed, offset)
    if (pool := one_pass(shape, pool_size, algorithm)) is not None:
        return _core.conv_pool(shape, pooling, pool, number, plain(x), plain(weight), bias, p, *key)
    y, argmax = _core.max_pool2d(pooling, _core.relu(_core.conv2d(shape, number, plain(x), plain(weight), bias)))
    return _core.dropout(y, p, *key) if p > 0 else y, argmax


def conv2d_relu_max_pool2d_backward(
    dy: Array,
    y: Array,
    argmax: Array,
    x: Array,
    weight: Array,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    who = "conv2d_relu_max_pool2d_backward"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    dy, y = checked(who, "dy", dy, x.dtype), checked(who, "y", y, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who)
    same_shape(who, "dy", dy, pooling.output, f"input {x.shape}")
    same_shape(who, "y", y, pooling.output, f"input {x.shape}")
    argmax, number = argmax_of(who, argmax, pooling), algorithm_number(who, algorithm, shape)
    p, dy, y, weight = dropout_rate(who, p), plain(dy), plain(y), plain(weight)
    if (pool := one_pass(shape, pool_size, algorithm)) is not None:
        gradients = _core.conv_pool_backward_weight(shape, pool, p, dy, y, argmax, plain(x))
        if gradients is None:
            raise ShapeError(f"{who}: {BAD_ARGMAX}")
        dx = _core.conv_pool_backward_input(shape, pool, p, dy, y, argmax, weight) if input_gradient else None
        return dx, *gradients
    if 0 < p < 1:
        dy = dy * dy.dtype.type(1 / (1 - p))
    # y is 0 where ReLU cut the cell that won a window, or dropout did: its gradient can go before it is spread out.
    gradient = _core.max_pool2d_backward(pooling, _core.relu_backward(dy, y), argmax)
    if gradient is None:
        raise ShapeError(f"{who}: {BAD_ARGMAX}")
    dx = _core.conv2d_backward_input(shape, number, gradient, weight) if input_gradient else None
    dweight = _core.conv2d_backward_weight(shape, number, gradient, plain(x))
    batch, channels, height, width = shape.output
    return dx, dweight, _core.channel_sum(batch, channels, height * width, gradient)


def conv2d_relu_max_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: Any = np.float32,
) -> str | None:
    shape = conv_shape(input_shape, weight_shape, stride, padding, dilation, "conv2d_relu_max_pool2d")
    if (pool := one_pass(shape, pool_size, "auto")) is None:
        return None
    forward, auto = _core.DIRECTIONS["forward"], _core.ALGORITHMS["auto"]
    return "winograd" if _core.winograd_tile(shape, np.dtype(dtype) == np.float64, forward, pool, auto) else "direct"


def one_pass(shape: _core.ConvShape, pool_size: Size, algorithm: str) -> int | None:
    """The side of the windows, if kernels of their own take this shape and nobody asked for others by name."""
    height, width = pair(pool_size, "pool_size", "")
    return height if algorithm != "im2col" and height == width and _core.conv_pool_fits(shape, height) else None
