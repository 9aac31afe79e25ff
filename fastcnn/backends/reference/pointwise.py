"""Activations, dropout, sums and joins."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.backends.reference.taps import Array, float64

Words = NDArray[Any]  # uint64

LOW_32 = np.uint64(2**32 - 1)


def relu(x: ArrayLike) -> Array:
    """Zero in place of what is below zero; NaN passes through."""
    x = float64(x)
    return np.where(x <= 0, 0, x)


def relu_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The gradient where the output is above zero; none at zero."""
    return np.where(float64(y) <= 0, 0, float64(dy))


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """What is above zero as it is, the rest times the slope; NaN passes through."""
    x = float64(x)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """The gradient where the input is above zero; elsewhere, zero included, the slope times it."""
    dy = float64(dy)
    return np.where(float64(x) > 0, dy, negative_slope * dy)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)); where exp overflows, 0."""
    with np.errstate(over="ignore"):
        return float64(1 / (1 + np.exp(-float64(x))))


def sigmoid_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The derivative of the sigmoid, written in its value y, is y * (1 - y)."""
    y = float64(y)
    return float64(dy) * y * (1 - y)


def tanh(x: ArrayLike) -> Array:
    """NumPy's hyperbolic tangent."""
    return float64(np.tanh(float64(x)))


def tanh_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The derivative of the hyperbolic tangent, written in its value y, is 1 - y**2; factored, no digits cancel."""
    y = float64(y)
    return float64(dy) * (1 - y) * (1 + y)


def add(a: ArrayLike, b: ArrayLike) -> Array:
    """The sum."""
    return float64(a) + float64(b)


def concat(arrays: Sequence[ArrayLike], axis: int = 1) -> Array:
    """NumPy's own."""
    return np.concatenate([float64(array) for array in arrays], axis)


def concat_backward(dy: ArrayLike, sizes: Sequence[int], axis: int = 1) -> tuple[Array, ...]:
    """dy cut where one part ends and the next begins."""
    return tuple(np.split(float64(dy), np.cumsum(sizes)[:-1], axis))


def dropout(x: ArrayLike, p: float, seed: int, offset: int = 0) -> Array:
    """Zero with probability p, and x / (1 - p) otherwise, by the random bits of the element's flat index."""
    x = float64(x)
    keep = dropout_bits(seed, offset, x.size).reshape(x.shape) >= np.uint64(int(p * 2**32))
    return np.where(keep, x * (1 / (1 - p) if p < 1 else 0), 0)


def dropout_backward(dy: ArrayLike, p: float, seed: int, offset: int = 0) -> Array:
    """Dropout is linear in x with a symmetric matrix: its backward is itself."""
    return dropout(dy, p, seed, offset)


def dropout_bits(seed: int, offset: int, count: int, first: int = 0) -> Words:
    """The 32 random bits of so many elements from number `first` on, as uint64: a hash of (seed, offset, index)."""
    key = _mix64(_mix64(seed + 0x9E3779B97F4A7C15) ^ (offset + 0x9E3779B97F4A7C15))
    low_key, high_key = np.uint64(key % 2**32), np.uint64(key >> 32)
    index = np.arange(first, first + count, dtype=np.uint64)
    low, high = index & LOW_32, index >> 32
    return _mix32(_mix32(low ^ low_key) + (high_key ^ (high * 0x9E3779B9 & LOW_32)))


def _mix64(z: int) -> int:
    """The finalizer of SplitMix64, on a Python integer modulo 2**64."""
    z %= 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def _mix32(h: Words) -> Words:
    """A strong hash of 32 bits to 32 bits, on uint64 arrays modulo 2**32 so that no product overflows."""
    h = h & LOW_32
    h = (h ^ (h >> 16)) * 0x7FEB352D & LOW_32
    h = (h ^ (h >> 15)) * 0x846CA68B & LOW_32
    return h ^ (h >> 16)
