"""Logs: text files with a line for each epoch. `fastcnn.callbacks` has them for everybody."""

import csv
import io
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from fastcnn.atomic import place_to_write, write
from fastcnn.errors import DataError
from fastcnn.metrics import OF_A_METRIC, EpochMetrics, in_json
from fastcnn.reading import read_small
from fastcnn.trainer import Callback, Trainer

FIELDS = tuple(field.name for field in fields(EpochMetrics))
USUAL = tuple(name for name in FIELDS if name not in OF_A_METRIC)


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
            text = read_small(self.path).decode() if done and self.path.exists() else self.header
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

    Those of a metric of one's own have columns where there is one.

    >>> CSVLog("log.csv").line(EpochMetrics(1, 0.5, 0.6, 0.8, None, None, 1.5, 99.0))
    '1,0.5,0.6,0.8,,,1.5,99.0\n'
    """

    header = ",".join(USUAL) + "\n"

    def on_start(self, trainer: Trainer) -> None:
        self.header = ",".join(FIELDS if callable(trainer.metric) else USUAL) + "\n"
        super().on_start(trainer)

    def line(self, metrics: EpochMetrics) -> str:
        row = io.StringIO()
        figures = [getattr(metrics, name) for name in (FIELDS if metrics.metric else USUAL)]
        csv.writer(row, lineterminator="\n").writerow(figures)
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
