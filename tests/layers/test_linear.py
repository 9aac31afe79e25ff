"""Linear: gradients, shapes, settings."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_match_central_differences(bias):
    assert fc.gradcheck(fc.Linear(4, 3, bias=bias), (5, 4))


def test_it_computes_x_times_the_transposed_weight_plus_bias():
    layer = fc.Linear(2, 3)
    layer.weight.data = [[1, 2], [3, 4], [5, 6]]
    layer.bias.data = [10, 20, 30]
    np.testing.assert_array_equal(layer(np.array([[1, 1]], np.float32)), [[13, 27, 41]])


def test_the_input_gradient_is_skipped_when_nobody_uses_it():
    layer = fc.Linear(2, 3)
    _, backward = layer.forward(np.ones((4, 2), np.float32), fc.Training(input_gradient=False))
    assert backward(np.ones((4, 3), np.float32)) is None
    np.testing.assert_array_equal(layer.weight.grad, 4)


def test_maps_that_were_not_flattened_are_refused_with_a_hint():
    with pytest.raises(fc.ShapeError, match=r"Linear: expected input \(N, 18\), .* put a Flatten\(\) before it"):
        fc.Linear(18, 10)(np.zeros((5, 2, 3, 3), np.float32))


def test_sizes_below_one_are_refused_when_the_layer_is_made():
    with pytest.raises(fc.ConfigError, match="Linear: out_features must be a whole number >= 1, got 0"):
        fc.Linear(3, 0)
