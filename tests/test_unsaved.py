"""State in a layer: a model that a file would lose something of is not saved, and the attribute is named."""

import random
from array import array
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.callbacks import Checkpoint
from fastcnn.checkpoint import save_checkpoint
from fastcnn.trainer import Trainer

X, Y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])


class Stats:
    def __init__(self):
        self.mean, self.itself = np.zeros(4), self


class Slots:
    __slots__ = ("mean",)

    def __init__(self):
        self.mean = 0.0


@dataclass(slots=True)
class Point:
    mean: object = 0.0


class Counts:
    calls = 0

    def __call__(self):
        self.calls += 1


class Keeps(fc.Layer):
    """Has an attribute ``state``, which every forward changes."""

    make = change = None

    def __init__(self, momentum=0.9, inner=()):
        self.momentum, self.inner = momentum, list(inner)
        self.state = type(self).make()

    def forward(self, x, training):
        if training:
            type(self).change(self, x)
        return x, lambda dy: dy


def kept(make, change):
    return type("Keeps", (Keeps,), {"make": staticmethod(make), "change": staticmethod(change)})


def assign(layer, x):
    layer.state = x.mean(axis=0)


def add(layer, x):
    layer.state = layer.state + 1


KINDS = {
    "an array": (lambda: np.zeros(4), assign, "state"),
    "an array in place": (lambda: np.zeros(4), lambda layer, x: layer.state.__iadd__(x[0]), "state"),
    "an array that was None": (lambda: None, assign, "state"),
    "an array that was not there": (lambda: 0, lambda layer, x: setattr(layer, "mean", x[0]), "mean"),
    "an array of another shape": (lambda: np.zeros(0), assign, "state"),
    "a hidden one": (lambda: 0, lambda layer, x: setattr(layer, "_mean", x[0]), "_mean"),
    "a counter": (lambda: 0, add, "state"),
    "a number": (lambda: 0.5, add, "state"),
    "NaN": (lambda: 0.5, lambda layer, x: setattr(layer, "state", np.nan), "state"),
    "a flag": (lambda: False, lambda layer, x: setattr(layer, "state", True), "state"),
    "a list": (list, lambda layer, x: layer.state.append(1), "state.0"),
    "a shorter list": (lambda: [1, 2], lambda layer, x: layer.state.pop(), "state"),
    "a deque": (lambda: deque([0]), lambda layer, x: layer.state.append(1), "state.1"),
    "a dict": (lambda: {"mean": np.zeros(4)}, lambda layer, x: layer.state.update(mean=x[0]), "state.mean"),
    "a set": (set, lambda layer, x: layer.state.add(1), "state"),
    "lists in dicts": (lambda: {"a": [[0]]}, lambda layer, x: layer.state["a"][0].append(2), "state.a.0.1"),
    "an object": (Stats, lambda layer, x: setattr(layer.state, "mean", x[0]), "state.mean"),
    "slots": (Slots, lambda layer, x: setattr(layer.state, "mean", 1.0), "state.mean"),
    "slots of a dataclass": (Point, lambda layer, x: setattr(layer.state, "mean", x[0]), "state.mean"),
    "a function with a memory": (Counts, lambda layer, x: layer.state(), "state.calls"),
    "bytes": (lambda: bytearray(2), lambda layer, x: layer.state.append(1), "state.bytes"),
    "Python's array": (lambda: array("d", [0.0]), lambda layer, x: layer.state.append(1.0), "state.bytes"),
    "a seed": (
        lambda: np.random.SeedSequence(0),
        lambda layer, x: layer.state.spawn(1),
        "state.state.n_.*",
    ),
    "a generator": (lambda: np.random.default_rng(0), lambda layer, x: layer.state.random(), "state.state.state.state"),
    "an old generator": (lambda: np.random.RandomState(0), lambda layer, x: layer.state.rand(), "state.state.*"),
    "Python's generator": (lambda: random.Random(0), lambda layer, x: layer.state.random(), "state.state.*"),
}


def trainer_of(layer, callbacks=()):
    model = fc.Sequential(layer, fc.Linear(4, 2))
    return Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), batch_size=2, callbacks=callbacks)


@pytest.mark.parametrize(("make", "change", "name"), KINDS.values(), ids=KINDS.keys())
def test_state_is_refused_by_name_and_the_file_stays(tmp_path, make, change, name):
    path = tmp_path / "model.safetensors"
    trainer = trainer_of(kept(make, change)())
    fc.save(trainer.model, path)
    before = path.read_bytes()
    trainer.fit(X, Y)
    for save in (fc.save, lambda model, path: save_checkpoint(path, trainer)):
        with pytest.raises(fc.ConfigError, match=rf"Keeps 'keeps1': a file would lose its attribute '{name}', "):
            save(trainer.model, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("where", ["within", "model", "twice within"])
def test_state_of_layers_in_layers_is_refused(tmp_path, where):
    layer = kept(lambda: np.zeros(4), assign)()
    outer = {
        "within": lambda: Outer(layer),
        "model": lambda: fc.Sequential(fc.ReLU(), fc.Sequential(layer)),
        "twice within": lambda: Outer(Outer(layer)),
    }[where]()
    trainer = trainer_of(outer)
    trainer.fit(X, Y)
    with pytest.raises(fc.ConfigError, match=r"Keeps.*: a file would lose its attribute 'state'"):
        fc.save(trainer.model, tmp_path / "model")


class Outer(fc.Layer):
    def __init__(self, inner):
        self.inner = inner

    def forward(self, x, training):
        return self.inner.forward(x, training)


class Chain(fc.Sequential):
    """A model of somebody's own, with a counter."""

    def __init__(self):
        super().__init__(fc.ReLU())
        self.calls = 0

    def forward(self, x, training=None):
        self.calls += bool(training)
        return super().forward(x, training)


def test_state_of_a_model_of_ones_own_is_refused(tmp_path):
    trainer = trainer_of(Chain())
    fc.save(trainer.model, tmp_path / "model")
    trainer.fit(X, Y)
    with pytest.raises(fc.ConfigError, match="Chain 'chain1': a file would lose its attribute 'calls'"):
        fc.save(trainer.model, tmp_path / "model")


class Window(fc.Layer):
    """Constants only: arguments, what follows from them, a function, a memory that nothing depends on."""

    transient = ("cache", "calls")

    def __init__(self, weights=(1.0, 2.0), dtype="float32", start_init=fc.init.ones):
        self.weights = np.asarray(weights, dtype)
        self.dtype = np.dtype(dtype)
        self.table = {"squares": [self.weights**2, float("nan")], "none": None}
        self.function = np.tanh
        self.bias = fc.Parameter((4,), start_init)
        self.random = np.random.default_rng(3)
        self.cache, self.calls = {}, 0

    def config(self):
        return {"weights": self.weights.tolist(), "dtype": self.dtype.name}

    def forward(self, x, training):
        self.calls += 1
        self.cache[x.shape] = x

        def backward(dy):
            self.bias.grad = dy.sum(axis=0)
            return dy

        return x + self.bias.data, backward


def test_constants_and_what_is_named_transient_are_saved(tmp_path):
    trainer = trainer_of(Window([0.1, 0.7, 1e-3], start_init=fc.init.zeros), [Checkpoint(tmp_path / "best")])
    trainer.fit(X, Y)
    save_checkpoint(tmp_path / "model", trainer)
    again = fc.load(tmp_path / "model", {"Window": Window})
    assert (again(X) == trainer.model(X)).all()


@pytest.mark.parametrize(
    ("make", "use"),
    [(lambda: Path("a", "b"), str), (lambda: lru_cache(lambda key: key), lambda cached: cached(1)), (lambda: abs, id)],
    ids=["a path and its text", "a function and its cache", "a function"],
)
def test_what_is_only_remembered_to_be_faster_is_no_state(tmp_path, make, use):
    trainer = trainer_of(kept(make, lambda layer, x: use(layer.state))())
    trainer.fit(X, Y)
    fc.save(trainer.model, tmp_path / "model")


def test_a_single_name_is_transient_too(tmp_path):
    layer = kept(lambda: 0, add)()
    type(layer).transient = "state"
    trainer = trainer_of(layer)
    trainer.fit(X, Y)
    fc.save(trainer.model, tmp_path / "model")


def test_an_argument_that_comes_back_as_another_is_noticed(tmp_path):
    class Doubles(Outer):
        def __init__(self, p):
            self.p = 2 * p

    with pytest.raises(fc.ConfigError, match="Doubles 'doubles1': a file would lose its attribute 'p'"):
        fc.save(fc.Sequential(Doubles(0.1)), tmp_path / "model")


def test_a_checkpoint_tells_before_the_second_step(tmp_path):
    trainer = trainer_of(kept(lambda: np.zeros(4), assign)(), [Checkpoint(tmp_path / "best", "cost")])
    with pytest.raises(fc.ConfigError, match=r"^Checkpoint '.*best': Keeps 'keeps1': a file would lose"):
        trainer.fit(X, Y, epochs=3)
    assert trainer.optimizer.steps == 1
    layer = Outer(fc.ReLU())
    del layer.inner
    trainer = trainer_of(layer, [Checkpoint(tmp_path / "best", "cost")])
    with pytest.raises(fc.ConfigError, match="Outer 'outer1': can't tell how it was made"):
        trainer.fit(X, Y)
    assert trainer.optimizer.steps == 0
