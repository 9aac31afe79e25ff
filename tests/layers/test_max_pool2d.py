"""MaxPool2d: gradients, shapes, settings."""

import numpy as np
import pytest

import fastcnn as fc


@pytest.mark.parametrize("window", [(2,), (3, 2, 1), ((2, 3), 1)], ids=str)
def test_gradients_match_central_differences(window):
    assert fc.gradcheck(fc.MaxPool2d(*window), (2, 2, 5, 6))


def test_a_row_that_fills_no_window_is_left_out():
    assert fc.MaxPool2d(2)(np.zeros((1, 1, 7, 7))).shape == (1, 1, 3, 3)


def test_the_stride_is_the_kernel_size_unless_given():
    assert fc.MaxPool2d((3, 2)).stride == (3, 2)
    assert fc.MaxPool2d((3, 2), stride=1).stride == (1, 1)


def test_a_window_larger_than_its_input_is_refused_by_name():
    with pytest.raises(fc.ShapeError, match="MaxPool2d 'pool3'"):
        fc.MaxPool2d(4, name="pool3")(np.zeros((1, 1, 3, 3)))


def test_a_stride_of_zero_is_refused_when_the_layer_is_made():
    with pytest.raises(fc.ConfigError, match="MaxPool2d: stride must be a whole number >= 1, got 0"):
        fc.MaxPool2d(2, stride=0)
