"""The callbacks that come with fastcnn: bars, checkpoints, logs. Early stopping has a file of its own."""

import io
import os
import re

import numpy as np
import pytest
from rich.console import Console
from tiny_training import Does, tiny_arrays, tiny_trainer
from xor_training import X, Y, error_rate, rows, told, trainer_with

import fastcnn as fc
from fastcnn.callbacks import Checkpoint, CSVLog, JSONLog, ProgressBar
from fastcnn.checkpoint import load_checkpoint, save_checkpoint
from fastcnn.metrics import in_json
from fastcnn.serialize import read_model_file
from fastcnn.trainer import Callback

# ---- progress --------------------------------------------------------------------------------------------------------


def shown(epochs, validation=None, x=X, y=Y, **options):
    text = io.StringIO()
    bar = ProgressBar(Console(file=text, width=100, **options))
    trainer_with(bar).fit(x, y, epochs=epochs, validation=validation)
    return text.getvalue()


def test_a_terminal_that_is_gone_does_not_hide_what_ended_the_training(monkeypatch):
    class Gone(fc.callbacks.ProgressBar):
        def _clear(self):
            raise OSError(5, "Input/output error")

    def interrupted(*_):
        raise KeyboardInterrupt

    trainer = tiny_trainer([Gone(), Does(interrupted, batch=1)])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*tiny_arrays(20))


def test_without_a_terminal_there_is_a_line_for_each_epoch():
    first, second = shown(2, validation=(X, Y)).splitlines()
    assert first.startswith("epoch 1/2  cost 0.") and second.startswith("epoch 2/2  cost 0.")
    assert all(word in first for word in ("train accuracy", "test accuracy", "test cost", " s"))
    assert "test" not in shown(1)


def test_on_a_terminal_there_is_a_bar_for_each_epoch_that_goes_away():
    text = shown(2, force_terminal=True)
    assert "samples" in text and "\x1b[2K" in text
    assert text.count("cost 0.") == 2
    assert all(re.search(rf"epoch {number}/2 \x1b\S*━", text) for number in (1, 2))
    assert "cost" in shown(1, x=[(X, Y)], y=None, force_terminal=True)  # of as many batches as there may be


def test_a_bar_can_be_used_again():
    bar = ProgressBar(Console(file=io.StringIO(), force_terminal=True))
    trainer = trainer_with(bar)
    trainer.fit(X, Y)
    trainer.fit(X, Y)


def test_the_bar_goes_away_when_the_training_fails():
    class Fails(Callback):
        def on_batch(self, trainer, metrics):
            raise RuntimeError

    console = Console(file=io.StringIO(), force_terminal=True)
    with pytest.raises(RuntimeError):
        trainer_with(ProgressBar(console), Fails()).fit(X, Y)
    assert not console._live_stack


def test_the_bar_calls_a_metric_by_its_name():
    text = io.StringIO()
    trainer = trainer_with(ProgressBar(Console(file=text, width=200)))
    trainer.metric = error_rate
    trainer.fit(X, Y, validation=(X, Y))
    assert (
        re.search(r"train error_rate \d\.\d{4}  test error_rate \d", text.getvalue())
        and "accuracy" not in text.getvalue()
    )


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def test_checkpoint_keeps_the_model_of_the_last_epoch(tmp_path):
    path = tmp_path / "model.safetensors"
    trainer = trainer_with(Checkpoint(path))
    history = trainer.fit(X, Y, epochs=2)
    file = read_model_file(path)
    assert file.model.arena.data.tobytes() == trainer.model.arena.data.tobytes()
    assert file.metadata == {"metrics": in_json(history[-1])}
    assert os.listdir(tmp_path) == ["model.safetensors"]


@pytest.mark.parametrize(
    ("monitor", "values", "best"), [("test_accuracy", [0.3, 0.5, 0.5, 0.4], 2), ("test_cost", [3.0, 2.0, 1.0, 4.0], 3)]
)
def test_checkpoint_keeps_the_best(tmp_path, monitor, values, best):
    path = tmp_path / "best.safetensors"
    told(Checkpoint(str(path), monitor, save_best_only=True), values, monitor)
    assert read_model_file(path).metadata["metrics"]["epoch"] == best


def test_checkpoint_knows_the_best_of_a_resumed_run(tmp_path):
    path = tmp_path / "best.safetensors"
    trainer = trainer_with(Checkpoint(path, save_best_only=True))
    trainer.progress = fc.trainer.Progress(epoch=3, best_epoch=2, best_accuracy=1.0)
    trainer.fit(X, Y, validation=(X, Y))
    assert not path.exists()


@pytest.mark.parametrize("kind", [Checkpoint, CSVLog, JSONLog])
def test_a_file_that_can_not_be_is_an_error_before_the_first_step(tmp_path, kind):
    for path, says in ((tmp_path / "none" / "file", "No such file.*none'"), (tmp_path, "Is a directory")):
        trainer = trainer_with(kind(path))
        with pytest.raises(OSError, match=says):
            trainer.fit(X, Y)
        assert trainer.optimizer.steps == 0


def test_checkpoint_that_cannot_be_written_ends_the_training(tmp_path):
    class RemovesTheFolder(Callback):
        def on_batch(self, trainer, metrics):
            (tmp_path / "gone").rmdir() if metrics.batch == 1 else None

    (tmp_path / "gone").mkdir()
    with pytest.raises(OSError, match="No such file"):
        trainer_with(Checkpoint(tmp_path / "gone" / "model.safetensors"), RemovesTheFolder()).fit(X, Y)


# ---- logs ------------------------------------------------------------------------------------------------------------


LOGS = pytest.mark.parametrize(("kind", "name"), [(CSVLog, "log.csv"), (JSONLog, "log.jsonl")])


@LOGS
def test_logs_hold_every_epoch_to_the_bit(tmp_path, kind, name):
    path = tmp_path / name
    trainer = trainer_with(kind(path))
    history = trainer.fit(X, Y, epochs=2, validation=(X, Y)) + trainer.fit(X, Y)
    assert rows(path) == [in_json(metrics) for metrics in history]
    assert rows(path)[2]["test_accuracy"] is None
    assert os.listdir(tmp_path) == [name]


class Endless(fc.CrossEntropyLoss):
    """Infinite, or NaN, for the four samples of the validation, not for the three and one of the steps."""

    def __init__(self, cost):
        super().__init__()
        self.cost = cost

    def forward(self, logits, target):
        value, backward = super().forward(logits, target)
        return (value if len(logits) < 4 else self.cost), backward


@pytest.mark.parametrize("cost", [float("nan"), float("inf")])
def test_a_validation_cost_that_is_no_number_ends_nothing_and_is_null_in_files(tmp_path, cost):
    files = Checkpoint(tmp_path / "model.safetensors"), JSONLog(tmp_path / "log.jsonl")
    trainer = trainer_with(*files)
    trainer.loss = Endless(cost)
    history = trainer.fit(X, Y, epochs=2, validation=(X, Y))
    np.testing.assert_equal(history.column("test_cost"), [cost, cost])
    expected = [in_json(metrics) | {"test_cost": None} for metrics in history]
    assert rows(tmp_path / "log.jsonl") == expected
    assert read_model_file(tmp_path / "model.safetensors").metadata == {"metrics": expected[-1]}
    save_checkpoint(tmp_path / "last.safetensors", trainer)
    assert load_checkpoint(tmp_path / "last.safetensors").progress == trainer.progress


@LOGS
def test_logs_of_a_resumed_run_hold_no_epoch_twice(tmp_path, kind, name):
    path = tmp_path / name
    trainer = trainer_with(kind(path))
    trainer.fit(X, Y, epochs=3)
    resumed = trainer_with(kind(str(path)))
    resumed.progress = fc.trainer.Progress(epoch=2)  # the third epoch came after the last checkpoint
    resumed.fit(X, Y, epochs=2)
    assert [row["epoch"] for row in rows(path)] == [1, 2, 3, 4]
    assert rows(path)[:2] == [in_json(metrics) for metrics in trainer.history[:2]]
    trainer_with(kind(path)).fit(X, Y)
    assert [row["epoch"] for row in rows(path)] == [1]  # another run


@LOGS
@pytest.mark.parametrize(
    "content",
    [b"shopping list\n", b"[1]\n", b'{"epoch": null}\n', b"1,2\n", b'{"epoch": 1e999}\n', b"\xff\xfe", b"[" * 10**5],
    ids=range(7),
)
def test_a_file_that_is_no_log_is_refused_and_left_alone(tmp_path, kind, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    trainer = trainer_with(kind(path))
    trainer.progress = fc.trainer.Progress(epoch=2)
    with pytest.raises(fc.DataError, match=r"Log '.*log.*': expected .* choose another path"):
        trainer.fit(X, Y)
    assert path.read_bytes() == content
