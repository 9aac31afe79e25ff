"""Image files: PNG and JPEG pictures, and IDX files of many, as arrays of bytes.

A picture comes as it would be shown, the way up that the camera was held, and as 8-bit grey or colour whatever the
file has. How many pixels it claims to have is known, and limited, before any is decoded.
"""

import os
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.idx import read_idx
from fastcnn.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 80_000_000
IDX_BEGINS = (b"\0\0", b"\x1f\x8b")  # the second: packed by gzip

# What Pillow raises for files that are damaged, or that it can't make sense of.
UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, LookupError, OverflowError, NotImplementedError, struct.error)


def read_images(path: str | os.PathLike[str]) -> list[NDArray[np.uint8]]:
    """Read the picture in a PNG or JPEG file, or all those in an IDX file, plain or gzip.

    What kind of file it is its content tells, not its name.

    Args:
        path: The file.

    Returns:
        The images, uint8: grey ``(H, W)``, colour ``(H, W, 3)``, or where something is transparent colour and opacity
        ``(H, W, 4)``. From a PNG or JPEG one, from IDX any number, all grey and of one size.

    Raises:
        DataError: if the file is missing, damaged, truncated or of another kind, if it is an animation, has more than
            80 million pixels, or is an IDX file of something else than images.

    >>> picture = np.full((20, 30, 3), 255, np.uint8)
    >>> fc.data.save_png("white.png", picture)  # doctest: +SKIP
    >>> [image.shape for image in fc.data.read_images("white.png")]  # doctest: +SKIP
    [(20, 30, 3)]
    """
    who = f"read_images {os.fspath(path)!r}"
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "nothing of that name"
        raise DataError(f"{who}: expected an image file, got {found}; check the path")
    return _idx_images(path, who) if is_idx(path) else [_picture(path, who)]


def is_idx(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as an IDX file does, plain or gzip.

    Raises:
        DataError: if it can't be read.
    """
    return _head(path).startswith(IDX_BEGINS)


def _head(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(8)
    except OSError as error:
        raise DataError(
            f"read_images {os.fspath(path)!r}: cannot be read ({error.strerror}); check the path"
        ) from error


def _idx_images(path: str | os.PathLike[str], who: str) -> list[NDArray[np.uint8]]:
    images = read_idx(path)
    if images.ndim != 3 or images.size == 0:
        found = "labels" if images.ndim == 1 else "an array"
        raise DataError(f"{who}: expected images (N, H, W), got {found} of shape {images.shape}; pass the images' file")
    return list(images)


def _picture(path: str | os.PathLike[str], who: str) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height}")
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format == "PNG":  # a JPEG's other frames are previews, or depths
                raise DataError(
                    f"{who}: expected one picture, got an animation of {frames}; save one of them by itself"
                )
            return _as_bytes(image)
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{who}: expected at most {MOST_PIXELS:,} pixels, got more ({error}); make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        got = _head(path).hex(" ") or "an empty file"
        raise DataError(
            f"{who}: expected a PNG, JPEG or IDX file, got {got}, or it is damaged; save the picture as PNG"
        ) from error
    except MemoryError as error:
        raise DataError(f"{who}: not enough memory for its pixels; make it smaller") from error
    except DataError:
        raise
    except UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{who}: damaged or truncated ({reason}); save it again") from error


def _as_bytes(image: "Image") -> NDArray[np.uint8]:
    """The pixels as 8-bit grey, colour, or colour and opacity."""
    from PIL import ImageOps

    if image.mode.startswith("I"):  # 16 bits, without a palette or transparency
        wide: NDArray[Any] = np.asarray(image)
        return (wide >> 8).astype(np.uint8)
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode in ("LA", "RGBA") or "transparency" in image.info:
        mode = "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    return np.array(image.convert(mode))
