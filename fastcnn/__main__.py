"""``python -m fastcnn`` and the program ``fastcnn``: what commands there are, and the way to each."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import fastcnn as fc
from fastcnn.console import exit_code_of, run_program
from fastcnn.errors import ConfigError
from fastcnn.terminal import filled, listed, say

COMMANDS = {
    "train": "Train a network on MNIST or the like; the run is kept in a folder.",
    "predict": "Tell which digits pictures show, and how sure a model is.",
    "evaluate": "Count what a model gets right, and show its worst mistakes.",
}
OPTIONS = {"-h, --help": "Show this; after a command, the help of that.", "--version": "Show the version."}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments (or else those of the process) say, and return the exit code."""
    first, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if first in COMMANDS:
        code: int = import_module(f"fastcnn.{first}").main(rest, f"{_program()} {first}")
        return code
    return exit_code_of(lambda: _about(first))


def run() -> NoReturn:
    """The program ``fastcnn``."""
    run_program(main)


def _about(asked: str) -> int:
    """What there is."""
    if asked == "--version":
        say(f"fastcnn {fc.__version__}")
    elif asked in ("-h", "--help"):
        parts = [
            f"Usage: {_program()} COMMAND [OPTIONS]",
            "Small convolutional networks, trained and run on the CPU or a GPU.",
        ]
        say("\n\n".join([*map(filled, parts), f"Commands:\n{listed(COMMANDS)}", f"Options:\n{listed(OPTIONS)}"]))
    else:
        raise ConfigError(f"expected a command first, {', '.join(COMMANDS)}, got {asked!r}; see --help")
    return 0


def _program() -> str:
    """How this was called."""
    return "fastcnn" if os.path.basename(sys.argv[0]).startswith("fastcnn") else "python -m fastcnn"


if __name__ == "__main__":
    run()
