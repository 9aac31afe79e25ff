"""Fetch MNIST into a folder: several mirrors in turn, every file checked against its known SHA-256.

A file takes its final name only when its content has proved right, so the folder never holds half a file.
"""

import hashlib
import io
import os
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from fastcnn.atomic import replacing
from fastcnn.data.idx import CHUNK, decompressed
from fastcnn.errors import DataError

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from urllib.request import OpenerDirector

Progress = Callable[[str, int, int], None]
"""Called with a file's URL, the bytes received and the bytes to come in all (0 if the mirror does not say).

The first call, with 0 and 0, comes before the mirror is asked. A file that a second mirror has to send again starts
again from there.
"""


class Content(NamedTuple):
    """What a file must hold once decompressed."""

    size: int
    sha256: str


# In the order: training images, training labels, test images, test labels.
MNIST_FILES = {
    "train-images-idx3-ubyte": Content(47_040_016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": Content(60_008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": Content(7_840_016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": Content(10_008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)

SLOWEST_BYTES_PER_SECOND = 10_000


def fetch_mnist(
    folder: str | os.PathLike[str],
    mirrors: Sequence[str] | None = None,
    progress: Progress | None = None,
    timeout: float = 15.0,
) -> None:
    """See to it that `folder` holds the four files of MNIST, intact; download what is missing or damaged.

    Args:
        folder: Created if need be. Files already there, in any spelling, are checked, and kept if right.
        mirrors: Base URLs, tried in turn; if not given those in ``FASTCNN_MNIST_MIRRORS`` (separated by
            spaces), or else three public ones.
        progress: Called before a file is asked for and while it arrives, see `Progress`.
        timeout: Seconds without an answer after which a mirror is given up; so is one that in any so many seconds
            sends less than 10 kB/s, headers included.

    Raises:
        DataError: if the folder cannot be written, or if no mirror has a file; names each mirror and how it
            failed.

    >>> fetch_mnist("data/mnist")  # doctest: +SKIP
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"fetch_mnist: cannot create the folder {str(folder)!r} ({error.strerror}); "
            "set FASTCNN_CACHE_DIR to a folder that you may write"
        ) from error
    order = list(mirrors or os.environ.get("FASTCNN_MNIST_MIRRORS", "").split() or MIRRORS)
    for name, content in MNIST_FILES.items():
        path = find_file(folder, name) or folder / f"{name}.gz"
        if not _is_intact(path, content):
            answered = _fetch_from_any(order, name, path, content, progress, timeout)
            order.sort(key=lambda mirror: mirror != answered)  # the one that answered comes first from now on


def find_file(folder: Path, name: str) -> Path | None:
    """Return the path of `name` in `folder`, spelt ``-idx`` or ``.idx``, plain or ``.gz``; None if absent."""
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / f"{spelling}{suffix}" for spelling in spellings for suffix in ("", ".gz"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _is_intact(path: Path, content: Content) -> bool:
    if not os.path.isfile(path):  # a pipe would keep us waiting
        return False
    try:
        with open(path, "rb") as file:
            _check_content(file, content)
    except (OSError, EOFError, zlib.error, DataError):
        return False
    return True


def _fetch_from_any(
    mirrors: Sequence[str], name: str, path: Path, content: Content, progress: Progress | None, timeout: float
) -> str:
    """Write `path` from the first mirror that has the right content, and return that mirror."""
    from http.client import HTTPException

    failures = []
    for mirror in mirrors:
        try:
            with replacing(path) as file:
                _receive(f"{mirror.rstrip('/')}/{name}.gz", file, content.size, progress, timeout)
                _check_content(file, content)
            return mirror
        except (OSError, EOFError, ValueError, zlib.error, HTTPException) as error:
            failures.append(f"{mirror} failed: {' '.join(str(error).split()) or type(error).__name__}")
    raise DataError(
        f"fetch_mnist: expected {name!r} from one of {len(mirrors)} mirrors, got {'; '.join(failures)}; "
        "check the network, set FASTCNN_MNIST_MIRRORS, or pass a folder that has the files as --data-dir"
    )


def _receive(url: str, file: BinaryIO, size: int, progress: Progress | None, timeout: float) -> None:
    """Copy what `url` sends to `file`, as far as it can be a file of `size` bytes after decompression."""
    if progress:
        progress(url, 0, 0)
    most = size + CHUNK  # gzip never makes a file much larger
    with _paced_opener(_Pace(timeout)).open(url, timeout=timeout) as response:
        length = response.headers.get("Content-Length", "")
        total = int(length[:15]) if length.isascii() and length.isdigit() else 0  # 15 digits are too many as it is
        received = 0
        while max(received, total) <= most and (chunk := response.read1(CHUNK)):
            file.write(chunk)
            received += len(chunk)
            if progress:
                progress(url, received, total)
    if max(received, total) > most:
        raise DataError(f"expected at most {most} bytes, got {max(received, total)} or more")
    if received < total:
        raise DataError(f"the connection broke after {received} of {total} bytes")


class _Pace:
    """Gives a mirror up that is too slow: in each span of `timeout` seconds the least rate must be kept."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.began = time.monotonic()
        self.received = 0

    def count(self, size: int) -> None:
        """So many bytes have come."""
        self.received += size
        seconds = time.monotonic() - self.began
        if seconds > self.timeout:
            if self.received < seconds * SLOWEST_BYTES_PER_SECOND:
                raise TimeoutError(f"slower than {SLOWEST_BYTES_PER_SECOND // 1000} kB/s")
            self.began += seconds
            self.received = 0


class _PacedReader(io.RawIOBase):
    """What comes from a socket, counted: what waits for the end of a line sees no more than what reads the content."""

    def __init__(self, raw: io.RawIOBase, pace: _Pace) -> None:
        self.raw = raw
        self.pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        size = self.raw.readinto(buffer)
        self.pace.count(size or 0)
        return size

    def close(self) -> None:
        self.raw.close()
        super().close()


def _paced_opener(pace: _Pace) -> "OpenerDirector":
    """What opens URLs as urllib does, proxies and redirections included, and gives slow servers up."""
    from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
    from urllib.request import HTTPHandler, HTTPSHandler, build_opener

    class Response(HTTPResponse):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.fp = io.BufferedReader(_PacedReader(self.fp.detach(), pace))

    def connection(kind: "type[HTTPConnection]", *arguments: Any, **options: Any) -> "HTTPConnection":
        made = kind(*arguments, **options)
        made.response_class = Response
        return made

    class Http(HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(partial(connection, HTTPConnection), request)

    class Https(HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(partial(connection, HTTPSConnection), request)

    return build_opener(Http, Https)


def _check_content(file: BinaryIO, content: Content) -> None:
    """Raise a DataError unless `file`, plain or gzip, holds `content`; decompress at most one byte more."""
    file.seek(0)
    stream = decompressed(file)
    digest = hashlib.sha256()
    left = content.size + 1
    while left and (chunk := stream.read(min(left, CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    if digest.hexdigest() != content.sha256:
        raise DataError(f"expected SHA-256 {content.sha256[:12]}..., got {digest.hexdigest()[:12]}...")
