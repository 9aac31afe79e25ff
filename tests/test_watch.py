"""Watches: which layers they are told of, that times add up, where a NaN began."""

import threading
import time

import numpy as np
import pytest

import fastcnn as fc


class Slow(fc.Layer):
    """Takes 20 ms forward, 40 ms back."""

    def forward(self, x, training):
        def backward(dy):
            time.sleep(0.04)
            return dy

        time.sleep(0.02)
        return x, backward


def nested(*layers):
    return fc.Sequential(fc.Sequential(fc.Linear(2, 2), *layers, name="block"), fc.Linear(2, 2), seed=1)


X, LABELS = np.ones((3, 2), np.float32), np.array([0, 1, 0])


def step(model):
    return fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), X, LABELS)


def test_shapes_are_printed_as_layers_run_those_of_inner_models_by_dotted_names(capsys):
    with fc.watch.ShapePrinter():
        nested()(X)
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    assert lines == [["block.linear1", "Linear", "(3, 2)"], ["linear1", "Linear", "(3, 2)"]]


def test_a_profile_counts_forward_backward_and_evaluation_apart():
    model = nested(Slow())
    with fc.watch.Profiler() as profile:
        step(model)
        model(X)
    rows = {row["layer"]: row for row in profile.rows()}
    assert list(rows) == ["block.linear1", "block.slow1", "linear1", "(loss)", "(optimizer)", "(rest)"]
    slow = rows["block.slow1"]
    assert 0.02 <= slow["forward"] < 0.04 <= slow["backward"] and slow["evaluation"] >= 0.02
    assert sum(row["total"] for row in rows.values()) == pytest.approx(profile.seconds)
    assert profile.seconds >= 0.08


def test_a_profile_counts_the_operations_of_each_layer():
    model = fc.Sequential(
        fc.Conv2d(1, 4, 3), fc.ReLU(), fc.MaxPool2d(2), fc.Flatten(), Slow(), fc.Linear(36, 10), input_shape=(1, 8, 8)
    )
    x, labels = np.ones((5, 1, 8, 8), np.float32), np.zeros(5, int)
    with fc.watch.Profiler(peak=1e9) as profile:
        fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), x, labels)
        model(x[:2])
    operations = {row["layer"]: 1e9 * row["gflops"] * row["total"] for row in profile.rows()}
    convolution, linear = 2 * 4 * 36 * 9, 2 * 360
    # Forward and weights in training, forward alone in evaluation; nobody asks for the gradient of the images.
    assert operations["conv1+relu1+pool1"] == pytest.approx(convolution * (2 * 5 + 2))
    assert operations["linear1"] == pytest.approx(linear * (3 * 5 + 2))
    assert operations["slow1"] == operations["(loss)"] == operations["(rest)"] == 0

    lines = profile.table().splitlines()
    assert lines[0].endswith("%  GF/s  % of peak")
    row = next(row for row in profile.rows() if row["layer"] == "linear1")
    cells = next(line for line in lines if line.startswith("linear1")).split()
    assert cells[-2:] == [f"{row['gflops']:.1f}", f"{100 * row['gflops']:.0f}"]


def test_the_table_of_a_profile_is_in_seconds_and_percent():
    model = nested(Slow())
    with fc.watch.Profiler() as profile:
        step(model)
    line = next(line for line in profile.table().splitlines() if line.startswith("block.slow1"))
    _, _, forward, backward, total, share = line.split()
    assert float(total) == pytest.approx(float(forward) + float(backward), abs=0.002)
    assert 50 < float(share) <= 100


def test_time_inside_a_layer_of_ones_own_counts_once():
    class Holder(fc.Layer):
        def __init__(self):
            self.inner = fc.Sequential(Slow(), Slow())

        def forward(self, x, training):
            return self.inner.forward(x, training)

    with fc.watch.Profiler() as profile:
        step(nested(Holder()))
    rows = {row["layer"]: row for row in profile.rows()}
    assert rows["block.holder1"]["total"] < 0.02 < 0.06 <= rows["block.holder1.slow1"]["total"]
    assert sum(row["total"] for row in rows.values()) == pytest.approx(profile.seconds)
    assert rows["(rest)"]["total"] >= 0


def test_a_watch_is_entered_once_at_a_time():
    with fc.watch.Profiler() as profile, pytest.raises(fc.ConfigError, match="Profiler: is entered already"), profile:
        pass
    with profile:
        nested()(X)


def test_watching_changes_no_bit():
    plain, watched = nested(fc.Dropout(0.5)), nested(fc.Dropout(0.5))
    step(plain)
    with fc.watch.Profiler():
        step(watched)
    assert plain.arena.data.tobytes() == watched.arena.data.tobytes()


def test_a_watch_sees_its_own_thread_only_and_ends_with_its_block():
    seen = []
    with fc.watch.ShapePrinter(seen.append):
        other = threading.Thread(target=nested(), args=(X,))
        other.start()
        other.join()
    nested()(X)
    assert seen == []


def test_an_inner_watch_takes_over_until_it_ends():
    outer, inner = [], []
    with fc.watch.ShapePrinter(outer.append):
        with fc.watch.ShapePrinter(inner.append):
            nested()(X)
        nested()(X)
    assert len(outer) == len(inner) == 2


class Breaks(fc.Layer):
    """Gives infinity in its third training step."""

    def forward(self, x, training):
        y = x.copy()
        if training and training.step == 2:
            y[1, 0] = np.inf
        return y, lambda dy: dy


def test_a_cost_that_is_not_finite_stops_before_the_update_and_names_the_layer():
    model = nested(Breaks())
    optimizer = fc.SGD(model.parameters())
    for _ in range(2):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, LABELS)
    before = model.arena.data.tobytes()
    with pytest.raises(fc.NonFiniteError, match=r"it began in the output of Breaks 'block\.breaks1'") as error:
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, LABELS)
    assert error.value.layer == "block.breaks1"
    assert model.arena.data.tobytes() == before and optimizer.steps == 2


def test_a_weight_that_is_not_finite_is_named():
    model = nested()
    model.layers[1].weight.data[0, 1] = np.nan
    with pytest.raises(fc.NonFiniteError, match="it began in weight of Linear 'linear1'"):
        step(model)


def test_an_input_that_is_not_finite_is_named():
    x = X.copy()
    x[0, 0] = np.nan
    model = nested()
    with pytest.raises(fc.NonFiniteError, match="the input holds infinite numbers or NaN") as error:
        fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), x, LABELS)
    assert error.value.layer is None


def test_a_loss_that_is_not_finite_by_itself_is_named():
    model = nested()
    targets = np.full((3, 2), np.inf, np.float32)
    with pytest.raises(fc.NonFiniteError, match="in the loss, all layers are finite; check the targets"):
        fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), X, targets)
