"""Initialisers: the values that parameters start with.

An initialiser is any callable ``init(shape, generator, dtype) -> array``. It draws from the NumPy generator
it is given and from nothing else, so a model's seed decides its weights. Draws are made in float64 and cast:
a float32 and a float64 model of one seed start from the same numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.errors import ConfigError, ShapeError

Initialiser = Callable[[tuple[int, ...], np.random.Generator, np.dtype[Any]], NDArray[Any]]


def zeros(shape: tuple[int, ...], generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All zeros, whatever the generator: the usual start of a bias.

    >>> fc.init.zeros((3,), np.random.default_rng(0), np.dtype("float32"))
    array([0., 0., 0.], dtype=float32)
    """
    return np.zeros(shape, dtype)


def ones(shape: tuple[int, ...], generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All ones, whatever the generator: the usual start of a factor.

    >>> fc.init.ones((3,), np.random.default_rng(0), np.dtype("float32"))
    array([1., 1., 1.], dtype=float32)
    """
    return np.ones(shape, dtype)


@dataclass(frozen=True)
class glorot_normal:
    """Normal values with Gorgonia's standard deviation, ``gain * sqrt(2 / ((n1 + n2) * field))``.

    ``n1`` and ``n2`` are the first two sizes of the weight, ``field`` the product of the rest: ``(O + C) *
    KH * KW`` for a convolution, ``in + out`` for a linear layer (whichever way round its matrix is stored).

    Args:
        gain: Factor on the standard deviation, positive and finite.

    Raises:
        ConfigError: if the gain is not a positive number.
        ShapeError: when called for a shape of fewer than two dimensions.

    >>> init = fc.init.glorot_normal()
    >>> values = init((64, 32, 3, 3), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3)
    0.048
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain > 0):
            raise ConfigError(f"glorot_normal: gain must be a positive number, got {self.gain}")

    def __call__(self, shape: tuple[int, ...], generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        if len(shape) < 2:
            raise ShapeError(f"glorot_normal: expected a shape of two or more sizes, got {shape}; use init.zeros")
        n1, n2, *field = shape
        deviation = self.gain * math.sqrt(2 / ((n1 + n2) * math.prod(field)))
        return (generator.standard_normal(shape) * deviation).astype(dtype)
