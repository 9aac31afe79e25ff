"""Max-pooling and average-pooling."""

from typing import Any

import numpy as np

from fastcnn.backends.arrays import same_shape
from fastcnn.backends.cpu.pooling import BAD_ARGMAX, pool_output_shape
from fastcnn.backends.cuda.arguments import checked, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty, to_device
from fastcnn.backends.cuda.kernels import pooling
from fastcnn.backends.shapes import Pair, Size, dims, pair, pool_shape
from fastcnn.errors import DTypeError, ShapeError

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool2d_backward_unchecked",
    "pool_output_shape",
]

Window = tuple[Pair, Pair, Pair, Pair]  # size of the plane, kernel_size, stride, padding: constants of kernels


def _window(shape: Any, kernel_size: Size, padding: Size) -> Window:
    """Of sizes that `pool_shape` has accepted, and given."""
    kernel, around = pair(kernel_size, "kernel_size", None), pair(padding, "padding", None)
    return (shape.input[2], shape.input[3]), kernel, shape.stride, around


def max_pool2d(
    x: DeviceArray, kernel_size: Size, stride: Size | None = None, padding: Size = 0
) -> tuple[DeviceArray, DeviceArray]:
    x = checked("max_pool2d", "x", x)
    shape = pool_shape(x.shape, kernel_size, stride, padding)
    y, argmax = empty(shape.output, x.dtype), empty(shape.output, np.uint8)
    kernel = pooling.max_pool(real_of(x), *_window(shape, kernel_size, padding))
    launch_each(kernel, y.size, x, y, argmax)
    return y, argmax


def max_pool2d_backward(
    dy: DeviceArray,
    argmax: DeviceArray,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> DeviceArray:
    who = "max_pool2d_backward"
    dy = checked(who, "dy", dy)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = pool_shape(sizes, kernel_size, stride, padding, who)
    if not isinstance(argmax, DeviceArray) or argmax.dtype != np.uint8:
        raise DTypeError(f"{who}: argmax must be the uint8 array that the forward returned")
    same_shape(who, "argmax", argmax, shape.output, f"input {shape.input}")
    same_shape(who, "dy", dy, shape.output, f"input {sizes}")
    window = _window(shape, kernel_size, padding)
    if _any(pooling.find_bad_argmax(*window), argmax):
        raise ShapeError(f"{who}: {BAD_ARGMAX}")
    return max_pool2d_backward_unchecked(dy, argmax, sizes, window)


def max_pool2d_backward_unchecked(
    dy: DeviceArray, argmax: DeviceArray, input_shape: tuple[int, ...], window: Window
) -> DeviceArray:
    """The same of arrays that fit, without waiting for the GPU: winners are not looked at. A wrong one wins nothing."""
    dx = empty(input_shape, dy.dtype)
    launch_each(pooling.max_pool_backward(real_of(dy), *window), dx.size, dy, argmax, dx)
    return dx


def _any(kernel: Any, values: DeviceArray) -> bool:
    """Whether the kernel finds what it looks for among the values; waits for the GPU."""
    found = to_device(np.zeros(1, np.uint8))
    launch_each(kernel, values.size, values, found)
    return bool(found.numpy()[0])


def avg_pool2d(
    x: DeviceArray, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> DeviceArray:
    x = checked("avg_pool2d", "x", x)
    shape = pool_shape(x.shape, kernel_size, stride, padding, "avg_pool2d", argmax=False)
    y, window = empty(shape.output, x.dtype), _window(shape, kernel_size, padding)
    launch_each(pooling.avg_pool(real_of(x), *window, bool(count_include_pad)), y.size, x, y)
    return y


def avg_pool2d_backward(
    dy: DeviceArray,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> DeviceArray:
    who = "avg_pool2d_backward"
    dy = checked(who, "dy", dy)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = pool_shape(sizes, kernel_size, stride, padding, who, argmax=False)
    same_shape(who, "dy", dy, shape.output, f"input {sizes}")
    dx, window = empty(sizes, dy.dtype), _window(shape, kernel_size, padding)
    launch_each(pooling.avg_pool_backward(real_of(dy), *window, bool(count_include_pad)), dx.size, dy, dx)
    return dx
