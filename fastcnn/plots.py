"""curves.png: how loss and accuracy went, epoch by epoch. Nothing else uses matplotlib, which need not be there."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastcnn.atomic import replacing
from fastcnn.errors import ConfigError, DataError
from fastcnn.metrics import EpochMetrics, in_json
from fastcnn.printable import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Column, what to call it, colour (apart for those who see few colours, too), style of the line.
Curve = tuple[str, str, str, str]
LOSSES: tuple[Curve, ...] = (
    ("cost", "training, mean of the epoch", "#1f5fa8", "-"),
    ("moving_loss", "training, moving average", "#7fb2e5", "--"),
    ("test_cost", "test", "#d95f02", "-"),
)
ACCURACIES: tuple[Curve, ...] = (
    ("train_accuracy", "training", "#1f5fa8", "-"),
    ("test_accuracy", "test", "#d95f02", "-"),
)
GREY = "#555555"


def draw_curves(
    path: str | os.PathLike[str], epochs: Sequence[EpochMetrics | Mapping[str, Any]], title: str = ""
) -> None:
    """Draw the curves of a run into a PNG file, which is replaced whole.

    Args:
        path: Of the picture.
        epochs: A history as `Trainer.fit` returns it. Or a mapping an epoch, with `epoch` and as many of the other
            fields of `fastcnn.trainer.EpochMetrics` as there are: what is missing or None is not drawn.
        title: A line above the curves.

    Raises:
        ConfigError: if matplotlib is not installed, or can't be imported.
        DataError: if there is no epoch to draw, or one is neither metrics nor such a mapping.
        OSError: if the file can't be written.

    >>> draw_curves("curves.png", [{"epoch": 1, "cost": 0.3, "test_accuracy": 0.9}])  # doctest: +SKIP
    """
    rows = _rows(epochs)
    if not rows:
        raise DataError("draw_curves: expected at least one epoch, got none; train first")
    with _matplotlib_warnings_off():
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ConfigError(
                f"draw_curves: needs matplotlib ({error}); get it by: pip install 'fastcnn[plot]'"
            ) from error
        except Exception as error:  # its settings or its folders are such that it can't even start
            raise ConfigError(
                f"draw_curves: matplotlib can't be imported ({type(error).__name__}: {error}); "
                "look at MPLBACKEND, MPLCONFIGDIR and matplotlibrc, or install it anew"
            ) from error
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        FigureCanvasAgg(figure)  # a picture, never a window; matplotlib's own choice of backend stays as it is
        loss, accuracy = figure.subplots(1, 2)
        _draw(loss, rows, LOSSES, 1.0)
        loss.set_title("loss", loc="left")
        _draw(accuracy, rows, ACCURACIES, 100.0)
        accuracy.set_title("accuracy, %", loc="left")
        _mark_best(accuracy, rows)
        if title:
            figure.suptitle(printable(title), color=GREY, fontsize="medium", parse_math=False)
        with replacing(path) as file:
            figure.savefig(file, format="png", dpi=150, metadata={"Software": None})


def _rows(epochs: Sequence[EpochMetrics | Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A mapping an epoch."""
    rows = [in_json(row) if isinstance(row, EpochMetrics) else row for row in epochs]
    for row in rows:
        if not isinstance(row, Mapping) or "epoch" not in row:
            raise DataError(
                "draw_curves: expected a history, or a dict for each epoch with its number as 'epoch', got "
                f"{type(epochs).__name__} of {type(row).__name__}; pass what Trainer.fit returns"
            )
    return rows


def _draw(axes: "Axes", epochs: Sequence[Mapping[str, Any]], curves: Sequence[Curve], factor: float) -> None:
    from matplotlib.ticker import MaxNLocator

    for column, label, color, style in curves:
        points = _points(epochs, column)
        if points:
            x, y = [epoch for epoch, _ in points], [value * factor for _, value in points]
            marker = "o" if len(points) <= 30 else ""  # a single epoch is a point, no line
            axes.plot(x, y, style, label=label, color=color, marker=marker, markersize=3.5, linewidth=1.6)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(edgecolor="none", framealpha=0.9)
    else:
        axes.set_axis_off()


def _mark_best(axes: "Axes", epochs: Sequence[Mapping[str, Any]]) -> None:
    """Say where the best test accuracy is; the first of equals, as best.safetensors."""
    points = _points(epochs, "test_accuracy")
    if points:
        epoch, value = max(points, key=lambda point: point[1])
        axes.set_title(f"best test {value:.2%} after epoch {epoch}", loc="right", color=GREY, fontsize="small")
        axes.plot([epoch], [value * 100], "o", markersize=9, markerfacecolor="none", color="#d95f02")


def _points(epochs: Sequence[Mapping[str, Any]], column: str) -> list[tuple[int, float]]:
    return [(row["epoch"], row[column]) for row in epochs if row.get(column) is not None]


@contextmanager
def _matplotlib_warnings_off() -> Iterator[None]:
    """Its remarks, say that it looks for fonts or has none for a letter, would mix with the lines of a command."""
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
