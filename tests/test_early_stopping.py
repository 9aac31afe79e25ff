"""Early stopping and monitors: when a training ends, what it leaves, which figures can be judged."""

import signal
from contextlib import suppress

import numpy as np
import pytest
from xor_training import X, Y, error_rate, rows, told, trainer_with

import fastcnn as fc
from fastcnn.callbacks import MONITORS, Checkpoint, CSVLog, EarlyStopping, JSONLog
from fastcnn.checkpoint import load_checkpoint, save_checkpoint
from fastcnn.serialize import read_model_file
from fastcnn.trainer import Callback

# ---- early stopping --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("monitor", "patience", "min_delta", "values", "stops"),
    [
        ("test_accuracy", 2, 0.0, [0.1, 0.3, 0.2, 0.3, 0.4], [4]),
        ("test_accuracy", 2, 0.0, [0.1, 0.3, 0.2, 0.4, 0.4, 0.5], []),
        ("train_accuracy", 1, 0.15, [0.1, 0.2, 0.3], [2]),
        ("cost", 2, 0.0, [3.0, 2.0, 2.5, 2.0, 1.0], [4]),
        ("test_cost", 1, 0.0, [3.0, 2.0, 1.0], []),
        ("moving_loss", 1, 0.5, [3.0, 2.6], [2]),
        ("cost", 2, 0.0, [float("nan"), 2.0, 1.0, float("nan"), 1.5], [5]),
        ("test_accuracy", 1, 0.0, [float("nan"), 0.1, 0.2], [1]),
        ("cost", 1, 0.0, [float("inf"), 3.0, 2.0], [1]),
    ],
    ids=range(9),
)
def test_early_stopping(monitor, patience, min_delta, values, stops):
    assert told(EarlyStopping(monitor, patience, min_delta), values, monitor) == stops


def test_early_stopping_stops_a_training():
    history = trainer_with(EarlyStopping("cost", patience=2, min_delta=99)).fit(X, Y, epochs=50)
    assert len(history) == 3


SOFT = np.eye(2, dtype=np.float32)[Y]
UNJUDGED = {  # the monitor, the data, the trainer's metric, what is said
    "no validation": ("test_accuracy", {"x": X, "y": Y}, "auto", "got train_accuracy, cost, moving_loss; pass labels"),
    "no validation for a cost": ("test_cost", {"x": X, "y": Y}, "auto", "pass validation to fit, or choose"),
    "batches": ("train_accuracy", {"x": [(X, Y)]}, "auto", "got cost, moving_loss; pass labels"),
    "no metric": ("test_accuracy", {"x": X, "y": Y, "validation": (X, Y)}, None, "got test_cost, cost, moving_loss"),
    "no labels": ("test_accuracy", {"x": X, "y": -SOFT, "validation": (X, -SOFT)}, "auto", "got test_cost, cost"),
    "no labels in batches": ("test_accuracy", {"x": X, "y": Y, "validation": [(X, -SOFT)]}, "auto", "got train_accu"),
    "another metric": (
        "test_accuracy",
        {"x": X, "y": Y, "validation": (X, Y)},
        "own",
        "moving_loss, test_metric, train",
    ),
    "the usual metric": ("test_metric", {"x": X, "y": Y, "validation": (X, Y)}, "auto", "pass a metric function, and"),
}


@pytest.mark.parametrize(("monitor", "data", "metric", "says"), UNJUDGED.values(), ids=UNJUDGED.keys())
@pytest.mark.parametrize("kind", [EarlyStopping, lambda monitor: Checkpoint("best", monitor, save_best_only=True)])
def test_a_monitor_of_what_nobody_measures_is_refused_before_the_first_step(monitor, data, metric, says, kind):
    trainer = trainer_with(kind(monitor))
    trainer.metric = error_rate if metric == "own" else metric
    with pytest.raises(fc.ConfigError, match=rf": expected a {monitor} in each epoch, .*{says}"):
        trainer.fit(**data)
    assert trainer.optimizer.steps == 0


def test_a_monitor_of_batches_that_can_not_be_looked_at_is_refused_after_the_epoch():
    trainer = trainer_with(EarlyStopping())
    trainer.metric = None
    with pytest.raises(fc.ConfigError, match="expected a test_accuracy"):
        trainer.fit(X, Y, validation=iter([(X, Y)]))


@pytest.mark.parametrize(("mode", "kept"), [("min", 1), ("max", 4)])
def test_a_metric_is_judged_by_its_mode(tmp_path, mode, kept):
    """The first sample's number grows with every epoch."""

    class Grows:
        calls = 0

        def __call__(self, outputs, targets):
            self.calls += 0.25  # a call for training, three for validation
            return np.full(len(targets), self.calls)

    files = (
        Checkpoint(tmp_path / "best", "test_metric", save_best_only=True),
        JSONLog(tmp_path / "log.jsonl"),
        CSVLog(tmp_path / "log.csv"),
    )
    trainer = trainer_with(EarlyStopping("test_metric", patience=2 if mode == "min" else 9), *files)
    trainer.metric, trainer.metric_mode = Grows(), mode
    history = trainer.fit(X, Y, epochs=4, validation=[(X, Y)] * 3)
    assert len(history) == (3 if mode == "min" else 4)
    assert history.best.epoch == trainer.progress.best_epoch == kept
    assert history.best.test_metric == trainer.progress.best_metric and history.best.test_accuracy is None
    assert read_model_file(tmp_path / "best").metadata["metrics"]["epoch"] == kept
    last = rows(tmp_path / "log.jsonl")[-1]
    assert (last["metric"], last["mode"], last["test_metric"]) == ("Grows", mode, history[-1].test_metric)
    assert (tmp_path / "log.csv").read_text().splitlines()[-1].endswith(f",{history[-1].test_metric},Grows,{mode}")


def test_a_metric_of_which_nobody_said_which_way_is_better_is_judged_by_the_cost_and_not_monitored():
    trainer = trainer_with()
    trainer.metric = error_rate
    history = trainer.fit(X, Y, epochs=3, validation=(X, Y))
    assert history.best.epoch == 3 and history.best.test_cost == min(history.column("test_cost"))
    trainer.callbacks = [EarlyStopping("test_metric")]
    with pytest.raises(fc.ConfigError, match="EarlyStopping: can't tell which way test_metric is better; pass"):
        trainer.fit(X, Y, validation=(X, Y))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"monitor": "loss"}, f"EarlyStopping: monitor must be one of {', '.join(MONITORS)}"),
        ({"patience": 0}, "EarlyStopping: patience must be"),
        ({"min_delta": -1}, "EarlyStopping: min_delta must be"),
    ],
    ids=str,
)
def test_arguments_out_of_range_are_refused(arguments, says):
    with pytest.raises(fc.ConfigError, match=says):
        EarlyStopping(**arguments)


# ---- the weights of the best epoch -----------------------------------------------------------------------------------


class Scripted(Callback):
    """Says what the cost of an epoch was, and keeps the weights after each."""

    def __init__(self, *costs):
        self.costs, self.weights = costs, {}

    def on_epoch(self, trainer, metrics):
        self.weights[metrics.epoch] = trainer.model.arena.data.copy()
        object.__setattr__(metrics, "cost", self.costs[metrics.epoch - 1])


@pytest.mark.parametrize(
    ("costs", "epochs", "left", "best"),
    [((3, 1, 2, 2, 2), 5, 4, 2), ((3, 2, 1), 3, 3, 3), ((1, 2), 2, 2, 1), ((3, 2, 9, 1), 3, 3, 2)],
    ids=["stopped", "the last", "not stopped", "complete"],
)
def test_the_best_weights_are_restored_when_fit_ends(costs, epochs, left, best):
    script, stop = Scripted(*costs), EarlyStopping("cost", patience=2, restore_best=True)
    trainer = trainer_with(script, stop)
    assert len(trainer.fit(X, Y, epochs=epochs)) == left
    assert trainer.model.arena.data.tobytes() == script.weights[best].tobytes() and len(script.weights) == left
    assert trainer.progress.epoch == left


@pytest.mark.parametrize("how", ["error", "interrupt", "stop in an epoch", "error at its start"])
def test_a_fit_that_is_broken_off_keeps_the_last_weights(how, ctrl_c):
    class Breaks(Callback):
        def on_batch(self, trainer, metrics):
            if metrics.epoch == 3 and metrics.batch == (1 if how == "stop in an epoch" else 2):
                self.weights = trainer.model.arena.data.copy()
                if how == "error":
                    raise RuntimeError
                if how == "interrupt":
                    signal.raise_signal(signal.SIGINT)
                trainer.should_stop = how == "stop in an epoch"

        def on_epoch(self, trainer, metrics):
            if how == "error at its start" and metrics.epoch == 3:
                raise RuntimeError

    breaks = Breaks()
    script, stop = Scripted(1, 2, 3, 4), EarlyStopping("cost", patience=9, restore_best=True)
    trainer = trainer_with(script, stop, breaks)
    with suppress(RuntimeError, KeyboardInterrupt):
        trainer.fit(X, Y, epochs=4)
    assert trainer.model.arena.data.tobytes() == breaks.weights.tobytes() != script.weights[1].tobytes()


def test_a_stop_by_another_callback_at_the_end_of_an_epoch_restores_too():
    class Stops(Callback):
        def on_epoch(self, trainer, metrics):
            trainer.should_stop = metrics.epoch == 3

    script = Scripted(2, 1, 3, 4)
    trainer = trainer_with(script, EarlyStopping("cost", restore_best=True), Stops())
    trainer.fit(X, Y, epochs=4)
    assert trainer.model.arena.data.tobytes() == script.weights[2].tobytes()


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    class Saves(Callback):
        def on_epoch(self, trainer, metrics):
            save_checkpoint(tmp_path / f"{metrics.epoch}", trainer)

    costs = 3, 1, 2, 2, 2
    trainer = trainer_with(Scripted(*costs), EarlyStopping("cost", 3, restore_best=True), Saves())
    trainer.fit(X, Y, epochs=5)
    checkpoint = load_checkpoint(tmp_path / "3")
    stop = EarlyStopping("cost", 3, restore_best=True)
    resumed = trainer_with(Scripted(*costs), stop)
    checkpoint.restore(resumed)
    stop.monitor.best, stop.waited = 1, 1
    with pytest.raises(fc.ConfigError, match="restore_best needs the weights that belong to"):
        resumed.fit(X, Y)
    stop.best_weights = fc.load(tmp_path / "2").state_dict()
    resumed.fit(X, Y, epochs=2)
    assert resumed.model.arena.data.tobytes() == trainer.model.arena.data.tobytes()
