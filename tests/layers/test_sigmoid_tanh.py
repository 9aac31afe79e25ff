"""Sigmoid and Tanh: values, gradients, extremes."""

import numpy as np
import pytest

import fastcnn as fc

both = pytest.mark.parametrize("make", [fc.Sigmoid, fc.Tanh])


@both
def test_gradients_match_central_differences(make):
    assert fc.gradcheck(make(), (3, 2, 4, 4))


def test_values_follow_the_formulas():
    x = np.linspace(-5, 5, 101)
    np.testing.assert_allclose(fc.Sigmoid()(x), 1 / (1 + np.exp(-x)), rtol=1e-14)
    np.testing.assert_allclose(fc.Tanh()(x), np.tanh(x), rtol=1e-14, atol=1e-15)


@both
def test_extremes_reach_the_limits_and_nan_stays(make):
    y, backward = make().forward(np.array([-np.inf, -1e300, 1e300, np.inf, np.nan]))
    low = {fc.Sigmoid: 0, fc.Tanh: -1}[make]
    np.testing.assert_array_equal(y, [low, low, 1, 1, np.nan])
    np.testing.assert_array_equal(backward(np.ones(5)), [0, 0, 0, 0, np.nan])
