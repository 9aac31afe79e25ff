"""Where fastcnn keeps what it may always make or download again."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The folder of caches: ``FASTCNN_CACHE_DIR``, or where the system keeps a user's.

    It need not exist. MNIST is kept in its subfolder ``mnist``, compiled GPU kernels in ``cuda``.
    """
    if chosen := os.environ.get("FASTCNN_CACHE_DIR"):
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(base)) / "fastcnn"
