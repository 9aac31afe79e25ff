"""What optimizers do to arrays: updates in place, the gradient before them, its norm."""

import math
from typing import Any

import numpy as np

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, real, same_shape, whole
from fastcnn.errors import ConfigError


def _gradient(who: str, data: Array, grad: Array, *states: Array) -> Array:
    """`grad` as the kernels take it; a copy, if the update would write where it lies."""
    grad = checked(who, "grad", grad, data.dtype)
    same_shape(who, "grad", grad, data.shape, "data {}", data.shape)
    grad = plain(grad)
    for array in (data, *states):
        if _core.overlap(array, grad):
            return grad.copy()
    return grad


def finite(who: str, **settings: float) -> list[float]:
    """The settings as floats, in their order, if they are finite numbers."""
    return [real(value, f"{who}: {name}") for name, value in settings.items()]


def betas(who: str, beta1: float, beta2: float) -> list[float]:
    """Both as floats, if they are what Adam can take."""
    return [
        real(beta, f"{who}: {name}", "a number from 0 to below 1", lambda number: 0 <= number < 1)
        for name, beta in (("beta1", beta1), ("beta2", beta2))
    ]


TINY = {np.dtype(dtype): float(np.finfo(dtype).tiny) for dtype in ("float32", "float64")}  # the smallest normal number


def _divisor(who: str, eps: float, dtype: np.dtype[Any], least: float) -> float:
    if 0 < eps < least:
        raise ConfigError(
            f"{who}: eps must be at least {least:.2g} for {dtype}, where squares of small gradients become 0, "
            f"got {eps!r}"
        )
    return eps


def rmsprop_eps(who: str, eps: float, dtype: np.dtype[Any]) -> float:
    """`eps`, if it holds a step down where the mean square is less than the dtype holds; 0 does without one."""
    return _divisor(who, eps, dtype, TINY[dtype])


def adam_eps(who: str, eps: float, dtype: np.dtype[Any], beta2: float) -> float:
    """The same where it is added to the root, and to as much of a gradient's square as `beta2` leaves for one step."""
    return _divisor(who, eps, dtype, math.sqrt(TINY[dtype] / (1 - beta2)))


def sgd_update(data: Array, grad: Array, lr: float) -> None:
    _core.updatable("sgd_update", ("data",), (data,))
    _core.sgd_update(data, _gradient("sgd_update", data, grad), *finite("sgd_update", lr=lr))


def momentum_update(
    data: Array, grad: Array, velocity: Array, lr: float, momentum: float, nesterov: bool = False
) -> None:
    who = "momentum_update"
    _core.updatable(who, ("data", "velocity"), (data, velocity))
    lr, momentum = finite(who, lr=lr, momentum=momentum)
    _core.momentum_update(data, _gradient(who, data, grad, velocity), velocity, lr, momentum, nesterov)


def rmsprop_update(data: Array, grad: Array, square_average: Array, lr: float, decay: float, eps: float) -> None:
    who = "rmsprop_update"
    _core.updatable(who, ("data", "square_average"), (data, square_average))
    lr, decay, eps = finite(who, lr=lr, decay=decay, eps=eps)
    rmsprop_eps(who, eps, data.dtype)
    _core.rmsprop_update(data, _gradient(who, data, grad, square_average), square_average, lr, decay, eps)


def adam_update(
    data: Array,
    grad: Array,
    first_moment: Array,
    second_moment: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    who = "adam_update"
    _core.updatable(who, ("data", "first_moment", "second_moment"), (data, first_moment, second_moment))
    beta1, beta2 = betas(who, beta1, beta2)
    lr, eps, weight_decay = finite(who, lr=lr, eps=eps, weight_decay=weight_decay)
    adam_eps(who, eps, data.dtype, beta2)
    step = whole(step, f"{who}: step")
    grad = _gradient(who, data, grad, first_moment, second_moment)
    _core.adam_update(data, grad, first_moment, second_moment, lr, beta1, beta2, eps, step, weight_decay)


def adjust_gradient(
    grad: Array, data: Array, scale: float = 1.0, limit: float = math.inf, l1: float = 0.0, l2: float = 0.0
) -> None:
    who = "adjust_gradient"
    _core.updatable(who, ("grad",), (grad,))
    data = checked(who, "data", data, grad.dtype)
    same_shape(who, "data", data, grad.shape, "grad {}", grad.shape)
    scale = real(scale, f"{who}: scale", "a number", lambda number: True)  # NaN where the norm of gradients is
    limit = real(limit, f"{who}: limit", "a number of 0 or more", lambda number: number >= 0)
    l1, l2 = finite(who, l1=l1, l2=l2)
    data = plain(data)
    data = data.copy() if _core.overlap(data, grad) else data
    _core.adjust_gradient(grad, data, scale, limit, l1, l2)


def sum_of_squares(x: Array) -> float:
    return _core.sum_of_squares(plain(checked("sum_of_squares", "x", x)))
