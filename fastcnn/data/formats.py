"""What a file that is no IDX file is, for messages: by its kind on the disk, and by its first bytes."""

import gzip
import os
import re
import stat
import zlib
from contextlib import suppress
from typing import NamedTuple

HEAD = 512  # bytes that are looked at
GZIP = b"\x1f\x8b"
UNPACK = "unpack it, and pass the folder with what was in it"
CONVERT = "convert it by fastcnn.data.write_idx"

NOT_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Kind(NamedTuple):
    """What a file is, and what to do about it."""

    what: str
    remedy: str


BEGINNINGS = (
    (b"\x93NUMPY", Kind("NumPy's .npy", CONVERT)),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", UNPACK)),
    (b"Rar!", Kind("a RAR archive", UNPACK)),
    (b"\xfd7zXZ", Kind("packed by xz", UNPACK)),
    (b"BZh", Kind("packed by bzip2", UNPACK)),
    (b"\x28\xb5\x2f\xfd", Kind("packed by zstd", UNPACK)),
    (b"\x89PNG", Kind("a PNG picture", CONVERT)),
    (b"\xff\xd8\xff", Kind("a JPEG picture", CONVERT)),
    (b"\x80\x02", Kind("a pickle", CONVERT)),
    (b"\x80\x03", Kind("a pickle", CONVERT)),
    (b"\x80\x04", Kind("a pickle", CONVERT)),
    (b"PAR1", Kind("a Parquet table", CONVERT)),
    (b"\x89HDF", Kind("an HDF5 file", CONVERT)),
    (b"ARROW1", Kind("an Arrow table", CONVERT)),
    (b"MATLAB", Kind("a MATLAB file", CONVERT)),
    (b"version https://git-lfs", Kind("a pointer of Git LFS instead of the file", "fetch the file by git lfs pull")),
)
TEXT = Kind("text", "look what it says, and fetch the file again")
WEB_PAGE = re.compile(rb"\s*(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml|error)", re.IGNORECASE)


def kind_of(head: bytes) -> Kind | None:
    """What a file is that begins with these bytes, `HEAD` of them or all; None if nobody can tell.

    >>> kind_of(b"<!DOCTYPE html><html>").what
    'a web page'
    """
    for beginning, kind in BEGINNINGS:
        if head.startswith(beginning):
            return kind
    if head.startswith(b"PK\x03\x04"):
        name = head[30:100]  # of the first file in it
        if b"/data.pkl" in name or b"/.format_version" in name:
            return Kind("a file of torch.save", CONVERT)
        is_npz = b".npy" in name
        return Kind("NumPy's .npz", CONVERT) if is_npz else Kind("a zip archive", UNPACK)
    if head[257:262] == b"ustar":
        return Kind("a tar archive", UNPACK)
    if WEB_PAGE.match(head):
        return Kind("a web page", "fetch the file again: what came was a page about it, or an error")
    if head and re.fullmatch(rb"[\t\n\r -~]+", head):
        is_table = head.split(b"\n")[0].count(b",") > 1
        return Kind("a table of text (CSV)", CONVERT) if is_table else TEXT
    return None


def why_no_file(path: str | os.PathLike[str]) -> str | None:
    """What there is at a path instead of a regular file, which alone is safe to read; None if it is one.

    >>> why_no_file("/dev/zero"), why_no_file("/"), why_no_file("/nowhere")
    ('a device', 'a folder', 'nothing of that name')
    """
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        return "a folder that may not be entered"
    except (OSError, ValueError):
        return "a link to nothing" if os.path.islink(path) else "nothing of that name"
    return None if stat.S_ISREG(mode) else next((what for holds, what in NOT_FILES if holds(mode)), "no regular file")


def head_of(path: str | os.PathLike[str]) -> bytes:
    """The first `HEAD` bytes of a regular file, or of what gzip packed into it; none if it can't be read."""
    head = b""
    with suppress(OSError, EOFError, zlib.error):
        if why_no_file(path) is None and os.path.getsize(path):  # an empty one may wait for a writer, in /proc
            with open(path, "rb") as file:
                head = file.read(HEAD)
                if head.startswith(GZIP):
                    file.seek(0)
                    head = gzip.GzipFile(fileobj=file).read(HEAD)
    return head
