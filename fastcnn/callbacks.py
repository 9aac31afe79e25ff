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

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fastcnn.atomic import place_to_write
from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import choice, real, whole
from fastcnn.layers.parameter import Array
from fastcnn.logs import CSVLog, JSONLog, Log
from fastcnn.metrics import in_json
from fastcnn.trainer import BatchMetrics, Callback, EpochMetrics, Trainer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

__all__ = ["CSVLog", "Callback", "Checkpoint", "EarlyStopping", "JSONLog", "Log", "Monitor", "ProgressBar"]

RISING = ("test_accuracy", "train_accuracy")
FALLING = ("test_cost", "cost", "moving_loss")
MONITORS = (*RISING, *FALLING, "test_metric", "train_metric")  # these two as Trainer's metric_mode says


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
        for of in ("train", "test"):
            for name in ("accuracy", "metric"):
                if (figure := getattr(metrics, f"{of}_{name}")) is not None:
                    parts.append(f"{of} {metrics.metric or name} {figure:.4f}")
        if metrics.test_cost is not None:
            parts.append(f"test cost {metrics.test_cost:.6f}")
        line = "  ".join([*parts, f"{metrics.seconds:.1f} s"])
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def on_end(self, trainer: Trainer) -> None:
        with suppress(OSError):  # a terminal that is gone must not take the place of the error that ends the training
            self._clear()

    def _clear(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.stop()
            self._bar.remove_task(self._task)
            self._task = None


class Monitor:
    """Watches one figure of the epochs: knows which way is better, and the best so far.

    Args:
        name: An attribute of `EpochMetrics`: an accuracy, which is to rise, a cost, which is to fall, or a metric.
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

    def check(self, trainer: Trainer) -> None:
        """Raise a ConfigError before the first step if the epochs will have no such figure, or none to be judged."""
        if self.name not in trainer.figures:
            raise self._missing(", ".join(name for name in MONITORS if name in trainer.figures))
        self._check_mode(trainer.metric_mode)

    def improved(self, metrics: EpochMetrics) -> bool:
        """Whether this epoch is better than all before; if so it is the best from now on.

        Raises:
            ConfigError: if the epoch has no such figure, or one of which nobody said which way is better.
        """
        value: float | None = getattr(metrics, self.name)
        if value is None:
            raise self._missing("none")
        rises = self.name in RISING or self._check_mode(metrics.mode) == "max"
        if not math.isfinite(value):
            return False
        if self.best is not None and math.isfinite(self.best):
            gain = value - self.best if rises else self.best - value
            if gain <= self.min_delta:
                return False
        self.best = value
        return True

    def _missing(self, got: str) -> ConfigError:
        need = "a metric function" if self.name.endswith("metric") else "labels to judge by"
        need = f"{need}, and validation to fit" if self.name.startswith("test") else need
        need = "validation to fit" if self.name == "test_cost" else need
        return ConfigError(
            f"{self.who}: expected a {self.name} in each epoch, got {got}; pass {need}, or choose another monitor"
        )

    def _check_mode(self, mode: str | None) -> str | None:
        if self.name not in RISING + FALLING and mode is None:
            raise ConfigError(
                f"{self.who}: can't tell which way {self.name} is better; pass metric_mode='max' or 'min' to Trainer"
            )
        return mode


class Checkpoint(Callback):
    """Saves the model after each epoch, or after each that is the best so far, with `fastcnn.save`.

    The file is replaced whole. Its metadata has the epoch's metrics; None for those that are infinite or NaN.

    Args:
        path: The file.
        monitor: What to judge by with `save_best_only`: test_accuracy, train_accuracy, test_cost, cost, moving_loss,
            test_metric or train_metric.
        save_best_only: Whether an epoch that is not the best so far leaves the file as it is. Best means of those that
            this callback saw of this model, and for test_accuracy and test_metric also of those before in
            ``trainer.progress``.

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

    def begin_anew(self) -> None:
        self.monitor.best = None

    def on_start(self, trainer: Trainer) -> None:
        place_to_write(self.path)
        self._check(trainer)
        self._saw_a_step = False
        if self.save_best_only:
            self.monitor.check(trainer)
        if self.monitor.best is None and self.monitor.name in ("test_accuracy", "test_metric"):
            done = trainer.progress
            self.monitor.best = done.best_accuracy if self.monitor.name == "test_accuracy" else done.best_metric

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
    """Ends the training when a figure has not improved for some epochs.

    Args:
        monitor: test_accuracy, train_accuracy, test_cost, cost, moving_loss, test_metric or train_metric.
        patience: After how many epochs without an improvement to stop.
        min_delta: How much is an improvement.
        restore_best: Whether the model has the weights of the best epoch, not of the last one, when `fit` has ended in
            good order, after all epochs or by a callback. After an error or a Ctrl-C it has the last ones, so that a
            checkpoint goes on from there. The optimizer's state stays that of the last epoch: to train on later, keep
            a checkpoint of that from ``on_epoch``.

    Attributes:
        monitor: The `Monitor`; ``monitor.best`` is the best figure so far.
        waited: For how many epochs there was no improvement.
        best_weights: The ``state_dict()`` of the best epoch with `restore_best`; None before the first one.

    Another fit of the same model goes on counting, one of another model begins anew. So does a run that is resumed in a
    new process, unless you set `waited`, ``monitor.best`` and `best_weights` to what they were.

    Raises:
        ConfigError: for another monitor, or before the first step for one that the epochs have no figure of; for a
            patience below 1; with `restore_best`, for a best figure without its weights.

    >>> model, x, y = fc.Sequential(fc.Linear(4, 2)), np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> stop = EarlyStopping("cost", patience=3, min_delta=10)
    >>> trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[stop])
    >>> len(trainer.fit(x, y, epochs=100))
    4
    """

    def __init__(
        self,
        monitor: str = "test_accuracy",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = False,
    ) -> None:
        self.monitor = Monitor(monitor, "EarlyStopping", min_delta)
        self.patience = whole(patience, "EarlyStopping: patience")
        self.restore_best = restore_best
        self.begin_anew()

    def begin_anew(self) -> None:
        self.monitor.best = None
        self.waited = 0
        self.best_weights: dict[str, Array] | None = None
        self._over = False  # whether the last epoch that it heard of is where fit ends

    def on_start(self, trainer: Trainer) -> None:
        self._over = False
        self.monitor.check(trainer)
        if self.restore_best and self.monitor.best is not None and self.best_weights is None:
            raise ConfigError(
                "EarlyStopping: restore_best needs the weights that belong to monitor.best; set best_weights, too, to "
                "the state_dict() of that epoch"
            )

    def on_batch(self, trainer: Trainer, metrics: BatchMetrics) -> None:
        self._over = False

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        improved = self.monitor.improved(metrics)
        self.waited = 0 if improved else self.waited + 1
        if improved and self.restore_best:
            self.best_weights = trainer.model.state_dict()
        if self.waited >= self.patience:
            trainer.should_stop = True
        self._over = metrics.epoch >= trainer.last_epoch or self.waited >= self.patience

    def on_end(self, trainer: Trainer) -> None:
        stopped = trainer.should_stop and not trainer.progress.batch and not trainer.in_step
        if self.restore_best and self.best_weights is not None and (self._over or stopped):
            trainer.model.load_state_dict(self.best_weights)


def _epoch_of(trainer: Trainer, epoch: int) -> str:
    return f"epoch {epoch}/{trainer.last_epoch}"
