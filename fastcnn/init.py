"""Initialisers: the values that parameters start with.

An initialiser is any callable ``init(shape, generator, dtype) -> array``. It draws from the NumPy generator
it is given and from nothing else, so a model's seed decides its weights. Draws are made in float64 and cast:
a float32 and a float64 model of one seed start from the same numbers.

Those that are scaled by the size of a weight read its shape as ``(O, C, KH, KW)`` or ``(out, in)``:

    glorot   variance 2 / (inputs + outputs)   keeps signals and gradients alike
    he       variance 2 / inputs               makes up for the half that a ReLU takes

with ``inputs = C * KH * KW`` and ``outputs = O * KH * KW``; for a linear layer, its two sizes. Their one argument is
`gain`, a positive factor on the standard deviation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.arrays import real
from fastcnn.errors import ShapeError

Shape = tuple[int, ...]
Initialiser = Callable[[Shape, np.random.Generator, np.dtype[Any]], NDArray[Any]]


def zeros(shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All zeros, whatever the generator: the usual start of a bias.

    >>> fc.init.zeros((3,), np.random.default_rng(0), np.dtype("float32"))
    array([0., 0., 0.], dtype=float32)
    """
    return np.zeros(shape, dtype)


def ones(shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All ones, whatever the generator: the usual start of a factor.

    >>> fc.init.ones((3,), np.random.default_rng(0), np.dtype("float32"))
    array([1., 1., 1.], dtype=float32)
    """
    return np.ones(shape, dtype)


@dataclass(frozen=True)
class normal:
    """Normal values, whatever the shape.

    Args:
        std: Standard deviation, positive and finite.
        mean: Mean, finite.

    Raises:
        ConfigError: if the arguments are no such numbers.

    >>> values = fc.init.normal(std=0.01)((64, 32), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3)
    0.01
    """

    std: float = 0.01
    mean: float = 0.0

    def __post_init__(self) -> None:
        real(self.std, "normal: std", "a positive number", lambda value: 0 < value < math.inf)
        real(self.mean, "normal: mean")

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        return (self.mean + self.std * generator.standard_normal(shape)).astype(dtype)


@dataclass(frozen=True)
class uniform:
    """Values from `low` to `high`, all equally likely, whatever the shape.

    Args:
        low: Least value, finite.
        high: Largest value, finite and above `low`.

    Raises:
        ConfigError: if the arguments are no such numbers.

    >>> values = fc.init.uniform(-1, 1)((64, 32), np.random.default_rng(0), np.dtype("float32"))
    >>> bool((abs(values) <= 1).all()), round(float(values.std()), 2)
    (True, 0.58)
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        real(self.low, "uniform: low")
        real(
            self.high, "uniform: high", "a finite number above low", lambda high: 0 < high - float(self.low) < math.inf
        )

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        return generator.uniform(self.low, self.high, shape).astype(dtype)


@dataclass(frozen=True)
class _Scaled:
    """Base of the initialisers whose deviation depends on the shape: `gain` times what the subclass says.

    Args:
        gain: Factor on the standard deviation, positive and finite.

    Raises:
        ConfigError: if the gain is not a positive number.
        ShapeError: when called for a shape of fewer than two dimensions.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        real(self.gain, f"{type(self).__name__}: gain", "a positive number", lambda value: 0 < value < math.inf)

    def _fans(self, shape: Shape) -> tuple[int, int]:
        """How many inputs make one output, and how many outputs one input goes to."""
        if len(shape) < 2:
            who = type(self).__name__
            raise ShapeError(f"{who}: expected a shape of two or more sizes, got {shape}; use init.normal")
        outputs, inputs, *field = shape
        return inputs * math.prod(field), outputs * math.prod(field)


class glorot_normal(_Scaled):
    """Normal values with Gorgonia's standard deviation, ``gain * sqrt(2 / ((n1 + n2) * field))``.

    ``n1`` and ``n2`` are the first two sizes of the weight, ``field`` the product of the rest: ``(O + C) *
    KH * KW`` for a convolution, ``in + out`` for a linear layer (whichever way round its matrix is stored).

    >>> init = fc.init.glorot_normal()
    >>> values = init((64, 32, 3, 3), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3)
    0.048
    """

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        deviation = self.gain * math.sqrt(2 / sum(self._fans(shape)))
        return (generator.standard_normal(shape) * deviation).astype(dtype)


class glorot_uniform(_Scaled):
    """Uniform values with the deviation of `glorot_normal`: within ``gain * sqrt(6 / ((n1 + n2) * field))``.

    >>> init = fc.init.glorot_uniform()
    >>> values = init((64, 32, 3, 3), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3), round(float(values.max()), 3)
    (0.048, 0.083)
    """

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        limit = self.gain * math.sqrt(6 / sum(self._fans(shape)))
        return generator.uniform(-limit, limit, shape).astype(dtype)


class he_normal(_Scaled):
    """Normal values with standard deviation ``gain * sqrt(2 / inputs)``, for layers before a ReLU.

    ``inputs`` is ``C * KH * KW`` for a convolution, ``in`` for a linear layer: PyTorch's ``kaiming_normal_``
    with ``nonlinearity="relu"``.

    >>> init = fc.init.he_normal()
    >>> values = init((64, 32, 3, 3), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3)
    0.083
    """

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        deviation = self.gain * math.sqrt(2 / self._fans(shape)[0])
        return (generator.standard_normal(shape) * deviation).astype(dtype)


class he_uniform(_Scaled):
    """Uniform values with the deviation of `he_normal`: within ``gain * sqrt(6 / inputs)``.

    >>> init = fc.init.he_uniform()
    >>> values = init((64, 32, 3, 3), np.random.default_rng(0), np.dtype("float32"))
    >>> round(float(values.std()), 3), round(float(values.max()), 3)
    (0.083, 0.144)
    """

    def __call__(self, shape: Shape, generator: np.random.Generator, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Draw."""
        limit = self.gain * math.sqrt(6 / self._fans(shape)[0])
        return generator.uniform(-limit, limit, shape).astype(dtype)
