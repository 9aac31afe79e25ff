"""Ruled and squared paper, margins and folds: straight lines across a picture are taken out of the ink.

    found     the picture is cut into strips; in each a row counts as inked where most of it is. A line is a row of
              strips, level or rising by up to `STEEPEST` of its length, most of which are inked while those beside it
              are not. All rises are looked at: rows times rises times strips, 1 ms
    followed  a parabola through the darkest rows of its strips, as paper is never quite flat
    erased    a faint line is subtracted, so that strokes across it stay as they are; a line as dark as the strokes is
              filled with what is on both of its sides
    both ways, lines along rows first, then along columns

A stroke of a digit isn't taken for a line: it doesn't cross the whole picture.
"""

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pictures.pieces import largest_around

Floats = NDArray[np.float32]

LEAST_SIDE = 64  # pixels; in smaller pictures strokes look like lines
STRIPS = 16
FULL = 240  # a strip's share of inked columns in a byte
STEEPEST = 0.1
INKED, CROSSED, BESIDE = 0.7, 0.8, 0.5  # shares: of a strip's columns, of the strips, and at most of those beside
THICKEST = 0.03  # of the picture's longer side
MOST_LINES = 60
FAINT_LINE = 0.55  # of the strokes' contrast: fainter ones are subtracted


def without_lines(ink: Floats, noise: float) -> tuple[Floats, int]:
    """The ink without the lines that cross the picture, and how many there were."""
    count = 0
    if min(ink.shape) < LEAST_SIDE:
        return ink, count
    contrast = float(np.percentile(ink, 99.5))
    ink = ink.copy()
    for view in (ink, ink.T):
        lines = _found(view, max(3 * noise, 0.06 * contrast, 4))
        for line in lines:
            _erase(view, line, contrast, noise)
        count += len(lines)
    return ink, count


def _found(ink: Floats, level: float) -> list[NDArray[np.intp]]:
    """The lines along rows: of each the row in every column."""
    height, width = ink.shape
    inked = ink > level
    near = inked.copy()
    near[1:] |= inked[:-1]
    near[:-1] |= inked[1:]
    edges = np.linspace(0, width, STRIPS + 1).round().astype(int)
    share = np.add.reduceat(near, edges[:-1], axis=1, dtype=np.float32) / np.diff(edges)
    share = np.round(share * FULL).astype(np.uint8)

    most = int(STEEPEST * width)
    middles = (np.arange(STRIPS) + 0.5) / STRIPS - 0.5
    shifts = np.round(np.arange(-most, most + 1, 2)[:, np.newaxis] * middles).astype(int)  # (rises, strips)
    thick = max(3, round(THICKEST * max(ink.shape)))
    edge = most // 2 + thick + 1
    padded = np.pad(share, ((edge, edge), (0, 0)))
    rows = np.arange(-thick, height + thick)[np.newaxis, :, np.newaxis] + shifts[:, np.newaxis, :] + edge
    strips = padded[rows, np.arange(STRIPS)]  # (rises, rows, strips)

    crossed = (strips >= INKED * FULL).sum(axis=2, dtype=np.uint8)[:, thick:-thick]
    rise, row = np.nonzero(crossed >= CROSSED * STRIPS)
    here = strips[rise, row + thick]
    beside = np.maximum(strips[rise, row], strips[rise, row + 2 * thick])
    alone = np.median(beside, axis=1) < BESIDE * FULL
    rise, row, here, beside = rise[alone], row[alone], here[alone], beside[alone]
    goodness = here.sum(axis=1, dtype=np.float32) - beside.mean(axis=1, dtype=np.float32)
    places = row[:, np.newaxis] + shifts[rise]
    lines: list[NDArray[np.intp]] = []
    while len(goodness) and len(lines) < MOST_LINES:
        best = int(goodness.argmax())
        lines.append(_followed(ink, places[best], edges, here[best] >= INKED * FULL))
        other = np.abs(places - places[best]).mean(axis=1) > thick
        goodness, places, here = goodness[other], places[other], here[other]
    return lines


def _followed(
    ink: Floats, place: NDArray[np.intp], edges: NDArray[np.intp], crossed: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """The row in every column, from about where it is in every strip."""
    height, width = ink.shape
    rows = (place + np.arange(-2, 3)[:, np.newaxis]).clip(0, height - 1)  # (offsets, strips)
    columns = edges[:-1, np.newaxis] + np.arange(width // STRIPS)  # (strips, columns)
    darkest = np.median(ink[rows[:, :, np.newaxis], columns], axis=2).argmax(axis=0) - 2
    middles = (edges[:-1] + edges[1:]) / 2
    fit = np.polynomial.Polynomial.fit(middles[crossed], (place + darkest)[crossed], 2)
    followed: NDArray[np.intp] = fit(np.arange(width)).round().astype(np.intp)
    return followed


def _erase(ink: Floats, line: NDArray[np.intp], contrast: float, noise: float) -> None:
    """Take a line out, in place."""
    height, width = ink.shape
    most = max(4, round(THICKEST * max(ink.shape)))
    columns = np.arange(width)
    offsets = np.arange(-most - 2, most + 3)
    rows = line + offsets[:, np.newaxis]
    outside = (rows < 0) | (rows >= height)
    band = np.where(outside, 0, ink[rows.clip(0, height - 1), columns])
    profile = np.median(band, axis=1)
    middle = most + 2
    peak = float(profile[middle - 1 : middle + 2].max())
    low = max(1.5 * noise, 0.12 * peak)
    first = last = middle
    while first > 2 and profile[first - 1] > low:
        first -= 1
    while last < len(offsets) - 3 and profile[last + 1] > low:
        last += 1
    first, last = first - 1, last + 1
    level = np.array([profile[row - 1 : row + 2].max() for row in range(first, last + 1)])[:, np.newaxis]
    within = band[first : last + 1]
    above, below = (_widened(band[row]) for row in (first - 1, last + 1))
    filled = np.minimum(within, np.minimum(above, below))
    if peak < FAINT_LINE * contrast:
        level = 1.25 * level + noise
        filled = np.maximum(filled, (within - level) * (contrast / np.maximum(contrast - level, 1)))
    inside = ~outside[first : last + 1]
    ink[rows[first : last + 1][inside], np.broadcast_to(columns, within.shape)[inside]] = filled.clip(0)[inside]


def _widened(row: Floats) -> Floats:
    """The largest within two pixels, as a stroke across a line may lean."""
    result: Floats = largest_around(largest_around(row[np.newaxis]))[0]
    return result
