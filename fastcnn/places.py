"""Where fastcnn keeps what it may always make or download again, and what ``~`` means in a path."""

import os
import sys
from pathlib import Path

from fastcnn.errors import ConfigError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with the user's home folder for a ``~`` at its start, which not every shell replaces.

    Raises:
        ConfigError: where neither HOME nor the system's list of users knows that folder.
    """
    full = os.path.expanduser(path)
    if full == "~" or full.startswith(("~/", f"~{os.sep}")):
        raise ConfigError(f"{os.fspath(path)!r}: no home folder is known (HOME is not set); write the path in full")
    return Path(full)


def cache_dir() -> Path | None:
    """The folder of caches: ``FASTCNN_CACHE_DIR``, or where the system keeps a user's.

    None where that is in a home folder, and none is known. It need not exist. MNIST is kept in its subfolder ``mnist``,
    compiled GPU kernels in ``cuda``.
    """
    if chosen := os.environ.get("FASTCNN_CACHE_DIR"):
        return _expanded_if_known(chosen)
    if sys.platform == "win32":
        bases = os.environ.get("LOCALAPPDATA"), "~/AppData/Local"
    elif sys.platform == "darwin":
        bases = None, "~/Library/Caches"
    else:
        bases = os.environ.get("XDG_CACHE_HOME"), "~/.cache"
    for base in filter(None, bases):
        folder = _expanded_if_known(base)
        if folder and folder.is_absolute():  # what else the variable may hold has no meaning, says its specification
            return folder / "fastcnn"
    return None


def with_tilde(path: Path) -> str:
    """The path for people: ``~`` for their home folder."""
    home = Path(os.path.expanduser("~"))
    if home.is_absolute() and home != Path(home.anchor) and path.is_relative_to(home):
        return str("~" / path.relative_to(home))
    return str(path)


def _expanded_if_known(path: str) -> Path | None:
    try:
        return expanded(path)
    except ConfigError:
        return None
