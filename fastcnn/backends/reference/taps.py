"""What convolution and pooling share: padding, and the cells that a tap of a window meets."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Pair = int | tuple[int, int]


def float64(array: ArrayLike) -> Array:
    return np.asarray(array, dtype=np.float64)


def pair_of(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def pad(x: Array, padding: Pair) -> Array:
    """A copy with `padding` rows and columns of zeros on each side."""
    rows, columns = pair_of(padding)
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def crop(padded: Array, padding: Pair) -> Array:
    """The inverse of `pad`."""
    rows, columns = pair_of(padding)
    return padded[:, :, rows : padded.shape[2] - rows, columns : padded.shape[3] - columns]


def output_size(padded_size: Sequence[int], kernel: Sequence[int], stride: Pair, dilation: Pair) -> tuple[int, int]:
    """How many positions the dilated kernel takes inside the padded input, down and across."""
    height, width = (
        (size - (d * (k - 1) + 1)) // step + 1
        for size, k, step, d in zip(padded_size, kernel, pair_of(stride), pair_of(dilation), strict=True)
    )
    return height, width


def taps(
    output_size: Sequence[int], kernel: Sequence[int], stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, slice, slice]]:
    """Every filter cell (r, s) with the rows and columns of the padded input that it meets."""
    for r, s in np.ndindex(*kernel):
        rows, columns = (
            slice(tap * d, tap * d + step * (size - 1) + 1, step)
            for tap, d, step, size in zip((r, s), pair_of(dilation), pair_of(stride), output_size, strict=True)
        )
        yield r, s, rows, columns
