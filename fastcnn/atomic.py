"""Write a file whole or not at all: no crash, full disk or Ctrl-C leaves half a file under the final name.

Everything that the package writes goes through `replacing`, which also says where it may be written: links are
followed, a file that is replaced keeps its mode and owner, and what is no regular file, or write-protected, is refused.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LONGEST_STEM = 100  # bytes of a file's name that its temporary file has, too: names of 255 bytes are as long as allowed
KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
}

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]


@contextmanager
def replacing(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a temporary file, to write and read, that takes the place of `path` when the block ends well.

    The bytes are on the disk before the name changes. If the block raises anything, the temporary file is
    removed and whatever was at `path` stays as it was. Of a link the target is replaced, or made.

    Raises:
        OSError: with the path as it was given; see also `place_to_write`.
    """
    target, before = place_to_write(path)
    temporary = target.with_name(f".{_stem(target.name)}.{os.urandom(4).hex()}.part")
    try:
        with open(temporary, "x+b", opener=_open_new if before is None else _open_private) as file:
            yield file
            file.flush()
            if before is not None:
                _make_like(before, file.fileno())
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (str(temporary), temporary):
            raise OSError(error.errno, error.strerror, os.fsdecode(path)) from error
        raise
    _sync_folder(target.parent)


def write(path: AnyPath, text: str) -> None:
    """Make that the content of a file, in UTF-8; see `replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def place_to_write(path: AnyPath) -> tuple[Path, os.stat_result | None]:
    """Where `replacing` is to write, links followed, and what is there already.

    Raises:
        OSError: if it is clear already that there can't be such a file, or that what is there must stay.
    """
    name = os.fsdecode(path)
    if not os.path.basename(name):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    try:
        before = os.stat(name)
    except FileNotFoundError:  # or a link to nothing
        before = None
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have such a name", name) from None
    target = Path(os.path.realpath(name) if os.path.islink(name) else name)
    if before is None:
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(target.parent))  # what is missing
        return target, None
    if stat.S_ISDIR(before.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    if not stat.S_ISREG(before.st_mode):
        kind = KINDS.get(stat.S_IFMT(before.st_mode), "something else")
        raise OSError(errno.EINVAL, f"is {kind}, expected a regular file", name)
    if not before.st_mode & 0o222 or not os.access(target, os.W_OK):  # for root the system looks at no mode
        raise PermissionError(errno.EACCES, "is write-protected", name)
    return target, before


def _stem(name: str) -> str:
    while len(os.fsencode(name)) > LONGEST_STEM:
        name = name[:-1]
    return name


def _open_new(path: str, flags: int) -> int:
    return os.open(path, flags, 0o666)  # less what the umask takes away


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # until it is like the file that it is to replace


def _make_like(before: os.stat_result, descriptor: int) -> None:
    now = os.fstat(descriptor)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except PermissionError as error:
            raise PermissionError(error.errno, "belongs to another user or group, whose it could not stay") from error
    if now.st_mode != before.st_mode:
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the file system offers that."""
    if os.name == "posix":
        with suppress(OSError):  # as where one may write into a folder, but not list it: the file is whole all the same
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
