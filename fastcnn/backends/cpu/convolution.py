"""Convolution, and the matrix product that it can be turned into."""

import math
from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, addressable, checked, is_float64, plain, same_shape
from fastcnn.backends.shapes import Size, by, conv_shape, dims, pair
from fastcnn.errors import ConfigError, ShapeError


def algorithm_number(who: str, name: str, shape: _core.ConvShape) -> int:
    """What the core calls the algorithm of this name, if it takes the shape."""
    if not isinstance(name, str) or name not in _core.ALGORITHMS:
        choices = ", ".join(repr(choice) for choice in _core.ALGORITHMS)
        raise ConfigError(f"{who}: algorithm must be one of {choices}, got {name!r}")
    if name == "direct" and not _core.direct_fits(shape):
        raise ConfigError(
            f"{who}: algorithm 'direct' copies images with their padding, which is out of proportion to an input "
            f"{shape.input} and an output {shape.output}; use 'auto' or 'im2col'"
        )
    if name == "winograd" and not _core.winograd_fits(shape):
        raise ConfigError(
            f"{who}: algorithm 'winograd' takes 3x3 and 5x5 filters with stride 1, dilation 1 and padding less than "
            f"the filter; got weight {shape.weight} for input {shape.input}. 'auto' takes it wherever it can and pays"
        )
    return _core.ALGORITHMS[name]


def bias_of(who: str, bias: Array | None, weight: Array) -> Array | None:
    """`bias` as the kernels take it, if it is one number per output channel of `weight`, or None."""
    if bias is None:
        return None
    bias = checked(who, "bias", bias, weight.dtype)
    same_shape(who, "bias", bias, weight.shape[:1], "weight {}", weight.shape)
    return plain(bias)


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    x = checked("conv2d", "x", x)
    weight = checked("conv2d", "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation)
    bias = bias_of("conv2d", bias, weight)
    return _core.conv2d(shape, algorithm_number("conv2d", algorithm, shape), plain(x), plain(weight), bias)


def conv2d_backward_input(
    dy: Array,
    weight: Array,
    input_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    who = "conv2d_backward_input"
    dy = checked(who, "dy", dy)
    weight = checked(who, "weight", weight, dy.dtype)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = conv_shape(sizes, weight.shape, stride, padding, dilation, who)
    same_shape(who, "dy", dy, shape.output, "input {} and weight {}", sizes, weight.shape)
    return _core.conv2d_backward_input(shape, algorithm_number(who, algorithm, shape), plain(dy), plain(weight))


def conv2d_backward_weight(
    dy: Array,
    x: Array,
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    who = "conv2d_backward_weight"
    dy = checked(who, "dy", dy)
    x = checked(who, "x", x, dy.dtype)
    sizes = dims(weight_shape, 4, "weight_shape", "(O, C, KH, KW)", who)
    shape = conv_shape(x.shape, sizes, stride, padding, dilation, who)
    same_shape(who, "dy", dy, shape.output, "input {} and weight {}", x.shape, sizes)
    return _core.conv2d_backward_weight(shape, algorithm_number(who, algorithm, shape), plain(dy), plain(x))


def conv2d_backward_bias(dy: Array) -> Array:
    dy = checked("conv2d_backward_bias", "dy", dy)
    if dy.ndim < 2:
        raise ShapeError(f"conv2d_backward_bias: expected dy (N, C, ...), got {dy.shape}")
    return _core.channel_sum(dy.shape[0], dy.shape[1], math.prod(dy.shape[2:]), plain(dy))


def conv_output_shape(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    who: object = "conv2d",
) -> tuple[int, ...]:
    output: tuple[int, ...] = conv_shape(input_shape, weight_shape, stride, padding, dilation, who).output
    return output


def conv2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    direction: str = "forward",
    dtype: Any = np.float32,
) -> str:
    who = "conv2d_algorithm"
    if not isinstance(direction, str) or direction not in _core.DIRECTIONS:
        choices = ", ".join(repr(choice) for choice in _core.DIRECTIONS)
        raise ConfigError(f"{who}: direction must be one of {choices}, got {direction!r}")
    shape = conv_shape(input_shape, weight_shape, stride, padding, dilation, who)
    chosen: str = _core.conv2d_algorithm(shape, is_float64(who, dtype), _core.DIRECTIONS[direction])
    return chosen


def _column_shape(
    who: str, input_shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size, dilation: Size
) -> tuple[_core.ConvShape, tuple[int, int, int]]:
    sizes = dims(input_shape, 4, "input", "(N, C, H, W)", who)
    kernel = pair(kernel_size, "kernel_size", who)
    weight_shape = (1, sizes[1], *kernel)
    shape = conv_shape(sizes, weight_shape, stride, padding, dilation, who)
    columns = (sizes[0], sizes[1] * kernel[0] * kernel[1], shape.output[2] * shape.output[3])
    addressable(who, columns)
    return shape, columns


def im2col(x: Array, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Array:
    x = checked("im2col", "x", x)
    shape, columns_shape = _column_shape("im2col", x.shape, kernel_size, stride, padding, dilation)
    return _core.im2col(shape, plain(x), columns_shape)


def col2im(
    columns: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> Array:
    columns = checked("col2im", "columns", columns)
    shape, columns_shape = _column_shape("col2im", input_shape, kernel_size, stride, padding, dilation)
    same_shape("col2im", "columns", columns, columns_shape, f"input {tuple(input_shape)}")
    return _core.col2im(shape, plain(columns))


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    a = checked("matmul", "a", a)
    b = checked("matmul", "b", b, a.dtype)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"matmul: expected two matrices, got {a.shape} and {b.shape}")
    rows, inner = reversed(a.shape) if transpose_a else a.shape
    inner_b, columns = reversed(b.shape) if transpose_b else b.shape
    if inner != inner_b:
        raise ShapeError(
            f"matmul: inner sizes differ: op(a) is {by((rows, inner))}, op(b) is {by((inner_b, columns))} "
            f"(transpose_a={transpose_a}, transpose_b={transpose_b})"
        )
    addressable("matmul", (rows, columns))
    return _core.matmul(plain(a), plain(b), rows, columns, inner, transpose_a, transpose_b)
