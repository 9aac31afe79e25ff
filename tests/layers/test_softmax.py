"""Softmax and LogSoftmax: axis, gradients, extremes, shapes."""

import numpy as np
import pytest

import fastcnn as fc

both = pytest.mark.parametrize("make", [fc.Softmax, fc.LogSoftmax])
every_shape = pytest.mark.parametrize("shape", [(3, 4), (2, 4, 3), (2, 3, 2, 2), (1, 1)], ids=str)


def probabilities(x):
    powers = np.exp(x)
    return powers / powers.sum(axis=1, keepdims=True)


@every_shape
def test_they_go_over_axis_1(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(fc.Softmax()(x), probabilities(x), rtol=1e-14)
    np.testing.assert_allclose(fc.LogSoftmax()(x), np.log(probabilities(x)), rtol=1e-13, atol=1e-15)


@both
@every_shape
def test_gradients_match_central_differences(make, shape):
    assert fc.gradcheck(make(), shape)


@both
def test_results_are_contiguous_and_keep_their_dtype(make):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    y, backward = make().forward(x)
    for array in (y, backward(y)):
        assert array.flags.c_contiguous
        assert array.dtype == np.float32
        assert array.shape == x.shape


@both
def test_huge_scores_give_no_nan(make):
    y, backward = make().forward(np.array([[1e4, -1e4, 0.0]]))
    assert np.isfinite(y).all()
    assert np.isfinite(backward(np.ones_like(y))).all()


@both
@pytest.mark.parametrize("shape", [(0, 4), (0, 4, 2), (2, 4, 0)], ids=str)
def test_what_is_empty_stays_empty(make, shape):
    y, backward = make().forward(np.zeros(shape))
    assert y.shape == shape
    assert backward(y).shape == shape


@both
@pytest.mark.parametrize("shape", [(), (4,), (2, 0)], ids=str)
def test_an_input_without_channels_is_refused_by_name(make, shape):
    with pytest.raises(fc.ShapeError, match=rf"{make.__name__} 'last': expected input \(N, C, ...\), got "):
        make(name="last")(np.zeros(shape))
