"""Any picture of a digit made to look like MNIST: light ink on black, 20x20 in a field of 28x28, centred by its mass.

sheet     if it lies on a desk, all else is left out (`pictures.sheet`)
ink       how far a pixel is from the paper around it (`pictures.paper`): light, shadows and colours don't matter,
          nor which of the two is lighter
lines     of the paper are taken out (`pictures.lines`)
digits    are told from edges, boxes, underlines, dirt and what is cut off (`pictures.digits`)
close-up  a small digit in a large picture is cut out and looked at again
frame     MNIST's own (`pictures.frame`): its images come out much as they went in
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.arrays import unmasked
from fastcnn.data.pictures.digits import Digit, digits_in, weight
from fastcnn.data.pictures.frame import FIELD as FIELD
from fastcnn.data.pictures.frame import centred, framed
from fastcnn.data.pictures.lines import without_lines
from fastcnn.data.pictures.paper import ink_of, strongest_of
from fastcnn.data.pictures.pieces import largest_around
from fastcnn.data.pictures.sheet import Sheet, sheet_in
from fastcnn.errors import DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Frame = tuple[int, int, int, int]

WORKING_SIZE = 240  # pixels of the longer side, as many as are looked at in one go
CLEAR = 60  # pixels: a digit that is so high needs no closer look
MARGIN = 0.4  # of its longer side, in a closer look
FAINT = 0.25  # of the strongest: a piece of ink is made of pixels above
CRUMB = 0.045  # of the longer side: so small a piece is what is left of lines, where there were any
NOTHING = 0.015  # of the contrast: what is less is not ink
VEIL, MIDDLE = 0.1, 0.65  # a piece with so large a share of even ink, fainter than so much of its strongest, is veiled
LEAST_CONTRAST = 16  # of 255
LEAST_CONTRAST_TO_NOISE = 4
BLANK = "expected a digit on a plain background, got no ink that stands out (a blank or noisy image); check the picture"


def mnist_style(image: Bytes) -> Bytes:
    """Make a picture of a digit look like one of MNIST.

    The digit may be of any size, anywhere in the picture, lighter or darker than the background or of another colour.
    The background may be a sheet on a desk, ruled or squared, half in shadow, or nothing (transparent); lines, boxes,
    underlines, dirt and what is cut off by the picture's edge are left out.

    Args:
        image: uint8, grey ``(H, W)``, colour ``(H, W, 3)``, or colour and opacity ``(H, W, 4)``. Behind what is
            transparent white is assumed, and black only if nothing could be seen on white.

    Returns:
        uint8 ``(28, 28)``, 0 is background.

    Raises:
        DTypeError: if the image is not uint8.
        ShapeError: if its shape is none of these, or it has no pixel.
        DataError: if it is blank: no ink stands out from the background; or if it shows several digits.

    >>> paper = np.full((90, 60), 230, np.uint8)
    >>> paper[30:70, 20:26] = 40  # a 1 in dark ink
    >>> digit = fc.data.mnist_style(paper)
    >>> digit.shape, digit[13, 11:18].tolist()
    ((28, 28), [0, 0, 255, 255, 255, 0, 0])
    """
    picture, look, digits = _seen(image, "mnist_style")
    if len(digits) > 1:
        raise DataError(
            f"mnist_style: expected one digit, got {len(digits)} that stand side by side; read them by --row "
            "(fastcnn.data.mnist_row), or cut one out"
        )
    return _in_style(picture, look, digits[0])


def mnist_row(image: Bytes) -> Bytes:
    """Make each digit of a row, such as a house number, look like one of MNIST, from left to right.

    Args:
        image: As `mnist_style` takes it.

    Returns:
        uint8 ``(N, 28, 28)``, 0 is background.

    Raises:
        DTypeError, ShapeError: as `mnist_style` does.
        DataError: if it is blank.

    >>> paper = np.full((90, 90), 230, np.uint8)
    >>> paper[30:70, 20:26] = paper[30:70, 50:56] = 40  # 11
    >>> fc.data.mnist_row(paper).shape
    (2, 28, 28)
    """
    picture, look, digits = _seen(image, "mnist_row")
    return np.stack([_in_style(picture, look, digit) for digit in digits])


class _Look:
    """A picture, or a part of it, seen at working size.

    Attributes:
        ink: ``(H, W)``, in the units of a byte.
        noise: Of the ink.
        factor: How many times smaller it is than in the picture.
        corner: Where it begins in the picture, left and top.
        floor: Of the ink, where a digit stands in a narrow shadow.
        digits: That are seen.
    """

    def __init__(self, picture: "Image", frame: Frame, sheet: Sheet | None = None) -> None:
        left, top, right, bottom = frame
        self.factor = math.ceil(max(right - left, bottom - top) / WORKING_SIZE)
        pixels = np.asarray(picture.reduce(self.factor, frame))
        if sheet:
            pixels = sheet.alone(pixels)
        ink, self.noise, self.paper = ink_of(pixels.reshape(*pixels.shape[:2], -1))
        self.ink, self.lines = without_lines(ink, self.noise)
        self.corner = left, top
        self.floor = 0.0
        self.digits = self._digits()

    def _digits(self) -> list[Digit]:
        strongest = strongest_of(self.ink)
        for _ in range(2):
            least = max(LEAST_CONTRAST, LEAST_CONTRAST_TO_NOISE * self.noise)
            if strongest < least:
                return []
            digits = self._above(max(FAINT * strongest, least / 2))
            if not digits:
                return []
            main = max(digits, key=weight)
            if (veil := self._veil(main)) and (unveiled := self._above((veil + self._strong(main)) / 2)):
                clear = max(unveiled, key=weight)
                if not clear.spans:
                    self.floor, digits, main = veil, unveiled, clear
            contrast = self.contrast(main)
            if contrast > 0.6 * strongest:
                break
            strongest = contrast  # was that of an edge, or of a line
        return [] if contrast < least else digits

    def _above(self, level: float) -> list[Digit]:
        return digits_in(self.ink, level, self.paper, CRUMB * max(self.ink.shape) if self.lines else 0)

    def _strong(self, digit: Digit) -> float:
        return float(np.percentile(self.ink[digit.mask], 98))

    def _veil(self, digit: Digit) -> float:
        """How strong the narrow shadow or the fold is that a digit stands on and was taken for; 0 if there is none."""
        mask = digit.mask
        faint = mask & (self.ink < MIDDLE * self._strong(digit))
        even = faint
        for _ in range(2):
            even = ~largest_around(~even)
        if even.sum() > VEIL * mask.sum():
            return float(np.median(self.ink[even]))
        return float(np.median(self.ink[faint])) if digit.spans and faint.any() else 0.0

    def contrast(self, digit: Digit) -> float:
        """How strong the ink of a digit is."""
        values = self.ink[digit.mask]
        return float(np.median(values[values > values.max() / 2]))

    def cut_out(self, digit: Digit) -> Floats:
        """Its ink within its box, 0 to 1."""
        contrast = self.contrast(digit)
        floor = max(3 * self.noise, NOTHING * contrast, self.floor)
        mask = digit.mask
        for _ in range(1 if max(self.ink.shape) < 64 else 2):
            mask = largest_around(mask)
        ink = np.where(mask, ((self.ink - floor) / (contrast - floor)).clip(0, 1), 0)
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def around(self, digit: Digit, size: tuple[int, int]) -> Frame:
        """A frame in the picture with a margin around a digit."""
        top, left, bottom, right = digit.box
        margin = math.ceil(max(bottom - top, right - left) * MARGIN)
        x, y = self.corner
        return (
            max((left - margin) * self.factor + x, 0),
            max((top - margin) * self.factor + y, 0),
            min((right + margin) * self.factor + x, size[0]),
            min((bottom + margin) * self.factor + y, size[1]),
        )


def _seen(image: Bytes, who: str) -> tuple["Image", _Look, list[Digit]]:
    """The picture without transparency, what is seen of it, and the digits in it."""
    from PIL import Image

    unmasked(who, "image", image)
    if image.dtype != np.uint8:
        raise DTypeError(f"{who}: expected a uint8 image, got {image.dtype}; pass the unscaled bytes")
    if image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))):
        raise ShapeError(
            f"{who}: expected an image (H, W), (H, W, 3) or (H, W, 4), got shape {image.shape}; "
            "pass one image, channels last"
        )
    picture = Image.fromarray(image)
    for backdrop in ("white", "black") if picture.mode == "RGBA" else ("",):
        shown = picture
        if backdrop:
            shown = Image.alpha_composite(Image.new("RGBA", picture.size, backdrop), picture).convert("RGB")
        sheet = _sheet_in(shown)
        look = _Look(shown, sheet.frame, sheet) if sheet else None
        if not look or not look.digits:
            look = _Look(shown, (0, 0, *shown.size))
        if look.digits:
            return shown, look, look.digits
    raise DataError(f"{who}: {BLANK}")


def _sheet_in(picture: "Image") -> Sheet | None:
    """Where a sheet lies in a picture, if there is one."""
    factor = math.ceil(max(picture.size) / WORKING_SIZE)
    sheet = sheet_in(picture.reduce(factor))
    if sheet is None:
        return None
    left, top, right, bottom = (side * factor for side in sheet.frame)
    return replace(sheet, frame=(left, top, min(right, picture.width), min(bottom, picture.height)))


def _in_style(picture: "Image", look: _Look, digit: Digit) -> Bytes:
    top, left, bottom, right = digit.box
    if look.factor > 1 and max(bottom - top, right - left) < CLEAR:
        closer = _Look(picture, look.around(digit, picture.size))
        if closer.digits:
            look, digit = closer, max(closer.digits, key=weight)
    return centred(framed(look.cut_out(digit)))
