"""What the command lines have in common: how a model is named, and how numbers and paths are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from fastcnn.data.transforms import SCALINGS
from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import choice, whole
from fastcnn.places import expanded


def whole_number(least: int) -> Callable[[str], int]:
    """A parser for typer that, unlike its own, repeats the text that won't do."""

    def read(text: str) -> int:
        try:
            return whole(int(text), "it", least)
        except (ValueError, ConfigError):
            raise typer.BadParameter(f"expected a whole number >= {least}, got {text!r}") from None

    return read


def full_path(text: str) -> Path:
    """A parser for typer of paths that get written to: ``~`` is the home folder, never a folder of that name."""
    try:
        return expanded(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def _scaling(text: str) -> str:
    try:
        return choice(text, SCALINGS, "it")
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


RunOrFile = Annotated[str, typer.Argument(metavar="RUN_OR_FILE", help="Folder of a run, or the file of a model.")]
Scaling = Annotated[
    str | None,
    typer.Option(
        parser=_scaling, metavar="NAME", help="gorgonia, unit or standard: of the pixels, if the model's file lacks it."
    ),
]
