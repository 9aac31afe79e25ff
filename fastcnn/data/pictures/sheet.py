"""A sheet on a desk, a board on a wall: where in the picture it lies, so that what is around it can be left out.

The picture is seen small and parted into light and dark where that separates best (Otsu). A sheet is one piece of
either that is nearly a rectangle, turned by up to `MOST_TURNED` degrees, with whatever is written on it counted in, of
a good part of the picture's area, and that touches at most one side of the picture. A thick 0 is no rectangle; its
corners are missing. The corners of the desk that remain beside a turned sheet are filled with its colour there.

Cost: 2 ms, by pictures of 96 pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pictures.pieces import Piece, numbered, pieces_of

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 96
LEAST_STEP = 20  # of 255, between the sheet and what is around it
LEAST_AREA = 0.1  # of the picture
MOST_LONG = 3.5  # times as long as broad
RECTANGULAR = 0.87  # of the smallest turned rectangle around it that it fills
MOST_TURNED, TURN = 21, 3  # degrees


@dataclass(frozen=True, eq=False)
class Sheet:
    """Where a sheet lies.

    Attributes:
        frame: Left, top, right, bottom in the picture.
        first, last: The columns in which it begins and ends, in each row of the frame as it is seen small.
        width: Of the frame, so seen.
    """

    frame: tuple[int, int, int, int]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    width: int

    def alone(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """The frame's pixels ``(H, W, ...)``, at any size; those beside the sheet as its nearest in their row."""
        height, width = pixels.shape[:2]
        first, last = self.first + 1, self.last - 1  # its edge is blurred
        first = np.maximum(first[1:-1], np.maximum(first[:-2], first[2:]))
        last = np.minimum(last[1:-1], np.minimum(last[:-2], last[2:]))
        good = np.flatnonzero(first < last)
        if not good.size:
            return pixels
        seen = (np.arange(height) + 0.5) * len(self.first) / height - 1.5
        row = np.clip(np.round(seen), good[0], good[-1]).astype(np.intp)
        y = np.clip(np.arange(height), *(np.array([good[0] + 1, good[-1] + 2]) * height // len(self.first)))
        ends = (first[row] * width // self.width, (last[row] + 1) * width // self.width - 1)
        x = np.clip(np.arange(width), *(end[:, np.newaxis] for end in ends))
        alone: NDArray[Any] = pixels[np.minimum(y, height - 1)[:, np.newaxis], x]
        return alone


def sheet_in(picture: "Image") -> Sheet | None:
    """Where a sheet lies in a picture, if there is one."""
    factor = math.ceil(max(picture.size) / SIZE)
    if factor == 1:
        return None  # too small for a sheet with something on it
    pixels = np.asarray(picture.reduce(factor), np.float32)
    grey = pixels.reshape(*pixels.shape[:2], -1).mean(axis=2)
    best, ends = None, None
    for level in _levels(grey):
        for side in (grey > level, grey <= level):
            number = numbered(side)
            for piece in pieces_of(number, side)[:3]:
                if (best is None or piece.area > best.area) and (found := _ends_of_sheet(piece, number)) is not None:
                    best, ends = piece, found
        if best is not None:
            break
    if best is None or ends is None:
        return None
    left, top = best.left * factor, best.top * factor
    frame = left, top, min(best.right * factor, picture.width), min(best.bottom * factor, picture.height)
    return Sheet(frame, *ends, best.width)


def _levels(grey: NDArray[np.float32]) -> Iterator[float]:
    """The level that parts light from dark best, then the one that so parts the larger of the two.

    The first may part the ink from all the rest.
    """
    level = _parting(grey.ravel())
    if level is not None:
        yield level
        below, above = grey[grey <= level], grey[grey > level]
        second = _parting(below if below.size > above.size else above)
        if second is not None:
            yield second


def _parting(grey: NDArray[np.float32]) -> float | None:
    """The level that parts light from dark best; None if there is hardly a difference."""
    counts = np.bincount(grey.astype(np.uint8), minlength=256).astype(float)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    above = below[-1] - below
    step = (sums[-1] - sums) / np.maximum(above, 1) - sums / np.maximum(below, 1)
    level = int(np.argmax(below * above * step**2))
    return level + 0.999 if step[level] >= LEAST_STEP else None


def _ends_of_sheet(piece: Piece, number: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """The first and the last column of each row of a piece; None if it is no sheet."""
    height, width = number.shape
    touched = (piece.top == 0) + (piece.left == 0) + (piece.bottom == height) + (piece.right == width)
    if touched > 1 or piece.height * piece.width < LEAST_AREA * number.size or piece.length > MOST_LONG * piece.breadth:
        return None
    inside = number[piece.top : piece.bottom, piece.left : piece.right] == piece.number
    first, last = inside.argmax(axis=1), piece.width - 1 - inside[:, ::-1].argmax(axis=1)
    area = float(np.sum(last - first + 1))
    if area < LEAST_AREA * number.size or piece.area < 0.5 * area:
        return None
    y = np.arange(piece.height).repeat(2)
    x = np.stack([first, last + 1], axis=1).ravel()
    y, x = np.concatenate([y, y + 1]), np.concatenate([x, x])
    angles = np.radians(np.arange(-MOST_TURNED, MOST_TURNED + 1, TURN))[:, np.newaxis]
    along, across = x * np.cos(angles) + y * np.sin(angles), y * np.cos(angles) - x * np.sin(angles)
    around = np.ptp(along, axis=1) * np.ptp(across, axis=1)
    return (first, last) if area >= RECTANGULAR * around.min() else None
