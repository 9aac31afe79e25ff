"""Image files: pictures of the kinds that Pillow reads, and IDX files of many, as arrays of bytes.

A picture comes as it would be shown, the way up that the camera was held, and as 8-bit grey or colour whatever the
file has. How many pixels it claims to have is known, and limited, before any is decoded. Where a smaller one will do, a
JPEG is decoded smaller, and all others are made smaller a strip at a time, so that there is one copy of the pixels.
"""

import os
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.formats import why_no_file
from fastcnn.data.idx import read_idx
from fastcnn.data.pictures.formats import FORMATS, is_container, named
from fastcnn.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 80_000_000
MOST_MEMORY = 150_000_000  # bytes that decoding may take, as is estimated, where a smaller picture will do
BYTES_A_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # as Pillow keeps them; 4 in other modes
COPIES = {"WEBP": 3, "AVIF": 3, "JPEG2000": 3, "GIF": 2, "TIFF": 2, "JPEG": 1}  # of the pixels, while decoding
STRIP = 1 << 20  # pixels
IDX_BEGINS = (b"\0\0", b"\x1f\x8b")  # the second: packed by gzip
HEAD = 64

# What Pillow raises for files that are damaged, or that it can't make sense of.
UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, LookupError, OverflowError, NotImplementedError, struct.error)


def read_images(path: str | os.PathLike[str], longest: int | None = None) -> list[NDArray[np.uint8]]:
    """Read the picture in a PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF or JPEG 2000 file, or all those in an IDX file.

    What kind of file it is its content tells, not its name. An IDX file may be packed by gzip.

    Args:
        path: The file.
        longest: Pictures whose longer side has more than twice so many pixels are made smaller while they are read, by
            a whole number, down to that at the least. That takes 250 MB at the most.

    Returns:
        The images, uint8: grey ``(H, W)``, colour ``(H, W, 3)``, or where something is transparent colour and opacity
        ``(H, W, 4)``. From a picture's file one, from IDX any number, all grey and of one size.

    Raises:
        DataError: if the file is missing, damaged, truncated or of another kind, if it is an animation, has more than
            80 million pixels, or is an IDX file of something else than images.

    >>> picture = np.full((20, 30, 3), 255, np.uint8)
    >>> fc.data.save_png("white.png", picture)  # doctest: +SKIP
    >>> [image.shape for image in fc.data.read_images("white.png")]  # doctest: +SKIP
    [(20, 30, 3)]
    """
    who = f"read_images {os.fspath(path)!r}"
    if found := why_no_file(path):
        raise DataError(f"{who}: expected an image file, got {found}; check the path")
    return _idx_images(path, who) if is_idx(path) else [_picture(path, who, longest)]


def is_idx(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as an IDX file does, plain or gzip.

    Raises:
        DataError: if it can't be read.
    """
    head = _head(path)
    return head.startswith(IDX_BEGINS) and not is_container(head)


def _head(path: str | os.PathLike[str]) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(HEAD)
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


def _picture(path: str | os.PathLike[str], who: str, longest: int | None) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height}")
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format not in ("JPEG", "MPO"):  # whose other frames are previews, or depths
                many = f"{frames} pages" if image.format == "TIFF" else f"an animation of {frames}"
                raise DataError(f"{who}: expected one picture, got {many}; save one of them by itself")
            if longest is not None:
                image.draft(None, (longest, longest))
                _check_memory(image, who)
            return _as_bytes(image, longest)
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{who}: expected at most {MOST_PIXELS:,} pixels, got more ({error}); make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        head = _head(path)
        if known := named(head):
            raise DataError(f"{who}: expected a picture that Pillow reads, got {known[0]}; {known[1]}") from error
        got = head[:8].hex(" ") or "an empty file"
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


def _check_memory(image: "Image", who: str) -> None:
    """Refuse what would take too much memory to decode."""
    a_pixel = BYTES_A_PIXEL.get(image.mode, 4) * COPIES.get(image.format or "", 1)
    if image.width * image.height * a_pixel > MOST_MEMORY:
        kind = f"a {image.format} in {'colour' if image.mode[:3] in ('RGB', 'CMY', 'YCb') else f'mode {image.mode}'}"
        raise DataError(
            f"{who}: expected at most {MOST_MEMORY // a_pixel:,} pixels in {kind}, got {image.width} x {image.height}; "
            "make it smaller, or save it as JPEG"
        )


def _as_bytes(image: "Image", longest: int | None) -> NDArray[np.uint8]:
    """The pixels as 8-bit grey, colour, or colour and opacity, as they are to be shown."""
    from PIL import Image

    image.load()
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        mode = "L"
    elif image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        mode = "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    factor = 1 if longest is None else max(1, max(image.size) // longest)
    rows = max(1, STRIP // (image.width * factor)) * factor
    strips = [
        np.asarray(_in_mode(image.crop((0, top, image.width, min(top + rows, image.height))), mode).reduce(factor))
        for top in range(0, image.height, rows)
    ]
    turned = Image.fromarray(strips[0] if len(strips) == 1 else np.concatenate(strips))
    turns = Image.Transpose
    orientations = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
                    6: turns.ROTATE_270, 7: turns.TRANSVERSE, 8: turns.ROTATE_90}  # fmt: skip
    turn = orientations.get(image.getexif().get(0x0112, 1))
    return np.array(turned if turn is None else turned.transpose(turn))


def _in_mode(strip: "Image", mode: str) -> "Image":
    """A part of a picture in another mode; of 16 bits the upper 8."""
    from PIL import Image

    if not strip.mode.startswith("I"):
        return strip.convert(mode)
    wide: NDArray[Any] = np.asarray(strip)
    return Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8))
