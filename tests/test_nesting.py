"""Layers within layers: as deep as they may be everything works, deeper ones are refused in one line."""

import copy
import pickle

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.layers.layer import DEEPEST

X = np.ones((2, 4), np.float32)


class Own(fc.Layer):
    def __init__(self, inner):
        self.inner = [inner]

    def forward(self, x, training):
        return self.inner[0].forward(x, training and training.for_layer(0))


def as_graph(inner):
    node = fc.Input(4)
    return fc.Graph(node, inner(node))


def nested(kind, depth):
    """A layer in models, or other layers, one in the other: `depth` of them in all."""
    wrap = {"chains": fc.Sequential, "graphs": as_graph, "layers": Own}[kind]
    layer = fc.Linear(4, 4)
    for _ in range(depth - 2):
        layer = wrap(layer)
    return fc.Sequential(layer)


kinds = pytest.mark.parametrize("kind", ["chains", "graphs", "layers"])


@kinds
def test_the_deepest_models_can_do_all_that_others_can(kind):
    model = nested(kind, DEEPEST)
    weight = model.parameters()[0].data
    expected = X @ weight.T
    with fc.watch.ShapePrinter(lambda line: None):
        watched = model(X)
    y, backward = model.forward(X, True)
    backward(y)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.freeze()
    for found in (y, model(X), watched, *(each(X) for each in copies)):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "Linear(in_features=4, out_features=4)" in repr(model)
    assert "linear1" in model.summary((4,)) + model.summary((4,), measure=1) or kind == "layers"
    assert model.to_dot((4,)) and list(model.state_dict())
    with pytest.raises(fc.ConfigError, match="layers at most 32 deep"):
        fc.save(model, "never.safetensors")


@kinds
@pytest.mark.parametrize("depth", [DEEPEST + 1, 200])
def test_deeper_ones_are_refused(kind, depth):
    with pytest.raises(fc.ConfigError, match=f"expected layers at most {DEEPEST} deep, got more; nest them less"):
        nested(kind, depth)
    layer = fc.Linear(4, 4)
    for _ in range(depth - 1):
        layer = Own(layer)
    with pytest.raises(fc.ConfigError, match=f"at most {DEEPEST} deep"):
        fc.gradcheck(layer, (2, 4))


def test_a_layer_that_holds_itself_is_refused():
    layer = Own(fc.ReLU())
    layer.inner = [layer, layer]
    other = Own(Own(fc.ReLU()))
    other.inner[0].outer = {"holder": other}
    for wrong in (layer, other):
        with pytest.raises(fc.ConfigError, match=r"^Own.*: holds itself, through Own.*; let no layer keep one"):
            fc.Sequential(fc.Linear(4, 4), wrong)


def test_a_measured_summary_has_the_time_of_a_stage_at_its_first_layer():
    model = fc.Sequential(fc.Sequential(fc.Linear(4, 4), fc.ReLU()), fc.Tanh())
    rows = [line.split() for line in model.summary((4,), measure=1).splitlines()]
    times = {row[0]: row[-1] for row in rows if row}
    assert float(times["sequential1.linear1"]) > 0 and float(times["tanh1"]) >= 0
    assert times["sequential1.relu1"] == "linear1"  # its last cell is that of the kernel: "in linear1"
