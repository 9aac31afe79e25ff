"""Pieces of ink: pixels that touch, if only by a corner, and what is known of each: its box, its amount, its shape."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """One piece of ink.

    Attributes:
        number: Of its pixels in the array that `numbered` gives.
        top, left, bottom, right: Its box; the last two are not in it.
        area: Its pixels.
        amount: Its ink.
        length, breadth: Of a bar with the same spread of pixels, its longer and its shorter side.
        upright: Whether the longer is nearer to a column than to a row.
    """

    number: int
    top: int
    left: int
    bottom: int
    right: int
    area: int
    amount: float
    length: float
    breadth: float
    upright: bool

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def encloses(self, other: "Piece") -> bool:
        """Whether the other's box lies within this one's."""
        return (
            self.top < other.top and self.left < other.left and other.bottom < self.bottom and other.right < self.right
        )


def numbered(mask: Mask) -> NDArray[np.int32]:
    """The number of the piece that each pixel belongs to, 0 outside.

    Each run of pixels along a row starts with a number of its own. Runs that touch take the smaller of their numbers,
    and then the number that the run of this number has, so that numbers travel in steps that double.
    """
    begins = mask.copy()
    begins[:, 1:] &= ~mask[:, :-1]
    run = np.cumsum(begins, dtype=np.int32).reshape(mask.shape)
    run[~mask] = 0
    above, below = [], []
    for up, down in ((run[:-1], run[1:]), (run[:-1, 1:], run[1:, :-1]), (run[:-1, :-1], run[1:, 1:])):
        both = (up > 0) & (down > 0)
        one, other = up[both], down[both]
        new = np.ones(len(one), bool)
        new[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
        above.append(one[new])
        below.append(other[new])
    first, second = np.concatenate(above), np.concatenate(below)
    number = np.arange(int(run.max(initial=0)) + 1, dtype=np.int32)
    while (number[first] != number[second]).any():
        smaller = np.minimum(number[first], number[second])
        for ends in (first, second):
            np.minimum.at(number, number[ends], smaller)
        number = number[number]
    while not np.array_equal(number, number[number]):
        number = number[number]
    return number[run]


def pieces_of(number: NDArray[np.int32], ink: NDArray[Any]) -> list[Piece]:
    """All pieces, the one with the most ink first."""
    y, x = np.nonzero(number)
    if not len(y):
        return []
    names, which = np.unique(number[y, x], return_inverse=True)
    count = len(names)
    area = np.bincount(which, minlength=count)
    amount = np.bincount(which, weights=ink[y, x], minlength=count)

    def limit(values: NDArray[np.intp], best: Any, start: int) -> NDArray[np.intp]:
        result = np.full(count, start, np.intp)
        best.at(result, which, values)
        return result

    top, left = limit(y, np.minimum, number.shape[0]), limit(x, np.minimum, number.shape[1])
    bottom, right = limit(y, np.maximum, -1) + 1, limit(x, np.maximum, -1) + 1
    mean_y, mean_x = (np.bincount(which, weights=v, minlength=count) / area for v in (y, x))
    dy, dx = y - mean_y[which], x - mean_x[which]
    yy, xx, xy = (np.bincount(which, weights=v, minlength=count) / area + extra
                  for v, extra in ((dy * dy, 1 / 12), (dx * dx, 1 / 12), (dx * dy, 0)))  # fmt: skip
    middle, turn = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    length, breadth = np.sqrt(12 * (middle + turn)), np.sqrt(12 * np.maximum(middle - turn, 1 / 12))
    order = np.argsort(-amount, kind="stable")
    return [
        Piece(int(names[i]), int(top[i]), int(left[i]), int(bottom[i]), int(right[i]), int(area[i]), float(amount[i]),
              float(length[i]), float(breadth[i]), bool(yy[i] > xx[i]))
        for i in order
    ]  # fmt: skip


def largest_around(values: NDArray[Any]) -> NDArray[Any]:
    """The largest value of each pixel and its eight neighbours."""
    rows = values.copy()
    np.maximum(rows[1:], values[:-1], out=rows[1:])
    np.maximum(rows[:-1], values[1:], out=rows[:-1])
    largest = rows.copy()
    np.maximum(largest[:, 1:], rows[:, :-1], out=largest[:, 1:])
    np.maximum(largest[:, :-1], rows[:, 1:], out=largest[:, :-1])
    return largest
