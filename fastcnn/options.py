"""What the command lines have in common: how a model is named, and how numbers and paths are read."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fastcnn.atomic import place_to_write
from fastcnn.data.transforms import SCALINGS
from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import choice, whole
from fastcnn.places import expanded
from fastcnn.terminal import listed


class Command(TyperCommand):
    """A command of typer's whose help has the options by panel, and can be read on a narrow terminal."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options."""
        panels: dict[str, dict[str, str]] = {}
        for one in self.get_params(ctx):
            if record := one.get_help_record(ctx):
                panel = getattr(one, "rich_help_panel", None) or f"{one.param_type_name.capitalize()}s"
                name, meaning = (
                    re.sub(" <.*>$", "", record[0]),
                    record[1].replace("\\[", "["),
                )  # typer <= 0.15 escapes it
                panels.setdefault(panel, {})[name] = meaning
        for panel, meanings in panels.items():
            formatter.write(f"\n{panel}:\n{listed(meanings)}\n")


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


def png_file(text: str) -> Path:
    """A parser for typer of a PNG to write: whatever is in its way shows before the work, not after it."""
    path = full_path(text)
    if path.suffix.lower() != ".png":
        raise typer.BadParameter(f"expected a name that ends in .png, got {text!r}")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"expected a file in a folder that exists, got {text!r}")
    try:
        place_to_write(path)
    except OSError as error:
        raise typer.BadParameter(f"expected a file that can be written, got {text!r} ({error.strerror})") from None
    return path


def _run_or_file(text: str) -> str:
    if not text:
        raise typer.BadParameter("expected the folder of a run or the file of a model, got ''")
    return text


def _scaling(text: str) -> str:
    try:
        return choice(text, SCALINGS, "it")
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


RunOrFile = Annotated[
    str,
    typer.Argument(parser=_run_or_file, metavar="RUN_OR_FILE", help="Folder of a run, or the file of a model."),
]
OwnLayers = Annotated[
    list[str] | None,
    typer.Option(
        "--layers",
        metavar="MODULE:CLASS",
        help="A layer of your own that the model has; imports the module, from this folder or where Python looks. "
        "May be given again.",
    ),
]
Scaling = Annotated[
    str | None,
    typer.Option(
        parser=_scaling, metavar="NAME", help="gorgonia, unit or standard: of the pixels, if the model's file lacks it."
    ),
]
