"""Checkpoints: training goes on from one to the same bits; what is none is refused in one line.

Damaged files are the business of tests/test_serialize.py.
"""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import fastcnn as fc
from fastcnn.checkpoint import load_checkpoint, save_checkpoint
from fastcnn.metrics import Progress
from fastcnn.trainer import Callback, Trainer

X = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
Y = (X.sum(axis=1) > 0).astype(np.int64)


def new_trainer(optimizer=fc.RMSprop, seed=3, callbacks=()):
    model = fc.Sequential(fc.Linear(4, 8), fc.Dropout(0.2), fc.Linear(8, 2), input_shape=(4,), seed=seed)
    return Trainer(model, fc.CrossEntropyLoss(), optimizer(model.parameters()), batch_size=10, callbacks=callbacks)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.safetensors"


@pytest.mark.parametrize("optimizer", [fc.SGD, fc.RMSprop, fc.Adam, fc.AdamW])
def test_training_goes_on_to_the_same_bits_and_figures(path, optimizer):
    at_once, first, second = (new_trainer(optimizer) for _ in range(3))
    expected = at_once.fit(X, Y, epochs=4)
    first.fit(X, Y, epochs=2)
    save_checkpoint(path, first)
    load_checkpoint(path).restore(second)
    history = second.fit(X, Y, epochs=2)
    assert second.model.arena.data.tobytes() == at_once.model.arena.data.tobytes()
    assert history.column("moving_loss") == expected.column("moving_loss")[2:]
    assert second.progress == at_once.progress


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_it_goes_on_in_the_middle_of_an_epoch_too(path, batch):
    class Saves(Callback):
        def on_batch(self, trainer, metrics):
            if (metrics.epoch, metrics.batch) == (2, batch):
                save_checkpoint(path, trainer)
                trainer.should_stop = True

    at_once, first, second = new_trainer(), new_trainer(callbacks=[Saves()]), new_trainer()
    at_once.fit(X, Y, epochs=3)
    first.fit(X, Y, epochs=3)
    checkpoint = load_checkpoint(path)
    assert (checkpoint.progress.epoch, checkpoint.progress.batch) == (1, batch)
    checkpoint.restore(second)
    second.fit(X, Y, epochs=2)
    assert second.model.arena.data.tobytes() == at_once.model.arena.data.tobytes()
    assert second.progress == at_once.progress


def test_a_checkpoint_is_a_model_file_and_equal_ones_are_equal_files(path, tmp_path):
    trainer = new_trainer()
    trainer.fit(X, Y)
    for _ in range(3):
        save_checkpoint(path, trainer, {"scaling": "unit"})
        save_checkpoint(tmp_path / "other", trainer, {"scaling": "unit"})
        assert path.read_bytes() == (tmp_path / "other").read_bytes()
    np.testing.assert_array_equal(fc.load(path)(X), trainer.model(X))
    checkpoint = load_checkpoint(path)
    assert checkpoint.metadata == {"scaling": "unit"} and checkpoint.progress == trainer.progress
    assert checkpoint.optimizer_state["steps"] == 5


def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(path, monkeypatch):
    save_checkpoint(path, new_trainer())
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, new_trainer(seed=4))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_model_alone_is_no_checkpoint(path):
    fc.save(new_trainer().model, path)
    with pytest.raises(fc.DataError, match="got a model alone; use fastcnn"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "changes",
    [{"epoch": -1}, {"batch": 1.5}, {"cost_sum": "much"}, {"pace": 1}, {"moving_loss": [0] * 999}],
    ids=lambda changes: str(changes)[:30],
)
def test_a_progress_that_can_not_be_is_refused_in_one_line(path, changes):
    save_checkpoint(path, new_trainer())
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()["fastcnn"])
    description["metadata"]["progress"] |= changes
    save_file(load_file(path), path, {"fastcnn": json.dumps(description)})
    with pytest.raises(fc.DataError, match=r"last.safetensors'.*: damaged \(Progress: .*\); use another") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500 + len(str(path))


def test_a_trainer_of_another_model_or_optimizer_is_refused(path):
    save_checkpoint(path, new_trainer())
    checkpoint = load_checkpoint(path)
    with pytest.raises(fc.ShapeError, match="state does not fit"):
        checkpoint.restore(new_trainer(fc.Adam))
    model = fc.Sequential(fc.Linear(4, 2), input_shape=(4,))
    with pytest.raises(fc.ShapeError, match="state dict does not fit"):
        checkpoint.restore(Trainer(model, fc.CrossEntropyLoss(), fc.RMSprop(model.parameters())))


def test_a_path_with_no_file_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(fc.DataError):
            load_checkpoint(path)


def test_a_new_checkpoint_has_come_nowhere(path):
    save_checkpoint(path, new_trainer())
    assert load_checkpoint(path).progress == Progress()
