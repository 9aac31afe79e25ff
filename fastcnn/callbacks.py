"""Callbacks for `fastcnn.Trainer`: a progress bar, checkpoints, early stopping, logs.

One of your own has the methods that you need:

>>> class Costs(fc.callbacks.Callback):
...     def on_batch(self, trainer, metrics):
...         print(f"epoch {metrics.epoch}, batch {metrics.batch}: {metrics.samples} samples")
>>> model, x, y = fc.Sequential(fc.Linear(4, 2)), np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
>>> optimizer = fc.SGD(model.parameters())
>>> history = fc.Trainer(model, fc.CrossEntropyLoss(), optimizer, batch_size=3, callbacks=[Costs()]).fit(x, y)
epoch 1, batch 1: 3 samples
epoch 1, batch 2: 4 samples
"""

import csv
import io
import json
import math
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcnn.atomic import place_to_write, write
from fastcnn.errors import ConfigError, DataError
from fastcnn.layers.arguments import choice, real, whole
from fastcnn.metrics import in_json
from fastcnn.trainer import BatchMetrics, Callback, EpochMetrics, Trainer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["CSVLog", "Callback", "Checkpoint", "EarlyStopping", "JSONLog", "Log", "Monitor", "ProgressBar"]

MONITORS = ("test_accuracy", "train_accuracy", "test_cost", "cost", "moving_loss")
FIELDS = tuple(field.name for field in fields(EpochMetrics))


class ProgressBar(Callback):
    """Shows a bar with the speed and the time left for each epoch, on a terminal, and prints a line after it.

    Args:
        console: A ``rich.console.Console`` to show it on; stdout's if not given.

    >>> model, x, y = fc.Sequential(fc.Linear(4, 2)), np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[ProgressBar()])
    >>> history = trainer.fit(x, y)                                                         # doctest: +ELLIPSIS
    epoch 1/1  cost ...  train accuracy ...  ... s
    """

    def __init__(self, console: "Console | None" = None) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def on_start(self, trainer: Trainer) -> None:
        # Here, for whoever imports fastcnn need not have rich.
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        from fastcnn.terminal import Terminal

        if self.console is None:
            self.console = Terminal()
        columns = (
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.completed} samples, {task.fields[speed]}/s"), TimeRemainingColumn(),
        )  # fmt: skip
        disable = not self.console.is_interactive or self.console.quiet
        self._bar = Progress(*columns, console=self.console, transient=True, disable=disable, refresh_per_second=4)

    def on_batch(self, trainer: Trainer, metrics: BatchMetrics) -> None:
        assert self._bar is not None
        if self._task is None:
            self._task = self._bar.add_task(_epoch_of(trainer, metrics.epoch), total=trainer.samples_in_epoch, speed="")
            self._bar.start()
        self._bar.update(self._task, completed=metrics.samples, speed=f"{metrics.images_per_second:,.0f}")

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        assert self.console is not None
        self._clear()
        parts = [_epoch_of(trainer, metrics.epoch), f"cost {metrics.cost:.6f}"]
        if metrics.train_accuracy is not None:
            parts.append(f"train accuracy {metrics.train_accuracy:.4f}")
        if metrics.test_accuracy is not None:
            parts.append(f"test accuracy {metrics.test_accuracy:.4f}")
        if metrics.test_cost is not None:
            parts.append(f"test cost {metrics.test_cost:.6f}")
        line = "  ".join([*parts, f"{metrics.seconds:.1f} s"])
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def on_end(self, trainer: Trainer) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None


class Monitor:
    """Watches one figure of the epochs: knows which way is better, and the best so far.

    Args:
        name: An attribute of `EpochMetrics`: an accuracy, which is to rise, or a cost, which is to fall.
        who: Whose it is, for messages.
        min_delta: By how much a figure must beat the best one to count as better; 0 or more.

    Attributes:
        best: The best figure so far, None before the first one. One that is infinite or NaN is never better.

    Raises:
        ConfigError: for another name, or a negative `min_delta`.

    >>> monitor = Monitor("cost", "mine")
    >>> [monitor.improved(EpochMetrics(1, cost, cost, None, None, None, 1.0, 1.0)) for cost in (0.5, 0.6, 0.4)]
    [True, False, True]
    """

    def __init__(self, name: str, who: str, min_delta: float = 0.0) -> None:
        self.who = who
        self.name = choice(name, MONITORS, f"{who}: monitor")
        self.min_delta = real(min_delta, f"{who}: min_delta", "a number >= 0", lambda delta: 0 <= delta < float("inf"))
        self.best: float | None = None

    def improved(self, metrics: EpochMetrics) -> bool:
        """Whether this epoch is better than all before; if so it is the best from now on.

        Raises:
            ConfigError: if the epoch has no such figure.
        """
        value: float | None = getattr(metrics, self.name)
        if value is None:
            raise ConfigError(
                f"{self.who}: expected a {self.name} in each epoch, got none; pass validation to fit, or choose "
                "another monitor"
            )
        if not math.isfinite(value):
            return False
        if self.best is not None and math.isfinite(self.best):
            gain = value - self.best if self.name.endswith("accuracy") else self.best - value
            if gain <= self.min_delta:
                return False
        self.best = value
        return True


class Checkpoint(Callback):
    """Saves the model after each epoch, or after each that is the best so far, with `fastcnn.save`.

    The file is replaced whole. Its metadata has the epoch's metrics; None for those that are infinite or NaN.

    Args:
        path: The file.
        monitor: What to judge by with `save_best_only`: test_accuracy, train_accuracy, test_cost, cost or moving_loss.
        save_best_only: Whether an epoch that is not the best so far leaves the file as it is. Best means of those that
            this callback saw, and for test_accuracy also of those before in ``trainer.progress``.

    Raises:
        ConfigError: for another monitor, or one that the epochs have no figure of; for a model that can't be saved,
            before the second step.
        OSError: if the file can't be written; it ends the training. Before the first step, if the folder is missing.

    >>> import tempfile
    >>> model, x, y = fc.Sequential(fc.Linear(4, 2)), np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keep_best = Checkpoint(f"{folder}/best.safetensors", "cost", save_best_only=True)
    ...     trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[keep_best])
    ...     history = trainer.fit(x, y)
    ...     fc.load(keep_best.path)(x).shape
    (4, 2)
    """

    def __init__(
        self, path: str | os.PathLike[str], monitor: str = "test_accuracy", save_best_only: bool = False
    ) -> None:
        self.path = Path(path)
        self.monitor = Monitor(monitor, "Checkpoint")
        self.save_best_only = save_best_only
        self._saw_a_step = False

    def on_start(self, trainer: Trainer) -> None:
        place_to_write(self.path)
        self._check(trainer)
        self._saw_a_step = False
        if self.monitor.best is None and self.monitor.name == "test_accuracy":
            self.monitor.best = trainer.progress.best_accuracy

    def on_batch(self, trainer: Trainer, metrics: BatchMetrics) -> None:
        if not self._saw_a_step:  # a layer with state of its own has changed by now
            self._check(trainer)
            self._saw_a_step = True

    def _check(self, trainer: Trainer) -> None:
        from fastcnn.serialize import check_savable

        check_savable(trainer.model, f"Checkpoint {str(self.path)!r}")

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        from fastcnn.serialize import save  # here, for it brings in a library that `import fastcnn` can do without

        if not self.save_best_only or self.monitor.improved(metrics):
            save(trainer.model, self.path, {"metrics": in_json(metrics)})


class EarlyStopping(Callback):
    """Ends the training when a figure has not improved for some epochs. The weights are those of the last one.

    Args:
        monitor: test_accuracy, train_accuracy, test_cost, cost or moving_loss.
        patience: After how many epochs without an improvement to stop.
        min_delta: How much is an improvement.

    Attributes:
        monitor: The `Monitor`; ``monitor.best`` is the best figure so far.
        waited: For how many epochs there was no improvement. A run that is resumed in a new process starts to count
            anew, unless you set `waited` and ``monitor.best`` to what they were.

    Raises:
        ConfigError: for another monitor, or one that the epochs have no figure of; for a patience below 1.

    >>> model, x, y = fc.Sequential(fc.Linear(4, 2)), np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> stop = EarlyStopping("cost", patience=3, min_delta=10)
    >>> trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[stop])
    >>> len(trainer.fit(x, y, epochs=100))
    4
    """

    def __init__(self, monitor: str = "test_accuracy", patience: int = 5, min_delta: float = 0.0) -> None:
        self.monitor = Monitor(monitor, "EarlyStopping", min_delta)
        self.patience = whole(patience, "EarlyStopping: patience")
        self.waited = 0

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        self.waited = 0 if self.monitor.improved(metrics) else self.waited + 1
        if self.waited >= self.patience:
            trainer.should_stop = True


class Log(Callback):
    """Base of the logs, `CSVLog` and `JSONLog`: a text file with a line for each complete epoch.

    It is replaced whole after each, and holds no epoch twice: a run that is resumed keeps the lines up to where it
    goes on, and one that starts at the beginning starts the file anew.

    Args:
        path: The file.

    Raises:
        DataError: if a run is resumed, and the file is none that this callback wrote.
        OSError: if it can't be read or written. Before the first step, if the folder is missing.
    """

    header = ""  # the first line, if there is one

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lines: list[str] = []

    def on_start(self, trainer: Trainer) -> None:
        place_to_write(self.path)
        done = trainer.progress.epoch
        try:
            text = self.path.read_text(encoding="utf-8") if done and self.path.exists() else self.header
            lines = text.removeprefix(self.header).splitlines(keepends=True)
            self._lines = (
                [line for line in lines if self.epoch_of(line) <= done] if text.startswith(self.header) else []
            )
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            raise DataError(f"{self._who}: expected a line for each epoch ({error}); choose another path") from error
        if not text.startswith(self.header):
            raise DataError(f"{self._who}: expected the header of the log, got {text[:40]!r}; choose another path")

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        self._lines.append(self.line(metrics))
        write(self.path, "".join([self.header, *self._lines]))

    @property
    def _who(self) -> str:
        return f"{type(self).__name__} {str(self.path)!r}"

    def line(self, metrics: EpochMetrics) -> str:
        """The line of an epoch, its newline included."""
        raise NotImplementedError(f"{self._who}: write line(self, metrics) -> text that ends with a newline")

    def epoch_of(self, line: str) -> int:
        """The number of the epoch that a line is of."""
        raise NotImplementedError(f"{self._who}: write epoch_of(self, line) -> number")


class CSVLog(Log):
    r"""Keeps the fields of `EpochMetrics` in a CSV file: a header, then a line for each epoch. None is empty.

    >>> CSVLog("log.csv").line(EpochMetrics(1, 0.5, 0.6, 0.8, None, None, 1.5, 99.0))
    '1,0.5,0.6,0.8,,,1.5,99.0\n'
    """

    header = ",".join(FIELDS) + "\n"

    def line(self, metrics: EpochMetrics) -> str:
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow(asdict(metrics).values())
        return row.getvalue()

    def epoch_of(self, line: str) -> int:
        return int(line.split(",")[0])


class JSONLog(Log):
    """Keeps the fields of `EpochMetrics` in a file of JSON lines: an object for each epoch.

    None is null, and so are figures that are infinite or NaN.

    >>> JSONLog("log.jsonl").epoch_of('{"epoch": 3, "cost": 0.25}')
    3
    """

    def line(self, metrics: EpochMetrics) -> str:
        return json.dumps(in_json(metrics), allow_nan=False) + "\n"

    def epoch_of(self, line: str) -> int:
        entries: dict[str, Any] = json.loads(line)
        return int(entries["epoch"])


def _epoch_of(trainer: Trainer, epoch: int) -> str:
    return f"epoch {epoch}/{trainer.last_epoch}"
