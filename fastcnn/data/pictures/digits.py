"""Which pieces of ink are digits, and which are edges, boxes, underlines, dirt or a neighbour that is cut off.

edges      what runs along a side of the picture: a desk, a scanner's edge, a frame
boxes      what has another piece of ink inside that is not much smaller
bars       long and thin: an underline, a piece of a margin
cut off    what touches the border of the picture, unless there is nothing else
dirt       what is small beside the rest
digits     what is left; pieces that nearly touch and are no wider together than high are one
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pictures.paper import MOST_LIT_UP
from fastcnn.data.pictures.pieces import Piece, numbered, pieces_of

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

ALONG = 0.5  # of a side: what covers more is an edge
LONG = 9  # times as long as broad: a bar
SPECK, CRUMB = 0.1, 0.015  # of the ink of the largest: what is smaller is dirt; nearby it may be part of the digit
INSIDE = 0.3  # of the height of a box, at least, is what it was drawn around
CUT_OFF = 0.35  # how much less a piece counts that touches the border
AWAY = 0.5  # how much less one counts in the farthest corner
NEAR, BELOW = 0.12, 0.25  # of the height: pieces with smaller gaps are of one digit, beside and below each other
STEP, MOST_STEPS = 3, 0.25  # pixels across an outline; the share of it that may be the edge of a shadow
AS_HIGH = 0.5  # of the highest: another digit


@dataclass(frozen=True, eq=False)
class Digit:
    """A digit in the ink: the pieces it is made of."""

    pieces: tuple[Piece, ...]
    number: NDArray[np.int32]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """First row and column, and those after the last."""
        return (
            min(piece.top for piece in self.pieces),
            min(piece.left for piece in self.pieces),
            max(piece.bottom for piece in self.pieces),
            max(piece.right for piece in self.pieces),
        )

    @property
    def height(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def spans(self) -> bool:
        """Whether it reaches from side to side of the picture."""
        top, left, bottom, right = self.box
        return (top, bottom) == (0, self.number.shape[0]) or (left, right) == (0, self.number.shape[1])

    @property
    def amount(self) -> float:
        return sum(piece.amount for piece in self.pieces)

    @property
    def mask(self) -> Mask:
        """Where its pixels are."""
        found: Mask = np.isin(self.number, [piece.number for piece in self.pieces])
        return found


def digits_in(ink: Floats, level: float, paper: Floats, smallest: float = 0) -> list[Digit]:
    """The digits, from left to right, of what is above a level; none if there is nothing like one.

    Pieces are dropped that end where the paper does; and where there were lines, so that a smallest length is given,
    those that are shorter, or touch the border: ends of lines do.
    """
    number = numbered(ink > level)
    pieces = pieces_of(number, ink)
    if smallest:
        pieces = [p for p in pieces if max(p.height, p.width) >= smallest and not _touches(p, number.shape)]
    pieces = [piece for piece in _candidates(pieces, number) if not _ends_with_paper(piece, number, ink, paper)]
    if not pieces:
        return []
    shape = number.shape
    main = max(pieces, key=lambda piece: _weight(piece, shape))
    kept = [piece for piece in pieces if piece is main or not _touches(piece, shape)]
    groups: list[list[Piece]] = []
    for piece in sorted(kept, key=lambda piece: -piece.amount):
        near = next((group for group in groups if _belongs(piece, group)), None)
        if near is not None:
            near.append(piece)
        elif piece.amount > SPECK * main.amount:
            groups.append([piece])
    digits = [Digit(tuple(group), number) for group in groups]
    highest = next(digit for digit in digits if main in digit.pieces).height
    digits = [digit for digit in digits if digit.height >= AS_HIGH * highest]
    return sorted(digits, key=lambda digit: digit.box[1])


def weight(digit: Digit) -> float:
    """How likely it is what the picture was taken of: much ink, near the middle, whole."""
    return max(_weight(piece, digit.number.shape) for piece in digit.pieces)


def _candidates(pieces: list[Piece], number: NDArray[np.int32]) -> list[Piece]:
    """Without edges, boxes and bars; with what touches the border if it doesn't lie along it."""
    free = [piece for piece in pieces if not _along(piece, number)]
    largest = max((piece.amount for piece in free), default=0)
    filling = [piece for piece in pieces if piece not in free and _fills(piece, number)]
    if filling and largest < SPECK * filling[0].amount:
        free, largest = filling, filling[0].amount
    free = [piece for piece in free if piece.amount > CRUMB * largest]
    bars = [piece for piece in free if piece.length > LONG * piece.breadth]
    others = [piece for piece in free if piece not in bars]
    tallest = max((piece.height for piece in others), default=0)
    bars = [bar for bar in bars if bar.upright and (not others or 0.6 * tallest < bar.height < 1.3 * tallest)]
    free = [piece for piece in free if piece in bars or piece in others]
    return [
        box for box in free if not any(box.encloses(piece) and piece.height > INSIDE * box.height for piece in free)
    ]


def _ends_with_paper(piece: Piece, number: NDArray[np.int32], ink: Floats, paper: Floats) -> bool:
    """Whether much of a piece's outline is a step of the paper, at a shadow's edge, and no step of the picture."""
    part = slice(max(piece.top - STEP, 0), piece.bottom + STEP), slice(max(piece.left - STEP, 0), piece.right + STEP)
    inside, light = number[part] == piece.number, paper[part]
    least = 0.5 * float(np.median(ink[part][inside])) / MOST_LIT_UP
    steps = outline = 0
    for turned, lit in ((inside, light), (inside.T, light.T)):
        for here, there in ((slice(STEP, None), slice(None, -STEP)), (slice(None, -STEP), slice(STEP, None))):
            ends = turned[here] & ~turned[there]
            outline += int(ends.sum())
            steps += int((lit[here] - lit[there] > least)[ends].sum())
    return steps > MOST_STEPS * outline


def _touches(piece: Piece, shape: tuple[int, ...]) -> bool:
    return piece.top == 0 or piece.left == 0 or piece.bottom == shape[0] or piece.right == shape[1]


def _along(piece: Piece, number: NDArray[np.int32]) -> bool:
    """Whether a piece covers a good part of a side of the picture."""
    if not _touches(piece, number.shape):
        return False
    sides = (number[0], number[-1], number[:, 0], number[:, -1])
    return any(np.mean(side == piece.number) > ALONG for side in sides)


def _fills(piece: Piece, number: NDArray[np.int32]) -> bool:
    """Whether a piece that lies along a side reaches well into the middle, as a digit does that fills the picture."""
    height, width = number.shape
    middle = number[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None]
    return bool(np.sum(middle == piece.number) > 0.1 * piece.area)


def _weight(piece: Piece, shape: tuple[int, ...]) -> float:
    y, x = (piece.top + piece.bottom) / shape[0] - 1, (piece.left + piece.right) / shape[1] - 1
    return piece.amount * (1 - AWAY * max(abs(y), abs(x))) * (CUT_OFF if _touches(piece, shape) else 1)


def _belongs(piece: Piece, group: list[Piece]) -> bool:
    """Whether a piece is part of a digit: close to it, and not so that both stand side by side."""
    top, left = min(p.top for p in group), min(p.left for p in group)
    bottom, right = max(p.bottom for p in group), max(p.right for p in group)
    height = max(bottom - top, piece.height, (right - left) // 2)
    down = max(piece.top - bottom, top - piece.bottom)
    across = max(piece.left - right, left - piece.right)
    if max(down, across) > (NEAR if across > 0 else BELOW) * height:
        return False
    wide = max(right, piece.right) - min(left, piece.left)
    return across < 0 or wide <= 1.1 * max(height, max(bottom, piece.bottom) - min(top, piece.top))
