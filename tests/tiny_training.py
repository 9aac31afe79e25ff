"""What the tests of training share: a task that is learnt at once, a trainer for it, callbacks."""

from dataclasses import replace

import numpy as np

import fastcnn as fc
from fastcnn.trainer import Callback, Trainer


def tiny_arrays(count, seed=0):
    """Vectors of 16 whose label, of 10, shows in one large entry."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, count)
    x = rng.random((count, 16)) / 5
    x[np.arange(count), y] = 1
    return x, y


def tiny_trainer(callbacks=(), lr=0.01, seed=0, batch_size=10, **options):
    model = fc.Sequential(fc.Dropout(0.1), fc.Linear(16, 10), input_shape=(16,), dtype="float64", seed=seed)
    optimizer = fc.RMSprop(model.parameters(), lr)
    return Trainer(model, fc.CrossEntropyLoss(), optimizer, callbacks=callbacks, batch_size=batch_size, **options)


def untimed(history):
    return [replace(metrics, seconds=0.0, images_per_second=0.0) for metrics in history]


class Diary(Callback):
    def __init__(self):
        self.calls, self.batches, self.epochs = [], [], []

    def on_start(self, trainer):
        self.calls.append("start")

    def on_batch(self, trainer, metrics):
        self.calls.append(f"batch {metrics.batch}")
        self.batches.append(metrics)

    def on_epoch(self, trainer, metrics):
        self.calls.append(f"epoch {metrics.epoch}")
        self.epochs.append(metrics)

    def on_end(self, trainer):
        self.calls.append("end")


class Does(Callback):
    """Does something after one batch."""

    def __init__(self, action, epoch=1, batch=1):
        self.action, self.when = action, (epoch, batch)

    def on_batch(self, trainer, metrics):
        if (metrics.epoch, metrics.batch) == self.when:
            self.action(trainer)
