"""The command line ``python -m fastcnn.train``: options in, a line per epoch and a run folder out.

How it fails, and with which exit codes, stands in `fastcnn.console`.
"""

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

import fastcnn as fc
from fastcnn import _core
from fastcnn.console import (
    DIVERGED,
    TrainingReport,
    complain,
    downloads_shown,
    exit_code_of,
    heed_signals,
    interrupted_code,
)
from fastcnn.data import Dataset, load_dataset
from fastcnn.errors import ConfigError, FastcnnError
from fastcnn.run_folder import RunFolder
from fastcnn.trainer import NonFiniteCostError, Samples, Settings, Trainer

DEFAULTS = Settings()

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True)
class Options:
    """The command line, understood: what to compute, and what has no part in the result."""

    settings: Settings
    dataset: str
    data_dir: Path | None
    threads: int | None
    run_dir: Path | None
    quiet: bool
    dry_run: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the arguments (or else those of the process) say, and return the exit code."""

    def command() -> int:
        try:
            options = app(arguments, prog_name="python -m fastcnn.train", standalone_mode=False)
            return train(options) if isinstance(options, Options) else 0  # --help and --version are done
        except FastcnnError as error:
            raise type(error)(in_terms_of_options(str(error))) from error

    return exit_code_of(command)


def in_terms_of_options(message: str) -> str:
    """Turn what is said of a parameter, ``settings: batch_size must``, into what was typed, ``--batch-size must``."""
    subject = re.match(r"[\w .']+: (\w+)", message)
    if subject is None or subject[1] not in inspect.signature(parse).parameters:
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


_whole_number, _number = _reader(int, "a whole number"), _reader(float, "a number")


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("expected the path of a folder, got ''")
    return Path(text)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastcnn {fc.__version__}")
        raise typer.Exit


@app.command()
def parse(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="auto|mnist|sample",
            help="mnist: the full set, downloaded if need be. sample: the 5,000 digits that ship with "
            "fastcnn. auto: the full set if it is on this machine, or else the sample.",
        ),
    ] = "auto",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="FOLDER",
            help="Where the four IDX files of MNIST are, or of another set of 28x28 images.",
        ),
    ] = None,
    epochs: Annotated[
        int, typer.Option(parser=_whole_number, metavar="N", help="How often to go through the training images.")
    ] = DEFAULTS.epochs,
    batch_size: Annotated[
        int,
        typer.Option(
            parser=_whole_number, metavar="N", help="Images in a step; an epoch's last step takes what is left."
        ),
    ] = DEFAULTS.batch_size,
    dtype: Annotated[str, typer.Option(metavar="float32|float64", help="What to compute in.")] = DEFAULTS.dtype,
    loss: Annotated[
        str,
        typer.Option(
            metavar="crossentropy|product|log-product",
            help="product is the cost of Gorgonia's tutorial, log-product that of its example program, which "
            "can't learn.",
        ),
    ] = DEFAULTS.loss,
    lr: Annotated[
        float, typer.Option(parser=_number, metavar="NUMBER", help="Learning rate of RMSprop.")
    ] = DEFAULTS.lr,
    seed: Annotated[
        int,
        typer.Option(
            parser=_whole_number,
            metavar="N",
            help="Of starting weights, dropout and order: the same seed gives the same bits.",
        ),
    ] = DEFAULTS.seed,
    shuffle: Annotated[
        bool, typer.Option(help="Take the images in a new order each epoch, or as they are in the file.")
    ] = DEFAULTS.shuffle,
    limit: Annotated[
        int | None, typer.Option(parser=_whole_number, metavar="N", help="Train on the first N images only.")
    ] = DEFAULTS.limit,
    threads: Annotated[
        int | None,
        typer.Option(
            parser=_whole_number,
            metavar="N",
            help="As many as there are CPUs if not given; any number gives the same weights.",
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            parser=_folder,
            metavar="FOLDER",
            help="Where to keep the run: runs/gorgonia-<date>-<time> if not given.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show data, settings and model; download, train and write nothing."),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> Options:
    """Train the convolutional network of Gorgonia's tutorial on MNIST.

    The run folder gets config.json, metrics.jsonl (a line per epoch) and last.safetensors (the weights after
    the last complete epoch). Ctrl-C ends the run and keeps these.
    """
    settings = Settings(
        dtype=dtype,
        loss=loss,
        lr=lr,
        epochs=epochs,
        batch_size=batch_size,
        limit=limit,
        shuffle=shuffle,
        seed=seed,
    )
    return Options(settings, dataset, data_dir, threads, run_dir, quiet, dry_run)


def train(options: Options) -> int:
    """Check everything, then train and keep the run."""
    settings = options.settings
    console = Console(quiet=options.quiet, highlight=False, markup=False, soft_wrap=True)
    if options.threads is not None:
        try:
            fc.set_num_threads(options.threads)
        except ConfigError as error:
            raise ConfigError(f"--threads: {error}") from error
    trainer = Trainer.from_settings(settings)
    with downloads_shown(console) as progress:
        data = load_dataset(options.dataset, options.data_dir, progress, download=not options.dry_run)
    training, test = samples(settings, data)
    trainer.check(training)
    trainer.check(test)
    run = RunFolder(options.run_dir, settings.model, configuration(settings, data))

    console.print(introduction(trainer, data, training))
    if options.dry_run:
        console.print(plan(run, trainer))
        return 0
    try:
        with run:
            console.print(f"run    {str(run.path)!r}")
            with TrainingReport(console, settings.epochs, len(training)) as report:
                trainer.callbacks = [run, report]
                trainer.fit(training, test, settings.epochs)
    except KeyboardInterrupt as interrupt:
        complain(f"interrupted in epoch {trainer.epoch + 1}; {run.what_is_kept}")
        return interrupted_code(interrupt)
    except NonFiniteCostError as error:
        complain(f"error: {error}; {run.what_is_kept}")
        return DIVERGED
    console.print(f"done   {run.what_is_kept}")
    return 0


def samples(settings: Settings, data: Dataset) -> tuple[Samples, Samples]:
    """Those to train on and those to test with."""
    first = slice(settings.limit)
    form = settings.dtype, settings.scaling
    return (
        Samples(data.train_images[first], data.train_labels[first], *form),
        Samples(data.test_images, data.test_labels, *form),
    )


def introduction(trainer: Trainer, data: Dataset, training: Samples) -> str:
    """Which data and why, and which model on what."""
    model = trainer.model
    lines = [f"data   {data.origin}"]
    if len(training) < len(data.train_labels):
        lines.append(f"       the first {len(training):,} of them for training (--limit)")
    size = sum(parameter.size for parameter in model.parameters())
    lines.append(
        f"model  {model.name}: {size:,} parameters, {model.dtype}, {_core.get_isa()} kernels, "
        f"threads: {fc.get_num_threads()}"
    )
    return "\n".join(lines)


def plan(run: RunFolder, trainer: Trainer) -> str:
    """What a dry run shows: where the run would be kept, all settings, the model layer by layer."""
    rows = (f"  {name:<12}{value}" for name, value in run.config["settings"].items())
    head = f"run    {str(run.path)!r} (not made: this is a dry run)\n\nsettings"
    return "\n".join([head, *rows, "", trainer.model.summary()])


def configuration(settings: Settings, data: Dataset) -> dict[str, Any]:
    """What config.json holds: all that is needed to do the run again."""
    return {
        "fastcnn": fc.__version__,
        "settings": asdict(settings),
        "dataset": {
            "name": data.name,
            "origin": data.origin,
            "training_images": len(data.train_labels),
            "test_images": len(data.test_labels),
        },
        "isa": _core.get_isa(),
        "threads": fc.get_num_threads(),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    heed_signals()
    sys.exit(main())
