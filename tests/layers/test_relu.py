"""ReLU: values and gradient."""

import numpy as np

import fastcnn as fc


def test_gradients_match_central_differences():
    assert fc.gradcheck(fc.ReLU(), (3, 2, 4, 4))


def test_the_gradient_at_zero_is_zero():
    _, backward = fc.ReLU().forward(np.zeros((1, 3)))
    np.testing.assert_array_equal(backward(np.ones((1, 3))), 0)
