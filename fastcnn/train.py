"""The command line ``python -m fastcnn.train``: what may be typed. What a run then does stands in `fastcnn.run`.

How it fails, and with which exit codes, stands in `fastcnn.console`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

import fastcnn as fc
from fastcnn.console import exit_code_of, options_of, run_program
from fastcnn.errors import ConfigError, FastcnnError
from fastcnn.options import Command, full_path
from fastcnn.recipes import MODELS, Settings
from fastcnn.recipes import recipe as settings_of
from fastcnn.run import Options, run

# What may be said of a run that goes on. Everything else was said when it began.
WITH_RESUME = ("resume", "epochs", "data_dir", "threads", "device", "profile", "quiet", "json")

MODEL, OPTIMIZER, DATA, RUN, OUTPUT = "Model and loss", "Optimizer", "Data", "Run", "Output"

HELP = """Train a small convolutional network on MNIST.

What is not given is the model's own: gorgonia runs with rmsprop on batches of 100, mxnet-scratch with sgd on the \
summed loss of batches of 64, lenet5 with adam on batches of 64; each for 10 epochs. --recipe fast brings gorgonia's \
network to 99 % of MNIST in one epoch. --dry-run shows all settings.

The run folder gets config.json, metrics.jsonl (a line per epoch), last.safetensors, best.safetensors (of the highest \
test accuracy) and, where matplotlib is installed, curves.png. Ctrl-C ends a run and saves all of it, a crash costs \
the epoch under way: --resume goes on from there.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def main(arguments: Sequence[str] | None = None, program: str = "python -m fastcnn.train") -> int:
    """Train as the arguments (or else those of the process) say, and return the exit code."""

    def command() -> int:
        try:
            options = options_of(app, arguments, program)
            return run(options) if options else 0
        except FastcnnError as error:
            raise type(error)(in_terms_of_options(str(error))) from error

    return exit_code_of(command, "use a smaller --batch-size, or --limit")


def in_terms_of_options(message: str) -> str:
    """Turn what is said of a parameter, ``settings: batch_size must``, into what was typed, ``--batch-size must``."""
    subject = re.match(r"[\w .']+: (\w+)", message)
    if subject is None or subject[1] not in parse.__annotations__:
        return message
    remedy = "" if "; " in message else "; see --help"
    return f"--{subject[1].replace('_', '-')}{message[subject.end() :]}{remedy}"


def _reader(kind: type, expected: str) -> Callable[[str], Any]:
    """A parser for typer that, unlike its own, repeats the text that won't do."""

    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"expected {expected}, got {text!r}") from None

    return read


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("expected the path of a folder, got ''")
    return full_path(text)


def _option(panel: str, help: str, metavar: str | None = None, parser: Callable[[str], Any] | None = None) -> Any:
    return typer.Option(rich_help_panel=panel, help=help, metavar=metavar, parser=parser)


def _name(panel: str, help: str) -> Any:
    return _option(panel, help, "NAME")


def _whole(panel: str, help: str) -> Any:
    return _option(panel, help, "N", _reader(int, "a whole number"))


def _number(panel: str, help: str) -> Any:
    return _option(panel, help, "NUMBER", _reader(float, "a number"))


def _path(panel: str, help: str) -> Any:
    return _option(panel, help, "FOLDER", _folder)


def _flag(panel: str, name: str, help: str) -> Any:
    return typer.Option(name, rich_help_panel=panel, help=help, metavar="", show_default=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastcnn {fc.__version__}")
        raise typer.Exit


@app.command(cls=Command, help=HELP)
def parse(
    context: typer.Context,
    model: Annotated[
        str | None,
        _name(MODEL, "gorgonia, mxnet-scratch or lenet5, with the settings of its tutorial; gorgonia if not given."),
    ] = None,
    recipe: Annotated[
        str | None,
        _name(MODEL, "The settings to start from: a model's; or fast, gorgonia's network at 99 % after one epoch."),
    ] = None,
    dropout: Annotated[
        bool,
        _flag(MODEL, "--dropout/--no-dropout", "Keep gorgonia's dropout layers, or leave them out."),
    ] = True,
    dtype: Annotated[str | None, _name(MODEL, "float32 or float64: what to compute in.")] = None,
    loss: Annotated[
        str | None,
        _name(
            MODEL,
            "crossentropy; or product, the cost of Gorgonia's tutorial; or log-product, that of its example program, "
            "which can't learn.",
        ),
    ] = None,
    reduction: Annotated[
        str | None,
        _name(MODEL, "Of a batch's losses: their mean, their sum, or mean_elements, the mean divided by the classes."),
    ] = None,
    targets: Annotated[
        str | None,
        _name(
            MODEL,
            "soft, 0.9 at the label and 0.1 elsewhere; one-hot, 1 and 0; smooth, .91 and .01; or index, the label.",
        ),
    ] = None,
    scaling: Annotated[
        str | None, _name(MODEL, "gorgonia, pixels from 0.1 to 0.999; unit, from 0 to 1; standard, of mean 0.")
    ] = None,
    seed: Annotated[
        int | None, _whole(MODEL, "Of starting weights, dropout and order: the same seed gives the same bits.")
    ] = None,
    optimizer: Annotated[
        str | None,
        _name(OPTIMIZER, "sgd, rmsprop, adam or adamw. If it is not the model's own: with lr .01 for sgd, else .001."),
    ] = None,
    lr: Annotated[float | None, _number(OPTIMIZER, "Learning rate; with another --schedule the highest.")] = None,
    schedule: Annotated[
        str | None,
        _name(
            OPTIMIZER,
            "Of the learning rate: constant; one-cycle, up to --lr and down again; cosine, down. Over all epochs.",
        ),
    ] = None,
    warmup: Annotated[
        float | None, _number(OPTIMIZER, "Share of the steps that one-cycle goes up; 0.3 if not given.")
    ] = None,
    momentum: Annotated[float | None, _number(OPTIMIZER, "Of sgd, from 0 to below 1.")] = None,
    nesterov: Annotated[bool, _flag(OPTIMIZER, "--nesterov", "Let sgd look ahead by its momentum.")] = False,
    weight_decay: Annotated[
        float | None, _number(OPTIMIZER, "L2 penalty; with adamw decoupled from the gradient.")
    ] = None,
    l1: Annotated[float | None, _number(OPTIMIZER, "L1 penalty.")] = None,
    clip_norm: Annotated[float | None, _number(OPTIMIZER, "Scale longer gradients down to this length.")] = None,
    dataset: Annotated[
        str,
        _name(
            DATA,
            "mnist: the full set, downloaded if need be. sample: the 5,000 digits that ship with fastcnn. auto: the "
            "full set if it is on this machine, or else the sample.",
        ),
    ] = "auto",
    data_dir: Annotated[
        Path | None, _path(DATA, "Where the four IDX files of MNIST are, or of another set of grey images.")
    ] = None,
    transpose: Annotated[
        bool | None,
        _flag(
            DATA,
            "--transpose/--no-transpose",
            "Swap rows and columns of the images; if not given, of those whose files are named as EMNIST's.",
        ),
    ] = None,
    epochs: Annotated[int | None, _whole(DATA, "How often to go through the training images; 10 if not given.")] = None,
    batch_size: Annotated[
        int | None, _whole(DATA, "Images in a step; an epoch's last step takes what is left.")
    ] = None,
    limit: Annotated[int | None, _whole(DATA, "Train on the first N images only.")] = None,
    shuffle: Annotated[
        bool,
        _flag(DATA, "--shuffle/--no-shuffle", "Take the images in a new order each epoch, or as they are in the file."),
    ] = True,
    run_dir: Annotated[Path | None, _path(RUN, "Where to keep the run: runs/MODEL-DATE-TIME if not given.")] = None,
    resume: Annotated[
        Path | None,
        _path(
            RUN,
            "Go on with the run in that folder, to the very bits that it would have had undisturbed. Goes with "
            "--epochs, --data-dir, --threads, --device, --profile, --quiet and --json; all else is as it was.",
        ),
    ] = None,
    threads: Annotated[
        int | None, _whole(RUN, "As many as there are CPUs if not given; any number gives the same weights.")
    ] = None,
    device: Annotated[
        str, _name(RUN, "cpu; or cuda, an NVIDIA GPU, which computes the same to rounding. A run may change it.")
    ] = "cpu",
    profile: Annotated[bool, _flag(OUTPUT, "--profile", "Show at the end where the time went.")] = False,
    quiet: Annotated[bool, _flag(OUTPUT, "--quiet", "Print nothing but errors.")] = False,
    json: Annotated[bool, _flag(OUTPUT, "--json", "Print JSON for programs, an object a line.")] = False,
    debug: Annotated[bool, _flag(OUTPUT, "--debug", "Show the shape of each layer's output for a batch.")] = False,
    dry_run: Annotated[
        bool, _flag(OUTPUT, "--dry-run", "Show data, settings and model; download, train and write nothing.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            rich_help_panel=OUTPUT,
            help="Show the version.",
            metavar="",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> Options:
    """Turn what was typed into `Options`."""
    typed = {name: value for name, value in context.params.items() if _was_typed(context, name)}
    for other in ("quiet", "debug"):
        if json and other in typed:
            raise ConfigError(f"--json and --{other} don't go together; leave one of them out")
    if resume is not None and (excess := [name for name in typed if name not in WITH_RESUME]):
        names = ", ".join(f"--{'no-' * (typed[name] is False)}{name.replace('_', '-')}" for name in excess)
        raise ConfigError(f"--resume goes on with the settings that the run has, got {names}; leave that out")
    settings = None
    if resume is None:
        start = recipe or (model if model in MODELS else "gorgonia")
        changes = {field.name: typed[field.name] for field in fields(Settings) if field.name in typed}
        settings = settings_of(start, **changes)
    return Options(
        settings=settings,
        resume=resume,
        epochs=epochs,
        dataset=dataset,
        data_dir=data_dir,
        transpose=transpose,
        threads=threads,
        device=device,
        run_dir=run_dir,
        profile=profile,
        quiet=quiet,
        json=json,
        debug=debug,
        dry_run=dry_run,
    )


def _was_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


if __name__ == "__main__":
    run_program(main)
