"""Softmax and cross-entropy: operations on the rows of a matrix."""

from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, same_shape
from fastcnn.errors import ShapeError


def _rows(who: str, name: str, array: Array, dtype: np.dtype[Any] | None = None) -> Array:
    array = checked(who, name, array, dtype)
    if array.ndim != 2 or array.shape[1] < 1:
        raise ShapeError(f"{who}: expected {name} (N, classes), got {array.shape}")
    return plain(array)


def softmax(x: Array) -> Array:
    return _core.softmax(_rows("softmax", "x", x))


def softmax_backward(dy: Array, y: Array) -> Array:
    dy = _rows("softmax_backward", "dy", dy)
    y = _rows("softmax_backward", "y", y, dy.dtype)
    same_shape("softmax_backward", "dy", dy, y.shape, "y {}", y.shape)
    return _core.softmax_backward(dy, y)


def log_softmax(x: Array) -> Array:
    return _core.log_softmax(_rows("log_softmax", "x", x))


def log_softmax_backward(dy: Array, y: Array) -> Array:
    dy = _rows("log_softmax_backward", "dy", dy)
    y = _rows("log_softmax_backward", "y", y, dy.dtype)
    same_shape("log_softmax_backward", "dy", dy, y.shape, "y {}", y.shape)
    return _core.log_softmax_backward(dy, y)


def _targets(who: str, logits: Array, target: Array) -> tuple[Array | None, Array | None]:
    """(class indices, None) or (None, soft targets), whichever `target` holds."""
    rows, classes = logits.shape
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        same_shape(who, "target", target, (rows,), "logits {}", logits.shape)
        if rows and (target.min() < 0 or target.max() >= classes):
            bad = int(np.flatnonzero((target < 0) | (target >= classes))[0])
            raise ShapeError(
                f"{who}: class indices must be between 0 and {classes - 1} for logits {logits.shape}, "
                f"got {target[bad]} at position {bad}"
            )
        return np.require(target, dtype=np.int64, requirements=["C", "A"]), None
    soft = checked(who, "target", target, logits.dtype)
    same_shape(who, "target", soft, logits.shape, "logits {}", logits.shape)
    return None, plain(soft)


def cross_entropy(logits: Array, target: Array) -> Array:
    logits = _rows("cross_entropy", "logits", logits)
    return _core.cross_entropy(logits, *_targets("cross_entropy", logits, target))


def cross_entropy_backward(dy: Array, logits: Array, target: Array) -> Array:
    who = "cross_entropy_backward"
    logits = _rows(who, "logits", logits)
    dy = checked(who, "dy", dy, logits.dtype)
    same_shape(who, "dy", dy, logits.shape[:1], "logits {}", logits.shape)
    return _core.cross_entropy_backward(plain(dy), logits, *_targets(who, logits, target))
