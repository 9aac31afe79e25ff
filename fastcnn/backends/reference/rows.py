"""Softmax and cross-entropy of rows."""

import numpy as np
from numpy.typing import ArrayLike

from fastcnn.backends.reference.taps import Array, float64


def softmax(x: ArrayLike) -> Array:
    """exp(x_j) / sum over k of exp(x_k), each row shifted so that its largest entry is 0."""
    e = np.exp(_shifted(x))
    return float64(e / e.sum(axis=-1, keepdims=True))


def softmax_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """dx_j = y_j * (dy_j - sum over k of dy_k * y_k)."""
    dy, y = float64(dy), float64(y)
    return float64(y * (dy - np.sum(dy * y, axis=-1, keepdims=True)))


def log_softmax(x: ArrayLike) -> Array:
    """x_j - log(sum over k of exp(x_k)), each row shifted so that its largest entry is 0."""
    shifted = _shifted(x)
    return float64(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))


def log_softmax_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """dx_j = dy_j - exp(y_j) * sum over k of dy_k."""
    dy, y = float64(dy), float64(y)
    return float64(dy - np.exp(y) * np.sum(dy, axis=-1, keepdims=True))


def cross_entropy(logits: ArrayLike, target: ArrayLike) -> Array:
    """-sum over j of t_j * log_softmax(logits)_j, one loss per sample.

    A class of target 0 adds nothing, even where it has no probability: 0 * log(0) is 0. A NaN row costs NaN.
    """
    log_probability = log_softmax(logits)
    soft = _soft(target, log_probability.shape)
    ignored = (soft == 0) & ~np.isnan(log_probability)
    return float64(-np.sum(np.where(ignored, 0, soft * log_probability), axis=-1))


def cross_entropy_backward(dy: ArrayLike, logits: ArrayLike, target: ArrayLike) -> Array:
    """dlogits_j = dy * (p_j * sum over k of t_k - t_j)."""
    probability = softmax(logits)
    soft = _soft(target, probability.shape)
    return float64(float64(dy)[:, None] * (probability * soft.sum(axis=-1, keepdims=True) - soft))


def product_loss(p: ArrayLike, target: ArrayLike) -> Array:
    """-sum over j of p_j * t_j, one loss per sample."""
    return float64(-np.sum(float64(p) * float64(target), axis=-1))


def product_loss_backward(dy: ArrayLike, target: ArrayLike) -> Array:
    """dp_j = -dy * t_j."""
    return float64(-float64(dy)[:, None] * float64(target))


def log_product_loss(log_p: ArrayLike, target: ArrayLike) -> Array:
    """-sum over j of log(p_j * t_j), one loss per sample."""
    return float64(-np.sum(float64(log_p) + np.log(float64(target)), axis=-1))


def log_product_loss_backward(dy: ArrayLike, target: ArrayLike) -> Array:
    """dlog_p_j = -dy."""
    return float64(np.broadcast_to(-float64(dy)[:, None], np.shape(target)))


def _shifted(x: ArrayLike) -> Array:
    """Rows minus their largest entry: no overflow in exp, and the softmax is the same."""
    x = float64(x)
    return float64(x - x.max(axis=-1, keepdims=True))


def _soft(target: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Targets as weights per class: class indices become rows with a single one."""
    target = np.asarray(target)
    return np.eye(shape[1])[target] if target.ndim == 1 else float64(target)
