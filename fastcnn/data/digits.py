"""Any picture of a digit made to look like MNIST: light ink on black, 20x20 in a field of 28x28, centred by its mass.

    paper     a smooth surface through the colours of the background, so that uneven light doesn't matter
    ink       how far a pixel is from the paper towards the colour of the strokes, 0 to 1: so the colours don't matter,
              nor which of the two is lighter
    specks    pieces of ink that are small beside the largest are dropped
    close-up  a small digit in a large picture is cut out and looked at again
    pen       strokes thinner than nearly all of MNIST's are widened: they would fade when the digit shrinks
    frame     the longer side of the ink's box becomes 20 pixels, then its centre of mass goes to pixel (14, 14)

The frame is MNIST's own rule: all of its images have it already, so they come out much as they went in.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.errors import DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float64]

FIELD, BOX, CENTRE = 28, 20, 14
WORKING_SIZE = 128  # pixels of the longer side, as many as are looked at in one go
LEAST_CONTRAST = 16  # of 255
LEAST_CONTRAST_TO_NOISE = 4
FAINT = 0.1  # a piece of ink is made of pixels above
SPECK = 0.05  # of the ink of the largest piece
THINNEST, THIN = 1.7, 2.2  # strokes in the 20x20 box: 5 % of MNIST's are thinner than the first, 30 % than the second
FINE = 4  # strokes are widened at so many times that size


def mnist_style(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture of a digit look like one of MNIST.

    The digit may be of any size, anywhere in the picture, lighter or darker than the background or of another colour.
    The background should be plain: paper, a screen, nothing (transparent), evenly lit or not.

    Args:
        image: uint8, grey ``(H, W)``, colour ``(H, W, 3)``, or colour and opacity ``(H, W, 4)``. Behind what is
            transparent white is assumed, and black only if nothing could be seen on white.

    Returns:
        uint8 ``(28, 28)``, 0 is background.

    Raises:
        DTypeError: if the image is not uint8.
        ShapeError: if its shape is none of these, or it has no pixel.
        DataError: if it is blank: no ink stands out from the background.

    >>> paper = np.full((90, 60), 230, np.uint8)
    >>> paper[30:70, 20:26] = 40  # a 1 in dark ink
    >>> digit = fc.data.mnist_style(paper)
    >>> digit.shape, digit[13, 11:18].tolist()
    ((28, 28), [0, 0, 255, 255, 255, 0, 0])
    """
    from PIL import Image

    if image.dtype != np.uint8:
        raise DTypeError(f"mnist_style: expected a uint8 image, got {image.dtype}; pass the unscaled bytes")
    if image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ShapeError(
            f"mnist_style: expected an image (H, W), (H, W, 3) or (H, W, 4), got shape {image.shape}; "
            "pass one image, channels last"
        )
    picture = Image.fromarray(image)
    for backdrop in ("white", "black") if picture.mode == "RGBA" else ("",):
        ink = _close_up(picture, backdrop)
        if ink is not None:
            return _centred(_framed(ink))
    raise DataError(
        "mnist_style: expected a digit on a plain background, got no ink that stands out (a blank or noisy image); "
        "check the picture"
    )


def _close_up(picture: "Image", backdrop: str) -> Floats | None:
    """The ink within its bounding box, or None if there is none."""
    ink, factor = _look(picture, (0, 0, picture.width, picture.height), backdrop)
    if ink is None:
        return None
    if factor > 1:
        top, left, bottom, right = _box(ink)
        margin = max(bottom - top, right - left) // 4
        frame = (
            max(left - margin, 0) * factor,
            max(top - margin, 0) * factor,
            min((right + margin) * factor, picture.width),
            min((bottom + margin) * factor, picture.height),
        )
        closer, _ = _look(picture, frame, backdrop)
        ink = ink if closer is None else closer
    top, left, bottom, right = _box(ink)
    return ink[top:bottom, left:right]


def _look(picture: "Image", frame: tuple[int, int, int, int], backdrop: str) -> tuple[Floats | None, int]:
    """The ink in the frame (left, top, right, bottom), and how many times smaller than in the picture."""
    left, top, right, bottom = frame
    factor = math.ceil(max(right - left, bottom - top) / WORKING_SIZE)
    return _ink(_pixels(picture.reduce(factor, frame), backdrop)), factor


def _box(ink: Floats) -> tuple[int, int, int, int]:
    """First row and column with ink, and those after the last."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _pixels(picture: "Image", backdrop: str) -> Floats:
    """``(H, W, channels)``, 0 to 255, without transparency."""
    from PIL import Image

    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, backdrop), picture).convert("RGB")
    pixels = np.asarray(picture, np.float64)
    return pixels.reshape(*pixels.shape[:2], -1)


def _ink(pixels: Floats) -> Floats | None:
    """How much ink is in each pixel of ``(H, W, channels)``, 0 to 1; None if it is blank."""
    difference = pixels - _paper(pixels)
    distance = np.linalg.norm(difference, axis=2)
    strong = distance > distance.max() / 2
    if not strong.any():
        return None
    colour = difference[strong].mean(axis=0)
    amount = difference @ (colour / max(np.linalg.norm(colour), 1e-9))
    contrast = np.median(amount[strong])
    noise = _spread(amount[~strong])
    if contrast < max(LEAST_CONTRAST, LEAST_CONTRAST_TO_NOISE * noise):
        return None
    floor = 3 * noise
    ink = ((amount - floor) / (contrast - floor)).clip(0, 1)
    return np.where(_largest_around(_without_specks(ink)), ink, 0)


def _paper(pixels: Floats) -> Floats:
    """What the pixels would be without the ink.

    Starts from the middle colour of the border. Then, several times, a polynomial is fitted to the pixels close to the
    last guess: first a constant, then a plane, then a surface of degree 2.
    """
    height, width, channels = pixels.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    border = np.ones((height, width), bool)
    border[1:-1, 1:-1] = False
    values, close = pixels.reshape(-1, channels), border.ravel()
    paper = np.median(values[close], axis=0)
    for degree in (1, 3, 6, 6, 6):
        distance = np.linalg.norm(values - paper, axis=1)
        close = distance <= max(3 * _spread(distance[close]), 2)
        paper = terms[:, :degree] @ np.linalg.lstsq(terms[close, :degree], values[close])[0]
    return paper.reshape(pixels.shape)


def _spread(values: Floats) -> float:
    """The standard deviation of normally distributed values around 0; a minority of others doesn't disturb it."""
    return 1.4826 * float(np.median(np.abs(values))) if values.size else 0.0


def _without_specks(ink: Floats) -> NDArray[np.bool_]:
    """Where the pieces of ink are that hold a good share of it."""
    piece = _pieces(ink > FAINT)
    amounts = np.bincount(piece.ravel(), weights=ink.ravel())
    amounts[0] = 0  # outside
    kept: NDArray[np.bool_] = amounts[piece] > SPECK * amounts.max()
    return kept


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The number of the piece that each pixel belongs to, 0 outside; pixels that touch, if by a corner, are one.

    Each pixel starts with a number of its own and takes the largest around it, then that which the pixel of this
    number has: so numbers travel in steps that double.
    """
    number = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        larger = np.where(mask, _largest_around(number), 0)
        larger = np.concatenate([[0], larger.ravel()])[larger]
        if np.array_equal(larger, number):
            return number
        number = larger


def _largest_around(values: NDArray[Any]) -> NDArray[Any]:
    """The largest value of each pixel and its eight neighbours."""
    padded = np.pad(values, ((1, 1), (0, 0)))
    values = np.maximum(np.maximum(padded[:-2], padded[2:]), values)
    padded = np.pad(values, ((0, 0), (1, 1)))
    largest: NDArray[Any] = np.maximum(np.maximum(padded[:, :-2], padded[:, 2:]), values)
    return largest


def _framed(ink: Floats) -> Floats:
    """The ink with its longer side 20 pixels long and its strokes not too thin; the darkest is 1."""
    height, width = (max(1, round(side * BOX / max(ink.shape))) for side in ink.shape)
    pen = _stroke_width(ink) * BOX / max(ink.shape)
    if pen < THINNEST:
        by = round((THIN - pen) * FINE / 2)
        ink = np.pad(_resized(ink, (height * FINE, width * FINE)), by)
        for _ in range(by):
            ink = _largest_around(ink)
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


def _centred(ink: Floats) -> NDArray[np.uint8]:
    """The field with the ink's centre of mass as near to its middle as whole pixels and its borders allow."""
    field = np.zeros((FIELD, FIELD), np.uint8)
    corner = []
    for axis, side in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        corner.append(min(max(round(CENTRE - mass @ np.arange(side) / mass.sum()), 0), FIELD - side))
    top, left = corner
    field[top : top + ink.shape[0], left : left + ink.shape[1]] = np.rint(ink * 255)
    return field
