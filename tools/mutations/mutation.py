"""A way to break a kernel: in a file, given from csrc/, one piece of text, which stands there once, for another."""

from typing import NamedTuple


class Mutation(NamedTuple):
    what: str
    file: str
    old: str
    new: str
