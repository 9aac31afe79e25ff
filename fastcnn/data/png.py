"""Images and samples as PNG pictures: `save_png`, and sheets of digits with what is known of each."""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.atomic import replacing
from fastcnn.backends.arrays import array_of, unmasked
from fastcnn.errors import DataError, DTypeError, ShapeError
from fastcnn.layers.arguments import whole

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Bytes = NDArray[np.uint8]

PAPER, INK, WRONG, GREY = (255, 255, 255), (0, 0, 0), (200, 0, 0), (90, 90, 90)
DIGIT_SIZE = 112  # images are enlarged to this height at least
CAPTION_WIDTH = 120  # beside the image
LARGE, SMALL = 18, 11  # sizes of text
LINE = 16  # height of a line of small text
GAP = 10
NUMBER, NUMBERS_A_LINE = 24, 10  # how wide one of a label vector may be, and how many stand in a line


def save_png(path: str | os.PathLike[str], images: Bytes) -> None:
    """Write an image, or many side by side, as a PNG file; whole or not at all.

    Args:
        path: The file to create or replace.
        images: uint8. One image: grey ``(H, W)`` or ``(1, H, W)``, colour ``(H, W, 3)`` or ``(3, H, W)``. Many: grey
            ``(N, 1, H, W)`` or colour ``(N, 3, H, W)``; they become a square, or nearly one, with no gap between them.

    Raises:
        DTypeError: if the array is not uint8.
        ShapeError: if its shape is none of these, or it has no pixel.
        DataError: if the file cannot be written.

    >>> digits = fc.data.load_dataset("sample")
    >>> fc.data.save_png("first.png", digits.train_images[0, 0])    # doctest: +SKIP
    >>> fc.data.save_png("hundred.png", digits.train_images[:100])  # doctest: +SKIP
    """
    from PIL import Image

    images = _checked_bytes(images, "save_png")
    is_one = images.size and (images.ndim == 2 or (images.ndim == 3 and images.shape[2] == 3))
    picture = images if is_one else _square(_checked_batch(images, "save_png", "(H, W), (H, W, 3), "))
    try:
        with replacing(path) as file:
            Image.fromarray(picture).save(file, "PNG")
    except OSError as error:
        raise DataError(
            f"save_png {os.fspath(path)!r}: cannot be written ({error.strerror or error}); choose another path"
        ) from error


def contact_sheet(
    images: Bytes,
    labels: ArrayLike | None = None,
    targets: ArrayLike | None = None,
    predictions: ArrayLike | None = None,
    columns: int | None = None,
    notes: Sequence[str] | None = None,
) -> Bytes:
    """Show images with their labels, their label vectors, and what a model took them for: in red if it was wrong.

    Args:
        images: uint8, grey ``(N, 1, H, W)`` or colour ``(N, 3, H, W)``, or one, ``(1, H, W)`` or ``(3, H, W)``; small
            ones are enlarged.
        labels: Class indices ``(N,)``.
        targets: Label vectors ``(N, classes)``, such as `soft_targets` gives.
        predictions: Class indices ``(N,)``.
        columns: How many side by side; if not given, as many as make the sheet about as wide as it is high.
        notes: A short line ``(N,)`` for each.

    Returns:
        The sheet, uint8 ``(H, W, 3)``, for `save_png`.

    Raises:
        DTypeError: if the images are not uint8.
        ShapeError: if they have another shape, or something else has another length.
        ConfigError: if `columns` is no whole number above 0.

    >>> digits = fc.data.load_dataset("sample")
    >>> images, labels = digits.train_images[:6], digits.train_labels[:6]
    >>> sheet = fc.data.contact_sheet(images, labels, fc.data.soft_targets(labels, "float32"), columns=2)
    >>> fc.data.save_png("six.png", sheet)  # doctest: +SKIP
    """
    from PIL import Image, ImageDraw

    pictures = _enlarged(_checked_batch(_checked_bytes(images, "contact_sheet"), "contact_sheet"))
    count, height, width = pictures.shape[:3]
    captions = _captions(count, labels, predictions, notes)
    vectors = np.empty((count, 0)) if targets is None else _one_each(targets, "targets", count, 2)
    numbers = vectors.shape[1]

    cell_width = max(width + bool(captions[0]) * (GAP + CAPTION_WIDTH), min(numbers, NUMBERS_A_LINE) * NUMBER) + GAP
    cell_height = height + math.ceil(numbers / NUMBERS_A_LINE) * LINE + GAP
    if columns is None:
        columns = max(1, round(math.sqrt(count * cell_height / cell_width)))
    columns = min(whole(columns, "contact_sheet: columns"), count)

    size = GAP + columns * cell_width, GAP + math.ceil(count / columns) * cell_height
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, picture in enumerate(pictures):
        left, top = GAP + index % columns * cell_width, GAP + index // columns * cell_height
        sheet.paste(Image.fromarray(picture), (left, top))
        _write(draw, (left + width + GAP, top), captions[index])
        _write_vector(draw, (left, top + height + 2), vectors[index])
    return np.array(sheet)


Line = tuple[str, tuple[int, int, int], int]  # text, colour, size


def _captions(
    count: int, labels: ArrayLike | None, predictions: ArrayLike | None, notes: Sequence[str] | None
) -> list[list[Line]]:
    """The lines beside each image."""
    captions: list[list[Line]] = [[] for _ in range(count)]
    right = [None] * count if labels is None else _one_each(labels, "labels", count, 1)
    if labels is not None:
        for lines, label in zip(captions, right, strict=True):
            lines.append((f"label {label}", INK, LARGE))
    if predictions is not None:
        for lines, label, taken in zip(captions, right, _one_each(predictions, "predictions", count, 1), strict=True):
            lines.append((f"taken for {taken}", INK if label in (None, taken) else WRONG, LARGE))
    if notes is not None:
        for lines, note in zip(captions, _one_each(notes, "notes", count, 1), strict=True):
            lines.append((note, GREY, SMALL))
    return captions


def _write(draw: "ImageDraw", corner: tuple[int, int], lines: Sequence[Line]) -> None:
    left, top = corner
    for text, colour, size in lines:
        draw.text((left, top), text, colour, font(size))
        top += round(size * LINE / SMALL)


def _write_vector(draw: "ImageDraw", corner: tuple[int, int], vector: NDArray[Any]) -> None:
    """The numbers in brackets, the largest black."""
    for index, number in enumerate(vector.tolist()):
        line, column = divmod(index, NUMBERS_A_LINE)
        text = f"{'[' if index == 0 else ' '}{number:.2g}{']' if index == vector.size - 1 else ''}"
        place = corner[0] + column * NUMBER, corner[1] + line * LINE
        draw.text(place, text, INK if index == vector.argmax() else GREY, font(SMALL))


def font(size: int) -> "FreeTypeFont | ImageFont":
    """The font that comes with Pillow; it has one size only where Pillow was built without FreeType."""
    from PIL import ImageFont, features

    return ImageFont.load_default(size if features.check("freetype2") else None)


def _one_each(values: ArrayLike, what: str, count: int, dimensions: int) -> NDArray[Any]:
    """The values as an array, if there is one, or a row of them, for each image."""
    array = array_of(values, "contact_sheet", what)
    if array.ndim != dimensions or len(array) != count:
        raise ShapeError(
            f"contact_sheet: expected {what} for {count} images, got shape {array.shape}; give each image its own"
        )
    return array


def _checked_bytes(images: Any, who: str) -> Bytes:
    unmasked(who, "images", images)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        got = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise DTypeError(f"{who}: expected uint8 images, got {got}; pass the unscaled bytes, as an array")
    return images


def _checked_batch(images: Bytes, who: str, also: str = "") -> Bytes:
    """The images as a batch, ``(N, C, H, W)``, also of a single one, ``(C, H, W)``."""
    batch = images[np.newaxis] if images.ndim == 3 and images.shape[0] in (1, 3) else images
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or not batch.size:
        remedy = "pass images[:, np.newaxis] if they are grey (N, H, W)" if images.ndim == 3 else "reshape them"
        raise ShapeError(
            f"{who}: expected images {also}(C, H, W) or (N, C, H, W) with 1 or 3 channels C, got shape {images.shape}; "
            f"{remedy}"
        )
    return batch


def _enlarged(images: Bytes) -> Bytes:
    """Images ``(N, C, H, W)`` in colour, ``(N, H, W, 3)``, each pixel repeated until they are `DIGIT_SIZE` high."""
    times = math.ceil(DIGIT_SIZE / images.shape[2])
    colour = np.broadcast_to(images, (len(images), 3, *images.shape[2:])).transpose(0, 2, 3, 1)
    return colour.repeat(times, axis=1).repeat(times, axis=2)


def _square(images: Bytes) -> Bytes:
    """Images ``(N, C, H, W)`` as one, ``(rows * H, columns * W)`` or with 3 channels; places left over are black."""
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    places = np.zeros((rows * columns, channels, height, width), np.uint8)
    places[:count] = images
    table = places.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    return table.reshape((rows * height, columns * width) + (channels,) * (channels > 1))
