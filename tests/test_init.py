"""Initialisers: deviation, limits, dtype, reproducibility, what they refuse."""

import math

import numpy as np
import pytest

import fastcnn as fc

# shape, inputs of one output, outputs of one input
WEIGHTS = [((64, 32, 3, 3), 288, 576), ((10, 625), 625, 10), ((40, 20, 5, 2), 200, 400)]
every_weight = pytest.mark.parametrize(("shape", "inputs", "outputs"), WEIGHTS, ids=str)
SCALED = {
    "glorot_normal": fc.init.glorot_normal,
    "glorot_uniform": fc.init.glorot_uniform,
    "he_normal": fc.init.he_normal,
    "he_uniform": fc.init.he_uniform,
}
every_scaled = pytest.mark.parametrize("make", SCALED.values(), ids=SCALED)
DRAWN = [fc.init.normal(), fc.init.uniform(), *(make() for make in SCALED.values())]
every_drawn = pytest.mark.parametrize("init", DRAWN, ids=repr)


def drawn(init, shape, dtype="float64"):
    return init(shape, np.random.default_rng(0), np.dtype(dtype))


def assert_normal(values, deviation, mean=0.0):
    """Four standard errors of the mean, the deviation and the share beyond one deviation, which tells the shape."""
    root = math.sqrt(values.size)
    assert abs(values.mean() - mean) < 4 * deviation / root
    assert abs(values.std() / deviation - 1) < 4 / (math.sqrt(2) * root)
    assert abs((abs(values - mean) > deviation).mean() - 0.3173) < 4 * 0.47 / root


def assert_uniform(values, low, high):
    """Within the limits and near both of them, with as many values in each quarter."""
    count, width = values.size, high - low
    assert low <= values.min() < low + 20 * width / count
    assert high - 20 * width / count < values.max() <= high
    quarters = np.histogram(values, 4, (low, high))[0]
    assert (abs(quarters - count / 4) < 4 * math.sqrt(count * 3 / 16)).all()


@every_weight
def test_glorot_normal_has_gorgonia_s_deviation(shape, inputs, outputs):
    assert_normal(drawn(fc.init.glorot_normal(gain=2.0), shape), 2.0 * math.sqrt(2 / (inputs + outputs)))


@every_weight
def test_glorot_uniform_has_pytorch_s_limit(shape, inputs, outputs):
    limit = 2.0 * math.sqrt(6 / (inputs + outputs))
    assert_uniform(drawn(fc.init.glorot_uniform(gain=2.0), shape), -limit, limit)


@every_weight
def test_he_normal_has_pytorch_s_deviation_for_relu(shape, inputs, outputs):
    assert_normal(drawn(fc.init.he_normal(gain=0.5), shape), 0.5 * math.sqrt(2 / inputs))


@every_weight
def test_he_uniform_has_pytorch_s_limit_for_relu(shape, inputs, outputs):
    limit = 0.5 * math.sqrt(6 / inputs)
    assert_uniform(drawn(fc.init.he_uniform(gain=0.5), shape), -limit, limit)


def test_normal_has_the_deviation_and_the_mean_it_is_told():
    assert_normal(drawn(fc.init.normal(std=0.2, mean=-3.0), (40, 50)), 0.2, -3.0)


def test_normal_is_by_default_mxnet_s_start():
    assert_normal(drawn(fc.init.normal(), (40, 50)), 0.01)


def test_uniform_stays_within_its_limits_and_fills_them():
    assert_uniform(drawn(fc.init.uniform(-1.0, 3.0), (40, 50)), -1.0, 3.0)


@every_drawn
def test_both_dtypes_start_from_the_same_numbers(init):
    values = drawn(init, (5, 4), "float32")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, drawn(init, (5, 4)).astype(np.float32))


@every_drawn
def test_another_generator_draws_other_numbers(init):
    assert (drawn(init, (5, 4)) != init((5, 4), np.random.default_rng(1), np.dtype("float64"))).all()


def test_zeros_is_zero():
    values = drawn(fc.init.zeros, (3, 2), "float32")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.zeros((3, 2)))


def test_ones_is_one():
    values = drawn(fc.init.ones, (3, 2), "float32")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.ones((3, 2)))


@every_scaled
@pytest.mark.parametrize("gain", [0, -1, math.nan, math.inf, 10**400, True, "2", None])
def test_a_gain_that_is_no_positive_number_is_refused(make, gain):
    with pytest.raises(fc.ConfigError, match=f"{make.__name__}: gain must be a positive number"):
        make(gain)


@pytest.mark.parametrize(
    "settings",
    [{"std": 0}, {"std": math.nan}, {"std": "1"}, {"std": 10**400}, {"mean": math.inf}],
    ids=lambda s: f"{s}"[:20],
)
def test_impossible_settings_of_normal_are_refused(settings):
    with pytest.raises(fc.ConfigError, match=f"normal: {next(iter(settings))} must be a (positive|finite) number"):
        fc.init.normal(**settings)


@pytest.mark.parametrize(
    ("low", "high", "wrong"),
    [
        (1, 1, "high"),
        (2, 1, "high"),
        (math.nan, 1, "low"),
        (0, math.inf, "high"),
        (-1e308, 1e308, "high"),
        (10**400, 1, "low"),
        (0, 10**400, "high"),
    ],
)
def test_limits_that_hold_nothing_or_too_much_are_refused(low, high, wrong):
    with pytest.raises(fc.ConfigError, match=f"uniform: {wrong} must be a finite number"):
        fc.init.uniform(low, high)


@every_scaled
def test_a_vector_has_no_inputs_and_outputs(make):
    with pytest.raises(fc.ShapeError, match=rf"{make.__name__}: expected a shape of two or more sizes, got \(10,\)"):
        drawn(make(), (10,))
