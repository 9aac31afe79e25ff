"""The CPU backend: checks arrays and shapes, then calls the C kernels through fastcnn._core.

Arguments are those of `fastcnn.ops`, which documents them. Arrays may have any strides and may be read-only: what is
not C-contiguous and aligned is copied. Nothing is cast: float32 stays float32, and mixing is an error.
"""

import math
from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.shapes import Size, by, conv_shape, dims, pair, pool_shape
from fastcnn.errors import ConfigError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def _checked(who: str, name: str, array: Array, dtype: np.dtype[Any] | None = None) -> Array:
    """`array`, if it is one of `dtype`, or of float32 or float64 where none is given."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{who}: {name} must be a NumPy array, got {type(array).__name__}")
    if array.dtype not in FLOATS:
        raise DTypeError(f"{who}: {name} must be float32 or float64, got {array.dtype}; convert it with .astype")
    if dtype is not None and array.dtype != dtype:
        raise DTypeError(f"{who}: {name} is {array.dtype} but its partner is {dtype}; convert one of them with .astype")
    return array


def _plain(array: Array) -> Array:
    """`array` as the kernels take it, C-contiguous and aligned: itself, or a copy. Shapes are checked before."""
    flags = array.flags  # np.require would do, ten times slower
    return array if flags.c_contiguous and flags.aligned else np.array(array, order="C", copy=True, subok=False)


def _same_shape(who: str, name: str, array: Array, expected: tuple[int, ...], partner: str) -> None:
    if array.shape != expected:
        raise ShapeError(f"{who}: expected {name} {expected} to match {partner}, got {array.shape}")


def _addressable(who: str, shape: tuple[int, ...]) -> None:
    if math.prod(shape) >= 1 << 60:
        raise ShapeError(f"{who}: the result {shape} has more elements than can be addressed")


def _algorithm(who: str, name: str) -> int:
    if name not in _core.ALGORITHMS:
        choices = ", ".join(repr(choice) for choice in _core.ALGORITHMS)
        raise ConfigError(f"{who}: algorithm must be one of {choices}, got {name!r}")
    return _core.ALGORITHMS[name]


# ---- convolution -----------------------------------------------------------------------------------------------------


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    x = _checked("conv2d", "x", x)
    weight = _checked("conv2d", "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation)
    if bias is not None:
        _same_shape(
            "conv2d", "bias", _checked("conv2d", "bias", bias, x.dtype), weight.shape[:1], f"weight {weight.shape}"
        )
        bias = _plain(bias)
    return _core.conv2d(shape, _algorithm("conv2d", algorithm), _plain(x), _plain(weight), bias)


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
    dy = _checked(who, "dy", dy)
    weight = _checked(who, "weight", weight, dy.dtype)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = conv_shape(sizes, weight.shape, stride, padding, dilation, who)
    _same_shape(who, "dy", dy, shape.output, f"input {sizes} and weight {weight.shape}")
    return _core.conv2d_backward_input(shape, _algorithm(who, algorithm), _plain(dy), _plain(weight))


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
    dy = _checked(who, "dy", dy)
    x = _checked(who, "x", x, dy.dtype)
    sizes = dims(weight_shape, 4, "weight_shape", "(O, C, KH, KW)", who)
    shape = conv_shape(x.shape, sizes, stride, padding, dilation, who)
    _same_shape(who, "dy", dy, shape.output, f"input {x.shape} and weight {sizes}")
    return _core.conv2d_backward_weight(shape, _algorithm(who, algorithm), _plain(dy), _plain(x))


def conv2d_backward_bias(dy: Array) -> Array:
    dy = _checked("conv2d_backward_bias", "dy", dy)
    if dy.ndim < 2:
        raise ShapeError(f"conv2d_backward_bias: expected dy (N, C, ...), got {dy.shape}")
    return _core.channel_sum(dy.shape[0], dy.shape[1], math.prod(dy.shape[2:]), _plain(dy))


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
    if direction not in _core.DIRECTIONS:
        choices = ", ".join(repr(choice) for choice in _core.DIRECTIONS)
        raise ConfigError(f"conv2d_algorithm: direction must be one of {choices}, got {direction!r}")
    shape = conv_shape(input_shape, weight_shape, stride, padding, dilation)
    chosen: str = _core.conv2d_algorithm(shape, np.dtype(dtype) == np.float64, _core.DIRECTIONS[direction])
    return chosen


def _column_shape(
    who: str, input_shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size, dilation: Size
) -> tuple[_core.ConvShape, tuple[int, int, int]]:
    sizes = dims(input_shape, 4, "input", "(N, C, H, W)", who)
    kernel = pair(kernel_size, "kernel_size", who)
    weight_shape = (1, sizes[1], *kernel)
    shape = conv_shape(sizes, weight_shape, stride, padding, dilation, who)
    columns = (sizes[0], sizes[1] * kernel[0] * kernel[1], shape.output[2] * shape.output[3])
    _addressable(who, columns)
    return shape, columns


def im2col(x: Array, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Array:
    x = _checked("im2col", "x", x)
    shape, columns_shape = _column_shape("im2col", x.shape, kernel_size, stride, padding, dilation)
    return _core.im2col(shape, _plain(x), columns_shape)


def col2im(
    columns: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> Array:
    columns = _checked("col2im", "columns", columns)
    shape, columns_shape = _column_shape("col2im", input_shape, kernel_size, stride, padding, dilation)
    _same_shape("col2im", "columns", columns, columns_shape, f"input {tuple(input_shape)}")
    return _core.col2im(shape, _plain(columns))


# ---- matrices --------------------------------------------------------------------------------------------------------


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    a = _checked("matmul", "a", a)
    b = _checked("matmul", "b", b, a.dtype)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"matmul: expected two matrices, got {a.shape} and {b.shape}")
    rows, inner = reversed(a.shape) if transpose_a else a.shape
    inner_b, columns = reversed(b.shape) if transpose_b else b.shape
    if inner != inner_b:
        raise ShapeError(
            f"matmul: inner sizes differ: op(a) is {by((rows, inner))}, op(b) is {by((inner_b, columns))} "
            f"(transpose_a={transpose_a}, transpose_b={transpose_b})"
        )
    _addressable("matmul", (rows, columns))
    return _core.matmul(_plain(a), _plain(b), rows, columns, inner, transpose_a, transpose_b)


# ---- pooling ---------------------------------------------------------------------------------------------------------


def max_pool2d(x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> tuple[Array, Array]:
    x = _checked("max_pool2d", "x", x)
    shape = pool_shape(x.shape, kernel_size, stride, padding)
    y, argmax = _core.max_pool2d(shape, _plain(x))
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
    dy = _checked(who, "dy", dy)
    sizes = dims(input_shape, 4, "input_shape", "(N, C, H, W)", who)
    shape = pool_shape(sizes, kernel_size, stride, padding, who)
    if not isinstance(argmax, np.ndarray) or argmax.dtype != np.uint8:
        raise DTypeError(f"{who}: argmax must be the uint8 array that max_pool2d returned")
    _same_shape(who, "dy", dy, shape.output, f"input {sizes}")
    _same_shape(who, "argmax", argmax, shape.output, f"input {sizes}")
    dx = _core.max_pool2d_backward(shape, _plain(dy), _plain(argmax))
    if dx is None:
        raise ShapeError(f"{who}: an argmax is not a cell of its window; pass the array that max_pool2d returned")
    return dx


def pool_output_shape(
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    who: object = "max_pool2d",
) -> tuple[int, ...]:
    output: tuple[int, ...] = pool_shape(input_shape, kernel_size, stride, padding, who).output
    return output


# ---- pointwise -------------------------------------------------------------------------------------------------------


def relu(x: Array) -> Array:
    return _core.relu(_plain(_checked("relu", "x", x)))


def relu_backward(dy: Array, y: Array) -> Array:
    dy = _checked("relu_backward", "dy", dy)
    y = _checked("relu_backward", "y", y, dy.dtype)
    _same_shape("relu_backward", "dy", dy, y.shape, f"y {y.shape}")
    return _core.relu_backward(_plain(dy), _plain(y))


def _dropout(who: str, name: str, array: Array, p: float, seed: int, offset: int) -> Array:
    array = _checked(who, name, array)
    if not 0 <= p <= 1:
        raise ConfigError(f"{who}: p, the probability to drop, must be between 0 and 1, got {p}")
    if not (0 <= seed < 1 << 64 and 0 <= offset < 1 << 64):
        raise ConfigError(f"{who}: seed and offset must be between 0 and 2^64 - 1, got {seed} and {offset}")
    return _core.dropout(_plain(array), p, seed, offset)


def dropout(x: Array, p: float, seed: int, offset: int = 0) -> Array:
    return _dropout("dropout", "x", x, p, seed, offset)


def dropout_backward(dy: Array, p: float, seed: int, offset: int = 0) -> Array:
    return _dropout("dropout_backward", "dy", dy, p, seed, offset)


# ---- softmax and cross-entropy ---------------------------------------------------------------------------------------


def _rows(who: str, name: str, array: Array, dtype: np.dtype[Any] | None = None) -> Array:
    array = _checked(who, name, array, dtype)
    if array.ndim != 2 or array.shape[1] < 1:
        raise ShapeError(f"{who}: expected {name} (N, classes), got {array.shape}")
    return _plain(array)


def softmax(x: Array) -> Array:
    return _core.softmax(_rows("softmax", "x", x))


def softmax_backward(dy: Array, y: Array) -> Array:
    dy = _rows("softmax_backward", "dy", dy)
    y = _rows("softmax_backward", "y", y, dy.dtype)
    _same_shape("softmax_backward", "dy", dy, y.shape, f"y {y.shape}")
    return _core.softmax_backward(dy, y)


def log_softmax(x: Array) -> Array:
    return _core.log_softmax(_rows("log_softmax", "x", x))


def log_softmax_backward(dy: Array, y: Array) -> Array:
    dy = _rows("log_softmax_backward", "dy", dy)
    y = _rows("log_softmax_backward", "y", y, dy.dtype)
    _same_shape("log_softmax_backward", "dy", dy, y.shape, f"y {y.shape}")
    return _core.log_softmax_backward(dy, y)


def _targets(who: str, logits: Array, target: Array) -> tuple[Array | None, Array | None]:
    """(class indices, None) or (None, soft targets), whichever `target` holds."""
    rows, classes = logits.shape
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        _same_shape(who, "target", target, (rows,), f"logits {logits.shape}")
        if rows and (target.min() < 0 or target.max() >= classes):
            bad = int(np.flatnonzero((target < 0) | (target >= classes))[0])
            raise ShapeError(
                f"{who}: class indices must be between 0 and {classes - 1} for logits {logits.shape}, "
                f"got {target[bad]} at position {bad}"
            )
        return np.require(target, dtype=np.int64, requirements=["C", "A"]), None
    soft = _checked(who, "target", target, logits.dtype)
    _same_shape(who, "target", soft, logits.shape, f"logits {logits.shape}")
    return None, _plain(soft)


def cross_entropy(logits: Array, target: Array) -> Array:
    logits = _rows("cross_entropy", "logits", logits)
    return _core.cross_entropy(logits, *_targets("cross_entropy", logits, target))


def cross_entropy_backward(dy: Array, logits: Array, target: Array) -> Array:
    who = "cross_entropy_backward"
    logits = _rows(who, "logits", logits)
    dy = _checked(who, "dy", dy, logits.dtype)
    _same_shape(who, "dy", dy, logits.shape[:1], f"logits {logits.shape}")
    return _core.cross_entropy_backward(_plain(dy), logits, *_targets(who, logits, target))


# ---- optimizers ------------------------------------------------------------------------------------------------------


def _updatable(who: str, name: str, array: Array, partner: Array | None = None) -> None:
    """Updates are in place: a contiguous copy would be lost."""
    _checked(who, name, array, None if partner is None else partner.dtype)
    if not (array.flags.c_contiguous and array.flags.aligned and array.flags.writeable):
        raise ShapeError(f"{who}: {name} is updated in place: it must be C-contiguous, aligned and writeable")
    if partner is not None:
        _same_shape(who, name, array, partner.shape, f"data {partner.shape}")


def _gradient(who: str, data: Array, grad: Array) -> Array:
    grad = _checked(who, "grad", grad, data.dtype)
    _same_shape(who, "grad", grad, data.shape, f"data {data.shape}")
    return grad.copy() if np.may_share_memory(data, grad) else _plain(grad)


def rmsprop_update(data: Array, grad: Array, square_average: Array, lr: float, decay: float, eps: float) -> None:
    who = "rmsprop_update"
    _updatable(who, "data", data)
    _updatable(who, "square_average", square_average, data)
    if np.may_share_memory(data, square_average):
        raise ShapeError(f"{who}: data and square_average overlap, and both are updated; pass separate arrays")
    _core.rmsprop_update(data, _gradient(who, data, grad), square_average, lr, decay, eps)


def sgd_update(data: Array, grad: Array, lr: float) -> None:
    _updatable("sgd_update", "data", data)
    _core.sgd_update(data, _gradient("sgd_update", data, grad), lr)
