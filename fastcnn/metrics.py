"""What training tells of itself: figures of each batch and each epoch, and how far it has come."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import real, whole

MODES = ("min", "max")  # whether a figure is better when smaller or larger
OF_A_METRIC = ("train_metric", "test_metric", "metric", "mode")  # fields of `EpochMetrics` that no accuracy needs


@dataclass(frozen=True)
class BatchMetrics:
    """A step of training.

    Attributes:
        epoch: Number of the epoch, from 1.
        batch: Number of the batch in it, from 1.
        cost: Per sample, before the update.
        samples: How many samples this epoch has gone through so far.
        images_per_second: Of this epoch so far, as far as this process did it.

    >>> BatchMetrics(epoch=1, batch=2, cost=0.5, samples=200, images_per_second=99.0).cost
    0.5
    """

    epoch: int
    batch: int
    cost: float
    samples: int
    images_per_second: float


@dataclass(frozen=True)
class EpochMetrics:
    """An epoch of training, and how good the model is after it. None is what there is nothing to say of.

    Attributes:
        epoch: Number of the epoch, from 1.
        cost: Mean per sample over the epoch: each batch's as it was when the batch came, with dropout. So it lags
            behind the model, most of all in the first epoch.
        moving_loss: Exponential moving average of all batches' costs per sample since the first one of the run.
        train_accuracy: Share of training samples that the model, in evaluation mode after the epoch, gets
            right, judged by 5,000 that are drawn once and for all (or all, if there are fewer). None where these come
            from an iterable, which is gone through once an epoch, and with another metric.
        test_accuracy: The same for all validation samples. None without them.
        test_cost: Mean cost per validation sample.
        seconds: The whole epoch's, evaluation included; only of this process, where the epoch was resumed.
        images_per_second: Training samples by the time that training alone took.
        train_metric: With a metric of one's own, its mean over the samples of `train_accuracy`.
        test_metric: The same over all validation samples.
        metric: Its name; None for the usual accuracy.
        mode: Whether it is better when larger, "max", or smaller, "min"; None if nobody said.

    >>> EpochMetrics(1, 0.5, 0.6, 0.8, None, None, 1.0, 99.0).judged_cost
    0.5
    """

    epoch: int
    cost: float
    moving_loss: float
    train_accuracy: float | None
    test_accuracy: float | None
    test_cost: float | None
    seconds: float
    images_per_second: float
    train_metric: float | None = None
    test_metric: float | None = None
    metric: str | None = None
    mode: str | None = None

    @property
    def score(self) -> float | None:
        """What epochs are compared by, larger is better: the test accuracy, or a metric with a known mode."""
        return _score(self.test_accuracy, self.test_metric, self.mode)

    @property
    def judged_cost(self) -> float:
        """What there is to compare models by if there is no `score`: `test_cost`, or without validation `cost`."""
        return self.cost if self.test_cost is None else self.test_cost


def in_json(figures: "EpochMetrics | Progress") -> dict[str, Any]:
    """The fields in terms of JSON, which knows no infinite numbers and no NaN: those are None there.

    Those of a metric of one's own are there if there is one.

    >>> in_json(EpochMetrics(1, 0.5, 0.6, 0.8, None, float("nan"), 1.0, 99.0))["test_cost"] is None
    True
    """
    fields = {name: _finite(value) if isinstance(value, float) else value for name, value in asdict(figures).items()}
    return fields if fields.get("metric") else {name: fields[name] for name in fields if name not in OF_A_METRIC}


class History(list[EpochMetrics]):
    """A list of the metrics of epochs.

    >>> History([EpochMetrics(1, 0.5, 0.6, 0.8, 0.7, 0.5, 1.0, 99.0)]).column("test_accuracy")
    [0.7]
    """

    @property
    def best(self) -> EpochMetrics | None:
        """The first epoch of the best test accuracy or metric; where there is none, of the lowest cost.

        Figures that are infinite or NaN don't count. None if there are no others.
        """
        best: EpochMetrics | None = None
        for metrics in self:
            if _is_better(metrics, best.score if best else None, best.judged_cost if best else None):
                best = metrics
        return best

    def column(self, name: str) -> list[Any]:
        """One attribute of `EpochMetrics` for all epochs."""
        return [getattr(metrics, name) for metrics in self]


@dataclass(frozen=True)
class Progress:
    """How far training has come. With the model's and the optimizer's state it is all that a resumed run needs.

    Attributes:
        epoch: How many epochs are complete, evaluation included.
        batch: How many batches are done of the epoch under way.
        samples: How many samples these had.
        cost_sum: Sum of the costs of those samples.
        moving_loss: As in `EpochMetrics`; None before the first step.
        steps: ``optimizer.steps`` after the last step.
        best_epoch: The epoch that `History.best` names, of all complete ones; None as long as it names none.
        best_accuracy: Its test accuracy, if there was one.
        best_cost: Its cost: of the validation samples, or without them of the training. Like the accuracy None, if it
            is infinite or NaN.
        best_metric: Its test metric, if there was one.

    >>> Progress.of({"epoch": 2, "steps": 80}).epoch
    2
    """

    epoch: int = 0
    batch: int = 0
    samples: int = 0
    cost_sum: float = 0.0
    moving_loss: float | None = None
    steps: int = 0
    best_epoch: int | None = None
    best_accuracy: float | None = None
    best_cost: float | None = None
    best_metric: float | None = None

    @classmethod
    def of(cls, entries: Mapping[str, Any]) -> Self:
        """From a dict such as ``dataclasses.asdict`` makes, perhaps by way of a JSON file.

        Raises:
            ConfigError: for an unknown entry, or a value that can't be.
        """
        defaults = {field.name: field.default for field in fields(cls)}
        if unknown := set(entries) - set(defaults):
            raise ConfigError(f"Progress: expected the entries {', '.join(defaults)}, got {min(unknown)!r}")
        values: dict[str, Any] = {}
        for name, value in entries.items():
            if value is None and defaults[name] is None:
                continue
            if name in ("epoch", "batch", "samples", "steps", "best_epoch"):
                values[name] = whole(value, f"Progress: {name}", least=1 if name == "best_epoch" else 0)
            else:
                values[name] = real(value, f"Progress: {name}", "a finite number", math.isfinite)
        progress = cls(**values)
        if bool(progress.batch) != bool(progress.samples) or (progress.batch and progress.moving_loss is None):
            raise ConfigError(f"Progress: batch, samples and moving_loss don't go together in {progress}")
        if progress.best_epoch is not None and progress.best_epoch > progress.epoch:
            raise ConfigError(f"Progress: best_epoch must be one of the {progress.epoch} complete ones in {progress}")
        return progress

    def after(self, metrics: EpochMetrics) -> "Progress":
        """The progress once the epoch under way is complete."""
        best = self.best_epoch, self.best_accuracy, self.best_cost, self.best_metric
        if _is_better(metrics, _score(self.best_accuracy, self.best_metric, metrics.mode), self.best_cost):
            accuracy, metric = map(_finite, (metrics.test_accuracy, metrics.test_metric))
            best = metrics.epoch, accuracy, _finite(metrics.judged_cost), metric
        return Progress(metrics.epoch, 0, 0, 0.0, self.moving_loss, self.steps, *best)


def _score(accuracy: float | None, metric: float | None, mode: str | None) -> float | None:
    """What is to be as large as can be; None if there is nothing, or nobody said which way a metric is better."""
    if accuracy is not None or metric is None or mode is None:
        return accuracy
    return metric if mode == "max" else -metric


def _is_better(metrics: EpochMetrics, best_score: float | None, best_cost: float | None) -> bool:
    """Whether an epoch beats the best one so far: by its score, or by cost as long as no epoch has had a score."""
    score, best_score = _finite(metrics.score), _finite(best_score)
    if score is not None:
        return best_score is None or score > best_score
    cost, best_cost = _finite(metrics.judged_cost), _finite(best_cost)
    return best_score is None and cost is not None and (best_cost is None or cost < best_cost)


def _finite(figure: float | None) -> float | None:
    """The figure, if there is one to compare with others: None for an infinite one and for NaN."""
    return figure if figure is not None and math.isfinite(figure) else None
