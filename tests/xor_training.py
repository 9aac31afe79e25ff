"""What the tests of callbacks share: a trainer of four samples, epochs with figures of one's own, what logs hold."""

import csv
import json

import numpy as np

import fastcnn as fc
from fastcnn.callbacks import MONITORS
from fastcnn.metrics import EpochMetrics
from fastcnn.trainer import Trainer

X, Y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])


def trainer_with(*callbacks):
    model = fc.Sequential(fc.Linear(4, 2), seed=1)
    return Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), batch_size=3, callbacks=callbacks)


def epoch(number, **figures):
    usual = {"test_accuracy": 0.5, "train_accuracy": 0.5, "test_cost": 1.0, "cost": 1.0, "moving_loss": 1.0}
    return EpochMetrics(**(usual | figures), epoch=number, seconds=1.0, images_per_second=1.0)


def told(callback, values, monitor="test_accuracy"):
    """Tell a callback of epochs with these figures; those epochs after which the trainer was to stop."""
    trainer = trainer_with()
    trainer.figures = frozenset(MONITORS)
    callback.on_start(trainer)
    stops = []
    for number, value in enumerate(values, start=1):
        trainer.should_stop = False
        callback.on_epoch(trainer, epoch(number, **{monitor: value}))
        stops += [number] if trainer.should_stop else []
    return stops


def rows(path):
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            return [
                {key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(file)
            ]
    return [json.loads(line) for line in path.read_text().splitlines()]


def error_rate(outputs, targets):
    return outputs.argmax(axis=1) != targets
