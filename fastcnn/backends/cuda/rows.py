"""Softmax and cross-entropy: operations on the rows of a matrix."""

from typing import Any

import numpy as np

from fastcnn.backends.arrays import same_shape
from fastcnn.backends.cpu.rows import bad_index
from fastcnn.backends.cuda import language
from fastcnn.backends.cuda.arguments import blocks, checked, launch, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty, to_device
from fastcnn.backends.cuda.kernels import rows
from fastcnn.backends.cuda.language import Kernel
from fastcnn.errors import ShapeError

INDICES = {np.dtype(word.name): word for word in language.TYPES if "int" in word.name}


def _rows(who: str, name: str, array: DeviceArray, dtype: np.dtype[Any] | None = None) -> DeviceArray:
    array = checked(who, name, array, dtype)
    if array.ndim != 2 or array.shape[1] < 1:
        raise ShapeError(f"{who}: expected {name} (N, classes), got {array.shape}")
    return array


def _two(who: str, dy: DeviceArray, y: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    dy = _rows(who, "dy", dy)
    y = _rows(who, "y", y, dy.dtype)
    same_shape(who, "dy", dy, y.shape, f"y {y.shape}")
    return dy, y


def _launch(kernel: Kernel, shape: tuple[int, ...], *arrays: DeviceArray) -> None:
    """Run a kernel that takes a row a warp."""
    count, classes = shape
    launch(kernel, (blocks(count, rows.ROWS),), (rows.WARP, rows.ROWS), *arrays, classes, count)


def softmax(x: DeviceArray) -> DeviceArray:
    x = _rows("softmax", "x", x)
    y = empty(x.shape, x.dtype)
    _launch(rows.softmax(real_of(x)), x.shape, x, y)
    return y


def softmax_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dy, y = _two("softmax_backward", dy, y)
    dx = empty(y.shape, y.dtype)
    _launch(rows.softmax_backward(real_of(y)), y.shape, dy, y, dx)
    return dx


def log_softmax(x: DeviceArray) -> DeviceArray:
    x = _rows("log_softmax", "x", x)
    y = empty(x.shape, x.dtype)
    _launch(rows.log_softmax(real_of(x)), x.shape, x, y)
    return y


def log_softmax_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dy, y = _two("log_softmax_backward", dy, y)
    dx = empty(y.shape, y.dtype)
    _launch(rows.log_softmax_backward(real_of(y)), y.shape, dy, y, dx)
    return dx


def _check_target(who: str, logits: DeviceArray, target: DeviceArray) -> None:
    """Class indices or soft targets that fit the logits. Indices are looked at, which waits for the GPU."""
    if not (isinstance(target, DeviceArray) and target.dtype in INDICES):
        checked(who, "target", target, logits.dtype)
        same_shape(who, "target", target, logits.shape, f"logits {logits.shape}")
        return
    same_shape(who, "target", target, logits.shape[:1], f"logits {logits.shape}")
    bad = to_device(np.zeros(1, np.uint8))
    launch_each(rows.find_bad_index(INDICES[target.dtype]), target.size, target, bad, logits.shape[1])
    if bad.numpy()[0]:
        raise bad_index(who, logits.shape, target.numpy())


def _kind(target: DeviceArray) -> language.Word:
    return INDICES.get(target.dtype) or real_of(target)


def cross_entropy(logits: DeviceArray, target: DeviceArray) -> DeviceArray:
    logits = _rows("cross_entropy", "logits", logits)
    _check_target("cross_entropy", logits, target)
    return cross_entropy_unchecked(logits, target)


def cross_entropy_unchecked(logits: DeviceArray, target: DeviceArray) -> DeviceArray:
    """The same of arrays that fit, without waiting for the GPU: indices are not looked at."""
    loss = empty(logits.shape[:1], logits.dtype)
    _launch(rows.cross_entropy(real_of(logits), _kind(target)), logits.shape, logits, target, loss)
    return loss


def cross_entropy_backward(dy: DeviceArray, logits: DeviceArray, target: DeviceArray) -> DeviceArray:
    who = "cross_entropy_backward"
    logits = _rows(who, "logits", logits)
    dy = checked(who, "dy", dy, logits.dtype)
    same_shape(who, "dy", dy, logits.shape[:1], f"logits {logits.shape}")
    _check_target(who, logits, target)
    return cross_entropy_backward_unchecked(dy, logits, target)


def cross_entropy_backward_unchecked(dy: DeviceArray, logits: DeviceArray, target: DeviceArray) -> DeviceArray:
    """The same of arrays that fit, without waiting for the GPU: indices are not looked at."""
    dx = empty(logits.shape, logits.dtype)
    _launch(rows.cross_entropy_backward(real_of(logits), _kind(target)), logits.shape, dy, logits, target, dx)
    return dx


# ---- the costs of Gorgonia's tutorial and program --------------------------------------------------------------------


def _loss(who: str, name: str, array: DeviceArray, target: DeviceArray, logarithm: bool) -> DeviceArray:
    array = _rows(who, name, array)
    target = _rows(who, "target", target, array.dtype)
    same_shape(who, "target", target, array.shape, f"{name} {array.shape}")
    loss = empty(array.shape[:1], array.dtype)
    _launch(rows.product_loss(real_of(array), logarithm), array.shape, array, target, loss)
    return loss


def _loss_backward(who: str, dy: DeviceArray, target: DeviceArray, logarithm: bool) -> DeviceArray:
    target = _rows(who, "target", target)
    dy = checked(who, "dy", dy, target.dtype)
    same_shape(who, "dy", dy, target.shape[:1], f"target {target.shape}")
    dp = empty(target.shape, target.dtype)
    kernel = rows.product_loss_backward(real_of(dy), logarithm)
    launch_each(kernel, target.size, dy, target, dp, target.shape[1])
    return dp


def product_loss(p: DeviceArray, target: DeviceArray) -> DeviceArray:
    return _loss("product_loss", "p", p, target, False)


def product_loss_backward(dy: DeviceArray, target: DeviceArray) -> DeviceArray:
    return _loss_backward("product_loss_backward", dy, target, False)


def log_product_loss(log_p: DeviceArray, target: DeviceArray) -> DeviceArray:
    return _loss("log_product_loss", "log_p", log_p, target, True)


def log_product_loss_backward(dy: DeviceArray, target: DeviceArray) -> DeviceArray:
    return _loss_backward("log_product_loss_backward", dy, target, True)
