"""Convolution, and the matrix product that it can be turned into.

"direct" multiplies windows that it finds where they are; "im2col" stores them first, and then convolves the columns
with 1x1 filters, which gives the same sums. On the GPU "auto" is always "direct".
"""

import math
from typing import Any

import numpy as np

from fastcnn.backends.arrays import addressable, is_float64, same_shape
from fastcnn.backends.cpu.convolution import conv_output_shape
from fastcnn.backends.cuda.arguments import checked, launch, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.kernels import conv_direct, gemm
from fastcnn.backends.cuda.kernels import im2col as column_kernels
from fastcnn.backends.cuda.kernels.conv_direct import Geometry
from fastcnn.backends.cuda.products import parts, product, sum_channels, sum_rows, tiles
from fastcnn.backends.shapes import Size, by, conv_shape, dims, pair
from fastcnn.errors import ConfigError, ShapeError

__all__ = [
    "algorithm_of",
    "backward_input",
    "backward_weight",
    "bias_of",
    "col2im",
    "conv2d",
    "conv2d_algorithm",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv_output_shape",
    "forward",
    "geometry_of",
    "im2col",
    "matmul",
]

ALGORITHMS = ("auto", "direct", "im2col")
DIRECTIONS = ("forward", "backward_input", "backward_weight")
BLOCK = (gemm.THREADS,)


def algorithm_of(who: str, name: str) -> str:
    """What "direct" or "im2col" is meant by the name of an algorithm."""
    if name == "winograd":
        raise ConfigError(f"{who}: algorithm 'winograd' exists on the CPU only; on the GPU use 'auto'")
    if name not in ALGORITHMS:
        choices = ", ".join(repr(choice) for choice in ALGORITHMS)
        raise ConfigError(f"{who}: algorithm must be one of {choices}, got {name!r}")
    return "direct" if name == "auto" else name


def bias_of(who: str, bias: DeviceArray | None, weight: DeviceArray) -> DeviceArray | None:
    """`bias`, if it is one number per output channel of `weight`, or None."""
    if bias is not None:
        same_shape(who, "bias", checked(who, "bias", bias, weight.dtype), weight.shape[:1], f"weight {weight.shape}")
    return bias


def geometry_of(shape: Any, padding: Size, dilation: Size) -> Geometry:
    """What kernels are made for, of what `conv_shape` gave."""
    _, channels, height, width = shape.input
    outputs, _, down, across = shape.weight
    out_height, out_width = shape.output[2:]
    steps = (shape.stride, pair(padding, "", ""), pair(dilation, "", ""))
    return Geometry(channels, height, width, outputs, (down, across), (out_height, out_width), *steps)


def _of_columns(geometry: Geometry) -> Geometry:
    """The 1x1 convolution that is left when the windows of x are stored as columns."""
    depth = geometry.channels * math.prod(geometry.kernel)
    size = (1, math.prod(geometry.out))
    return Geometry(depth, *size, geometry.outputs, (1, 1), size, (1, 1), (0, 0), (1, 1))


def forward(x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None, geometry: Geometry, how: str) -> DeviceArray:
    """y, of what is checked; `how` is "direct" or "im2col"."""
    batch = len(x)
    if how == "im2col":
        return forward(_columns(x, geometry), weight, bias, _of_columns(geometry), "direct").reshape(
            batch, geometry.outputs, *geometry.out
        )
    y = empty((batch, geometry.outputs, *geometry.out), x.dtype)
    grid = (tiles(batch * math.prod(geometry.out)), tiles(geometry.outputs))
    made = conv_direct.conv2d(real_of(x), geometry, bias is not None)
    launch(made, grid, BLOCK, x, weight, y if bias is None else bias, y, batch)
    return y


def backward_input(dy: DeviceArray, weight: DeviceArray, geometry: Geometry, how: str) -> DeviceArray:
    """dx alike."""
    batch = len(dy)
    if how == "im2col":
        return _image(backward_input(dy, weight, _of_columns(geometry), "direct"), geometry)
    dx = empty((batch, *geometry[:3]), dy.dtype)
    grid = (tiles(batch * geometry.height * geometry.width), tiles(geometry.channels))
    launch(conv_direct.conv2d_backward_input(real_of(dy), geometry), grid, BLOCK, dy, weight, dx, batch)
    return dx


def backward_weight(dy: DeviceArray, x: DeviceArray, geometry: Geometry, how: str) -> DeviceArray:
    """dweight alike."""
    if how == "im2col":
        x, geometry, of_x = _columns(x, geometry), _of_columns(geometry), geometry
    else:
        of_x = geometry
    taps = geometry.channels * math.prod(geometry.kernel)
    across, down = tiles(taps), tiles(geometry.outputs)
    count, length = parts(across * down, len(x) * math.prod(geometry.out))
    dw = empty((count, geometry.outputs * taps), x.dtype)
    made = conv_direct.conv2d_backward_weight(real_of(x), geometry)
    launch(made, (across, down, count), BLOCK, dy, x, dw, len(x), length)
    return sum_rows(dw).reshape(of_x.outputs, of_x.channels, *of_x.kernel)


def _columns(x: DeviceArray, geometry: Geometry) -> DeviceArray:
    depth = geometry.channels * math.prod(geometry.kernel)
    columns = empty((len(x), depth, math.prod(geometry.out)), x.dtype)
    launch_each(column_kernels.im2col(real_of(x), geometry), columns.size, x, columns)
    return columns


def _image(columns: DeviceArray, geometry: Geometry) -> DeviceArray:
    dx = empty((len(columns), *geometry[:3]), columns.dtype)
    launch_each(column_kernels.col2im(real_of(columns), geometry), dx.size, columns, dx)
    return dx


def conv2d(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> DeviceArray:
    x = checked("conv2d", "x", x)
    weight = checked("conv2d", "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation)
    bias = bias_of("conv2d", bias, weight)
    how = algorithm_of("conv2d", algorithm)
    return forward(x, weight, bias, geometry_of(shape, padding, dilation), how)


def conv2d_backward_input(
    dy: DeviceArray,
    weight: DeviceArray,
    input_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> DeviceArray:
    who = "conv2d_backward_input"
    dy = checked(who, "dy", dy)
    weight = checked(who, "weight", weight, dy.dtype)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = conv_shape(sizes, weight.shape, stride, padding, dilation, who)
    same_shape(who, "dy", dy, shape.output, f"input {sizes} and weight {weight.shape}")
    how = algorithm_of(who, algorithm)
    return backward_input(dy, weight, geometry_of(shape, padding, dilation), how)


def conv2d_backward_weight(
    dy: DeviceArray,
    x: DeviceArray,
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> DeviceArray:
    who = "conv2d_backward_weight"
    dy = checked(who, "dy", dy)
    x = checked(who, "x", x, dy.dtype)
    sizes = dims(weight_shape, 4, "weight_shape", "(O, C, KH, KW)", who)
    shape = conv_shape(x.shape, sizes, stride, padding, dilation, who)
    same_shape(who, "dy", dy, shape.output, f"input {x.shape} and weight {sizes}")
    how = algorithm_of(who, algorithm)
    return backward_weight(dy, x, geometry_of(shape, padding, dilation), how)


def conv2d_backward_bias(dy: DeviceArray) -> DeviceArray:
    dy = checked("conv2d_backward_bias", "dy", dy)
    if dy.ndim < 2:
        raise ShapeError(f"conv2d_backward_bias: expected dy (N, C, ...), got {dy.shape}")
    return sum_channels(dy.reshape(*dy.shape[:2], math.prod(dy.shape[2:])))


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
    if direction not in DIRECTIONS:
        choices = ", ".join(repr(choice) for choice in DIRECTIONS)
        raise ConfigError(f"{who}: direction must be one of {choices}, got {direction!r}")
    is_float64(who, dtype)
    conv_shape(input_shape, weight_shape, stride, padding, dilation, who)
    return algorithm_of(who, "auto")


def _column_geometry(
    who: str, input_shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size, dilation: Size
) -> tuple[Geometry, tuple[int, int, int]]:
    sizes = dims(input_shape, 4, "input", "(N, C, H, W)", who)
    kernel = pair(kernel_size, "kernel_size", who)
    shape = conv_shape(sizes, (1, sizes[1], *kernel), stride, padding, dilation, who)
    columns = (sizes[0], sizes[1] * kernel[0] * kernel[1], shape.output[2] * shape.output[3])
    addressable(who, columns)
    return geometry_of(shape, padding, dilation), columns


def im2col(x: DeviceArray, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> DeviceArray:
    x = checked("im2col", "x", x)
    geometry, _ = _column_geometry("im2col", x.shape, kernel_size, stride, padding, dilation)
    return _columns(x, geometry)


def col2im(
    columns: DeviceArray,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> DeviceArray:
    columns = checked("col2im", "columns", columns)
    geometry, columns_shape = _column_geometry("col2im", input_shape, kernel_size, stride, padding, dilation)
    same_shape("col2im", "columns", columns, columns_shape, f"input {tuple(input_shape)}")
    return _image(columns, geometry)


def matmul(a: DeviceArray, b: DeviceArray, transpose_a: bool = False, transpose_b: bool = False) -> DeviceArray:
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
    made, count = product(a, b, transpose_a, transpose_b)
    return sum_rows(made.reshape(count, rows * columns)).reshape(rows, columns)
