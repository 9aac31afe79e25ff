"""The folder of a run: what it was told to do, what came of it, the weights.

    config.json        settings, data and machine, written when the run starts
    metrics.jsonl      a line per epoch: the fields of `EpochMetrics`
    last.safetensors   the weights after the last complete epoch, see `fastcnn.checkpoint`

Each file is replaced whole: nothing leaves half of one under its name. A run that ends before its first epoch is
complete leaves nothing at all, whether by an error, Ctrl-C, SIGTERM or SIGHUP. Only SIGKILL or a crash can leave the
config.json of such a run, which the next run in that folder replaces, and a temporary file, ``.<name>.<hex>.part``.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Self

from fastcnn.atomic import replacing
from fastcnn.checkpoint import Checkpoint, save_checkpoint
from fastcnn.errors import ConfigError, DataError
from fastcnn.trainer import Callback, EpochMetrics, Trainer

CONFIG, METRICS, WEIGHTS = FILES = ("config.json", "metrics.jsonl", "last.safetensors")


class RunFolder(Callback):
    """Keeps a run: a context manager around the training, and one of the trainer's callbacks.

    Nothing is written before `__enter__`.

    Args:
        path: The folder. If not given, a new one, ``runs/<model>-<date>-<time>``.
        model: Name of the model.
        config: What config.json is to hold.

    Attributes:
        path: The folder.
        epochs: How many epochs are kept.

    Raises:
        ConfigError: if the folder already holds a run, or a config.json of anything else.
        DataError: if it can't be written, now or later.
    """

    def __init__(self, path: str | os.PathLike[str] | None, model: str, config: Mapping[str, Any]) -> None:
        self.path = _new_path(model) if path is None else Path(path)
        self.model = model
        self.config = config
        self.epochs = 0
        self._is_new = path is None
        self._lines = ""
        self._made: list[Path] = []  # the folders that were not there before, innermost first
        self._files: tuple[str, ...] = ()  # those that are ours to remove
        for name in FILES:
            if os.path.lexists(self.path / name) and not (name == CONFIG and self._was_killed_early()):
                raise ConfigError(
                    f"run folder {str(path)!r}: it holds a run already ({name}); "
                    "choose another --run-dir, or remove that one"
                )
        with self._errors():
            self._check_place()

    def __enter__(self) -> Self:
        try:
            with self._errors():
                self._make()
                self._files = FILES
                self._write(CONFIG, json.dumps(self.config, indent=2) + "\n")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if not self.epochs:
            self._remove()

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        """Keep the weights, then the line. Ctrl-C and its like wait until both are done."""
        model, step = trainer.model, trainer.optimizer.steps
        checkpoint = Checkpoint(model.state_dict(), self.model, model.dtype.name, metrics.epoch, step)
        lines = self._lines + json.dumps(asdict(metrics)) + "\n"
        with held_signals(), self._errors():
            save_checkpoint(self.path / WEIGHTS, checkpoint)
            self._write(METRICS, lines)
            self._lines = lines
            self.epochs = metrics.epoch

    @property
    def what_is_kept(self) -> str:
        """For people, at the end of the run."""
        if not self.epochs:
            return "no epoch was complete, nothing is kept"
        return f"the weights after epoch {self.epochs} are in {str(self.path / WEIGHTS)!r}"

    def _was_killed_early(self) -> bool:
        """Whether config.json is that of a run; without the other files it has no complete epoch."""
        try:
            config = json.loads((self.path / CONFIG).read_bytes())
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(config, dict) and "fastcnn" in config

    def _check_place(self) -> None:
        """Raise an OSError if it is clear already that the folder can't be made, or not be written to."""
        nearest = next(folder for folder in (self.path, *self.path.parents) if os.path.lexists(folder))
        if not nearest.is_dir():
            raise NotADirectoryError(f"{str(nearest)!r} is not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to write to {str(nearest)!r}")

    def _make(self) -> None:
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=not self._is_new)
        except FileExistsError:
            if not self._is_new:
                raise
            self.path = _new_path(self.model)  # another run of the same second was faster
            self._make()

    def _write(self, name: str, text: str) -> None:
        with replacing(self.path / name) as file:
            file.write(text.encode())

    def _remove(self) -> None:
        """Remove the files, and the folders that were made for them unless something else is in there."""
        for name in self._files:
            with suppress(OSError):
                (self.path / name).unlink()
        for folder in self._made:
            with suppress(OSError):
                folder.rmdir()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = f"{self.what_is_kept}; " if self._files else ""
            raise DataError(
                f"run folder {str(self.path)!r}: cannot be written ({error.strerror or error}); "
                f"{kept}choose another --run-dir"
            ) from error


def _new_path(model: str) -> Path:
    """A folder that doesn't exist, named after the model and the time."""
    stem = f"runs/{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(path for name in names if not os.path.lexists(path := Path(name)))


@contextmanager
def held_signals() -> Iterator[None]:
    """Let a Ctrl-C, and every other signal that Python code handles, take effect only when the block is through."""
    if threading.current_thread() is not threading.main_thread():  # Python interrupts no other thread
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    numbers: set[int] = {*signal.valid_signals()}
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda *received: held.append(received))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number, frame in held:
        handlers[number](number, frame)
