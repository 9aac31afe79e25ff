"""AvgPool2d: values, gradients, shapes, settings."""

import numpy as np
import pytest

import fastcnn as fc

# What PyTorch's AvgPool2d(3, stride=2, padding=1) gives for 1 to 16 in four rows.
WITH_ZEROS = [[14 / 9, 30 / 9], [57 / 9, 99 / 9]]
WITHOUT_ZEROS = [[14 / 4, 30 / 6], [57 / 6, 99 / 9]]


@pytest.mark.parametrize(("count_include_pad", "expected"), [(True, WITH_ZEROS), (False, WITHOUT_ZEROS)])
def test_values_are_pytorch_s(count_include_pad, expected):
    layer = fc.AvgPool2d(3, 2, 1, count_include_pad)
    y = layer(np.arange(1.0, 17.0).reshape(1, 1, 4, 4))
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-15)


@pytest.mark.parametrize(
    "settings", [(2,), (3, 2, 1), ((2, 3), 1), (3, 2, 1, False), ((3, 2), (1, 3), (1, 0), False)], ids=str
)
def test_gradients_match_central_differences(settings):
    assert fc.gradcheck(fc.AvgPool2d(*settings), (2, 2, 5, 6))


def test_a_row_that_fills_no_window_is_left_out():
    assert fc.AvgPool2d(2)(np.zeros((1, 1, 7, 7))).shape == (1, 1, 3, 3)


def test_a_window_may_have_more_cells_than_max_pooling_can_number():
    y = fc.AvgPool2d(28)(np.ones((2, 3, 28, 28), np.float32))
    np.testing.assert_array_equal(y, np.ones((2, 3, 1, 1)))


def test_the_stride_is_the_kernel_size_unless_given():
    assert fc.AvgPool2d((3, 2)).stride == (3, 2)
    assert fc.AvgPool2d((3, 2), stride=1).stride == (1, 1)


def test_config_makes_the_layer_again():
    config = fc.AvgPool2d((3, 2), padding=1, count_include_pad=False).config()
    assert config == {"kernel_size": (3, 2), "stride": (3, 2), "padding": (1, 1), "count_include_pad": False}
    assert fc.AvgPool2d(**config).config() == config


def test_an_empty_batch_stays_empty():
    y, backward = fc.AvgPool2d(2).forward(np.zeros((0, 1, 4, 4)))
    assert y.shape == (0, 1, 2, 2)
    assert backward(y).shape == (0, 1, 4, 4)


def test_a_window_larger_than_its_input_is_refused_by_name():
    with pytest.raises(fc.ShapeError, match="AvgPool2d 'pool3'"):
        fc.AvgPool2d(4, name="pool3")(np.zeros((1, 1, 3, 3)))


@pytest.mark.parametrize(
    ("what", "settings"),
    [("kernel_size", {"kernel_size": 0}), ("stride", {"stride": 0}), ("padding", {"padding": -1})],
    ids=str,
)
def test_impossible_settings_are_refused_when_the_layer_is_made(what, settings):
    with pytest.raises(fc.ConfigError, match=f"AvgPool2d: {what} must be a whole number"):
        fc.AvgPool2d(**({"kernel_size": 2} | settings))
