"""Flatten: order and way back."""

import numpy as np

import fastcnn as fc


def test_gradients_match_central_differences():
    assert fc.gradcheck(fc.Flatten(), (2, 3, 2, 2))


def test_samples_are_laid_out_in_row_major_order():
    x = np.arange(24).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(fc.Flatten()(x), [np.arange(12), np.arange(12, 24)])


def test_an_empty_batch_stays_empty():
    assert fc.Flatten()(np.zeros((0, 3, 2, 2))).shape == (0, 12)
