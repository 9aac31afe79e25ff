"""Dropout: masks, scale, gradients."""

import numpy as np
import pytest

import fastcnn as fc


def mask(training, p=0.5):
    return fc.Dropout(p).forward(np.ones((20, 50)), training)[0] != 0


def test_gradients_match_central_differences():
    assert fc.gradcheck(fc.Dropout(0.4), (3, 2, 4, 4), training=fc.Training(seed=1, step=2))


def test_evaluation_changes_nothing():
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_array_equal(fc.Dropout(0.9)(x), x)


def test_a_share_p_becomes_zero_and_the_mean_stays():
    y, _ = fc.Dropout(0.2).forward(np.ones((100, 1000)), fc.Training())
    assert abs((y == 0).mean() - 0.2) < 0.005
    assert abs(y.mean() - 1) < 0.01


def test_the_mask_is_the_same_for_the_same_seed_and_step():
    np.testing.assert_array_equal(mask(fc.Training(seed=5, step=9)), mask(fc.Training(seed=5, step=9)))


@pytest.mark.parametrize(
    "other",
    [fc.Training(seed=1), fc.Training(step=1), fc.Training().for_layer(0), fc.Training().for_layer(1)],
)
def test_another_seed_step_or_layer_has_another_mask(other):
    assert abs((mask(fc.Training()) == mask(other)).mean() - 0.5) < 0.1


def test_a_bare_true_means_the_first_step_of_seed_zero():
    np.testing.assert_array_equal(mask(True), mask(fc.Training(seed=0, step=0, stream=0)))


@pytest.mark.parametrize(("p", "kept"), [(0, 1.0), (1, 0.0)])
def test_both_ends_are_allowed(p, kept):
    y, backward = fc.Dropout(p).forward(np.ones((3, 4)), True)
    np.testing.assert_array_equal(y, kept)
    np.testing.assert_array_equal(backward(np.ones((3, 4))), kept)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan"), "0.5", None, 10**400])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(fc.ConfigError, match="Dropout: p must be a probability"):
        fc.Dropout(p)
