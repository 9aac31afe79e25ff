"""Small files of text that anybody may have edited, or put something else in their place: read if all is well.

No named pipe is waited for, nothing endless is read, and JSON has no values that Python's own reader makes of it and
that nobody can print, save or compute with.
"""

import json
import math
import os
import stat
from typing import Any

LONGEST = 2**26  # bytes: lines for 200,000 epochs
DEEPEST = 32  # lists and objects within one another
MOST_DIGITS = 20  # of a whole number: 64 bits


def read_small(path: str | os.PathLike[str]) -> bytes:
    """All that is in a file.

    Raises:
        OSError: if it can't be read, is no regular file, or is too long.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a named pipe opens at once
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise OSError(f"it has more than {LONGEST} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: also for infinite numbers, NaN, whole numbers of more than 20 digits, strings that can't be written,
            and for lists or objects that are more than 32 deep.

    >>> parse_json('{"epoch": 1e999}')
    Traceback (most recent call last):
        ...
    ValueError: 1e999 is no finite number
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError(f"it is more than {DEEPEST} deep") from None
    _check(value, DEEPEST)
    return value


def _finite(text: str) -> float:
    if math.isfinite(value := float(text)):
        return value
    raise ValueError(f"{text:.20} is no finite number")


def _whole(text: str) -> int:
    if len(text.removeprefix("-")) > MOST_DIGITS:
        raise ValueError(f"{text:.20}... is a number of {len(text)} digits")
    return int(text)


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{value!r:.60} has a null character")
        try:
            os.fsencode(value)
        except UnicodeEncodeError:
            raise ValueError(f"{value!r:.60} is no text") from None
    elif isinstance(value, list | dict):
        if not levels:
            raise ValueError(f"it is more than {DEEPEST} deep")
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _check(item, levels - 1)
