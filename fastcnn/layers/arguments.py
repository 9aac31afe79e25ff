"""Checks of the arguments that layers and models are made with. `what` says whose and which, for messages."""

import operator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.errors import ConfigError, DTypeError

Pair = tuple[int, int]


def whole(value: Any, what: str, least: int = 1) -> int:
    """The value as an int, if it is a whole number of at least `least`, and less than 2**63."""
    with suppress(TypeError):  # of what is no whole number
        if least <= operator.index(value) < 2**63 and not isinstance(value, bool):
            return operator.index(value)
    raise ConfigError(f"{what} must be a whole number >= {least}, got {value!r}")


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
