"""What is asked of callbacks, and that they begin anew with another model."""

import pickle

import pytest
from xor_training import X, Y, trainer_with

import fastcnn as fc
from fastcnn.callbacks import Checkpoint, EarlyStopping
from fastcnn.trainer import Callback, Trainer

# ---- callbacks that are used again -----------------------------------------------------------------------------------


def test_early_stopping_begins_anew_with_every_model_and_goes_on_with_the_same():
    stop = EarlyStopping("cost", patience=3, min_delta=99)
    lengths = [len(trainer_with(stop).fit(X, Y, epochs=9)) for _ in range(3)]
    assert lengths == [4, 4, 4]
    stop, trainer = EarlyStopping("cost", patience=3, min_delta=99), trainer_with()
    trainer.callbacks = [stop]
    assert [len(trainer.fit(X, Y, epochs=2)), len(trainer.fit(X, Y, epochs=9))] == [2, 2]
    other = Trainer(trainer.model, trainer.loss, trainer.optimizer, callbacks=[stop])  # of the same model
    assert len(other.fit(X, Y, epochs=9)) == 1
    preset = EarlyStopping("cost", patience=3, min_delta=99)
    preset.waited, preset.monitor.best = 2, 0.0
    assert len(trainer_with(pickle.loads(pickle.dumps(preset))).fit(X, Y, epochs=9)) == 1
    assert len(trainer_with(pickle.loads(pickle.dumps(stop))).fit(X, Y, epochs=9)) == 1  # as it was copied


def test_the_best_of_one_model_keeps_no_other_from_being_saved(tmp_path):
    keep = Checkpoint(tmp_path / "best", "cost", save_best_only=True)
    for seed in range(3):
        model = fc.Sequential(fc.Linear(4, 2), seed=seed)
        Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[keep]).fit(X * 10**-seed, Y)
        assert (fc.load(keep.path).arena.data == model.arena.data).all()


def test_a_callback_of_ones_own_is_told_to_begin_anew():
    class Counts(Callback):
        def __init__(self):
            self.calls = []

        def begin_anew(self):
            self.calls.append("anew")

        def on_start(self, trainer):
            self.calls.append("start")

    counts = Counts()
    first, second = trainer_with(counts), trainer_with(counts)
    for trainer in (first, first, second, first):
        trainer.fit(X, Y)
    assert counts.calls == ["start", "start", "anew", "start", "anew", "start"]


# ---- methods that nobody calls ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("on_epoch_end", r"call it on_epoch\(self, trainer, metrics\)"),
        ("on_train_epoch_end", "call it on_epoch"),
        ("on_validation_epoch_end", "call it on_epoch"),
        ("on_validation_end", "call it on_epoch"),
        ("on_test_end", "call it on_epoch"),
        ("on_batch_end", r"call it on_batch\(self, trainer, metrics\)"),
        ("on_train_batch_end", "call it on_batch"),
        ("on_step_end", "call it on_batch"),
        ("on_train_begin", r"call it on_start\(self, trainer\)"),
        ("on_fit_start", "call it on_start"),
        ("on_train_end", r"call it on_end\(self, trainer\)"),
        ("on_epoch_begin", "none is, before an epoch or a batch: on_start comes first"),
        ("on_train_batch_start", "none is, before an epoch"),
        ("on_after_backward", "there are on_batch, on_compile, on_end, on_epoch, on_start"),
        ("on_epcoh", "call it on_epoch"),
        ("on_batchs", "call it on_batch"),
    ],
)
def test_a_method_that_nobody_calls_is_named_with_the_one_that_is_called(name, says):
    for late in (False, True):
        callback = type("Mine", (Callback,), {name: lambda self, epoch, logs=None: None})()
        with pytest.raises(fc.ConfigError, match=rf"^Trainer: the callback Mine has a method {name}, .*; {says}"):
            trainer_with(*([] if late else [callback]))
            trainer = trainer_with()
            trainer.callbacks.append(callback)
            trainer.fit(X, Y)
        assert not late or trainer.optimizer.steps == 0


def test_a_method_that_can_not_be_called_so_is_named():
    for name, takes, says in (
        (
            "on_epoch",
            lambda self, metrics: None,
            r"on_epoch is called with \(trainer, metrics\); write def on_ep",
        ),
        ("on_end", lambda self: None, r"on_end is called with \(trainer\)"),
    ):
        with pytest.raises(fc.ConfigError, match=f"^Trainer: the callback Mine: {says}"):
            trainer_with(type("Mine", (Callback,), {name: takes})())


def test_other_methods_are_a_callbacks_own_affair():
    names = "on_new_record", "on_paper", "step_end", "on_epoch", "on_start"
    callback = type("Mine", (Callback,), {name: lambda self, *anything: None for name in names})()
    assert len(trainer_with(callback).fit(X, Y)) == 1
