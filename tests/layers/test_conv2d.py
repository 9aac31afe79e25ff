"""Conv2d: gradients, shapes, settings."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import _core
from fastcnn.layers.conv2d import ALGORITHMS


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
        {"kernel_size": 2, "dilation": 2, "padding": 1, "bias": False},
        {"kernel_size": 3, "algorithm": "im2col", "stride": 2},
    ],
    ids=str,
)
def test_gradients_match_central_differences(settings):
    assert fc.gradcheck(fc.Conv2d(2, 3, **settings), (2, 2, 5, 4))


def test_shapes_and_defaults_are_pytorch_s():
    layer = fc.Conv2d(3, 8, (5, 3))
    assert layer.weight.shape == (8, 3, 5, 3)
    assert layer.bias.shape == (8,)
    assert layer(np.zeros((2, 3, 9, 9), np.float32)).shape == (2, 8, 5, 7)


def test_bias_starts_at_zero_and_is_added_per_channel():
    layer = fc.Conv2d(1, 2, 1)
    np.testing.assert_array_equal(layer.bias.data, 0)
    layer.bias.data = [1, 2]
    y = layer(np.zeros((1, 1, 2, 2), np.float32))
    np.testing.assert_array_equal(y[0, :, 0, 0], [1, 2])


def test_the_input_gradient_is_skipped_when_nobody_uses_it():
    layer = fc.Conv2d(1, 2, 3)
    y, backward = layer.forward(np.ones((1, 1, 4, 4), np.float32), fc.Training(input_gradient=False))
    assert backward(np.ones_like(y)) is None
    assert layer.weight.grad.all()


def test_wrong_channels_are_refused_by_name():
    layer = fc.Conv2d(32, 64, 3, name="conv1")
    with pytest.raises(fc.ShapeError) as error:
        layer(np.zeros((100, 64, 14, 14), np.float32))
    assert str(error.value) == "Conv2d 'conv1': expected input (N, 32, H, W), got (100, 64, 14, 14)"


def test_a_kernel_larger_than_its_input_is_refused_by_name():
    with pytest.raises(fc.ShapeError, match="Conv2d 'big'"):
        fc.Conv2d(1, 1, 5, name="big")(np.zeros((1, 1, 4, 4), np.float32))


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("in_channels", {"in_channels": 0}),
        ("out_channels", {"out_channels": -1}),
        ("kernel_size", {"kernel_size": 0}),
        ("kernel_size", {"kernel_size": (3, 3, 3)}),
        ("stride", {"stride": 0}),
        ("stride", {"stride": 1.5}),
        ("padding", {"padding": -1}),
        ("dilation", {"dilation": (1, 0)}),
        ("algorithm", {"algorithm": "fast"}),
        ("algorithm", {"kernel_size": 7, "algorithm": "winograd"}),
        ("algorithm", {"algorithm": "winograd", "stride": 2}),
        ("algorithm", {"algorithm": False}),
    ],
    ids=str,
)
def test_impossible_settings_are_refused_when_the_layer_is_made(what, settings):
    with pytest.raises(fc.ConfigError, match=f"Conv2d: {what} must be"):
        fc.Conv2d(**({"in_channels": 1, "out_channels": 1, "kernel_size": 3} | settings))


def test_the_algorithms_are_those_of_the_core():
    assert set(ALGORITHMS) == set(_core.ALGORITHMS)


def test_groups_do_not_pass_for_a_bias():
    with pytest.raises(TypeError, match="positional"):
        fc.Conv2d(1, 2, 3, 1, 0, 1, 1, False)
