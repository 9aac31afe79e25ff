"""How layers, losses and metrics of one's own are called, and what they may write into, even if nothing changes."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.judge import evaluate
from fastcnn.losses import Loss
from fastcnn.training import NonFiniteError

X, Y = np.linspace(0, 1, 20).reshape(5, 4), np.array([0, 1, 0, 1, 1])


class Scale(fc.Layer):
    """Ones at first: what it multiplies in place stays as it was."""

    def __init__(self):
        self.factor = fc.Parameter((4,), fc.init.ones)

    def forward(self, x, training):
        return x * self.factor.data, lambda dy: self.back(dy, x)

    def back(self, dy, x):
        self.factor.grad = (dy * x).sum(axis=0)
        return dy * self.factor.data


def stepped(layer, loss=None, x=X):
    model = fc.Sequential(layer, fc.Linear(4, 2), dtype="float64", seed=1)
    optimizer = fc.SGD(model.parameters(), 0.1)
    fc.train_step(model, loss or fc.CrossEntropyLoss(), optimizer, x, Y)
    return model


def times_in_place(self, x, training):
    x *= self.factor.data
    return x, lambda dy: self.back(dy, x)


def relu_in_place(self, x, training):
    return np.maximum(x, 0, out=x), lambda dy: self.back(dy, x)


def dy_in_place(self, x, training):
    def backward(dy):
        self.back(dy, x)
        dy *= self.factor.data
        return dy

    return x * self.factor.data, backward


@pytest.mark.parametrize(
    ("forward", "says"),
    [(times_in_place, "forward changed its input"), (relu_in_place, "forward changed"), (dy_in_place, "backward chan")],
)
def test_what_is_written_in_place_is_seen_even_where_nothing_changes(forward, says):
    layer = type("Mine", (Scale,), {"forward": forward})()
    with pytest.raises(fc.ConfigError, match=f"^Mine 'mine1': {says}.*, which others read, too, .* work on a copy"):
        stepped(layer)


def test_a_view_of_the_input_may_be_written_into_by_whoever_gets_it():
    class Flat(fc.Layer):
        def forward(self, x, training):
            return x.reshape(len(x), -1), lambda dy: dy.reshape(x.shape)

        def output_shape(self, input_shape):
            return input_shape[0], int(np.prod(input_shape[1:]))

    model, x = fc.Sequential(Flat(), dtype="float64"), X.reshape(5, 2, 2).copy()
    for _ in range(2):  # looked at, and not
        y, backward = model.forward(x, True)
        dx = backward(np.ones((5, 4)))
        y[0], dx[0] = 7, 7
        assert (x[0] == 7).all()
    fixed = x.copy()
    fixed.flags.writeable = False
    assert not fc.Sequential(Flat(), dtype="float64")(fixed).flags.writeable


def test_an_error_of_a_layer_itself_stays_its_own():
    def forward(self, x, training):
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match=r"^no such thing$"):
        stepped(type("Mine", (Scale,), {"forward": forward})())


@pytest.mark.parametrize("in_training", [True, False])
def test_a_forward_that_changes_its_trained_parameter_is_named_and_the_values_put_back(in_training):
    def forward(self, x, training):
        w = self.factor.data
        w /= 2
        return Scale.forward(self, x, training)

    layer = type("Mine", (Scale,), {"forward": forward})()
    says = "that is trained" if in_training else "in evaluation"
    with pytest.raises(fc.ConfigError, match=f"^Mine.*: forward changed the values of a parameter {says}; .* a copy"):
        stepped(layer) if in_training else layer(X)
    assert (layer.factor.data == 1).all()


def test_a_parameter_without_a_gradient_may_hold_what_a_layer_has_seen():
    class Centred(fc.Layer):
        def __init__(self):
            self.mean = fc.Parameter((4,), fc.init.zeros)

        def forward(self, x, training):
            if training:
                self.mean.data = x.mean(axis=0)

            def backward(dy):
                self.mean.grad = np.zeros(4)
                return dy

            return x - self.mean.data, backward

    model = stepped(Centred())
    np.testing.assert_allclose(model.layers[0].mean.data, X.mean(axis=0))


def test_a_batch_of_another_size_is_held_to_the_shape_of_before():
    squeezing = type("Mine", (Scale,), {"forward": lambda self, x, training: (np.squeeze(x * 1), lambda dy: dy)})()
    assert squeezing(X).shape == (5, 4)
    with pytest.raises(fc.ShapeError, match=r"^Mine: its output_shape says \(1, 4\), but its forward gave \(4,\)"):
        squeezing(X[:1])


@pytest.mark.parametrize(("backward", "takes"), [(lambda: 0, r"\(\)"), (lambda dy, x: 0, r"\(dy, x\)")])
def test_a_backward_that_takes_something_else_is_named(backward, takes):
    layer = type("Mine", (Scale,), {"forward": lambda self, x, training: (x * 1, backward)})()
    with pytest.raises(fc.ConfigError, match=rf"^Mine.*: the backward .* is called with \(dy\), but takes {takes}$"):
        stepped(layer)


def loss_of(**methods):
    return type("Mine", (Loss,), methods)()


LOSSES = {
    "forward": ({"forward": lambda self, outputs: 0}, r"forward is called with \(outputs, targets\), but takes \(outp"),
    "per_sample": ({"per_sample": lambda self, p: 0}, r"per_sample is called with \(logits, target\), but takes \(p\)"),
    "no argument": (
        {"per_sample": lambda self, p, y: (p.sum(axis=1), lambda: p)},
        r"the backward that per_sample returns is called with \(dlosses\), but takes \(\)",
    ),
    "an argument": (
        {"forward": lambda self, p, y: (0.5, lambda dvalue: p)},
        r"the backward that forward returns is called with \(\), but takes \(dvalue\)",
    ),
    "None": ({"forward": lambda self, p, y: (None, lambda: p)}, "forward must give a real number, got NoneType"),
    "text": ({"forward": lambda self, p, y: ("0.5", lambda: p)}, "forward must give a real number, got str"),
    "complex": (
        {"per_sample": lambda self, p, y: (p.sum(axis=1) * 1j, lambda dlosses: p)},
        "per_sample must give real numbers, got complex128",
    ),
}


@pytest.mark.parametrize(("methods", "says"), LOSSES.values(), ids=LOSSES.keys())
def test_a_loss_that_is_written_for_other_arguments_is_named(methods, says):
    with pytest.raises(fc.FastcnnError, match=f"^Mine: {says}"):
        stepped(Scale(), loss_of(**methods))


def squares(logits, target):
    difference = logits - target
    return (difference**2).sum(axis=1) / 2, lambda dlosses: dlosses[:, None] * difference


def test_a_loss_needs_no_constructor_of_the_base():
    loss = loss_of(__init__=lambda self: None, per_sample=lambda self, *both: squares(*both))
    assert loss(X[:, :2], Y) == pytest.approx(((X[:, :2] - np.eye(2)[Y]) ** 2).sum() / 2 / 5)


def test_a_loss_that_is_called_leaves_its_arguments_alone():
    def per_sample(self, logits, target):
        logits -= target
        return (logits**2).sum(axis=1), lambda dlosses: dlosses

    logits = X[:, :2].copy()
    with pytest.raises(fc.ConfigError, match=r"^Mine: its forward changed the outputs"):
        loss_of(per_sample=per_sample)(logits, Y)
    assert (logits == X[:, :2]).all()


def test_a_gradient_that_is_no_number_is_seen_inside_a_loss_of_several():
    def spoilt(self, logits, target):
        losses, backward = squares(logits, target)
        return losses, lambda dlosses: backward(dlosses) * np.nan

    image = fc.Input(4)
    model = fc.Graph(image, [fc.Linear(4, 2)(image), fc.Linear(4, 2)(image)], dtype="float64")
    before, loss = model.arena.data.tobytes(), fc.MultiLoss([fc.CrossEntropyLoss(), loss_of(per_sample=spoilt)])
    with pytest.raises(NonFiniteError, match=r"^a gradient is not finite at the finite cost"):
        fc.train_step(model, loss, fc.SGD(model.parameters(), 0.1), X, (Y, Y))
    assert model.arena.data.tobytes() == before


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (lambda outputs: outputs[:, 0], r"metric: metric is called with \(outputs, targets\), but takes \(outputs\)"),
        (lambda outputs, targets: outputs[:, 0] * 1j, "metric: expected real numbers, got complex128"),
        (lambda outputs, targets: ["right"] * len(outputs), "metric: expected real numbers, got <U5"),
    ],
)
def test_a_metric_that_gives_or_takes_something_else_is_named(metric, says):
    with pytest.raises(fc.FastcnnError, match=f"^{says}$"):
        evaluate(stepped(Scale()), (X, Y), metric=metric)


@pytest.mark.parametrize(("labels", "advice"), [(Y + 1, "count from 1: use y - 1"), (Y - 1, "leave out the samples")])
def test_labels_of_no_class_are_not_counted_as_mistakes(labels, advice):
    with pytest.raises(fc.ShapeError, match=f"^evaluate: labels must be from 0 to 1, .*; .*{advice}"):
        evaluate(stepped(Scale()), (X, labels))
