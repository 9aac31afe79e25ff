"""The numbers beside the arrays of an operation: what is none, or out of range, is refused by its name."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import ops
from fastcnn.errors import ConfigError

X = np.zeros((2, 3), np.float32)


def zeros(size):
    return np.zeros(size, np.float32)


def adam(**others):
    given = {name: zeros(5) for name in ("data", "grad", "first_moment", "second_moment")}
    given |= {"lr": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "step": 1}
    ops.adam_update(**(given | others))


# by what the message must begin with
BAD_SETTINGS = {
    "leaky_relu: negative_slope": lambda value: ops.leaky_relu(X, value),
    "leaky_relu_backward: negative_slope": lambda value: ops.leaky_relu_backward(X, X, value),
    "dropout: p": lambda value: ops.dropout(X, value, 1),
    "dropout_backward: p": lambda value: ops.dropout_backward(X, value, 1),
    "sgd_update: lr": lambda value: ops.sgd_update(zeros(5), zeros(5), value),
    "momentum_update: lr": lambda value: ops.momentum_update(zeros(5), zeros(5), zeros(5), value, 0.9),
    "momentum_update: momentum": lambda value: ops.momentum_update(zeros(5), zeros(5), zeros(5), 0.1, value),
    "rmsprop_update: lr": lambda value: ops.rmsprop_update(zeros(5), zeros(5), zeros(5), value, 0.9, 0.1),
    "rmsprop_update: decay": lambda value: ops.rmsprop_update(zeros(5), zeros(5), zeros(5), 0.1, value, 0.1),
    "rmsprop_update: eps": lambda value: ops.rmsprop_update(zeros(5), zeros(5), zeros(5), 0.1, 0.9, value),
    "adam_update: lr": lambda value: adam(lr=value),
    "adam_update: beta1": lambda value: adam(beta1=value),
    "adam_update: beta2": lambda value: adam(beta2=value),
    "adam_update: eps": lambda value: adam(eps=value),
    "adam_update: weight_decay": lambda value: adam(weight_decay=value),
    "adam_update: step": lambda value: adam(step=value),
    "adjust_gradient: limit": lambda value: ops.adjust_gradient(zeros(5), zeros(5), limit=value),
    "adjust_gradient: l1": lambda value: ops.adjust_gradient(zeros(5), zeros(5), l1=value),
    "adjust_gradient: l2": lambda value: ops.adjust_gradient(zeros(5), zeros(5), l2=value),
}
WHOLE_SETTINGS = {
    "dropout: seed": lambda value: ops.dropout(X, 0.5, value),
    "dropout: offset": lambda value: ops.dropout(X, 0.5, 1, value),
    "dropout_backward: seed": lambda value: ops.dropout_backward(X, 0.5, value),
    "adam_update: step": lambda value: adam(step=value),
}


@pytest.mark.parametrize(
    "value", ["a", None, float("nan"), -float("inf"), 10**400, np.ones(2)], ids=lambda v: f"{v}"[:9]
)
@pytest.mark.parametrize(("start", "call"), BAD_SETTINGS.items(), ids=BAD_SETTINGS.keys())
def test_a_setting_that_is_no_such_number_is_named(start, call, value):
    with pytest.raises(ConfigError, match=rf"\A{start}\b.* must be "):
        call(value)


@pytest.mark.parametrize("value", [1.5, 1.0, "1", None, -1, 2**64, np.ones(2, int)], ids=str)
@pytest.mark.parametrize(("start", "call"), WHOLE_SETTINGS.items(), ids=WHOLE_SETTINGS.keys())
def test_a_number_that_counts_is_whole_and_in_bounds(start, call, value):
    with pytest.raises(ConfigError, match=rf"\A{start} must be a whole number "):
        call(value)


def test_the_largest_key_is_one():
    assert ops.dropout(X, 0.5, 2**64 - 1, 2**64 - 1).shape == X.shape


def test_a_scale_may_be_nan_as_the_norm_of_a_gradient_but_must_be_a_number():
    grad = np.ones(5)
    ops.adjust_gradient(grad, np.ones(5), scale=float("nan"))
    assert np.isnan(grad).all()
    with pytest.raises(ConfigError, match="adjust_gradient: scale must be a number, got 'a'"):
        ops.adjust_gradient(grad, grad, scale="a")


# ---- eps that a dtype can't hold -------------------------------------------------------------------------------------


def gradients_down_to_nothing(dtype):
    return np.geomspace(np.finfo(dtype).tiny ** 0.75, 1, 200).astype(dtype)


@pytest.mark.parametrize(("dtype", "least"), [(np.float32, 3.5e-18), (np.float64, 4.8e-153)])
def test_adam_steps_are_never_longer_than_a_few_times_the_rate(dtype, least):
    grad = gradients_down_to_nothing(dtype)
    for update_with_eps in (least, 1e-8):
        data, first, second = (np.zeros(200, dtype) for _ in range(3))
        for step in range(1, 6):
            ops.adam_update(data, grad, first, second, 0.1, 0.9, 0.999, update_with_eps, step)
        assert (abs(data) <= 0.51).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rmsprop_steps_are_never_longer_than_a_fresh_average_makes_them(dtype):
    data, average = np.zeros(200, dtype), np.zeros(200, dtype)
    ops.rmsprop_update(data, gradients_down_to_nothing(dtype), average, 0.1, 0.999, float(np.finfo(dtype).tiny) * 1.01)
    assert (abs(data) <= 0.1 / 0.001**0.5 * 1.001).all()


TOO_SMALL = {
    "Adam, float32": (lambda eps: fc.Adam([fc.Parameter((2,))], eps=eps), 1e-30),
    "AdamW, float32": (lambda eps: fc.AdamW([fc.Parameter((2,))], eps=eps), 3e-18),
    "Adam, float32, a slower average": (
        lambda eps: fc.Adam([fc.Parameter((2,))], betas=(0.9, 0.99999), eps=eps),
        4e-18,
    ),
    "RMSprop, float32": (lambda eps: fc.RMSprop([fc.Parameter((2,))], eps=eps), 1e-38),
    "adam_update, float32": (lambda eps: adam(eps=eps), 1e-46),
    "rmsprop_update, float32": (lambda eps: ops.rmsprop_update(zeros(5), zeros(5), zeros(5), 0.1, 0.9, eps), 1e-46),
}


@pytest.mark.parametrize(("make", "eps"), TOO_SMALL.values(), ids=TOO_SMALL.keys())
def test_an_eps_that_vanishes_beside_small_squares_is_refused(make, eps):
    with pytest.raises(ConfigError, match=r"eps must be at least .* for float32"):
        make(eps)
    make(1e-8)
