"""Max-pooling and average-pooling."""

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, same_shape, unmasked
from fastcnn.backends.shapes import Size, dims, pool_shape
from fastcnn.errors import DTypeError, ShapeError

BAD_ARGMAX = "an argmax is not a cell of its window; pass the array that the forward returned"


def argmax_of(who: str, argmax: Array, shape: _core.PoolShape) -> Array:
    """`argmax` as the kernels take it, if its dtype and shape are those of this pooling."""
    return window_bytes(who, "argmax", argmax, shape)


def window_bytes(who: str, name: str, array: Array, shape: _core.PoolShape) -> Array:
    """The same of any array with a byte for each window."""
    unmasked(who, name, array)
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise DTypeError(f"{who}: {name} must be the uint8 array that the forward returned")
    same_shape(who, name, array, shape.output, "input {}", shape.input)
    return plain(array)


def max_pool2d(x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> tuple[Array, Array]:
    x = checked("max_pool2d", "x", x)
    shape = pool_shape(x.shape, kernel_size, stride, padding)
    y, argmax = _core.max_pool2d(shape, plain(x))
    return y, argmax


def max_pool2d_backward(
    dy: Array,
    argmax: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> Array:
    who = "max_pool2d_backward"
    dy = checked(who, "dy", dy)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = pool_shape(sizes, kernel_size, stride, padding, who)
    argmax = argmax_of(who, argmax, shape)
    same_shape(who, "dy", dy, shape.output, "input {}", sizes)
    dx = _core.max_pool2d_backward(shape, plain(dy), argmax)
    if dx is None:
        raise ShapeError(f"{who}: {BAD_ARGMAX}")
    return dx


def avg_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Array:
    x = checked("avg_pool2d", "x", x)
    shape = pool_shape(x.shape, kernel_size, stride, padding, "avg_pool2d", argmax=False)
    return _core.avg_pool2d(shape, plain(x), count_include_pad)


def avg_pool2d_backward(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Array:
    who = "avg_pool2d_backward"
    dy = checked(who, "dy", dy)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = pool_shape(sizes, kernel_size, stride, padding, who, argmax=False)
    same_shape(who, "dy", dy, shape.output, "input {}", sizes)
    return _core.avg_pool2d_backward(shape, plain(dy), count_include_pad)


def pool_output_shape(
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    who: object = "max_pool2d",
    argmax: bool = True,
) -> tuple[int, ...]:
    output: tuple[int, ...] = pool_shape(input_shape, kernel_size, stride, padding, who, argmax).output
    return output
