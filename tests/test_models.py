"""Ready-made networks: their layers, shapes, weights."""

import numpy as np
import pytest

import fastcnn as fc


def kinds(model):
    return " ".join(layer.name for layer in model.layers)


def test_gorgonia_has_the_seed_s_layers_in_the_seed_s_order():
    assert kinds(fc.models.gorgonia()) == (
        "conv1 relu1 pool1 dropout1 conv2 relu2 pool2 dropout2 conv3 relu3 pool3 flatten1 dropout3 "
        "linear1 relu4 dropout4 linear2"
    )


def test_gorgonia_without_dropout_has_no_dropout_layers():
    assert kinds(fc.models.gorgonia(dropout=False)) == (
        "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 pool3 flatten1 linear1 relu4 linear2"
    )


def test_gorgonia_drops_with_the_seed_s_probabilities():
    layers = fc.models.gorgonia().layers
    assert [layer.p for layer in layers if isinstance(layer, fc.Dropout)] == [0.2, 0.2, 0.2, 0.55]


def test_gorgonia_has_pytorch_shaped_weights_and_no_biases():
    assert {name: values.shape for name, values in fc.models.gorgonia().state_dict().items()} == {
        "conv1.weight": (32, 1, 3, 3),
        "conv2.weight": (64, 32, 3, 3),
        "conv3.weight": (128, 64, 3, 3),
        "linear1.weight": (625, 1152),
        "linear2.weight": (10, 625),
    }


def test_gorgonia_starts_from_the_same_weights_with_and_without_dropout():
    one, other = (fc.models.gorgonia(dropout=dropout, seed=4).arena.data for dropout in (True, False))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gorgonia_gives_ten_logits_in_its_dtype(dtype):
    logits = fc.models.gorgonia(dtype)(np.full((3, 1, 28, 28), 0.5, dtype))
    assert logits.shape == (3, 10)
    assert logits.dtype == dtype
