"""The command line ``python -m fastcnn.train``: options in, progress and a run folder out.

Exit codes: 0 when all epochs are done; 1 when the cost became infinite or NaN; 2 for options, data or folders
that won't do, after one line that says why; 130 after Ctrl-C.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

import fastcnn as fc
from fastcnn import _core
from fastcnn.data import Dataset, load_dataset
from fastcnn.errors import FastcnnError
from fastcnn.run_folder import RunFolder
from fastcnn.trainer import BatchMetrics, Callback, EpochMetrics, NonFiniteCostError, Samples, Settings, Trainer

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # of the click that this typer brings along
DEFAULTS = Settings()

app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"max_content_width": 100})


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"fastcnn {fc.__version__}")
        raise typer.Exit


@app.command()
def train(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="auto|mnist|sample",
            help="mnist: the full set, downloaded if need be. sample: the 5,000 digits that ship with fastcnn. "
            "auto: the full set if it is on this machine, or else the sample.",
        ),
    ] = "auto",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the four IDX files of MNIST or of a relative.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="How often to go through the training images.")] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(help="Images in a step.")] = DEFAULTS.batch_size,
    dtype: Annotated[
        str, typer.Option(metavar="float32|float64", help="What to compute in.")
    ] = DEFAULTS.dtype,
    loss: Annotated[
        str,
        typer.Option(
            metavar="crossentropy|product|log-product",
            help="product is the cost of Gorgonia's tutorial, log-product that of its example program, "
            "which can't learn.",
        ),
    ] = DEFAULTS.loss,
    lr: Annotated[float, typer.Option(help="Learning rate of RMSprop.")] = DEFAULTS.lr,
    seed: Annotated[
        int, typer.Option(help="Of starting weights, dropout and order; the same seed gives the same bits.")
    ] = DEFAULTS.seed,
    shuffle: Annotated[
        bool, typer.Option(help="Go through the images in another order each epoch, or as in the file.")
    ] = DEFAULTS.shuffle,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="Train on the first N images only.")
    ] = DEFAULTS.limit,
    threads: Annotated[
        int | None, typer.Option(help="The result doesn't depend on it.  [default: all CPUs there are]")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where to keep the run.  [default: runs/gorgonia-<date>-<time>]")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and write nothing.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> int:
    """Train Gorgonia's convolutional network on MNIST.

    The run folder keeps config.json, metrics.jsonl (a line per epoch) and last.safetensors (the weights).
    """
    settings = Settings(
        dtype=dtype, loss=loss, lr=lr, epochs=epochs, batch_size=batch_size, limit=limit, shuffle=shuffle, seed=seed
    )
    if threads is not None:
        fc.set_num_threads(threads)
    console = Console(quiet=quiet, highlight=False, markup=False, soft_wrap=True)
    trainer = Trainer.from_settings(settings)
    with downloads_shown(console) as progress:
        data = load_dataset(dataset, data_dir, progress)
    train_set = Samples(data.train_images[:limit], data.train_labels[:limit], dtype, settings.scaling)
    test_set = Samples(data.test_images, data.test_labels, dtype, settings.scaling)
    trainer.check(train_set)
    trainer.check(test_set)
    run = RunFolder(run_dir, settings.model, configuration(settings, data))

    introduce(console, trainer, data, len(train_set))
    if dry_run:
        console.print(settings_table(settings))
        console.print(f"\n{trainer.model.summary()}\n\ndry run: nothing was written")
        return 0
    with run, Report(console, settings.epochs, len(train_set)) as report:
        console.print(f"run    {run.path}")
        trainer.callbacks = [run, report]
        try:
            trainer.fit(train_set, test_set, settings.epochs)
        except KeyboardInterrupt:
            report.close()
            complain(f"interrupted in epoch {trainer.epoch + 1}; {what_is_kept(run)}")
            return 130
        except NonFiniteCostError as error:
            report.close()
            complain(f"error: {error}; {what_is_kept(run)}")
            return 1
    console.print(f"done   {run.weights}")
    return 0


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


def introduce(console: Console, trainer: Trainer, data: Dataset, images: int) -> None:
    """Say which data and which model."""
    model = trainer.model
    console.print(f"data   {data.origin}")
    if images < len(data.train_labels):
        console.print(f"       of which the first {images:,} for training (--limit)")
    size = sum(parameter.size for parameter in model.parameters())
    machine = f"{_core.get_isa()} kernels, threads: {fc.get_num_threads()}"
    console.print(f"model  {model.name}: {size:,} parameters, {model.dtype.name}, {machine}")


def settings_table(settings: Settings) -> str:
    """The settings, one a line."""
    return "\n".join(["", *(f"  {name:<11}{value}" for name, value in asdict(settings).items())])


def what_is_kept(run: RunFolder) -> str:
    """What a run that ended early leaves behind."""
    if not run.epochs:
        return "no epoch was complete, so nothing is kept"
    return f"the weights after epoch {run.epochs} are in {str(run.weights)!r}"


class Report(Callback):
    """Prints a line per epoch and, on a terminal, shows a bar with the speed and the time left."""

    def __init__(self, console: Console, epochs: int, images: int) -> None:
        self.console = console
        self.epochs = epochs
        self.images = images
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_interactive or console.quiet,
            refresh_per_second=4,
        )
        self.task = self.bar.add_task(f"epoch 1/{epochs}", total=epochs * images, speed="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()
