"""The training loop: epochs of shuffled batches, what they cost, how good the model is after each.

It prints and writes nothing. Whoever wants to see or keep something passes a `Callback`: the command line its
progress bar and its run folder, you whatever you like.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import models
from fastcnn.data import scale_pixels, soft_targets
from fastcnn.errors import ConfigError, DataError, FastcnnError
from fastcnn.graph import Sequential
from fastcnn.layers.arguments import choice, positive, real, whole
from fastcnn.layers.parameter import Array, flat_runs
from fastcnn.losses import REDUCTIONS, CrossEntropyLoss, LogProductLoss, Loss, ProductLoss
from fastcnn.optim import Optimizer, RMSprop
from fastcnn.training import train_step

LOSSES: dict[str, type[Loss]] = {
    "crossentropy": CrossEntropyLoss,
    "product": ProductLoss,
    "log-product": LogProductLoss,
}

SMOOTHING = 0.01  # how much of the newest batch's cost goes into the moving loss, as in MXNet's tutorial
SHUFFLE_STREAM = 1 << 32  # second half of the keys of the orders, apart from those that draw weights
JUDGED_TRAINING_SAMPLES = 10_000
EVALUATION_BATCH = 500


class NonFiniteCostError(FastcnnError, ArithmeticError):
    """The cost or a weight became infinite or NaN: there is nothing left to train."""


@dataclass(frozen=True)
class Settings:
    """All that decides what a run computes. The defaults are those of Gorgonia's tutorial.

    What differs from it on purpose: samples are shuffled, and the cost is a cross-entropy. Equal settings and
    equal data give equal bits, on one instruction-set level and any number of threads.

    Attributes:
        model: ``"gorgonia"``, see `fastcnn.models`.
        dtype: float32 or float64.
        loss: A key of `LOSSES`.
        reduction: Of the loss, not "none"; ``"mean_elements"`` divides by samples times classes, as Gorgonia does.
        optimizer: ``"rmsprop"``, see `fastcnn.optim`, with `lr`, `decay` and `eps`.
        scaling: Of the pixels, see `fastcnn.data.pixel_table`. Targets are 0.9 at the label, 0.1 elsewhere.
        epochs: How often the training samples are gone through.
        batch_size: Samples in a step. The last batch of an epoch takes what is left; Gorgonia drops it.
        limit: Train on the first so many images only; None takes all.
        shuffle: Whether each epoch has an order of its own; without, it is the order of the file.
        seed: Of the starting weights, the dropout masks and the orders.

    Raises:
        ConfigError: for a name that is unknown or a number out of range.
    """

    model: str = "gorgonia"
    dtype: str = "float32"
    loss: str = "crossentropy"
    reduction: str = "mean_elements"
    optimizer: str = "rmsprop"
    lr: float = 0.001
    decay: float = 0.999
    eps: float = 1e-8
    scaling: str = "gorgonia"
    epochs: int = 10
    batch_size: int = 100
    limit: int | None = None
    shuffle: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {
            "model": ("gorgonia",),
            "dtype": ("float32", "float64"),
            "loss": tuple(LOSSES),
            "reduction": tuple(name for name in REDUCTIONS if name != "none"),
            "optimizer": ("rmsprop",),
            "scaling": ("gorgonia", "unit"),
        }
        for name, allowed in choices.items():
            choice(getattr(self, name), allowed, f"settings: {name}")
        for name, least in {"epochs": 1, "batch_size": 1, "limit": 1, "seed": 0}.items():
            if (name, getattr(self, name)) != ("limit", None):
                whole(getattr(self, name), f"settings: {name}", least)
        positive(self.lr, "settings: lr")
        positive(self.eps, "settings: eps")
        real(self.decay, "settings: decay", "from 0 to below 1", lambda decay: 0 <= decay < 1)
        if not isinstance(self.shuffle, bool):
            raise ConfigError(f"settings: shuffle must be True or False, got {self.shuffle!r}")


@dataclass(frozen=True, eq=False)
class Samples:
    """Labelled images, kept as bytes and turned into numbers a batch at a time.

    MNIST's 60,000 take 47 MB that way instead of 188 or 376.

    Attributes:
        images: uint8 ``(N, C, H, W)``.
        labels: uint8 ``(N,)``, 0 to 9.
        dtype: What the numbers are to be, float32 or float64.
        scaling: Of the pixels, see `fastcnn.data.pixel_table`.

    Raises:
        DataError: if there is not one label for each image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    dtype: str = "float32"
    scaling: str = "gorgonia"

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(f"Samples: expected a label an image, got {len(self.images)} and {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, which: slice | NDArray[Any]) -> Array:
        """The images `which` as a model takes them, ``(n, C, H, W)``."""
        return scale_pixels(self.images[which], self.scaling, self.dtype)

    def targets(self, which: slice | NDArray[Any]) -> Array:
        """Their soft targets ``(n, 10)``: 0.9 at the label, 0.1 elsewhere."""
        return soft_targets(self.labels[which], self.dtype)


@dataclass(frozen=True)
class BatchMetrics:
    """A step of training.

    Attributes:
        epoch: Number of the epoch, from 1.
        batch: Number of the batch in it, from 1.
        cost: Before the update.
        samples: How many samples this epoch has gone through so far.
        images_per_second: Of this epoch so far.
    """

    epoch: int
    batch: int
    cost: float
    samples: int
    images_per_second: float


@dataclass(frozen=True)
class EpochMetrics:
    """An epoch of training, and how good the model is after it.

    Attributes:
        epoch: Number of the epoch, from 1.
        cost: Mean of the costs of its batches, weighted by their samples: each cost as it was when the batch
            came, with dropout. So it lags behind the model, most of all in the first epoch.
        moving_loss: Exponential moving average of all batches' costs since the first one of the run.
        train_accuracy: Share of training samples that the model, in evaluation mode after the epoch, gets
            right, judged by the first 10,000 (or all, if there are fewer) in the order of the file.
        test_accuracy: The same for all test samples.
        seconds: The whole epoch's, evaluation included.
        images_per_second: Training samples by the time that training alone took.
    """

    epoch: int
    cost: float
    moving_loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float
    images_per_second: float


class Callback:
    """Is told how training goes. Override what you want to know; what you raise ends the training."""

    def on_batch(self, trainer: "Trainer", metrics: BatchMetrics) -> None:
        """After each step."""

    def on_epoch(self, trainer: "Trainer", metrics: EpochMetrics) -> None:
        """After each epoch and its evaluation."""


class Trainer:
    """Trains a model that tells 10 classes apart; the targets are 0.9 at the label, 0.1 elsewhere.

    For other numbers of classes or other targets write a loop of your own around `fastcnn.train_step`.

    Args:
        model: Ends in 10 logits. Its seed also decides the orders of the samples.
        loss: With any reduction but "none".
        optimizer: Holds the parameters of the model.
        batch_size: Samples in a step.
        shuffle: Whether each epoch goes through the samples in an order of its own.
        callbacks: Told in the order given.

    Attributes:
        epoch: How many epochs are complete.
        moving_loss: As in `EpochMetrics`; None before the first step.

    >>> digits = fc.data.load_dataset("sample")
    >>> train = Samples(digits.train_images[:200], digits.train_labels[:200])
    >>> test = Samples(digits.test_images[:100], digits.test_labels[:100])
    >>> model = fc.models.gorgonia()
    >>> trainer = Trainer(model, fc.CrossEntropyLoss(), fc.RMSprop(model.parameters()), batch_size=50)
    >>> [metrics.epoch for metrics in trainer.fit(train, test, epochs=2)]
    [1, 2]
    """

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        optimizer: Optimizer,
        batch_size: int = 100,
        shuffle: bool = True,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.model = model
        self.loss = loss
        self.optimizer = optimizer
        self.batch_size = whole(batch_size, "Trainer: batch_size")
        self.shuffle = shuffle
        self.callbacks = list(callbacks)
        self.epoch = 0
        self.moving_loss: float | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Trainer":
        """A trainer with the model, loss and optimizer that the settings name."""
        model = models.gorgonia(settings.dtype, seed=settings.seed)
        loss = LOSSES[settings.loss](settings.reduction)
        optimizer = RMSprop(model.parameters(), settings.lr, settings.decay, settings.eps)
        return cls(model, loss, optimizer, settings.batch_size, settings.shuffle)

    def fit(self, train: Samples, test: Samples, epochs: int) -> list[EpochMetrics]:
        """Train for so many epochs more, and tell the callbacks and the caller how it went.

        Raises:
            DataError: if the images have another size than the model takes, or there are none.
            NonFiniteCostError: as soon as a cost is infinite or NaN, or a weight at the end of an epoch; the
                callbacks do not hear of that epoch. The model is of no use then.
        """
        self.check(train)
        self.check(test)
        return [self._run_epoch(train, test) for _ in range(whole(epochs, "Trainer: epochs"))]

    def check(self, samples: Samples) -> None:
        """Raise a DataError if these samples are not for this model."""
        expected = self.model.input_shape
        got = samples.images.shape[1:]
        if expected is not None and got != expected:
            raise DataError(
                f"Trainer: the {self.model.name} model takes images {expected}, channels, height, width, "
                f"but those of the data set are {got}; use another data set"
            )
        if not len(samples):
            raise DataError("Trainer: expected at least one sample, got none; check the data set")

    def order(self, count: int, epoch: int) -> NDArray[np.intp]:
        """In which order `epoch` goes through `count` samples; depends on nothing else but the seed."""
        if not self.shuffle:
            return np.arange(count)
        key = np.array([self.model.seed, SHUFFLE_STREAM + epoch], np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).permutation(count)

    def _run_epoch(self, train: Samples, test: Samples) -> EpochMetrics:
        epoch = self.epoch + 1
        started = time.perf_counter()
        cost = self._train(train, epoch)
        trained = time.perf_counter()
        assert self.moving_loss is not None
        metrics = EpochMetrics(
            epoch=epoch,
            cost=cost,
            moving_loss=self.moving_loss,
            train_accuracy=accuracy(self.model, train, JUDGED_TRAINING_SAMPLES),
            test_accuracy=accuracy(self.model, test),
            seconds=time.perf_counter() - started,
            images_per_second=len(train) / (trained - started),
        )
        self.epoch = epoch
        for callback in self.callbacks:
            callback.on_epoch(self, metrics)
        return metrics

    def _train(self, train: Samples, epoch: int) -> float:
        """Go through all samples once and return the mean cost."""
        order = self.order(len(train), epoch)
        started = time.perf_counter()
        total = 0.0
        done = 0
        for batch, first in enumerate(range(0, len(train), self.batch_size), start=1):
            which = order[first : first + self.batch_size]
            cost = train_step(self.model, self.loss, self.optimizer, train.inputs(which), train.targets(which))
            if not math.isfinite(cost):
                raise NonFiniteCostError(
                    f"the cost became {cost} in epoch {epoch}, batch {batch}; use a smaller learning rate"
                )
            before = cost if self.moving_loss is None else self.moving_loss
            self.moving_loss = (1 - SMOOTHING) * before + SMOOTHING * cost
            total += cost * len(which)
            done += len(which)
            speed = done / (time.perf_counter() - started)
            for callback in self.callbacks:
                callback.on_batch(self, BatchMetrics(epoch, batch, cost, done, speed))
        if not all(np.isfinite(values).all() for values, _ in flat_runs(self.model.parameters())):
            raise NonFiniteCostError(
                f"a weight became infinite or NaN at the end of epoch {epoch}; use a smaller learning rate"
            )
        return total / len(train)


def accuracy(model: Sequential, samples: Samples, at_most: int | None = None) -> float:
    """Share of the samples, or of the first `at_most`, whose largest logit is at their label."""
    count = min(len(samples), at_most or len(samples))
    right = 0
    for first in range(0, count, EVALUATION_BATCH):
        which = slice(first, min(first + EVALUATION_BATCH, count))
        right += int((model(samples.inputs(which)).argmax(axis=1) == samples.labels[which]).sum())
    return right / count
