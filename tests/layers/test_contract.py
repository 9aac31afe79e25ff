"""Layers and losses of one's own that break a promise: said in the first call, by name, with nothing harmed."""

from contextlib import nullcontext

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.judge import evaluate
from fastcnn.losses import Loss
from fastcnn.training import NonFiniteError

X, Y = np.linspace(-1, 1, 20).reshape(5, 4), np.array([0, 1, 0, 1, 1])


def made(forward, **attributes):
    """A layer with this forward and a Parameter ``factor``."""

    def __init__(self):
        self.factor = fc.Parameter((4,), fc.init.ones)

    return type("Mine", (fc.Layer,), {"__init__": __init__, "forward": forward, **attributes})()


def good(self, x, training):
    def backward(dy):
        self.factor.grad = (dy * x).sum(axis=0)
        return dy * self.factor.data

    return x * self.factor.data, backward


def around(layer):
    model = fc.Sequential(fc.Linear(4, 4), layer, fc.Linear(4, 2), dtype="float64", seed=1)
    return model, fc.SGD(model.parameters(), 0.1)


def stepped(layer, loss=None, steps=1):
    """Train a model around the layer; the model."""
    model, optimizer = around(layer)
    for _ in range(steps):
        fc.train_step(model, loss or fc.CrossEntropyLoss(), optimizer, X, Y)
    return model


def test_a_layer_that_keeps_its_promises_trains_as_one_of_fastcnns_own():
    class Double(fc.Layer):
        def forward(self, x, training):
            return 2 * x, (lambda dy: 2 * dy) if training else None

    models = [stepped(layer, steps=3) for layer in (Double(), fc.Sequential(Double()))]
    assert models[0].arena.data.tobytes() == models[1].arena.data.tobytes()
    assert models[0](X).shape == (5, 2)


# ---- what forward returns, and takes ---------------------------------------------------------------------------------

RETURNS = {
    "y alone": (lambda self, x, training: 2 * x, r"forward must return a pair \(y, backward\).*got an array of shape"),
    "two rows": (lambda self, x, training: (2 * x)[:2], "must return a pair .* got an array of shape .2, 4. alone"),
    "three": (lambda self, x, training: (x, x, x), "must return a pair .* got 3 things"),
    "None": (lambda self, x, training: None, "must return a pair .* got NoneType alone"),
    "two arrays": (lambda self, x, training: (x, x), "got an array of shape .* in place of backward"),
    "a call": (lambda self, x, training: (2 * x, 7), "got int in place of backward"),
    "another shape": (lambda self, x, training: (x[:, :3], lambda dy: dy), r"says \(5, 4\), .* gave \(5, 3\); write"),
}


@pytest.mark.parametrize(("forward", "says"), RETURNS.values(), ids=RETURNS.keys())
@pytest.mark.parametrize("how", ["trained", "evaluated", "frozen", "watched", "called"])
def test_a_forward_that_returns_something_else_is_named(forward, says, how):
    layer = made(forward)
    uses = {
        "trained": lambda: stepped(layer),
        "evaluated": lambda: around(layer)[0](X),
        "frozen": lambda: around(layer)[0].freeze()(X),
        "called": lambda: layer(X),
        "watched": lambda: around(layer)[0](X),
    }
    looking_on = fc.watch.ShapePrinter(lambda line: None) if how == "watched" else nullcontext()
    with looking_on, pytest.raises(fc.FastcnnError, match=f"^Mine.*{says}"):
        uses[how]()


def test_only_evaluation_may_go_without_a_backward():
    layer = made(lambda self, x, training: (2 * x, None))
    assert (layer(X) == 2 * X).all()
    with pytest.raises(fc.ConfigError, match=r"Mine 'mine1': .* got NoneType in place of backward"):
        stepped(layer)


def test_a_forward_without_training_is_refused_when_the_model_is_made():
    layer = made(lambda self, x: 2 * x)

    class Holder(fc.Layer):
        def __init__(self):
            self.inner = [layer]

    for outer in (layer, Holder()):
        with pytest.raises(fc.ConfigError, match=r"Mine.*: expected forward\(self, x, training\), .* takes \(x\); add"):
            fc.Sequential(outer)
    with pytest.raises(fc.ConfigError, match=r"Mine.*: expected forward\(self, x, training\)"):
        layer(X)
    assert fc.Sequential(made(lambda self, *arguments: good(self, *arguments)))


# ---- what is whose ---------------------------------------------------------------------------------------------------


def add_in_place(self, x, training):
    x += 1
    return x, lambda dy: dy


def add_to_dy(self, x, training):
    def backward(dy):
        dy *= 2
        self.factor.grad = 0 * self.factor.data
        return dy

    return 2 * x, backward


def add_to_x_later(self, x, training):
    def backward(dy):
        self.factor.grad = (dy * x).sum(axis=0)
        x[...] = 0
        return dy

    return x * self.factor.data, backward


def test_a_forward_that_changes_its_input_is_named_and_the_input_put_back():
    x = X.copy()
    layer = made(add_in_place)
    model = fc.Sequential(layer, dtype="float64")
    step = fc.train_step
    for use in (
        lambda: model(x),
        lambda: layer(x),
        lambda: model.freeze()(x),
        lambda: model.forward(x, True),
        lambda: step(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), x, Y),
    ):
        with pytest.raises(fc.ConfigError, match=r"^Mine 'mine1': forward changed its input, .* work on a copy"):
            use()
        assert x.tobytes() == X.tobytes()


@pytest.mark.parametrize(
    ("forward", "says"), [(add_to_dy, "backward changed its dy"), (add_to_x_later, "backward changed .*the input of")]
)
def test_a_backward_that_changes_what_others_read_is_named(forward, says):
    with pytest.raises(fc.ConfigError, match=f"^Mine 'mine1': {says}.* work on a copy"):
        stepped(made(forward))


def test_each_array_of_a_layer_that_takes_many_is_looked_at():
    class Sum(fc.Layer):
        takes_many = True

        def forward(self, x, training):
            a, b = x
            b += a
            return b, lambda dy: (dy, dy)

    node = fc.Input(4)
    model = fc.Graph(node, Sum()(fc.ReLU()(node), fc.Tanh()(node)), dtype="float64")
    with pytest.raises(fc.ConfigError, match=r"^Sum 'sum1': forward changed its input"):
        model.forward(X, True)


def test_the_checks_are_over_after_the_first_call(monkeypatch):
    model, optimizer = around(made(good))
    fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, Y)
    model(X)
    monkeypatch.setattr("fastcnn.layers.contract.Untouched", None)  # would be called otherwise
    monkeypatch.setattr("fastcnn.losses.Untouched", None)
    fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X[:3], Y[:3])
    model(X[:2])


# ---- gradients -------------------------------------------------------------------------------------------------------


def forgets(when):
    def forward(self, x, training):
        def backward(dy):
            if training.step != when:
                self.factor.grad = (dy * x).sum(axis=0)
            return dy * self.factor.data

        return x * self.factor.data, backward

    return forward


def adds_up(self, x, training):
    def backward(dy):
        self.factor.grad += (dy * x).sum(axis=0)
        return dy * self.factor.data

    return x * self.factor.data, backward


def writes_half(self, x, training):
    def backward(dy):
        self.factor.grad[:2] = (dy * x).sum(axis=0)[:2]
        return dy * self.factor.data

    return x * self.factor.data, backward


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("forward", "step"), [(forgets(0), 0), (forgets(2), 2), (adds_up, 0), (writes_half, 0)])
def test_a_gradient_that_nobody_wrote_is_named_in_the_step_that_forgot_it(forward, step, dtype):
    model = fc.Sequential(made(forward), fc.Linear(4, 2), dtype=dtype)
    optimizer = fc.Adam(model.parameters(), 0.1)
    for _ in range(step):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X.astype(dtype), Y)
    before = model.arena.data.tobytes()
    with pytest.raises(fc.ConfigError, match=r"^Mine 'mine1': its backward left out .* of mine1.factor; write all"):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X.astype(dtype), Y)
    assert (model.arena.data.tobytes(), optimizer.steps) == (before, step)


def test_a_forgotten_gradient_is_that_of_the_innermost_layer():
    class Holder(fc.Layer):
        def __init__(self):
            self.inner = {"a": [made(forgets(0))]}

        def forward(self, x, training):
            return self.inner["a"][0].forward(x, training)

    with pytest.raises(fc.ConfigError, match=r"^Mine: its backward left out .* of holder1.inner.a.0.factor"):
        stepped(Holder())


def test_a_gradient_that_no_optimizer_holds_need_not_be_written():
    model = fc.Sequential(made(forgets(0)), fc.Linear(4, 2), dtype="float64")
    assert fc.train_step(model, fc.CrossEntropyLoss(), fc.SGD(model.layers[1].parameters()), X, Y) > 0


def spoils(what, value, when):
    def forward(self, x, training):
        def backward(dy):
            spoilt = value if training.step == when else 0
            self.factor.grad = (dy * x).sum(axis=0) + (spoilt if what == "factor" else 0)
            return dy * self.factor.data + (spoilt if what == "the input" else 0)

        return x * self.factor.data, backward

    return forward


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["factor", "the input"])
@pytest.mark.parametrize("when", [0, 3])
def test_a_gradient_that_is_no_number_ends_training_before_a_weight_is_spoilt(what, value, when):
    model, optimizer = around(made(spoils(what, value, when)))
    for _ in range(when):
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, Y)
    before = model.arena.data.tobytes()
    says = rf"^a gradient is not finite at the finite cost 0.*it began in the gradient of {what} in Mine 'mine1'; check"
    with pytest.raises(NonFiniteError, match=says) as caught:
        fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, Y)
    assert caught.value.layer == "mine1"
    assert (model.arena.data.tobytes(), optimizer.steps) == (before, when)


def test_clipping_by_value_takes_infinite_gradients_and_no_nan():
    for value, error in ((np.inf, None), (np.nan, NonFiniteError)):
        model = fc.Sequential(made(spoils("factor", value, 0)), fc.Linear(4, 2), dtype="float64")
        optimizer = fc.SGD(model.parameters(), 0.1, clip_value=1.0)
        if error is None:
            fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, Y)
            assert np.isfinite(model.arena.data).all()
        else:
            with pytest.raises(error):
                fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X, Y)


def test_gradients_whose_squares_overflow_are_numbers():
    model = fc.Sequential(made(good), fc.Linear(4, 2), dtype="float64")
    optimizer = fc.Adam(model.parameters(), 0.1)
    fc.train_step(model, fc.CrossEntropyLoss(), optimizer, X * 1e200, Y)
    assert optimizer.steps == 1


def test_an_output_of_somebodys_layer_that_is_no_number_is_not_blamed_on_the_learning_rate_alone():
    with pytest.raises(NonFiniteError, match="it began in the output of Mine 'mine1'; check its forward, or use"):
        stepped(made(lambda self, x, training: (x * np.nan, lambda dy: dy)))


# ---- losses ----------------------------------------------------------------------------------------------------------


def squares(sum_of=lambda losses: losses.sum(axis=1), back=lambda difference, dlosses: dlosses[:, None] * difference):
    class Squares(Loss):
        def per_sample(self, logits, target):
            difference = logits - target
            return sum_of(difference**2 / 2), lambda dlosses: back(difference, dlosses)

    return Squares()


SOFT = np.eye(2)[Y]


def test_a_loss_of_ones_own_trains_by_the_mean_over_samples():
    model, optimizer = around(made(good))
    last = model.layers[-1]
    before, difference = last.bias.data.copy(), model(X) - SOFT
    cost = fc.train_step(model, squares(), optimizer, X, SOFT)
    assert cost == pytest.approx((difference**2).sum() / 2 / 5)
    np.testing.assert_allclose(last.bias.data, before - 0.1 * difference.mean(axis=0))


WRONG_LOSSES = {
    "each entry": (squares(lambda losses: losses), r"a loss for each sample, shape \(5,\), got \(5, 2\); sum over the"),
    "the mean": (squares(lambda losses: losses.mean()), r"a loss for each sample, shape \(5,\), got \(\)"),
    "a column": (squares(lambda losses: losses.sum(axis=1, keepdims=True)), r"got \(5, 1\)"),
    "another shape": (squares(back=lambda d, dlosses: dlosses), r"the logits' shape \(5, 2\), got \(5,\)"),
    "nothing": (squares(back=lambda d, dlosses: None), r"the logits' shape \(5, 2\), got NoneType"),
    "another dtype": (squares(back=lambda d, dl: (dl[:, None] * d).astype("f4")), "gradient of float64, got float32"),
    "no dlosses": (
        squares(back=lambda d, dlosses: d),
        "twice the gradient for twice the dlosses.*; multiply",
    ),
}


@pytest.mark.parametrize(("loss", "says"), WRONG_LOSSES.values(), ids=WRONG_LOSSES.keys())
def test_a_loss_of_the_wrong_shape_or_scale_is_named(loss, says):
    model, optimizer = around(made(good))
    for within in (loss, fc.MultiLoss([loss])):
        with pytest.raises(fc.FastcnnError, match=f"^Squares: .*{says}"):
            outputs, targets = ((model(X),), (SOFT,)) if within is not loss else (model(X), SOFT)
            within.forward(outputs, targets)[1]()
    with pytest.raises(fc.FastcnnError, match=f"^Squares: .*{says}"):
        fc.train_step(model, loss, optimizer, X, SOFT)
    assert optimizer.steps == 0


def in_place(logits, target):
    logits -= target
    return (logits**2).sum(axis=1) / 2, lambda dlosses: dlosses[:, None] * logits


def later_in_place(logits, target):
    def backward(dlosses):
        target[...] = 0
        return dlosses[:, None] * logits

    return (logits**2).sum(axis=1) / 2, backward


def nan_gradient(logits, target):
    return (logits**2).sum(axis=1) / 2, lambda dlosses: dlosses[:, None] * logits * np.nan


@pytest.mark.parametrize(
    ("per_sample", "says"),
    [
        (in_place, "^Mine: its forward changed the outputs or the targets"),
        (later_in_place, "^Mine: its backward changed the outputs or the targets"),
        (lambda logits, target: (logits**2).sum(axis=1), r"^Mine: per_sample must return a pair \(losses, backward\)"),
        (nan_gradient, "^a gradient is not finite at the finite cost .*: that of Mine's backward holds"),
    ],
    ids=range(4),
)
def test_a_loss_that_spoils_something_is_named(per_sample, says):
    loss = type("Mine", (Loss,), {"per_sample": lambda self, *both: per_sample(*both)})()
    targets = SOFT.copy()
    with pytest.raises(fc.FastcnnError, match=says):
        model, optimizer = around(made(good))
        fc.train_step(model, loss, optimizer, X, targets)
    assert (targets == SOFT).all()


def test_a_loss_whose_forward_gives_no_pair_or_no_number_is_named():
    for forward, says in (
        (lambda self, logits, target: 0.5, r"forward must return a pair \(value, backward\)"),
        (lambda self, logits, target: (logits, lambda: logits), "forward must give one number .* got shape"),
    ):
        loss = type("Mine", (Loss,), {"forward": forward})()
        with pytest.raises(fc.FastcnnError, match=f"^Mine: {says}"):
            stepped(made(good), loss)
        with pytest.raises(fc.FastcnnError, match=f"^Mine: {says}"):
            evaluate(around(made(good))[0], [(X, Y)], loss)
    with pytest.raises(fc.ConfigError, match="train_step: the loss must be"):
        stepped(made(good), lambda outputs, targets: 0.0)
