"""IDX files, the format of MNIST: a header of 4 + 4*ndim bytes, then the array in row-major order.

    byte 0, 1    zero
    byte 2       element type, see `ELEMENT_TYPES`; 0x08, uint8, is what MNIST has and `write_idx` writes
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
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from fastcnn.atomic import replacing
from fastcnn.backends.arrays import unmasked
from fastcnn.data.formats import GZIP, HEAD, kind_of, why_no_file
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

ELEMENT_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_DIMENSIONS = 4
MAX_BYTES = 4 << 30
MAX_GZIP_RATIO = 200  # images of digits pack 1:5, zeros 1:1000: beyond this it is taken for a bomb ...
HARMLESS_BYTES = 64 << 20  # ... unless it is small

CHUNK = 1 << 20
REFETCH = "fetch the file again"
BIG_ENDIAN = "write it big-endian, as struct.pack('>I', n) and array.astype('>i4') do, or by fastcnn.data.write_idx"


class Header(NamedTuple):
    """What an IDX file says of itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes that are to follow. Python's integers do not overflow."""
        return self.dtype.itemsize * math.prod(self.shape)

    def swapped(self) -> "Header":
        """The same with sizes read as little-endian."""
        sizes = (int.from_bytes(size.to_bytes(4, "big"), "little") for size in self.shape)
        return Header(self.dtype, tuple(sizes))


def read_idx(source: "str | os.PathLike[str] | Traversable") -> NDArray[np.uint8]:
    """Read an IDX file of bytes, plain or gzip.

    A file of int8, int16, int32, float32 or float64 is read, too, where all its elements are whole numbers from 0 to
    255.

    Args:
        source: A path, or a resource of `importlib.resources`.

    Returns:
        The array, uint8, C-contiguous, of the shape that the header names: ``(N, H, W)`` for images, ``(N,)``
        for labels.

    Raises:
        DataError: if the file is missing, no regular file, unreadable, damaged, truncated, followed by other bytes, not
            IDX, holds something else than whole numbers from 0 to 255, or claims to be larger than it can be.
        ConfigError: if `source` is no path.

    >>> read_idx("t10k-labels-idx1-ubyte.gz")[:5]  # doctest: +SKIP
    array([7, 2, 1, 0, 4], dtype=uint8)
    """
    array = read_elements(source)
    if array.dtype == np.uint8:
        return array
    return as_bytes(array, _who(source), "from 0 to 255", "write the array as uint8 by fastcnn.data.write_idx")


def read_elements(source: "str | os.PathLike[str] | Traversable") -> NDArray[Any]:
    """Read an IDX file of any element type, as `read_idx` does but for what the elements are."""
    if not isinstance(source, str | os.PathLike) and not hasattr(source, "joinpath"):
        raise ConfigError(f"read_idx: expected the path of a file, got {type(source).__name__}; pass a path")
    who = _who(source)
    file = Path(source) if isinstance(source, str | os.PathLike) else source
    try:
        if isinstance(file, Path):
            found = why_no_file(file)
            if found is None and file.stat().st_size == 0:  # reading might wait: so it is with some files of /proc
                raise DataError(f"{who}: expected an IDX file, got an empty file; {REFETCH}")
        else:
            found = None if file.is_file() else "a folder" if file.is_dir() else "nothing of that name"
        if found is not None:
            raise DataError(f"{who}: expected an IDX file, got {found}; check the path")
        with file.open("rb") as raw, decompressed(raw) as stream:
            header = _read_header(stream, who)
            _check_size(header, _most_bytes_in(raw, packed=stream is not raw), who)
            return _read_cells(stream, header, who)
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(f"{who}: cannot be read to its end ({reason}); {REFETCH}") from error
    except MemoryError as error:
        raise DataError(f"{who}: not enough memory for its contents ({error}); free some memory") from error


def as_bytes(array: NDArray[Any], who: str, range_: str, remedy: str) -> NDArray[np.uint8]:
    """The same numbers as uint8.

    Raises:
        DataError: if one is no whole number from 0 to 255; names the first, and what may be the matter.
    """
    wrong = _unfit(array)
    if not wrong.any():
        return array.astype(np.uint8)
    first = tuple(map(int, np.argwhere(wrong)[0]))
    if array.dtype.kind == "f" and ((array >= 0) & (array <= 1)).all():
        remedy = "pixels from 0 to 1? write (255 * array).round().astype('uint8') by fastcnn.data.write_idx"
    elif array.dtype.itemsize > 1 and not _unfit(array.byteswap()).any():
        remedy = f"the elements look little-endian: {BIG_ENDIAN}"
    raise DataError(
        f"{who}: expected whole numbers {range_}, got {array.dtype.name} with {array[first]} at index "
        f"{first[0] if len(first) == 1 else first}; {remedy}"
    )


def _unfit(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which elements are no whole numbers from 0 to 255; NaN is none."""
    with np.errstate(invalid="ignore"):  # a signalling NaN, as swapped bytes may make one
        fit: NDArray[np.bool_] = (array >= 0) & (array <= 255)
        return ~(fit & (array == np.floor(array)) if array.dtype.kind == "f" else fit)


def write_idx(path: str | os.PathLike[str], array: NDArray[np.uint8]) -> None:
    """Write a uint8 array as an IDX file, whole or not at all; as gzip if the name ends in ``.gz``.

    Equal arrays give equal files: the gzip header carries neither name nor time.

    Args:
        path: The file to create or replace.
        array: uint8, 1 to 4 dimensions, each below 2**32.

    Raises:
        DTypeError: if the array is not uint8.
        ShapeError: if it has no dimension or more than 4.
        ConfigError: if `path` is no path.
        DataError: if the file cannot be written.

    >>> write_idx("labels-idx1-ubyte", np.array([5, 0, 4], np.uint8))  # doctest: +SKIP
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigError(f"write_idx: expected the path of a file, got {type(path).__name__}; pass (path, array)")
    unmasked("write_idx", "array", array)
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise DTypeError(
            f"write_idx: expected a uint8 array, got {got}; pass np.asarray(array, 'uint8') if these are whole numbers "
            "from 0 to 255, or (255 * array).round().astype('uint8') if they are pixels from 0 to 1"
        )
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
    is_gzip = raw.read(2) == GZIP
    raw.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw, mode="rb")) if is_gzip else raw


def _who(source: object) -> str:
    return f"read_idx {str(source)!r}"


def _read_header(stream: IO[bytes], who: str) -> Header:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{who}: expected an IDX file (first bytes 00 00 08), got {_what_it_is(magic, stream)}")
    _, _, element_type, dimensions = magic
    if element_type not in ELEMENT_TYPES:
        known = ", ".join(f"0x{number:02x}" for number in ELEMENT_TYPES)
        raise DataError(
            f"{who}: expected elements of a type among {known}, got 0x{element_type:02x} (unknown); check the path"
        )
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise DataError(f"{who}: expected 1 to {MAX_DIMENSIONS} dimensions, got {dimensions}; {REFETCH}")
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise DataError(f"{who}: expected a header of {dimensions} dimensions, got a truncated one; {REFETCH}")
    return Header(np.dtype(ELEMENT_TYPES[element_type]), struct.unpack(f">{dimensions}I", sizes))


def _what_it_is(magic: bytes, stream: IO[bytes]) -> str:
    """What a file is that doesn't begin as IDX does, and the remedy."""
    if magic.startswith(GZIP):
        return "gzip inside gzip; unpack it once (gunzip), and pass what comes out"
    if len(magic) == 4 and magic[2:] == b"\0\0" and magic[1] in ELEMENT_TYPES and 1 <= magic[0] <= MAX_DIMENSIONS:
        return f"{magic.hex(' ')}: a little-endian header; {BIG_ENDIAN}"
    if kind := kind_of(magic + stream.read(HEAD - len(magic))):
        return f"{magic.hex(' ')}: {kind.what}; {kind.remedy}"
    return f"{magic.hex(' ') or 'an empty file'}; check the path"


def _most_bytes_in(raw: IO[bytes], packed: bool) -> int:
    """Return how much the file can hold, judged by its size alone; leaves the read position as it is."""
    position = raw.tell()
    size = raw.seek(0, os.SEEK_END)
    raw.seek(position)
    return max(MAX_GZIP_RATIO * size, HARMLESS_BYTES) if packed else size


def _check_size(header: Header, most: int, who: str) -> None:
    """Refuse a shape that cannot be in a file of at most `most` bytes."""
    if header.size > most:
        other = header.swapped()
        reason, remedy = "truncated, or its header is damaged", REFETCH
        if 0 < other.size <= most:
            reason, remedy = f"its sizes look little-endian, {other.shape}", BIG_ENDIAN
        raise DataError(
            f"{who}: {reason}: expected at most {most} bytes in a file this big, "
            f"got shape {header.shape}, which is {header.size}; {remedy}"
        )
    if header.dtype.itemsize * math.prod(max(size, 1) for size in header.shape) > MAX_BYTES:  # a 0 excuses no other
        raise DataError(f"{who}: expected at most {MAX_BYTES} bytes, got shape {header.shape}; {REFETCH}")


def _read_cells(stream: IO[bytes], header: Header, who: str) -> NDArray[Any]:
    """Read exactly the promised bytes and see that none follow (which makes gzip verify its checksum)."""
    cells = np.empty(header.size, np.uint8)
    expected = f"expected {cells.size} bytes for shape {header.shape}"
    filled = 0
    while filled < cells.size:
        chunk = stream.read(min(CHUNK, cells.size - filled))
        if not chunk:
            raise DataError(f"{who}: truncated: {expected}, got {filled}; {REFETCH}")
        cells[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if stream.read(1):
        raise DataError(f"{who}: {expected}, got more bytes after them; {REFETCH}")
    return cells.view(header.dtype).astype(header.dtype.newbyteorder("="), copy=False).reshape(header.shape)
