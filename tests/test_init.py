"""Initialisers: deviation, dtype, reproducibility."""

import math

import numpy as np
import pytest

import fastcnn as fc


def drawn(init, shape, dtype="float64"):
    return init(shape, np.random.default_rng(0), np.dtype(dtype))


@pytest.mark.parametrize(
    ("shape", "sum_and_field"),
    [((64, 32, 3, 3), (96, 9)), ((10, 625), (635, 1)), ((40, 20, 5, 2), (60, 10))],
    ids=str,
)
def test_glorot_normal_has_gorgonia_s_deviation(shape, sum_and_field):
    total, field = sum_and_field
    values = drawn(fc.init.glorot_normal(gain=2.0), shape)
    expected = 2.0 * math.sqrt(2 / (total * field))
    assert abs(values.std() / expected - 1) < 4 / math.sqrt(2 * values.size)
    assert abs(values.mean()) < 4 * expected / math.sqrt(values.size)


def test_both_dtypes_start_from_the_same_numbers():
    init = fc.init.glorot_normal()
    np.testing.assert_array_equal(drawn(init, (5, 4), "float32"), drawn(init, (5, 4), "float64").astype(np.float32))


def test_zeros_is_zero():
    values = drawn(fc.init.zeros, (3, 2), "float32")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.zeros((3, 2)))


def test_ones_is_one():
    values = drawn(fc.init.ones, (3, 2), "float32")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.ones((3, 2)))


@pytest.mark.parametrize("gain", [0, -1, math.nan, math.inf])
def test_a_gain_that_is_no_positive_number_is_refused(gain):
    with pytest.raises(fc.ConfigError, match="gain must be a positive number"):
        fc.init.glorot_normal(gain)


def test_a_vector_has_no_glorot_deviation():
    with pytest.raises(fc.ShapeError, match="two or more sizes"):
        drawn(fc.init.glorot_normal(), (10,))
