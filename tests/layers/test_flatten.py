"""Flatten: order and way back."""

import numpy as np
from gradcheck import apart, assert_gradients_match

import fastcnn as fc


def test_gradients_match_central_differences():
    assert_gradients_match(fc.Flatten(), apart(2, 3, 2, 2))


def test_samples_are_laid_out_in_row_major_order():
    x = np.arange(24).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(fc.Flatten()(x), [np.arange(12), np.arange(12, 24)])


def test_an_empty_batch_stays_empty():
    assert fc.Flatten()(np.zeros((0, 3, 2, 2))).shape == (0, 12)
