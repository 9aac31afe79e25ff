"""Checks of the arguments that layers and models are made with. `what` says whose and which, for messages."""

import operator
from collections.abc import Callable, Sequence
from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.errors import ConfigError, DTypeError

Pair = tuple[int, int]
LARGEST = 2**63 - 1  # what an index of the C core can be


def whole(value: Any, what: str, least: int = 1) -> int:
    """The value as an int, if it is a whole number from `least` to `LARGEST`."""
    bounds = f">= {least}"
    with suppress(TypeError):  # of what is no whole number
        if least <= operator.index(value) <= LARGEST and not isinstance(value, bool):
            return operator.index(value)
        if operator.index(value) > LARGEST:
            bounds = f"from {least} to {LARGEST}"
    raise ConfigError(f"{what} must be a whole number {bounds}, got {value!r}")


def real(value: Any, what: str, expected: str, fits: Callable[[float], bool]) -> float:
    """The value as a float, if it is a number that `fits` what is `expected`, as words."""
    if isinstance(value, Real) and not isinstance(value, bool):
        with suppress(OverflowError):  # of an int beyond all floats
            if fits(float(value)):
                return float(value)
    raise ConfigError(f"{what} must be {expected}, got {value!r}")


def positive(value: Any, what: str) -> float:
    """The value as a float, if it is a positive and finite number."""
    return real(value, what, "a positive number", lambda number: 0 < number < float("inf"))


def choice(value: Any, allowed: Sequence[str], what: str) -> str:
    """The value, if it is one of those allowed."""
    if isinstance(value, str) and value in allowed:
        return value
    expected = " or ".join(allowed) if len(allowed) == 2 else f"one of {', '.join(allowed)}"
    raise ConfigError(f"{what} must be {expected}, got {value!r}")


def pair(value: Any, what: str, least: int = 1) -> Pair:
    """(rows, columns) from one whole number or two.

    >>> pair(3, "kernel_size")
    (3, 3)
    """
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ConfigError(f"{what} must be one whole number or two, got {value!r}")
        return whole(value[0], what, least), whole(value[1], what, least)
    number = whole(value, what, least)
    return number, number


def float_dtype(dtype: DTypeLike, what: str) -> np.dtype[Any]:
    """The NumPy dtype, if it is one that fastcnn computes in."""
    with suppress(TypeError):  # NumPy's, for what names no dtype at all
        if np.dtype(dtype) in (np.float32, np.float64):
            return np.dtype(dtype)
    raise DTypeError(f"{what} must be float32 or float64, got {dtype!r}")
