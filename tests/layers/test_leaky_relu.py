"""LeakyReLU: values, gradient, settings."""

import math

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize("slope", [0.01, 0.0, 0.5, -1.0, 2.0])
def test_gradients_match_central_differences(slope):
    assert fc.gradcheck(fc.LeakyReLU(slope), (3, 2, 4, 4))


def test_what_is_negative_is_scaled():
    np.testing.assert_array_equal(fc.LeakyReLU(0.25)(np.array([-4.0, 0.0, 4.0])), [-1, 0, 4])


def test_the_gradient_at_zero_is_the_slope():
    _, backward = fc.LeakyReLU(0.25).forward(np.zeros((1, 3)))
    np.testing.assert_array_equal(backward(np.ones((1, 3))), 0.25)


def test_the_slope_is_pytorch_s_unless_given():
    assert fc.LeakyReLU().config() == {"negative_slope": 0.01}


@pytest.mark.parametrize("slope", [math.nan, math.inf, "0.1", None])
def test_a_slope_that_is_no_finite_number_is_refused(slope):
    with pytest.raises(fc.ConfigError, match="LeakyReLU: negative_slope must be a finite number"):
        fc.LeakyReLU(slope)
