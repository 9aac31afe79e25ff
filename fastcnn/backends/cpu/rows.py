"""Softmax and cross-entropy: operations on the rows of a matrix."""

from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, same_shape, unmasked
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


def bad_index(who: str, shape: tuple[int, ...], target: Array) -> ShapeError:
    """What to raise for class indices of which one, at least, is none of the classes of logits of this shape."""
    bad = int(np.flatnonzero((target < 0) | (target >= shape[1]))[0])
    return ShapeError(
        f"{who}: class indices must be between 0 and {shape[1] - 1} for logits {shape}, "
        f"got {target[bad]} at position {bad}"
    )


def _targets(who: str, logits: Array, target: Array) -> tuple[Array | None, Array | None]:
    """(class indices, None) or (None, soft targets), whichever `target` holds."""
    rows, classes = logits.shape
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu":
        unmasked(who, "target", target)
        same_shape(who, "target", target, (rows,), "logits {}", logits.shape)
        if rows and (target.min() < 0 or target.max() >= classes):
            raise bad_index(who, logits.shape, target)
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


# ---- the costs of Gorgonia's tutorial and program, in NumPy: they are there for comparison ---------------------------


def _beside_target(who: str, name: str, array: Array, target: Array) -> tuple[Array, Array]:
    array = _rows(who, name, array)
    target = _rows(who, "target", target, array.dtype)
    same_shape(who, "target", target, array.shape, f"{name} {array.shape}")
    return array, target


def _per_row(who: str, dy: Array, target: Array) -> tuple[Array, Array]:
    target = _rows(who, "target", target)
    dy = checked(who, "dy", dy, target.dtype)
    same_shape(who, "dy", dy, target.shape[:1], f"target {target.shape}")
    return dy, target


def product_loss(p: Array, target: Array) -> Array:
    p, target = _beside_target("product_loss", "p", p, target)
    losses: Array = -(p * target).sum(axis=1)
    return losses


def product_loss_backward(dy: Array, target: Array) -> Array:
    dy, target = _per_row("product_loss_backward", dy, target)
    return -dy[:, None] * target


def log_product_loss(log_p: Array, target: Array) -> Array:
    log_p, target = _beside_target("log_product_loss", "log_p", log_p, target)
    losses: Array = -(log_p + np.log(target)).sum(axis=1)
    return losses


def log_product_loss_backward(dy: Array, target: Array) -> Array:
    dy, target = _per_row("log_product_loss_backward", dy, target)
    return np.repeat(-dy[:, None], target.shape[1], axis=1)
