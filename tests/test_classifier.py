"""Classifiers out of files: as much memory as their images take, whatever the file says of classes and channels."""

import tracemalloc
from typing import ClassVar

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import classifier
from fastcnn.classifier import load_classifier


class Counted(fc.Layer):
    """Counts the images of each batch."""

    batches: ClassVar[list[int]] = []
    transient = ("batches",)

    def forward(self, x, training=None):
        self.batches.append(len(x))
        return x, lambda dy: dy


@pytest.mark.parametrize(("targets", "right"), [("soft", 0.9), ("smooth", 0.9 + 0.1 / 14400), ("one-hot", 1.0)])
def test_thousands_of_classes_take_no_square_of_memory(tmp_path, targets, right):
    model = fc.Sequential(fc.Flatten(), input_shape=(1, 120, 120))
    fc.save(model, tmp_path / "model", {"scaling": "unit", "targets": targets})
    load_classifier(tmp_path / "model")
    tracemalloc.start()
    found = load_classifier(tmp_path / "model")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    others = {"soft": 0.1, "smooth": 0.1 / 14400, "one-hot": 0.0}[targets]
    assert found.taught == pytest.approx((right / (right + 14399 * others), others / (right + 14399 * others)))


def test_images_are_taken_by_so_many_as_memory_is_allowed(tmp_path, monkeypatch):
    """A sample takes 28 x 28 numbers of 4 bytes, and after the convolution 100 times as many."""
    layers = Counted(), fc.Conv2d(1, 100, 1), fc.AvgPool2d(14), fc.Flatten(), fc.Linear(400, 3)
    fc.save(fc.Sequential(*layers, input_shape=(1, 28, 28), seed=1), tmp_path / "model", {"scaling": "unit"})
    found = load_classifier(tmp_path / "model", layers={"Counted": Counted})
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 28, 28), np.uint8)
    answers = []
    for memory, batches in ((2**28, [20]), (8 * 101 * 28 * 28 * 4, [8, 8, 4]), (1, [1] * 20)):
        monkeypatch.setattr(classifier, "MEMORY", memory)
        Counted.batches.clear()
        answers.append(found.probabilities(images))
        assert Counted.batches == batches
    assert (answers[0] == answers[1]).all() and (answers[0] == answers[2]).all()
