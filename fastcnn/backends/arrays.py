"""Arrays, numbers and their errors: what a backend asks of its arguments before it computes."""

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from numbers import Real
from typing import Any, Protocol

import numpy as np

from fastcnn.errors import ConfigError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
LARGEST = 2**63 - 1  # what an index of the C core can be


class Shaped(Protocol):
    """Whatever has a shape: an array of NumPy's, or one on a GPU."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""


def checked(who: str, name: str, array: Array, dtype: np.dtype[Any] | None = None) -> Array:
    """`array`, if it is one of `dtype`, or of float32 or float64 where none is given."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{who}: {name} must be a NumPy array, got {type(array).__name__}")
    if array.dtype not in FLOATS:
        raise DTypeError(f"{who}: {name} must be float32 or float64, got {array.dtype}; convert it with .astype")
    if dtype is not None and array.dtype != dtype:
        raise DTypeError(f"{who}: {name} is {array.dtype} but its partner is {dtype}; convert one of them with .astype")
    return array


def whole(value: Any, what: str, least: int = 1, most: int = LARGEST) -> int:
    """The value as an int, if it is a whole number from `least` to `most`."""
    if type(value) is int and least <= value <= most:  # as most callers write it
        return value
    bounds = f">= {least}"
    with suppress(TypeError):  # of what is no whole number
        if least <= operator.index(value) <= most and not isinstance(value, bool):
            return operator.index(value)
        if operator.index(value) > most:
            bounds = f"from {least} to {most}"
    raise ConfigError(f"{what} must be a whole number {bounds}, got {value!r}")


def real(
    value: Any, what: str, expected: str = "a finite number", fits: Callable[[float], bool] = math.isfinite
) -> float:
    """The value as a float, if it is a number that `fits` what is `expected`, as words."""
    if type(value) is float and fits(value):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):  # of an int beyond all floats
            if fits(float(value)):
                return float(value)
    raise ConfigError(f"{what} must be {expected}, got {value!r}")


def plain(array: Array) -> Array:
    """`array` as the kernels take it, C-contiguous and aligned: itself, or a copy. Shapes are checked before."""
    flags = array.flags  # np.require would do, ten times slower
    return array if flags.c_contiguous and flags.aligned else np.array(array, order="C", copy=True, subok=False)


def same_shape(who: str, name: str, array: Shaped, expected: tuple[int, ...], partner: str) -> None:
    """A ShapeError unless `array` has the shape that its `partner`, in words, asks for."""
    if array.shape != expected:
        raise ShapeError(f"{who}: expected {name} {expected} to match {partner}, got {array.shape}")


def addressable(who: str, shape: tuple[int, ...]) -> None:
    """A ShapeError if no memory could hold an array of `shape`."""
    if math.prod(shape) >= 1 << 60:
        raise ShapeError(f"{who}: the result {shape} has more elements than can be addressed")
