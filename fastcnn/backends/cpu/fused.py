"""Convolution, ReLU, pooling and dropout in one call, and their backward."""

from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, is_float64, plain, same_shape
from fastcnn.backends.cpu.convolution import algorithm_number, bias_of
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate
from fastcnn.backends.cpu.pooling import BAD_ARGMAX, argmax_of, window_bytes
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
    for_backward: bool = True,
) -> tuple[Array, Array | None]:
    who = "conv2d_relu_max_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who)
    number, bias = algorithm_number(who, algorithm, shape), bias_of(who, bias, weight)
    p, key = dropout_rate(who, p), dropout_key(who, seed, offset)
    if (pool := one_pass(shape, pool_size, algorithm)) is not None:
        return _core.conv_pool(
            shape, pooling, pool, False, number, plain(x), plain(weight), bias, p, *key, for_backward
        )
    y, argmax = _core.max_pool2d(pooling, _core.relu(_core.conv2d(shape, number, plain(x), plain(weight), bias)))
    return _core.dropout(y, p, *key) if p > 0 else y, argmax if for_backward else None


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
    same_shape(who, "dy", dy, pooling.output, "input {}", x.shape)
    same_shape(who, "y", y, pooling.output, "input {}", x.shape)
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
    return _backward(shape, number, gradient, plain(x), weight, input_gradient)


def conv2d_relu_max_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: Any = np.float32,
) -> str | None:
    return _algorithm("max", input_shape, weight_shape, stride, padding, dilation, pool_size, dtype)


def conv2d_relu_avg_pool2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    for_backward: bool = True,
) -> tuple[Array, Array | None]:
    who = "conv2d_relu_avg_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = _average_shape(shape, pool_size, who)
    number, bias = algorithm_number(who, algorithm, shape), bias_of(who, bias, weight)
    if one_pass(shape, pool_size, algorithm, "avg") is not None:
        return _core.conv_pool(shape, pooling, 2, True, number, plain(x), plain(weight), bias, 0, 0, 0, for_backward)
    activated = _core.relu(_core.conv2d(shape, number, plain(x), plain(weight), bias))
    if not for_backward:
        return _core.avg_pool2d(pooling, activated, True), None
    dead = _pixels_of_windows(activated, pooling, pool_size) <= 0
    cells = dead.shape[4] * dead.shape[5]
    active = np.packbits(~dead.reshape(*pooling.output, cells), axis=-1, bitorder="little")[..., 0]
    return _core.avg_pool2d(pooling, activated, True), active


def conv2d_relu_avg_pool2d_backward(
    dy: Array,
    active: Array,
    x: Array,
    weight: Array,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    who = "conv2d_relu_avg_pool2d_backward"
    x = checked(who, "x", x)
    weight, dy = checked(who, "weight", weight, x.dtype), checked(who, "dy", dy, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = _average_shape(shape, pool_size, who)
    same_shape(who, "dy", dy, pooling.output, "input {}", x.shape)
    active, number = window_bytes(who, "active", active, pooling), algorithm_number(who, algorithm, shape)
    dy, x, weight = plain(dy), plain(x), plain(weight)
    if one_pass(shape, pool_size, algorithm, "avg") is not None:
        return _core.conv_avg_pool_backward(shape, number, dy, active, x, weight, input_gradient)
    let_through = np.zeros(shape.output, x.dtype)
    pixels = _pixels_of_windows(let_through, pooling, pool_size)
    cells = pixels.shape[4] * pixels.shape[5]
    pixels[...] = np.unpackbits(active[..., None], axis=-1, count=cells, bitorder="little").reshape(pixels.shape)
    gradient = _core.relu_backward(_core.avg_pool2d_backward(pooling, dy, True), let_through)
    return _backward(shape, number, gradient, x, weight, input_gradient)


def conv2d_relu_avg_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: Any = np.float32,
) -> str | None:
    return _algorithm("avg", input_shape, weight_shape, stride, padding, dilation, pool_size, dtype)


def _average_shape(shape: _core.ConvShape, pool_size: Size, who: str) -> _core.PoolShape:
    """The sizes of the pooling behind a convolution, if a byte has a bit for each pixel of a window."""
    height, width = pair(pool_size, "pool_size", who)
    if height * width > 8:
        raise ShapeError(f"{who}: windows may have up to 8 pixels, got {height}x{width}; avg_pool2d takes larger ones")
    return pool_shape(shape.output, (height, width), None, 0, who)


def _pixels_of_windows(maps: Array, pooling: _core.PoolShape, pool_size: Size) -> Array:
    """A view (N, O, PH, PW, height, width) of maps (N, O, OH, OW)."""
    (height, width), (*planes, down, across) = pair(pool_size, "pool_size", ""), maps.strides
    strides = (*planes, height * down, width * across, down, across)
    return np.lib.stride_tricks.as_strided(maps, (*pooling.output, height, width), strides)


def _backward(
    shape: _core.ConvShape, number: int, gradient: Array, x: Array, weight: Array, input_gradient: bool
) -> tuple[Array | None, Array, Array]:
    """dx, dweight and dbias of a convolution, a kernel each."""
    dx = _core.conv2d_backward_input(shape, number, gradient, weight) if input_gradient else None
    dweight = _core.conv2d_backward_weight(shape, number, gradient, x)
    batch, channels, height, width = shape.output
    return dx, dweight, _core.channel_sum(batch, channels, height * width, gradient)


def _algorithm(
    pooling: str,
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size,
    padding: Size,
    dilation: Size,
    pool_size: Size,
    dtype: Any,
) -> str | None:
    who = f"conv2d_relu_{pooling}_pool2d_algorithm"
    is_double = is_float64(who, dtype)
    shape = conv_shape(input_shape, weight_shape, stride, padding, dilation, who)
    if pooling == "max":
        pool_shape(shape.output, pool_size, None, 0, who)
    else:
        _average_shape(shape, pool_size, who)
    if (pool := one_pass(shape, pool_size, "auto", pooling)) is None:
        return None
    forward, auto = _core.DIRECTIONS["forward"], _core.ALGORITHMS["auto"]
    return "winograd" if _core.winograd_tile(shape, is_double, forward, pool, auto) else "direct"


def one_pass(shape: _core.ConvShape, pool_size: Size, algorithm: str, pooling: str = "max") -> int | None:
    """The side of the windows, if kernels of their own take this shape and nobody asked for others by name."""
    height, width = pair(pool_size, "pool_size", "")
    fits = height == width and _core.conv_pool_fits(shape, height) and (pooling == "max" or height == 2)
    return height if fits and algorithm != "im2col" else None
