"""Figures of epochs, which of them is the best, and the progress that a file can hold."""

import json
from dataclasses import asdict

import pytest

import fastcnn as fc
from fastcnn.metrics import OF_A_METRIC, EpochMetrics, History, Progress, in_json

NAN, INF = float("nan"), float("inf")


def epoch(number, test_accuracy=None, test_cost=None, cost=1.0):
    return EpochMetrics(number, cost, cost, None, test_accuracy, test_cost, 1.0, 1.0)


def after(history):
    progress = Progress(moving_loss=0.5, steps=9)
    for metrics in history:
        progress = progress.after(metrics)
    return progress


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([epoch(1, 0.5), epoch(2, 0.7), epoch(3, 0.7), epoch(4, 0.6)], 2),
        ([epoch(1, 0.5, 0.1), epoch(2, 0.7, 0.9)], 2),
        ([epoch(1, None, 2.0), epoch(2, None, 1.0), epoch(3, None, 1.0)], 2),
        ([epoch(1, cost=2.0), epoch(2, cost=3.0)], 1),
        ([epoch(1, cost=0.1), epoch(2, 0.0, 9.0), epoch(3, cost=0.0)], 2),
        ([epoch(1, NAN), epoch(2, 0.1), epoch(3, NAN)], 2),
        ([epoch(1, None, NAN), epoch(2, None, INF), epoch(3, None, 9.0), epoch(4, None, NAN)], 3),
        ([epoch(1, NAN, 0.1), epoch(2, 0.1, 9.0)], 2),
    ],
    ids=range(8),
)
def test_the_best_epoch(epochs, best):
    history = History(epochs)
    assert history.best.epoch == best
    progress = after(history)
    assert progress.best_epoch == best
    assert (progress.best_accuracy, progress.best_cost) == (history.best.test_accuracy, history.best.judged_cost)


def measured(number, test_metric, mode, test_cost=None):
    return EpochMetrics(number, 1.0, 1.0, None, None, test_cost, 1.0, 1.0, None, test_metric, "error", mode)


@pytest.mark.parametrize(
    ("figures", "mode", "best"),
    [
        ([0.3, 0.1, 0.1, 0.2], "min", 2),
        ([-0.3, 0.1, 0.1, 0.2], "max", 4),
        ([NAN, 0.1, INF, NAN], "min", 2),
        ([0.3, 0.1, 0.1, 0.2], None, 3),  # nobody said which way: by the cost
    ],
)
def test_the_best_epoch_by_a_metric(figures, mode, best):
    costs = 4.0, 3.0, 1.0, 2.0
    history = History([measured(n, figure, mode, costs[n - 1]) for n, figure in enumerate(figures, 1)])
    progress = after(history)
    assert history.best.epoch == progress.best_epoch == best
    assert (progress.best_metric, progress.best_accuracy) == (figures[best - 1], None)
    assert Progress.of(json.loads(json.dumps(asdict(progress)))) == progress
    assert in_json(history[0])["test_metric"] == (figures[0] if figures[0] == figures[0] else None)


def test_no_epochs_have_no_best():
    assert History().best is None and History().column("cost") == []


def test_epochs_without_a_number_to_judge_by_have_no_best_and_fit_in_json():
    history = History([epoch(1, NAN, NAN), epoch(2, None, INF)])
    assert history.best is None and after(history).best_epoch is None
    assert after([epoch(1, 0.5, NAN)]) == Progress(1, 0, 0, 0.0, 0.5, 9, 1, 0.5, None)  # equal: no NaN is in it
    usual = {name: value for name, value in asdict(epoch(1)).items() if name not in OF_A_METRIC}
    assert in_json(history[0]) == usual and len(usual) == 8  # the keys of metrics.jsonl
    assert in_json(after(history)) == asdict(after(history))


def test_an_epoch_leaves_nothing_of_its_batches():
    progress = Progress(epoch=1, batch=3, samples=30, cost_sum=2.0, moving_loss=0.5, steps=9).after(epoch(2, 0.5))
    assert progress == Progress(epoch=2, moving_loss=0.5, steps=9, best_epoch=2, best_accuracy=0.5, best_cost=1.0)


def test_a_progress_survives_a_file():
    progress = Progress(1, 3, 30, 0.1 + 0.2, 1 / 3, 9, 1, 0.7, 1e-300)
    assert Progress.of(json.loads(json.dumps(asdict(progress)))) == progress
    assert Progress.of(asdict(Progress())) == Progress()


GOOD = asdict(Progress(1, 3, 30, 0.5, 0.25, 9, 1, 0.7, 0.5))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": 1}, "expected the entries epoch, batch.*got 'epochs'"),
        ({"epoch": -1}, "Progress: epoch must be a whole number >= 0, got -1"),
        ({"epoch": None}, "Progress: epoch must be"),
        ({"batch": 1.5}, "Progress: batch must be"),
        ({"steps": "9"}, "Progress: steps must be"),
        ({"best_epoch": 2**64}, "Progress: best_epoch must be"),
        ({"best_epoch": 0}, "Progress: best_epoch must be"),
        ({"best_epoch": 2}, "Progress: best_epoch must be one of the 1 complete"),
        ({"cost_sum": []}, "Progress: cost_sum must be a finite number"),
        ({"moving_loss": NAN}, "Progress: moving_loss must be a finite number"),
        ({"best_cost": INF}, "Progress: best_cost must be a finite number"),
        ({"moving_loss": None}, "don't go together"),
        ({"batch": 0}, "don't go together"),
        ({"samples": 0}, "don't go together"),
    ],
    ids=str,
)
def test_a_progress_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(fc.ConfigError, match=says):
        Progress.of(GOOD | wrong)
