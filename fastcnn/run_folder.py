"""The folder of a run: what it was told to do, how far it came, what came of it.

    config.json        settings, data and machine, written when the run starts
    metrics.jsonl      a line per epoch: the fields of `fastcnn.trainer.EpochMetrics`
    best.safetensors   a checkpoint: the weights of the highest test accuracy, of the first epoch that had it
    last.safetensors   a checkpoint: where the run goes on from, after the last complete epoch or after Ctrl-C
    curves.png         see `fastcnn.plots`

Each file is replaced whole, in this order, last.safetensors after all that it answers for. So whatever moment a run is
killed at, metrics.jsonl and best.safetensors are as last.safetensors says or one epoch ahead, and the epoch that is
done again after `resume` writes the same into them, but for times. A run that was killed before it had a
last.safetensors starts again. Only SIGKILL or a crash can leave a temporary file, ``.<name>.<hex>.part``; resuming
removes it.

One process at a time writes to a folder: it holds a lock on it, which the system takes back however the process ends.
"""

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Self

from fastcnn.architecture import one_line
from fastcnn.atomic import place_to_write, write
from fastcnn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from fastcnn.errors import ConfigError, DataError
from fastcnn.metrics import EpochMetrics, Progress, in_json
from fastcnn.plots import draw_curves
from fastcnn.reading import parse_json, read_small
from fastcnn.trainer import Callback, Trainer

try:
    import fcntl
except ImportError:  # Windows; there is no lock there
    fcntl = None  # type: ignore[assignment]

CONFIG, METRICS, BEST, LAST, CURVES = FILES = (
    "config.json", "metrics.jsonl", "best.safetensors", "last.safetensors", "curves.png",
)  # fmt: skip


class RunFolder(Callback):
    """Keeps a run: a context manager around all of it, and one of the trainer's callbacks.

    Nothing is written before `start`. What a new run leaves in its folder when it ends without anything to go on from
    is removed again.

    Args:
        path: The folder. If not given, a new one, ``runs/<model>-<date>-<time>``.
        model: Name of the model.

    Attributes:
        path: The folder.
        config: What config.json holds, or is to hold.
        checkpoint: Where a resumed run stood; None if it has to start again, or is new.
        metadata: What goes into the checkpoints beside the progress; set it before training.
        kept: The progress of last.safetensors; None as long as there is none.
        rows: The lines of metrics.jsonl.

    Raises:
        ConfigError: if the folder already holds a run, or a config.json of anything else.
        DataError: if it can't be written, now or later.
    """

    def __init__(self, path: str | os.PathLike[str] | None, model: str) -> None:
        self._set_up(_new_path(model) if path is None else Path(path))
        self.model = model
        self._is_new_name = path is None
        self._check_free()
        with self._errors():
            self._check_place()

    def _set_up(self, path: Path) -> None:
        self.path = path
        self.config: Mapping[str, Any] = {}
        self.checkpoint: Checkpoint | None = None
        self.metadata: Mapping[str, Any] = {}
        self.kept: Progress | None = None
        self.rows: list[dict[str, Any]] = []
        self.resumed = False
        self._earlier: list[dict[str, Any]] = []  # the rows of epochs before this process
        self._lock: int | None = None  # a descriptor of the folder
        self._made: list[Path] = []  # the folders that were not there before, innermost first
        self._ours: tuple[str, ...] = ()  # the files that may be removed again

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Self:
        """A run that goes on: locked, read and checked; use it in a ``with`` statement at once.

        Raises:
            ConfigError: if another process is writing to it.
            DataError: if there is no run, one of its files is damaged, or they don't belong together.
        """
        self = cls.__new__(cls)
        self._set_up(Path(path))
        self.resumed = True
        if not self.path.is_dir():
            there = "that is no folder" if os.path.lexists(path) else "there is no such folder"
            raise DataError(f"run folder {str(path)!r}: {there}; check the path")
        self._take_lock()
        try:
            self._read()
        except BaseException:
            self._release_lock()
            raise
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.resumed and self.kept is None:
            self._remove()
        self._release_lock()

    def start(self, config: Mapping[str, Any]) -> None:
        """Make the folder and write config.json; in a resumed run, bring all files to where it goes on from."""
        with self._errors():
            if self.resumed:
                self._check_place()
                self._check_files(protected=False)
                self._write_rows(self.rows)
            else:
                self._make()
                self._take_lock()
                self._check_free()  # once more, now that nobody else can start here
                self._ours = FILES
            self.tidy()
            if config != self.config:
                write(self.path / CONFIG, json.dumps(config, indent=2) + "\n")
            self.config = config

    def tidy(self) -> None:
        """Remove what a process that was killed in the middle of writing has left."""
        with self._errors():
            for name in FILES:
                for path in self.path.glob(f".{name}.*.part"):
                    path.unlink()

    def on_epoch(self, trainer: Trainer, metrics: EpochMetrics) -> None:
        """Keep the epoch: its line, the weights if they are the best so far, and where to go on from."""
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Keep where the trainer stands, after an epoch or between two steps of one.

        Where a second Ctrl-C has broken off the keeping of an epoch, that is done here.
        """
        progress = trainer.progress
        rows = [*self._earlier, *map(in_json, trainer.history)]
        if len(rows) != progress.epoch:  # a second Ctrl-C came just before the epoch was noted down
            return
        with self._errors():
            if len(rows) > len(self.rows):
                self._write_rows(rows)
                self.rows = rows
            if not progress.batch and progress.best_epoch == progress.epoch:
                save_checkpoint(self.path / BEST, trainer, self.metadata)
            save_checkpoint(self.path / LAST, trainer, self.metadata)
            self.kept = progress

    def draw(self, title: str) -> None:
        """Draw the curves, if an epoch is complete.

        Raises:
            Exception: whatever matplotlib, its settings and the disk can come to.
        """
        if self.rows:
            draw_curves(self.path / CURVES, self.rows, title)

    @property
    def files(self) -> dict[str, str | None]:
        """The paths of the files by what they are (config, metrics, best, last, curves); None where there is none."""
        paths = {name.partition(".")[0]: self.path / name for name in FILES}
        return {what: str(path) if path.exists() else None for what, path in paths.items()}

    @property
    def what_is_kept(self) -> str:
        """For people, when a run ends early."""
        if self.kept is None:
            return "no epoch was complete, nothing is kept"
        return f"all up to {place_of(self.kept)} is kept in {str(self.path / LAST)!r}"

    @property
    def how_to_go_on(self) -> str:
        """For people, when it can go on from there: what is kept, and the command, for a shell."""
        if self.kept is None:
            return self.what_is_kept
        return f"{self.what_is_kept}; to go on: python -m fastcnn.train --resume {shlex.quote(str(self.path))}"

    # ---- reading what there is ---------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Config, rows and checkpoint of a run, which must fit together."""
        self._check_files(protected=True)  # a run that is complete writes none
        self.config = self._read_config()
        rows = self._read_rows()
        if os.path.lexists(self.path / LAST):
            self.checkpoint = load_checkpoint(self.path / LAST)
            self.kept = self.checkpoint.progress
        done = self.kept.epoch if self.kept else 0
        if len(rows) not in (done, done + 1):  # one ahead: killed between the two files
            expected = (
                f"{done} lines, as {LAST} is of epoch {done}" if self.kept else f"no lines, as there is no {LAST}"
            )
            raise DataError(
                f"{self.who}: {METRICS} must have {expected}, got {len(rows)}; put back the file that is missing"
            )
        self.rows = self._earlier = rows[:done]

    def _check_files(self, protected: bool) -> None:
        """Find out at once, not when an epoch is to be kept there; `protected` files may be."""
        for name in FILES:
            try:
                place_to_write(self.path / name)
            except OSError as error:
                if not (protected and isinstance(error, PermissionError)):
                    raise DataError(
                        f"{self.who}: {name} can't be replaced ({error.strerror}); put back the file that the run wrote"
                    ) from error

    def _read_config(self) -> dict[str, Any]:
        try:
            config = parse_json(read_small(self.path / CONFIG))
        except FileNotFoundError:
            raise DataError(f"{self.who}: there is no run in it, it has no {CONFIG}; check the path") from None
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.who}: {CONFIG} is damaged ({one_line(error)}); put back the one that the run wrote"
            ) from error
        if not (
            isinstance(config, dict) and all(isinstance(config.get(name), dict) for name in ("settings", "dataset"))
        ):
            raise DataError(f"{self.who}: {CONFIG} is not that of a run, or damaged; check the path")
        return config

    def _read_rows(self) -> list[dict[str, Any]]:
        path = self.path / METRICS
        try:
            rows = [parse_json(line) for line in read_small(path).splitlines()] if os.path.lexists(path) else []
            epochs = [EpochMetrics(**row) for row in rows]
            numbers = all(type(value) in (int, float, type(None)) for row in rows for value in row.values())
            if numbers and [metrics.epoch for metrics in epochs] == [*range(1, len(rows) + 1)]:
                return rows
            problem = "its epochs are not 1, 2, 3 and so on, in numbers"
        except (OSError, ValueError, TypeError) as error:
            problem = one_line(error)
        raise DataError(f"{self.who}: {METRICS} is damaged ({problem}); put back the one that the run wrote")

    def _check_free(self) -> None:
        for name in FILES:
            if os.path.lexists(self.path / name) and not (name == CONFIG and self._was_killed_early()):
                raise ConfigError(
                    f"{self.who}: it holds a run already ({name}); go on with it by --resume, "
                    "choose another --run-dir, or remove that one"
                )

    def _was_killed_early(self) -> bool:
        """Whether config.json is that of a run; without the other files it has no complete epoch."""
        try:
            config = parse_json(read_small(self.path / CONFIG))
        except (OSError, ValueError):
            return False
        return isinstance(config, dict) and "fastcnn" in config

    def _check_place(self) -> None:
        """Raise an OSError if it is clear already that the folder can't be made, or not be written to."""
        nearest = next(folder for folder in (self.path, *self.path.parents) if os.path.lexists(folder))
        if not nearest.is_dir():
            raise NotADirectoryError(f"{str(nearest)!r} is not a folder")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise PermissionError(f"no permission to write to {str(nearest)!r}")

    # ---- writing -----------------------------------------------------------------------------------------------------

    def _make(self) -> None:
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=not self._is_new_name)
        except FileExistsError:
            if not self._is_new_name:
                raise
            self.path = _new_path(self.model)  # another run of the same second was faster
            self._make()

    def _write_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            write(self.path / METRICS, "".join(json.dumps(row) + "\n" for row in rows))
        else:
            (self.path / METRICS).unlink(missing_ok=True)

    def _remove(self) -> None:
        """Remove the files, and the folders that were made for them unless something else is in there."""
        for name in self._ours:
            with suppress(OSError):
                (self.path / name).unlink()
        for folder in self._made:
            with suppress(OSError):
                folder.rmdir()

    def _take_lock(self) -> None:
        """Keep other processes from writing here; nobody is kept out where the file system has no locks."""
        if fcntl is None:
            return
        self._lock = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release_lock()
            raise ConfigError(
                f"{self.who}: another process is writing to it; let it finish, or stop it first"
            ) from None
        except OSError:
            pass

    def _release_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def who(self) -> str:
        """How messages call this folder."""
        return f"run folder {str(self.path)!r}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self.kept:
                remedy = self.how_to_go_on
            elif self.resumed:
                remedy = "mend that and resume it again"
            else:
                remedy = f"{self.what_is_kept}; " if self._ours else ""
                remedy += "choose another --run-dir"
            raise DataError(f"{self.who}: cannot be written ({error.strerror or error}); {remedy}") from error


def place_of(progress: Progress) -> str:
    """How far it has come, for people."""
    if progress.batch:
        return f"batch {progress.batch} of epoch {progress.epoch + 1}"
    return f"epoch {progress.epoch}" if progress.epoch else "the start"


def _new_path(model: str) -> Path:
    """A folder that doesn't exist, named after the model and the time."""
    stem = f"runs/{model}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(path for name in names if not os.path.lexists(path := Path(name)))
