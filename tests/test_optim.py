"""Optimizers: held to 50 steps by the book (PyTorch's or Gorgonia's), decay, clipping, state, what they refuse."""

import math

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import ops
from fastcnn.layers.parameter import Arena

SHAPES = [(3, 2, 2, 2), (5,), (7, 3)]
every_dtype = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-5)])


STATEFUL = {
    "SGD with momentum": lambda parameters, **common: fc.SGD(parameters, 0.01, momentum=0.9, **common),
    "Nesterov": lambda parameters, **common: fc.SGD(parameters, 0.01, momentum=0.9, nesterov=True, **common),
    "RMSprop": fc.RMSprop,
    "Adam": fc.Adam,
    "AdamW": fc.AdamW,
}
every_optimizer = pytest.mark.parametrize("make", [fc.SGD, *STATEFUL.values()], ids=["SGD", *STATEFUL])
stateful = pytest.mark.parametrize("make", STATEFUL.values(), ids=STATEFUL)


def parameters_in_an_arena(dtype, start=fc.init.zeros):
    parameters = [fc.Parameter(shape, start) for shape in SHAPES]
    Arena(parameters, dtype, seed=4)
    return parameters


@stateful
def test_what_an_update_goes_through_begins_where_vectors_do(make):
    parameters = parameters_in_an_arena("float64")
    optimizer = make(parameters)
    arrays = [parameters[0].arena.data, parameters[0].arena.grad, *optimizer.state.values()]
    assert all(array.ctypes.data % 64 == 0 and not array.any() for array in arrays)


def by_the_book(update, parameters, **common):
    """The weights after 50 steps of ``update(step, w, g, state)`` in float64, its gradients adjusted first.

    The settings are those of the optimizers, the arithmetic is PyTorch's: `clip_grad_norm_`, then
    `clip_grad_value_`, then what `weight_decay` does to the gradient.
    """
    weights = [parameter.data.astype(np.float64) for parameter in parameters]
    states = [{} for _ in SHAPES]
    for step in range(1, 51):
        adjusted = gradients(step - 1)
        if (norm := common.get("clip_norm")) is not None:
            length = np.sqrt(sum((g**2).sum() for g in adjusted))
            adjusted = [g * min(norm / (length + 1e-6), 1.0) for g in adjusted]
        if (limit := common.get("clip_value")) is not None:
            adjusted = [np.clip(g, -limit, limit) for g in adjusted]
        for w, g, state in zip(weights, adjusted, states, strict=True):
            g = g + common.get("weight_decay", 0.0) * w + common.get("l1", 0.0) * np.sign(w)
            update(step, w, g, state)
    return weights


def sgd(lr, momentum=0.0, nesterov=False):
    def update(step, w, g, state):
        v = state["v"] = g if step == 1 else momentum * state["v"] + g
        w -= lr * (g + momentum * v if nesterov else v)

    return update


def adam(lr, beta1, beta2, eps, decoupled_decay=0.0):
    def update(step, w, g, state):
        m = state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        v = state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
        w *= 1 - lr * decoupled_decay
        w -= lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)

    return update


def gradients(step):
    rng = np.random.default_rng(step)
    return [rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 2) for shape in SHAPES]


def steps_taken(optimizer, count, first=0):
    for step in range(first, first + count):
        for parameter, gradient in zip(optimizer.parameters, gradients(step), strict=True):
            parameter.grad = gradient
        optimizer.step()
    return [parameter.data.copy() for parameter in optimizer.parameters]


def assert_all_close(got, expected, tolerance):
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1, np.abs(other).max()))


@every_dtype
def test_rmsprop_follows_gorgonia_s_formula_for_50_steps(dtype, tolerance):
    lr, decay, eps = 0.01, 0.9, 1e-6
    optimizer = fc.RMSprop(parameters_in_an_arena(dtype), lr, decay, eps)
    weights = [np.zeros(shape) for shape in SHAPES]
    averages = [np.zeros(shape) for shape in SHAPES]
    for step in range(50):
        for w, s, g in zip(weights, averages, gradients(step), strict=True):
            s[...] = s * decay + (1 - decay) * g * g
            w -= lr * g / np.sqrt(s + eps)
    assert_all_close(steps_taken(optimizer, 50), weights, tolerance)


@every_dtype
def test_sgd_follows_its_formula_for_50_steps(dtype, tolerance):
    weights = [-0.1 * sum(gradients(step)[i] for step in range(50)) for i in range(len(SHAPES))]
    assert_all_close(steps_taken(fc.SGD(parameters_in_an_arena(dtype), lr=0.1), 50), weights, tolerance)


@every_dtype
@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_follows_pytorch_s_formula_for_50_steps(dtype, tolerance, nesterov):
    parameters = parameters_in_an_arena(dtype, fc.init.normal(1.0))
    expected = by_the_book(sgd(0.01, 0.9, nesterov), parameters)
    assert_all_close(steps_taken(fc.SGD(parameters, 0.01, 0.9, nesterov), 50), expected, tolerance)


@every_dtype
def test_adam_follows_pytorch_s_formula_for_50_steps(dtype, tolerance):
    parameters = parameters_in_an_arena(dtype, fc.init.normal(1.0))
    expected = by_the_book(adam(0.02, 0.8, 0.95, 1e-3), parameters)
    assert_all_close(steps_taken(fc.Adam(parameters, 0.02, (0.8, 0.95), 1e-3), 50), expected, tolerance)


@every_dtype
def test_adamw_shrinks_the_weights_themselves(dtype, tolerance):
    parameters = parameters_in_an_arena(dtype, fc.init.normal(1.0))
    expected = by_the_book(adam(0.02, 0.8, 0.95, 1e-3, decoupled_decay=0.3), parameters)
    optimizer = fc.AdamW(parameters, 0.02, (0.8, 0.95), 1e-3, weight_decay=0.3)
    assert_all_close(steps_taken(optimizer, 50), expected, tolerance)


def test_the_defaults_are_pytorch_s():
    parameters = parameters_in_an_arena("float64", fc.init.normal(1.0))
    expected = by_the_book(adam(0.001, 0.9, 0.999, 1e-8), parameters)
    assert_all_close(steps_taken(fc.Adam(parameters), 50), expected, 1e-14)

    parameters = parameters_in_an_arena("float64", fc.init.normal(1.0))
    expected = by_the_book(adam(0.001, 0.9, 0.999, 1e-8, decoupled_decay=0.01), parameters)
    assert_all_close(steps_taken(fc.AdamW(parameters), 50), expected, 1e-14)


@every_optimizer
def test_parameters_outside_an_arena_get_the_same_updates(make):
    scattered = [fc.Parameter(shape) for shape in SHAPES]
    together = parameters_in_an_arena("float32")
    results = [steps_taken(make(parameters), 3) for parameters in (scattered, together)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- decay and clipping ----------------------------------------------------------------------------------------------

ADJUSTMENTS = [
    {"weight_decay": 0.1},
    {"l1": 0.05},
    {"clip_norm": 2.0},
    {"clip_value": 0.3},
    {"weight_decay": 0.1, "l1": 0.05, "clip_norm": 2.0, "clip_value": 0.3},
]


@every_dtype
@pytest.mark.parametrize("common", ADJUSTMENTS, ids=str)
def test_decay_and_clipping_follow_pytorch_s_arithmetic(dtype, tolerance, common):
    parameters = parameters_in_an_arena(dtype, fc.init.normal(1.0))
    expected = by_the_book(sgd(0.1), parameters, **common)
    assert_all_close(steps_taken(fc.SGD(parameters, 0.1, **common), 50), expected, tolerance)


@pytest.mark.parametrize("common", ADJUSTMENTS, ids=str)
def test_adam_s_decay_goes_through_its_averages(common):
    parameters = parameters_in_an_arena("float64", fc.init.normal(1.0))
    expected = by_the_book(adam(0.02, 0.8, 0.95, 1e-3), parameters, **common)
    optimizer = fc.Adam(parameters, 0.02, (0.8, 0.95), 1e-3, **common)
    assert_all_close(steps_taken(optimizer, 50), expected, 1e-13)


def test_adamw_s_decay_stays_out_of_the_gradient():
    parameters = parameters_in_an_arena("float64", fc.init.normal(1.0))
    expected = by_the_book(adam(0.02, 0.8, 0.95, 1e-3, decoupled_decay=0.3), parameters, clip_norm=0.5, l1=0.05)
    optimizer = fc.AdamW(parameters, 0.02, (0.8, 0.95), 1e-3, weight_decay=0.3, clip_norm=0.5, l1=0.05)
    assert_all_close(steps_taken(optimizer, 50), expected, 1e-13)


@every_optimizer
def test_every_optimizer_takes_decay_and_clipping(make):
    common = {"weight_decay": 0.1, "l1": 0.05, "clip_norm": 2.0, "clip_value": 0.3}
    plain = steps_taken(make(parameters_in_an_arena("float64", fc.init.normal(1.0))), 5)
    for name, value in common.items():
        adjusted = steps_taken(make(parameters_in_an_arena("float64", fc.init.normal(1.0)), **{name: value}), 5)
        assert not np.array_equal(plain[0], adjusted[0]), name


def test_the_norm_is_that_of_all_parameters_wherever_they_lie():
    scattered = [fc.Parameter(shape) for shape in SHAPES]
    together = parameters_in_an_arena("float32")
    results = [steps_taken(fc.SGD(parameters, clip_norm=0.1), 3) for parameters in (scattered, together)]
    assert_all_close(*results, 1e-6)


def test_a_gradient_within_the_norm_stays_as_it_is():
    settings = [{}, {"clip_norm": 1e6, "clip_value": 1e6}]
    results = [steps_taken(fc.SGD(parameters_in_an_arena("float32"), **common), 3) for common in settings]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_clipping_does_not_hide_a_gradient_that_is_no_number():
    for common, becomes_nan in (({"clip_norm": 1.0}, [True, True]), ({"clip_value": 1.0}, [True, False])):
        weight = fc.Parameter((2,))
        weight.grad = [np.nan, 1.0]
        fc.SGD([weight], **common).step()
        np.testing.assert_array_equal(np.isnan(weight.data), becomes_nan)


@every_optimizer
def test_what_is_off_costs_no_pass_over_the_gradient(make, monkeypatch):
    def unexpected(*args):
        raise AssertionError

    monkeypatch.setattr(ops, "adjust_gradient", unexpected)
    monkeypatch.setattr(ops, "sum_of_squares", unexpected)
    steps_taken(make(parameters_in_an_arena("float32")), 2)


# ---- state -----------------------------------------------------------------------------------------------------------


def test_a_model_takes_one_update_per_step():
    calls = []

    class Recorder(fc.optim.Optimizer):
        def update(self, data, grad, *state):
            calls.append(data.size)

    model = fc.models.gorgonia()
    Recorder(model.parameters(), lr=1.0).step()
    assert calls == [818_698]


@stateful
def test_a_run_resumed_from_its_state_takes_the_same_steps(make):
    whole = make(parameters_in_an_arena("float32"))
    expected = steps_taken(whole, 10)

    before = make(parameters_in_an_arena("float32"))
    weights = steps_taken(before, 6)
    after = make(parameters_in_an_arena("float32"))
    after.load_state_dict(before.state_dict())
    for parameter, values in zip(after.parameters, weights, strict=True):
        parameter.data = values
    assert after.steps == 6
    for one, other in zip(steps_taken(after, 4, first=6), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (fc.SGD, set()),
        (STATEFUL["SGD with momentum"], {"velocity"}),
        (STATEFUL["Nesterov"], {"velocity"}),
        (fc.RMSprop, {"square_average"}),
        (fc.Adam, {"first_moment", "second_moment"}),
        (fc.AdamW, {"first_moment", "second_moment"}),
    ],
    ids=["SGD", *STATEFUL],
)
def test_the_names_of_the_state_are_those_in_files(make, names):
    assert set(make(parameters_in_an_arena("float32")).state_dict()) == {"steps"} | names


@pytest.mark.parametrize(
    "state",
    [{}, {"steps": 3}, {"steps": 3, "square_average": np.zeros(4)}, {"steps": 3, "momentum": np.zeros(50)}],
    ids=["empty", "missing", "another size", "another name"],
)
def test_a_state_that_does_not_fit_is_refused(state):
    with pytest.raises(fc.ShapeError, match="RMSprop: the state does not fit"):
        fc.RMSprop(parameters_in_an_arena("float32")).load_state_dict(state)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"steps": 1.5}, fc.ConfigError, "steps must be a whole number"),
        ({"steps": -1}, fc.ConfigError, "steps must be a whole number"),
        ({"square_average": np.full(50, np.nan)}, fc.DataError, "square_average must hold finite numbers"),
        ({"square_average": np.full(50, 1e300)}, fc.DataError, "square_average must hold finite numbers"),
        ({"square_average": np.full(50, "1")}, fc.DataError, "square_average must hold finite numbers"),
    ],
    ids=["half a step", "negative step", "nan", "beyond float32", "text"],
)
def test_a_state_out_of_range_is_refused_and_changes_nothing(wrong, error, message):
    optimizer = fc.RMSprop(parameters_in_an_arena("float32"))
    steps_taken(optimizer, 2)
    before = optimizer.state_dict()
    with pytest.raises(error, match=message):
        optimizer.load_state_dict({"steps": 7, "square_average": np.ones(50)} | wrong)
    for name, values in before.items():
        np.testing.assert_array_equal(optimizer.state_dict()[name], values)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lr", [-0.1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize("make", [fc.SGD, fc.RMSprop, fc.Adam, fc.AdamW])
def test_a_learning_rate_that_is_negative_or_no_number_is_refused(make, lr):
    with pytest.raises(fc.ConfigError, match="lr must be a number >= 0"):
        make([fc.Parameter((2,))], lr=lr)


@pytest.mark.parametrize("make", [fc.SGD, fc.RMSprop, fc.Adam, fc.AdamW])
def test_at_a_learning_rate_of_0_the_weights_stay_and_the_averages_go_on(make):
    weight = fc.Parameter((2,), fc.init.ones)
    optimizer = make([weight], lr=0, weight_decay=0.5)
    weight.grad = [1.0, -200.0]
    optimizer.step()
    assert weight.data.tolist() == [1.0, 1.0] and optimizer.steps == 1
    assert all(array.all() for array in optimizer.state.values())


def test_a_later_learning_rate_is_checked_too():
    optimizer = fc.SGD([fc.Parameter((2,))])
    with pytest.raises(fc.ConfigError, match="lr must be a number >= 0, got nan"):
        optimizer.lr = math.nan


@pytest.mark.parametrize(
    ("make", "settings", "message"),
    [
        (fc.RMSprop, {"decay": 1.0}, "RMSprop: decay must be from 0 to below 1, got 1.0"),
        (fc.RMSprop, {"decay": math.nan}, "RMSprop: decay must be from 0 to below 1"),
        (fc.RMSprop, {"decay": "0.9"}, "RMSprop: decay must be from 0 to below 1"),
        (fc.RMSprop, {"eps": 0.0}, "RMSprop: eps must be a positive number"),
        (fc.SGD, {"momentum": 1.0}, "SGD: momentum must be from 0 to below 1"),
        (fc.SGD, {"nesterov": True}, "SGD: nesterov needs a momentum"),
        (fc.Adam, {"betas": 0.9}, "Adam: betas must be two numbers, got 0.9"),
        (fc.Adam, {"betas": (0.9, 1.0)}, r"Adam: betas\[1\] must be from 0 to below 1, got 1.0"),
        (fc.Adam, {"betas": (-0.1, 0.9)}, r"Adam: betas\[0\] must be from 0 to below 1"),
        (fc.AdamW, {"eps": -1e-8}, "AdamW: eps must be a positive number"),
    ],
)
def test_impossible_settings_are_refused(make, settings, message):
    with pytest.raises(fc.ConfigError, match=message):
        make([fc.Parameter((2,))], **settings)


@every_optimizer
@pytest.mark.parametrize("name", ["weight_decay", "l1", "clip_norm", "clip_value"])
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1"])
def test_impossible_decay_and_clipping_are_refused(make, name, value):
    with pytest.raises(fc.ConfigError, match=f": {name} must be a "):
        make([fc.Parameter((2,))], **{name: value})


def test_a_setting_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="dampening"):
        fc.SGD([fc.Parameter((2,))], dampening=0.1)


def test_no_parameters_are_refused():
    with pytest.raises(fc.ConfigError, match="no parameters to optimize"):
        fc.SGD(fc.ReLU().parameters())


@pytest.mark.parametrize(
    ("given", "kind"),
    [([np.zeros(3)], r"list\(ndarray\)"), (fc.Sequential(fc.Linear(2, 2)), "Sequential"), (3, "int")],
    ids=["arrays", "a model", "a number"],
)
def test_what_is_no_list_of_parameters_is_refused(given, kind):
    with pytest.raises(fc.ConfigError, match=f"RMSprop: .* optimize in {kind}.*; pass model.parameters"):
        fc.RMSprop(given)


def test_a_parameter_given_twice_is_refused():
    weight = fc.Parameter((2,), name="weight")
    with pytest.raises(fc.ConfigError, match="SGD: weight is in the list of parameters twice"):
        fc.SGD([weight, weight])


def test_two_dtypes_are_refused():
    models = [fc.Sequential(fc.Linear(2, 2), dtype=dtype) for dtype in ("float32", "float64")]
    with pytest.raises(fc.DTypeError, match="one dtype"):
        fc.SGD([parameter for model in models for parameter in model.parameters()])
