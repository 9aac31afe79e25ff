"""All that the command lines write goes through here: plain text, whatever names and files have in them.

Control characters are escaped, and so is what the terminal's encoding lacks; nothing is taken for markup.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
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


def width() -> int:
    """How many columns help may take: those of the terminal, if that is neither too narrow to read nor too wide."""
    return min(max(shutil.get_terminal_size().columns, 20), 80)


def filled(text: str) -> str:
    """A paragraph, wrapped."""
    return textwrap.fill(text, width(), break_on_hyphens=False)


def listed(meanings: Mapping[str, str]) -> str:
    """Names and what they mean, side by side; on a narrow terminal one below the other."""
    side_by_side = 2 + max(map(len, meanings)) + 2
    indent = side_by_side if width() - side_by_side >= 36 else 6
    lines = []
    for name, meaning in meanings.items():
        wrapped = textwrap.wrap(meaning, width() - indent, break_on_hyphens=False)
        head = f"  {name}"
        if indent == side_by_side and wrapped:
            head = head.ljust(indent) + wrapped.pop(0)
        lines += [head, *(" " * indent + line for line in wrapped)]
    return "\n".join(lines)


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
