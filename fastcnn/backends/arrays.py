"""Arrays, numbers and their errors: what a backend asks of its arguments before it computes."""

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np

from fastcnn._core import checked as checked
from fastcnn._core import plain as plain
from fastcnn._core import same_shape as same_shape
from fastcnn._core import unmasked as unmasked
from fastcnn.errors import ConfigError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
LARGEST = 2**63 - 1  # what an index of the C core can be


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


def array_of(values: Any, who: str, name: str) -> Array:
    """The values as an array of NumPy's; a DTypeError if they come with a mask, which that would lose."""
    if type(values) is np.ndarray:
        return values
    unmasked(who, name, values)
    try:
        return np.asarray(values)
    except ValueError as error:  # of rows that differ in length
        got = type(values).__name__
        raise ShapeError(f"{who}: {name} must be an array, got a {got} of which NumPy makes none: {error}") from error


def holds(dtype: np.dtype[Any], values: Array) -> bool:
    """Whether all values are finite numbers, in an array of `dtype` too."""
    return bool((abs(values) <= np.finfo(dtype).max).all())


def is_float64(who: str, dtype: Any) -> bool:
    """Which of the two dtypes that arrays may have this is, where there is no array to ask.

    Raises:
        DTypeError: for another one.
    """
    with suppress(TypeError):  # of what is no dtype
        if dtype is not None and np.dtype(dtype) in (np.float32, np.float64):
            return bool(np.dtype(dtype) == np.float64)
    raise DTypeError(f"{who}: dtype must be float32 or float64, got {dtype!r}")


def addressable(who: str, shape: tuple[int, ...]) -> None:
    """A ShapeError if no memory could hold an array of `shape`."""
    if math.prod(shape) >= 1 << 60:
        raise ShapeError(f"{who}: the result {shape} has more elements than can be addressed")
