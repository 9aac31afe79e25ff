"""Checks of the arguments that layers and models are made with. `what` says whose and which, for messages."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.backends.arrays import real as real
from fastcnn.backends.arrays import whole as whole
from fastcnn.errors import ConfigError, DTypeError

Pair = tuple[int, int]


def positive(value: Any, what: str) -> float:
    """The value as a float, if it is a positive and finite number."""
    return real(value, what, "a positive number", lambda number: 0 < number < float("inf"))


def not_negative(value: Any, what: str) -> float:
    """The value as a float, if it is 0 or a positive and finite number."""
    return real(value, what, "a number >= 0", lambda number: 0 <= number < float("inf"))


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
