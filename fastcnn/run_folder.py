"""The folder of a run: what it was told to do, what came of it, the weights.

    config.json        settings, data and machine, written when the run starts
    metrics.jsonl      a line per epoch: the fields of `EpochMetrics`
    last.safetensors   the weights after the last complete epoch, see `fastcnn.checkpoint`

Each file is replaced whole, so a run that is killed leaves no half of one. A run that ends before its first
epoch is complete leaves nothing at all.
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
from types import FrameType, TracebackType
from typing import Any, Self

from fastcnn.atomic import replacing
from fastcnn.checkpoint import Checkpoint, save_checkpoint
from fastcnn.errors import ConfigError, DataError
from fastcnn.trainer import Callback, EpochMetrics, Trainer

CONFIG, METRICS, WEIGHTS = "config.json", "metrics.jsonl", "last.safetensors"


class RunFolder(Callback):
    """Keeps a run; a context manager around the training, and one of the trainer's callbacks.

    Args:
        path: The folder, made on entry. If not given, a new one: ``runs/<model>-<date>-<time>``.
        model_name: For that name.
        config: What config.json is to hold.

    Attributes:
        path: Known from the entry on.
        epochs: How many epochs are kept.

    Raises:
        ConfigError: if the folder already holds a run; here and now, not on entry.
        DataError: on entry or after an epoch, if it can't be written.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None, model_name: str, config: Mapping[str, Any]
    ) -> None:
        self.path = None if path is None else Path(path)
        self.model_name = model_name
        self.config = config
        self.epochs = 0
        self._lines = ""
        self._made: list[Path] = []  # the folders that did not exist before, innermost first
        for name in (CONFIG, METRICS, WEIGHTS):
            if self.path is not None and os.path.lexists(self.path / name):
                raise ConfigError(
                    f"run folder {str(path)!r}: it holds a run already ({name}); "
                    "choose another with --run-dir, or remove it"
                )

    @property
    def weights(self) -> Path:
        """The file of the weights."""
        assert self.path is not None
        return self.path / WEIGHTS

    def __enter__(self) -> Self:
        try:
            with self._errors():
                self._make()
                self._write(CONFIG, json.dumps(self.config, indent=2) + "\n")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.epochs:
            self._remove()

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        """Keep the weights, then the line. Ctrl-C waits until both are done."""
        model, step = trainer.model, trainer.optimizer.steps
        checkpoint = Checkpoint(
            model.state_dict(), self.model_name, model.dtype.name, metrics.epoch, step
        )
        lines = self._lines + json.dumps(asdict(metrics)) + "\n"
        with held_interrupts(), self._errors():
            save_checkpoint(self.weights, checkpoint)
            self._write(METRICS, lines)
            self._lines = lines
            self.epochs = metrics.epoch

    def _make(self) -> None:
        """Make the folder that was asked for, or a new one."""
        stem = f"runs/{self.model_name}-{time.strftime('%Y%m%d-%H%M%S')}"
        names = (Path(stem if number == 1 else f"{stem}-{number}") for number in count(1))
        path = self.path or next(path for path in names if not path.exists())
        self.path = path
        self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=path not in self._made)

    def _remove(self) -> None:
        """Remove the files, and the folders that were made for them, as far as nobody put more in there."""
        assert self.path is not None
        for remove in (
            *((self.path / name).unlink for name in (CONFIG, METRICS, WEIGHTS)),
            *(folder.rmdir for folder in self._made),
        ):
            with suppress(OSError):
                remove()

    def _write(self, name: str, text: str) -> None:
        assert self.path is not None
        with replacing(self.path / name) as file:
            file.write(text.encode())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"run folder {str(self.path)!r}: cannot be written ({error.strerror or error}); "
                "choose another with --run-dir"
            ) from error


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Let a Ctrl-C take effect only when the block is through."""
    if threading.current_thread() is not threading.main_thread():  # Python interrupts no other thread
        yield
        return
    held: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda *interrupt: held.append(interrupt))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held and callable(before):
        before(*held[0])
