"""MNIST's frame: the ink's longer side is 20 pixels, its centre of mass at pixel (14, 14) of a field of 28x28.

Strokes thinner than nearly all of MNIST's are widened first: they would fade when the digit shrinks. It is MNIST's own
rule: all of its images have that frame already, so they come out much as they went in.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pictures.pieces import largest_around

Floats = NDArray[np.floating]

FIELD, BOX, CENTRE = 28, 20, 14
THINNEST, THIN = 1.7, 2.2  # strokes in the 20x20 box: 5 % of MNIST's are thinner than the first, 30 % than the second
FINE = 4  # strokes are widened at so many times that size


def framed(ink: Floats) -> Floats:
    """The ink with its longer side 20 pixels long and its strokes not too thin; the darkest is 1."""
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    pen = _stroke_width(ink) * BOX / max(ink.shape)
    if pen < THINNEST:
        by = round((THIN - pen) * FINE / 2)
        ink = np.pad(_resized(ink, (height * FINE, width * FINE)), by)
        for _ in range(by):
            ink = largest_around(ink)
        height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    ink = _resized(ink, (height, width))
    ink /= ink.max()
    return ink


def _stroke_width(ink: Floats) -> float:
    """The area by half the outline; the outline, walked along rows and columns, is 4/pi too long on average."""
    padded = np.pad(ink, 1)
    outline = np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()
    return float(2 * ink.sum() / outline * 4 / np.pi)


def _resized(ink: Floats, size: Sequence[int]) -> Floats:
    """The ink ``(height, width)`` tall and wide, smooth: where it shrinks each pixel is a mean."""
    from PIL import Image

    height, width = size
    picture = Image.fromarray(ink.astype(np.float32)).resize((width, height), Image.Resampling.HAMMING)
    return np.asarray(picture, np.float64).clip(0, 1)


def centred(ink: Floats) -> NDArray[np.uint8]:
    """The field with the ink's centre of mass as near to its middle as whole pixels and its borders allow."""
    field = np.zeros((FIELD, FIELD), np.uint8)
    corner = []
    for axis, side in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        corner.append(min(max(round(CENTRE - mass @ np.arange(side) / mass.sum()), 0), FIELD - side))
    top, left = corner
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * 255)
    return field
