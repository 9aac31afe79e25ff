"""IDX files, the format of MNIST: a header of 4 + 4*ndim bytes, then the array in row-major order.

    byte 0, 1    zero
    byte 2       element type; 0x08 is uint8, the only one read here
    byte 3       number of dimensions
    4 bytes each the dimensions, big-endian uint32

A file may be plain or gzip; its first bytes tell, not its name. Nothing in it is believed before it is
checked: memory is taken only after the header has proved plausible, and no more is ever decompressed than the
header promises plus one byte.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.atomic import replacing
from fastcnn.errors import DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ELEMENT_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
MAX_DIMENSIONS = 4
MAX_BYTES = 4 << 30
MAX_GZIP_RATIO = 200  # images of digits pack 1:5, zeros 1:1000: beyond this it is taken for a bomb ...
HARMLESS_BYTES = 64 << 20  # ... unless it is small

CHUNK = 1 << 20
REFETCH = "fetch the file again"


def read_idx(source: "str | os.PathLike[str] | Traversable") -> NDArray[np.uint8]:
    """Read an IDX file of bytes, plain or gzip.

    Args:
        source: A path, or a resource of `importlib.resources`.

    Returns:
        The array, uint8, C-contiguous, of the shape that the header names: ``(N, H, W)`` for images, ``(N,)``
        for labels.

    Raises:
        DataError: if the file is missing, unreadable, damaged, truncated, followed by other bytes, not IDX,
            not uint8, or claims to be larger than it can be.

    >>> read_idx("t10k-labels-idx1-ubyte.gz")[:5]  # doctest: +SKIP
    array([7, 2, 1, 0, 4], dtype=uint8)
    """
    who = f"read_idx {str(source)!r}"
    file = Path(source) if isinstance(source, str | os.PathLike) else source
    try:
        if not file.is_file():
            found = "a folder" if file.is_dir() else "nothing of that name"
            raise DataError(f"{who}: expected an IDX file, got {found}; check the path")
        with file.open("rb") as raw, decompressed(raw) as stream:
            shape = _read_header(stream, who)
            _check_size(shape, _most_bytes_in(raw, packed=stream is not raw), who)
            return _read_cells(stream, shape, who)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{who}: cannot be read to its end ({reason}); {REFETCH}") from error
    except MemoryError as error:
        raise DataError(f"{who}: not enough memory for its contents ({error}); free some memory") from error


def write_idx(path: str | os.PathLike[str], array: NDArray[np.uint8]) -> None:
    """Write a uint8 array as an IDX file, whole or not at all; as gzip if the name ends in ``.gz``.

    Equal arrays give equal files: the gzip header carries neither name nor time.

    Args:
        path: The file to create or replace.
        array: uint8, 1 to 4 dimensions, each below 2**32.

    Raises:
        DTypeError: if the array is not uint8.
        ShapeError: if it has no dimension or more than 4.
        DataError: if the file cannot be written.

    >>> write_idx("labels-idx1-ubyte", np.array([5, 0, 4], np.uint8))  # doctest: +SKIP
    """
    if array.dtype != np.uint8:
        raise DTypeError(f"write_idx: expected a uint8 array, got {array.dtype}; convert the array")
    if not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise ShapeError(f"write_idx: expected 1 to {MAX_DIMENSIONS} dimensions, got {array.ndim}; reshape it")
    content = struct.pack(f">4B{array.ndim}I", 0, 0, 0x08, array.ndim, *array.shape) + array.tobytes()
    try:
        with replacing(path) as file:
            if os.fspath(path).endswith(".gz"):
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    packed.write(content)
            else:
                file.write(content)
    except OSError as error:
        raise DataError(
            f"write_idx {str(path)!r}: cannot be written ({error.strerror}); choose another path"
        ) from error


def decompressed(raw: IO[bytes]) -> IO[bytes]:
    """Return a stream that decompresses `raw` if it begins as gzip does, or else `raw` itself."""
    is_gzip = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb")) if is_gzip else raw


def _read_header(stream: IO[bytes], who: str) -> tuple[int, ...]:
    """Return the shape that the header names."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        got = magic.hex(" ") or "an empty file"
        raise DataError(f"{who}: expected an IDX file (first bytes 00 00 08), got {got}; check the path")
    _, _, element_type, dimensions = magic
    if element_type != 0x08:
        got = f"0x{element_type:02x} ({ELEMENT_TYPES.get(element_type, 'unknown')})"
        raise DataError(f"{who}: expected elements of type 0x08 (uint8), got {got}; convert the file to uint8")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise DataError(f"{who}: expected 1 to {MAX_DIMENSIONS} dimensions, got {dimensions}; {REFETCH}")
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{who}: expected a header of {dimensions} dimensions, got a truncated one; {REFETCH}")
    return struct.unpack(f">{dimensions}I", sizes)


def _most_bytes_in(raw: IO[bytes], packed: bool) -> int:
    """Return how much the file can hold, judged by its size alone; leaves the read position as it is."""
    position = raw.tell()
    size = raw.seek(0, os.SEEK_END)
    raw.seek(position)
    return max(MAX_GZIP_RATIO * size, HARMLESS_BYTES) if packed else size


def _check_size(shape: tuple[int, ...], most: int, who: str) -> None:
    """Refuse a shape that cannot be in a file of at most `most` bytes. Python's integers do not overflow."""
    promised = math.prod(shape)
    if promised > most:
        raise DataError(
            f"{who}: truncated, or its header is damaged: expected at most {most} bytes in a file this big, "
            f"got shape {shape}, which is {promised}; {REFETCH}"
        )
    if math.prod(max(size, 1) for size in shape) > MAX_BYTES:  # a zero dimension does not excuse the others
        raise DataError(f"{who}: expected at most {MAX_BYTES} bytes, got shape {shape}; {REFETCH}")


def _read_cells(stream: IO[bytes], shape: tuple[int, ...], who: str) -> NDArray[np.uint8]:
    """Read exactly the promised bytes and see that none follow (which makes gzip verify its checksum)."""
    cells = np.empty(math.prod(shape), np.uint8)
    expected = f"expected {cells.size} bytes for shape {shape}"
    filled = 0
    while filled < cells.size:
        chunk = stream.read(min(CHUNK, cells.size - filled))
        if not chunk:
            raise DataError(f"{who}: truncated: {expected}, got {filled}; {REFETCH}")
        cells[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if stream.read(1):
        raise DataError(f"{who}: {expected}, got more bytes after them; {REFETCH}")
    return cells.reshape(shape)
