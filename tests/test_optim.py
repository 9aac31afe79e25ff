"""Optimizers: held to 50 steps by the book, state, what they refuse."""

import math

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.layers.parameter import Arena

SHAPES = [(3, 2, 2, 2), (5,), (7, 3)]
every_dtype = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-5)])


def parameters_in_an_arena(dtype):
    parameters = [fc.Parameter(shape, fc.init.zeros) for shape in SHAPES]
    Arena(parameters, dtype)
    return parameters


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


def test_parameters_outside_an_arena_get_the_same_updates():
    scattered = [fc.Parameter(shape) for shape in SHAPES]
    together = parameters_in_an_arena("float32")
    results = [steps_taken(fc.RMSprop(parameters), 3) for parameters in (scattered, together)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_takes_one_update_per_step():
    calls = []

    class Recorder(fc.optim.Optimizer):
        def update(self, data, grad, *state):
            calls.append(data.size)

    model = fc.models.gorgonia()
    Recorder(model.parameters(), lr=1.0).step()
    assert calls == [818_698]


def test_a_run_resumed_from_its_state_takes_the_same_steps():
    whole = fc.RMSprop(parameters_in_an_arena("float32"))
    expected = steps_taken(whole, 10)

    before = fc.RMSprop(parameters_in_an_arena("float32"))
    weights = steps_taken(before, 6)
    after = fc.RMSprop(parameters_in_an_arena("float32"))
    after.load_state_dict(before.state_dict())
    for parameter, values in zip(after.parameters, weights, strict=True):
        parameter.data = values
    assert after.steps == 6
    for one, other in zip(steps_taken(after, 4, first=6), expected, strict=True):
        np.testing.assert_array_equal(one, other)


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


@pytest.mark.parametrize("lr", [0, -0.1, math.nan, math.inf, "0.1", None])
@pytest.mark.parametrize("make", [fc.SGD, fc.RMSprop])
def test_a_learning_rate_that_is_no_positive_number_is_refused(make, lr):
    with pytest.raises(fc.ConfigError, match="lr must be a positive number"):
        make([fc.Parameter((2,))], lr=lr)


def test_a_later_learning_rate_is_checked_too():
    optimizer = fc.SGD([fc.Parameter((2,))])
    with pytest.raises(fc.ConfigError, match="lr must be a positive number, got nan"):
        optimizer.lr = math.nan


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"decay": math.nan}, {"decay": "0.9"}, {"eps": 0.0}], ids=str)
def test_impossible_rmsprop_settings_are_refused(settings):
    with pytest.raises(fc.ConfigError, match=f"RMSprop: {next(iter(settings))} must be"):
        fc.RMSprop([fc.Parameter((2,))], **settings)


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
