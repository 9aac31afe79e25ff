"""From bytes to what a network sees: pixels to numbers by a table of 256 entries, labels to soft targets."""

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastcnn.backends.arrays import array_of
from fastcnn.backends.cpu.pixels import look_up
from fastcnn.errors import ConfigError, DataError, DTypeError

SCALINGS = ("gorgonia", "unit", "standard")
MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081  # of px/255 over the training images


def pixel_table(scaling: str, dtype: DTypeLike) -> NDArray[Any]:
    """Return what each of the 256 pixel values becomes.

    Computed in float64, then rounded to `dtype`.

    Args:
        scaling: ``"gorgonia"``: ``px/255 * 0.9 + 0.1``, but 0.999 for exactly 1.0; ``"unit"``: ``px/255``;
            ``"standard"``: ``(px/255 - 0.1307) / 0.3081``, of mean 0 and deviation 1 over MNIST's training images.
        dtype: float32 or float64.

    Returns:
        Array ``(256,)`` of `dtype`.

    Raises:
        ConfigError: if `scaling` is none of the three.
        DTypeError: if `dtype` is neither float32 nor float64.

    >>> pixel_table("gorgonia", "float64")[[0, 255]]
    array([0.1  , 0.999])
    """
    dtype = _float_dtype(dtype, "pixel_table")
    if scaling not in SCALINGS:
        expected = ", ".join(map(repr, SCALINGS))
        raise ConfigError(f"pixel_table: expected scaling to be one of {expected}, got {scaling!r}")
    table = np.arange(256) / 255
    if scaling == "gorgonia":
        table = table * 0.9 + 0.1
        table[table == 1.0] = 0.999
    if scaling == "standard":
        table = (table - MNIST_MEAN) / MNIST_DEVIATION
    return table.astype(dtype)


def scale_pixels(images: NDArray[np.uint8], scaling: str, dtype: DTypeLike) -> NDArray[Any]:
    """Turn images of bytes into numbers, ``pixel_table(scaling, dtype)[images]``.

    Args:
        images: uint8, any shape, usually ``(N, 1, H, W)``.
        scaling: See `pixel_table`.
        dtype: float32 or float64.

    Returns:
        C-contiguous array of the same shape and of `dtype`.

    Raises:
        DTypeError: if `images` is not uint8, or `dtype` neither float32 nor float64.
        ConfigError: if `scaling` is unknown.

    >>> scale_pixels(np.array([[0, 51, 255]], np.uint8), "unit", "float32")
    array([[0. , 0.2, 1. ]], dtype=float32)
    """
    images = array_of(images, "scale_pixels", "images")
    if images.dtype != np.uint8:
        raise DTypeError(f"scale_pixels: expected uint8 images, got {images.dtype}; pass the unscaled bytes")
    return look_up(pixel_table(scaling, dtype), np.atleast_1d(images)).reshape(images.shape)


def soft_targets(labels: NDArray[np.integer[Any]], dtype: DTypeLike, classes: int = 10) -> NDArray[Any]:
    """Return Gorgonia's targets: 0.9 at the label, 0.1 elsewhere. A row does not sum to 1.

    Args:
        labels: Class indices ``(N,)`` of any integer type, 0 to ``classes - 1``.
        dtype: float32 or float64.
        classes: Number of classes.

    Returns:
        Array ``(N, classes)`` of `dtype`.

    Raises:
        DTypeError: if labels are no integers, or `dtype` neither float32 nor float64.
        DataError: if the labels are not ``(N,)``, or one is out of range; names the first and its value.

    >>> soft_targets(np.array([1, 0]), "float64", classes=3)
    array([[0.1, 0.9, 0.1],
           [0.9, 0.1, 0.1]])
    """
    labels = array_of(labels, "soft_targets", "labels")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DTypeError(f"soft_targets: expected integer labels, got {labels.dtype}; use labels.astype(int)")
    if labels.ndim != 1:
        raise DataError(f"soft_targets: expected labels (N,), got shape {labels.shape}; pass one a sample")
    check_labels(labels, classes, "soft_targets")
    targets = np.full((len(labels), classes), 0.1, _float_dtype(dtype, "soft_targets"))
    targets[np.arange(len(labels)), labels] = 0.9
    return targets


def check_labels(labels: NDArray[np.integer[Any]], classes: int, who: str) -> None:
    """Raise a DataError that names the first label outside 0 to ``classes - 1``, if there is one."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise DataError(
            f"{who}: expected labels 0 to {classes - 1}, got {labels[first]} at index {first} "
            f"({wrong.size} of {labels.size} are out of range); check that it is the right file"
        )


def _float_dtype(dtype: DTypeLike, who: str) -> np.dtype[Any]:
    with suppress(TypeError):
        if np.dtype(dtype) in (np.float32, np.float64):
            return np.dtype(dtype)
    raise DTypeError(f"{who}: expected dtype float32 or float64, got {dtype}; pass one of the two")
