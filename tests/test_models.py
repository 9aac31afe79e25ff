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


def test_mxnet_scratch_has_the_seed_s_layers_in_the_seed_s_order():
    assert kinds(fc.models.mxnet_scratch()) == ("conv1 relu1 pool1 conv2 relu2 pool2 flatten1 linear1 relu3 linear2")


def test_mxnet_scratch_has_the_seed_s_weights_and_biases():
    assert {name: values.shape for name, values in fc.models.mxnet_scratch().state_dict().items()} == {
        "conv1.weight": (20, 1, 3, 3),
        "conv1.bias": (20,),
        "conv2.weight": (50, 20, 5, 5),
        "conv2.bias": (50,),
        "linear1.weight": (128, 800),
        "linear1.bias": (128,),
        "linear2.weight": (10, 128),
        "linear2.bias": (10,),
    }


def test_mxnet_scratch_starts_with_the_seed_s_deviation_in_weights_and_biases():
    for name, values in fc.models.mxnet_scratch(seed=3).state_dict().items():
        error = 5 * 0.01 / values.size**0.5  # five standard errors
        assert abs(values.mean()) < error, name
        assert abs(values.std() - 0.01) < error, name


def test_lenet5_has_the_layers_of_the_textbook():
    model = fc.models.lenet5()
    assert kinds(model) == ("conv1 tanh1 pool1 conv2 tanh2 pool2 flatten1 linear1 tanh3 linear2 tanh4 linear3")
    assert sum(parameter.size for parameter in model.parameters()) == 61_706


@pytest.mark.parametrize("make", [fc.models.mxnet_scratch, fc.models.lenet5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_others_give_ten_logits_in_their_dtype(make, dtype):
    logits = make(dtype)(np.full((3, 1, 28, 28), 0.5, dtype))
    assert (logits.shape, logits.dtype) == ((3, 10), dtype)


@pytest.mark.parametrize("make", [fc.models.mxnet_scratch, fc.models.lenet5])
def test_the_seed_decides_the_starting_weights_in_either_dtype(make):
    np.testing.assert_array_equal(make(seed=2).arena.data, make("float64", seed=2).arena.data.astype("float32"))
    assert (make(seed=2).arena.data != make(seed=3).arena.data).any()


@pytest.mark.parametrize(
    ("make", "least", "at_32", "name"),
    [
        (fc.models.gorgonia, 8, (625, 2048), "gorgonia"),
        (fc.models.mxnet_scratch, 14, (128, 1250), "mxnet-scratch"),
        (fc.models.lenet5, 12, (120, 400), "lenet5"),
    ],
)
def test_the_networks_follow_the_size_of_the_images_and_the_number_of_classes(make, least, at_32, name):
    assert make(image_size=32).state_dict()["linear1.weight"].shape == at_32
    for size in ((least, 41), (33, least), (29, 28), (least, least), (35, 34)):
        assert make(classes=27, image_size=size)(np.zeros((2, 1, *size), np.float32)).shape == (2, 27)
    assert make(classes=10, image_size=28).state_dict().keys() == make().state_dict().keys()
    np.testing.assert_array_equal(make(classes=10, image_size=(28, 28), seed=3).arena.data, make(seed=3).arena.data)
    for size in ((least - 1, 28), (28, least - 1)):
        with pytest.raises(fc.ShapeError, match=f"{name}: expected images of {least}x{least} or more, got {size[0]}x"):
            make(image_size=size)
    with pytest.raises(fc.ConfigError, match=f"{name}: classes must be a whole number >= 2"):
        make(classes=1)


def test_lenet5_pads_mnists_images_to_the_32x32_that_it_was_made_for():
    padded, bare = fc.models.lenet5(seed=1), fc.models.lenet5(seed=1, image_size=32)
    images = np.random.default_rng(0).random((2, 1, 28, 28), np.float32)
    np.testing.assert_allclose(bare(np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)))), padded(images), atol=1e-5)
