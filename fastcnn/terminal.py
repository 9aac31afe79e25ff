"""All that the command lines write goes through here: plain text, whatever names and files have in them.

Control characters are escaped, and so is what the terminal's encoding lacks; nothing is taken for markup.
"""

import json
import os
import shutil
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console

from fastcnn.printable import printable


class Terminal(Console):
    """A rich console, which can show bars, for plain text on stdout.

    Args:
        quiet: Whether to print nothing.
        stderr: Whether to write to stderr instead.
    """

    def __init__(self, quiet: bool = False, stderr: bool = False) -> None:
        # rich would print nothing on 0 columns; whatever else is no width, either, is not its business.
        size = shutil.get_terminal_size()
        super().__init__(
            quiet=quiet,
            stderr=stderr,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
            width=size.columns if "COLUMNS" in os.environ else None,
            height=size.lines if "LINES" in os.environ else None,
        )

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does, but text is made fit to print."""
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)


def prepare_streams() -> None:
    """See that stdout and stderr take whatever a command prints.

    Where the caller closed one (``>&-``), Python has None: then output goes nowhere. What the encoding of stdout lacks
    is escaped, as on stderr.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (it stays open)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def give_up_unwritable_output() -> None:
    """Where stdout can't be written, see that Python doesn't try, and complain, once more at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Print lines on stdout."""
    print(printable(text))


def say_json(entries: Any) -> None:
    """Print a line of JSON on stdout, at once; in ASCII."""
    print(json.dumps(entries).replace("\x7f", "\\u007f"), flush=True)


def complain(message: str) -> None:
    """One line on stderr, whatever the message holds; nothing where nobody can read it any more."""
    with suppress(OSError):
        print(printable(" ".join(message.split())), file=sys.stderr)
