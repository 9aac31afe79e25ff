"""Convolution, ReLU, pooling and dropout in one call, and their backward.

Kernels of their own take what `one_pass` says; the rest runs a kernel for each operation. An argmax that is no cell of
its window passes no gradient on: to look for one would mean to wait for the GPU.
"""

from typing import Any, NamedTuple

import numpy as np

from fastcnn.backends.arrays import same_shape
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate
from fastcnn.backends.cuda import convolution
from fastcnn.backends.cuda.arguments import blocks, checked, launch, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.convolution import algorithm_of, bias_of, geometry_of
from fastcnn.backends.cuda.kernels import conv_pool, conv_pool_weight, elements, windows
from fastcnn.backends.cuda.kernels.conv_direct import Geometry
from fastcnn.backends.cuda.kernels.conv_pool import Tiling
from fastcnn.backends.cuda.kernels.linear import linear_end_backward
from fastcnn.backends.cuda.pointwise import dropout_draw
from fastcnn.backends.cuda.products import ENOUGH, sum_channels, sum_rows
from fastcnn.backends.shapes import Size, conv_shape, pair, pool_shape
from fastcnn.errors import DTypeError, ShapeError


class Stage(NamedTuple):
    """A convolution with pooling behind it, checked."""

    geometry: Geometry
    grid: windows.Grid
    average: bool
    output: tuple[int, ...]  # shape of y
    how: str  # the algorithm of a convolution by itself
    tilings: tuple[Tiling, Tiling] | None  # forward and dx, if kernels of their own take it


def one_pass(geometry: Geometry, grid: windows.Grid, average: bool, itemsize: int) -> tuple[Tiling, Tiling] | None:
    """How kernels of their own share the work out, forward and backward; None if they don't take the shape."""
    channels, height, width, outputs, (side, other_side), (out_height, out_width) = geometry[:6]
    pool, padding = grid.window[0], geometry.padding[0]
    square = side == other_side and grid.window == (pool, pool) and geometry.padding == (padding, padding)
    unit = geometry.stride == geometry.dilation == (1, 1)
    if not (square and unit and pool in ((2,) if average else (2, 3))):
        return None
    size = (grid.rows, grid.columns)
    there = conv_pool.tiling(channels, height, width, outputs, side, padding, pool, *size, itemsize)
    if there is None:
        return None
    turned, squares = side - 1 - padding, (blocks(height, 2), blocks(width, 2))
    back = conv_pool.tiling(outputs, out_height, out_width, channels, side, turned, 2, *squares, itemsize)
    return None if back is None else (there, back)


def _stage(
    who: str,
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    sizes: tuple[Size, Size, Size],
    pool_size: Size,
    algorithm: str,
    average: bool,
    dtype: Any,
) -> Stage:
    shape = conv_shape(x_shape, weight_shape, *sizes, who)
    window = pair(pool_size, "pool_size", who)
    if average and window[0] * window[1] > 8:
        raise ShapeError(
            f"{who}: windows may have up to 8 pixels, got {window[0]}x{window[1]}; avg_pool2d takes larger ones"
        )
    output = pool_shape(shape.output, window, None, 0, who).output
    geometry, how = geometry_of(shape, *sizes[1:]), algorithm_of(who, algorithm)
    grid = windows.Grid(*geometry.out, window, *output[2:])
    tilings = one_pass(geometry, grid, average, np.dtype(dtype).itemsize) if how == "direct" else None
    return Stage(geometry, grid, average, output, how, tilings)


def _forward(
    stage: Stage, x: DeviceArray, weight: DeviceArray, bias: DeviceArray | None, p: float, key: tuple[int, int]
) -> tuple[DeviceArray, DeviceArray]:
    real, batch = real_of(x), len(x)
    y, marks = empty(stage.output, x.dtype), empty(stage.output, np.uint8)
    draw = dropout_draw(p if p < 1 else 0, *key)
    if stage.tilings is not None:
        tiling = stage.tilings[0]
        grid = (batch * tiling.strips, blocks(tiling.outputs, tiling.groups * tiling.lanes))
        made = conv_pool.conv_pool(real, tiling, bias is not None, stage.average)
        launch(made, grid, (made.threads,), x, weight, y if bias is None else bias, y, marks, *draw)
    else:
        maps = convolution.forward(x, weight, bias, stage.geometry, stage.how)
        if stage.average:
            launch_each(windows.mean_windows(real, stage.grid), y.size, maps, y, marks)
        else:
            launch_each(windows.max_windows(real, stage.grid), y.size, maps, y, marks, *draw)
    if p == 1:
        launch_each(elements.fill(real), y.size, y, 0.0)
    return y, marks


def _backward(
    stage: Stage, g: DeviceArray, marks: DeviceArray, x: DeviceArray, weight: DeviceArray, input_gradient: bool
) -> tuple[DeviceArray | None, DeviceArray]:
    """dx and dweight of the gradient of each window's marked pixels."""
    real, batch = real_of(x), len(x)
    if stage.tilings is None:
        dz = empty((batch, stage.geometry.outputs, *stage.geometry.out), x.dtype)
        launch_each(windows.spread(real, stage.grid, stage.average), dz.size, g, marks, dz)
        dx = convolution.backward_input(dz, weight, stage.geometry, stage.how) if input_gradient else None
        return dx, convolution.backward_weight(dz, x, stage.geometry, stage.how)
    dx = None
    if input_gradient:
        dx, tiling, grid = empty(x.shape, x.dtype), stage.tilings[1], stage.grid
        made = conv_pool.conv_pool_backward_input(
            real, tiling, (grid.rows, grid.columns), grid.window[0], stage.average
        )
        blocks_of = (batch * tiling.strips, blocks(tiling.outputs, tiling.groups * tiling.lanes))
        launch(made, blocks_of, (made.threads,), g, marks, weight, dx)
    return dx, _backward_weight(stage, g, marks, x).reshape(weight.shape)


def _backward_weight(stage: Stage, g: DeviceArray, marks: DeviceArray, x: DeviceArray) -> DeviceArray:
    """The weights' gradient, flat, where kernels of their own make it."""
    geometry, grid, real = stage.geometry, stage.grid, real_of(x)
    sizes = conv_pool_weight.Windows(
        *geometry[:4], geometry.kernel[0], geometry.padding[0], grid.window[0], grid.rows, grid.columns
    )
    lanes = 8 if x.dtype == np.float32 else 4
    strip = conv_pool_weight.strip_of(sizes, lanes, x.dtype.itemsize)
    if strip:
        made = conv_pool_weight.by_channel(real, sizes, strip, lanes, stage.average)
        tiles = blocks(sizes.channels, conv_pool_weight.WARP) * blocks(sizes.outputs, conv_pool_weight.WARPS * lanes)
    else:
        made = conv_pool_weight.by_window(real, sizes, stage.average)
        tiles = sizes.channels * sizes.outputs
    part = max(1, blocks(len(x), max(1, ENOUGH // tiles)))  # images
    count = max(1, blocks(len(x), part))
    dw = empty((count, sizes.outputs * sizes.channels * sizes.kernel**2), x.dtype)
    launch(made, (tiles, count), (made.threads,), g, marks, x, dw, len(x), part)
    return sum_rows(dw)


def _bytes_of_windows(who: str, name: str, array: Any, stage: Stage, x: DeviceArray) -> DeviceArray:
    """`array`, if it has a byte for each window."""
    if not isinstance(array, DeviceArray) or array.dtype != np.uint8:
        raise DTypeError(f"{who}: {name} must be the uint8 array that the forward returned")
    same_shape(who, name, array, stage.output, f"input {x.shape}")
    return array


def _sums(g: DeviceArray) -> DeviceArray:
    batch, channels, height, width = g.shape
    return sum_channels(g.reshape(batch, channels, height * width))


def conv2d_relu_max_pool2d(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    for_backward: bool = True,
) -> tuple[DeviceArray, DeviceArray | None]:
    who = "conv2d_relu_max_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    sizes = (stride, padding, dilation)
    stage = _stage(who, x.shape, weight.shape, sizes, pool_size, algorithm, False, x.dtype)
    bias = bias_of(who, bias, weight)
    y, argmax = _forward(stage, x, weight, bias, dropout_rate(who, p), dropout_key(who, seed, offset))
    return y, argmax if for_backward else None


def conv2d_relu_max_pool2d_backward(
    dy: DeviceArray,
    y: DeviceArray,
    argmax: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    input_gradient: bool = True,
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    who = "conv2d_relu_max_pool2d_backward"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    dy, y = checked(who, "dy", dy, x.dtype), checked(who, "y", y, x.dtype)
    sizes = (stride, padding, dilation)
    stage = _stage(who, x.shape, weight.shape, sizes, pool_size, algorithm, False, x.dtype)
    same_shape(who, "dy", dy, stage.output, f"input {x.shape}")
    same_shape(who, "y", y, stage.output, f"input {x.shape}")
    argmax = _bytes_of_windows(who, "argmax", argmax, stage, x)
    p = dropout_rate(who, p)
    g = empty(dy.shape, dy.dtype)
    launch_each(linear_end_backward(real_of(dy)), dy.size, dy, y, 1 / (1 - p) if p < 1 else 0, g)
    return *_backward(stage, g, argmax, x, weight, input_gradient), _sums(g)


def conv2d_relu_max_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: Any = np.float32,
) -> str | None:
    sizes, who = (stride, padding, dilation), "conv2d_relu_max_pool2d"
    return "direct" if _stage(who, input_shape, weight_shape, sizes, pool_size, "auto", False, dtype).tilings else None


def conv2d_relu_avg_pool2d(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    for_backward: bool = True,
) -> tuple[DeviceArray, DeviceArray | None]:
    who = "conv2d_relu_avg_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    sizes = (stride, padding, dilation)
    stage = _stage(who, x.shape, weight.shape, sizes, pool_size, algorithm, True, x.dtype)
    y, active = _forward(stage, x, weight, bias_of(who, bias, weight), 0, (0, 0))
    return y, active if for_backward else None


def conv2d_relu_avg_pool2d_backward(
    dy: DeviceArray,
    active: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    who = "conv2d_relu_avg_pool2d_backward"
    x = checked(who, "x", x)
    weight, dy = checked(who, "weight", weight, x.dtype), checked(who, "dy", dy, x.dtype)
    sizes = (stride, padding, dilation)
    stage = _stage(who, x.shape, weight.shape, sizes, pool_size, algorithm, True, x.dtype)
    same_shape(who, "dy", dy, stage.output, f"input {x.shape}")
    active = _bytes_of_windows(who, "active", active, stage, x)
    g, sums = empty(dy.shape, dy.dtype), empty(dy.shape, dy.dtype)
    cells = stage.grid.window[0] * stage.grid.window[1]
    launch_each(windows.shares(real_of(dy), cells), dy.size, dy, active, g, sums)
    return *_backward(stage, g, active, x, weight, input_gradient), _sums(sums)


def conv2d_relu_avg_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: Any = np.float32,
) -> str | None:
    sizes, who = (stride, padding, dilation), "conv2d_relu_avg_pool2d"
    return "direct" if _stage(who, input_shape, weight_shape, sizes, pool_size, "auto", True, dtype).tilings else None
