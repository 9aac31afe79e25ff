"""The first moments of the package: as a command it heeds signals, and complains in one line, while it is imported."""

import os
import sys
from typing import NoReturn

from fastcnn.signals import end_at_once, handle_ending

COMMAND = "fastcnn"  # the program that an installation makes, and the package whose modules are programs


def begin() -> None:
    """Where the package is imported to be a command: let a signal end it without a traceback from now on."""
    if is_command():
        handle_ending(end_at_once)


def load_core() -> None:
    """Import fastcnn._core.

    Raises:
        ImportError: if it was not built for this Python.
    """
    try:
        import fastcnn._core  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "fastcnn._core":
            raise
        raise ImportError("fastcnn is not built for this Python; run `pip install .` in its source folder") from None


def give_up(error: Exception) -> NoReturn:
    """What is wrong before there is a command to say so: a line and exit code 2. A library raises the error."""
    if not is_command():
        raise error
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2) from None


def is_command() -> bool:
    """Whether this process is a command of fastcnn's, and no program that imports the package.

    ``python -m fastcnn.train`` imports the package before it runs a line of its own; until then argv[0] is "-m".
    """
    if sys.argv[:1] == ["-m"]:
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m").partition(".")[0] == COMMAND
    return bool(sys.argv) and os.path.basename(sys.argv[0]) in (COMMAND, f"{COMMAND}.exe")
