"""How good a model is: its accuracy, or another metric, and its cost over samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import remedies
from fastcnn.backends.arrays import array_of
from fastcnn.backends.choice import host
from fastcnn.data.samples import Batches, Samples, checked_batches, labels_of, validation_of
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError
from fastcnn.layers.arguments import whole
from fastcnn.layers.contract import OTHERS, Untouched, check_takes
from fastcnn.layers.parameter import Array
from fastcnn.losses import Loss, run_loss
from fastcnn.model import Model

Metric = Callable[[Any, Any], Array]  # (outputs, targets) -> (N,), a number for each sample

EVALUATION_BATCH = 250  # twice as many take twice the memory, and are hardly faster


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes:
        samples: How many it judged; 0 where there turned out to be nothing to find.
        accuracy: Share of right answers; None without them, or with another metric. An output with a NaN is none.
        cost: Mean per sample; None without a loss.
        metric: The mean of another metric; None without one.

    >>> Evaluation(samples=2, accuracy=0.5, cost=None).accuracy
    0.5
    """

    samples: int
    accuracy: float | None
    cost: float | None
    metric: float | None = None


def evaluate(
    model: Model,
    samples: Samples | Batches | tuple[Any, Any],
    loss: Loss | None = None,
    at_most: int | None = None,
    *,
    metric: Metric | str | None = "auto",
) -> Evaluation:
    """Judge a model, in evaluation mode.

    Args:
        model: Any.
        samples: A pair ``(x, y)`` of arrays, `Samples`, or an iterable of batches ``(x, y)``.
        loss: Gives the mean cost per sample; None for no cost.
        at_most: Judge by the first so many samples; None takes all.
        metric: As `Trainer` takes it.

    Raises:
        DataError: if there are no samples, or a batch is not ``(x, y)``.
        ConfigError: if what should be samples is none.
        ShapeError: if the metric doesn't give one number for each sample, or a label is of no class of the model.
        DTypeError: if these are no real numbers.

    >>> model = fc.Sequential(fc.Linear(2, 2))
    >>> model.parameters()[0].data = np.eye(2)                  # the larger input wins
    >>> x = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)
    >>> evaluate(model, (x, np.array([0, 1, 1])), at_most=2)
    Evaluation(samples=2, accuracy=1.0, cost=None, metric=None)
    """
    return Judge(model, checked_metric(metric, "evaluate"))(validation_of(samples, "evaluate"), loss, at_most)


class Judge:
    """Evaluates one model; `pause` is called before each batch and may raise."""

    def __init__(self, model: Model, metric: Metric | str | None, pause: Callable[[], None] = lambda: None) -> None:
        self.model = model
        self.metric = metric
        self.pause = pause

    def __call__(
        self, samples: Samples | Batches, loss: Loss | None, at_most: int | None = None, spread: bool = False
    ) -> Evaluation:
        """As `evaluate`; stops after one batch, having judged none, where there turns out to be nothing to find.

        With `spread`, not the first so many of `Samples`, which may be sorted, but as many that are drawn from all.
        """
        count = 0
        total, cost = 0.0, 0.0
        measured = True
        at_most = None if at_most is None else whole(at_most, "evaluate: at_most")
        for x, y, labels in _batches(samples, at_most, spread):
            self.pause()
            outputs = _on_host(self.model(x))
            values = self._measure(outputs, y, labels, len(x), first=not count)
            if values is None and loss is None:
                return Evaluation(0, None, None)
            if values is None:
                measured = False
            else:
                total += float(values.sum(dtype=np.float64))
            if loss is not None:
                cost += per_sample(run_loss(loss, outputs, y)[0], loss, len(x)) * len(x)
            count += len(x)
        if not count:
            raise DataError("evaluate: expected at least one sample, got none; check the data set")
        figure = total / count if measured else None
        accuracy, metric = (None, figure) if callable(self.metric) else (figure, None)
        return Evaluation(count, accuracy, None if loss is None else cost / count, metric)

    def _measure(self, outputs: Any, targets: Any, labels: Array | None, count: int, first: bool) -> Array | None:
        if self.metric is None:
            return None
        if callable(self.metric):
            taken = [part for given in (outputs, targets) for part in (given if isinstance(given, tuple) else (given,))]
            untouched = Untouched(taken if first else ())
            if first:
                check_takes(self.metric, ("outputs", "targets"), f"metric: {name_of(self.metric)}")
            values = array_of(self.metric(outputs, targets), "metric", "result")
            untouched.check("metric", f"{name_of(self.metric)} changed the outputs or the targets, {OTHERS}")
            if values.shape != (count,):
                raise ShapeError(f"metric: expected a number for each of {count} samples, got shape {values.shape}")
            if values.dtype.kind not in "fiub":
                raise DTypeError(f"metric: expected real numbers, got {values.dtype}")
            return values
        if labels is None or isinstance(outputs, tuple) or outputs.ndim != 2 or outputs.shape[1] < 2:
            return None
        classes = outputs.shape[1]
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            advice = remedies.for_indices(int(labels.min()), int(labels.max()), classes)
            raise ShapeError(
                f"evaluate: labels must be from 0 to {classes - 1}, as the model has {classes} outputs, got "
                f"{labels.min()} to {labels.max()}; {advice}"
            )
        right: Array = (outputs.argmax(axis=1) == labels) & ~np.isnan(outputs).any(axis=1)  # argmax stops at a NaN
        return right


def _on_host(outputs: Any) -> Any:
    return tuple(map(host, outputs)) if isinstance(outputs, tuple) else host(outputs)


def checked_metric(metric: Metric | str | None, who: str) -> Metric | str | None:
    """The metric, if it is one."""
    if metric is None or metric == "auto" or callable(metric):
        return metric
    raise ConfigError(f"{who}: metric must be 'auto', None or a function of outputs and targets, got {metric!r}")


def name_of(metric: Metric | str | None) -> str | None:
    """What people call a metric; None for the usual accuracy, or none."""
    if not callable(metric):
        return None
    name = getattr(metric, "__name__", type(metric).__name__)
    return name if name.isidentifier() else "metric"  # a lambda has none


def figures_of(
    model: Model, metric: Metric | str | None, train: Samples | Batches, test: Samples | Batches | None
) -> frozenset[str]:
    """Which figures there will be of an epoch, by their names in `EpochMetrics`, as far as can be known before."""
    kind = "metric" if callable(metric) else "accuracy"
    judged = {"train": train if isinstance(train, Samples) else None, "test": test}
    found = {f"{of}_{kind}" for of, data in judged.items() if _says_something(model, metric, data)}
    return frozenset({"cost", "moving_loss", *found, *([] if test is None else ["test_cost"])})


def _says_something(model: Model, metric: Metric | str | None, data: Samples | Batches | None) -> bool:
    """Whether a metric will have something to say of these samples."""
    if metric is None or data is None or callable(metric):
        return metric is not None and data is not None
    if isinstance(data, Samples):
        labels, shape = data.labels, data.inputs(slice(0, 1)).shape
    elif isinstance(data, list | tuple):
        x, y = next(checked_batches(data, "evaluation"))
        labels, shape = labels_of(y), x.shape
    else:
        return True
    outputs = model.output_shape(shape)
    return labels is not None and not model.several and len(outputs) == 2 and outputs[1] > 1


def per_sample(value: Any, loss: Loss, count: int) -> float:
    """A loss's value for a batch of so many, as the mean per sample."""
    return float(np.mean(value)) / (count if loss.reduction == "sum" else 1)


def _drawn(count: int, of: int) -> NDArray[np.intp]:
    """So many different numbers below `of`, in order: the same ones always, spread over all of them."""
    draw = np.random.Generator(np.random.Philox(key=np.array([count, of], np.uint64)))
    return np.sort(draw.choice(of, count, replace=False))


def _batches(samples: Samples | Batches, at_most: int | None, spread: bool) -> Iterator[tuple[Any, Any, Array | None]]:
    """Inputs, targets and, where there are any, labels."""
    if isinstance(samples, Samples):
        count = len(samples) if at_most is None else min(len(samples), at_most)
        drawn = _drawn(count, len(samples)) if spread and count < len(samples) else None
        for first in range(0, count, EVALUATION_BATCH):
            which: Any = slice(first, min(first + EVALUATION_BATCH, count))
            which = which if drawn is None else drawn[which]
            labels = None if samples.labels is None else array_of(samples.labels, "evaluate", "labels")[which]
            yield samples.inputs(which), samples.targets(which), labels
        return
    for x, y in checked_batches(samples, "evaluation"):
        if at_most is not None and len(x) > at_most:
            x, y = x[:at_most], tuple(part[:at_most] for part in y) if isinstance(y, tuple) else y[:at_most]
        yield x, y, labels_of(y)
        if at_most is not None:
            at_most -= len(x)
            if not at_most:
                return
