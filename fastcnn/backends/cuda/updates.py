"""What optimizers do to arrays: updates in place, the gradient before them, its norm."""

import math

import numpy as np

from fastcnn.backends.arrays import real, same_shape, whole
from fastcnn.backends.cpu.updates import adam_eps, betas, finite, rmsprop_eps
from fastcnn.backends.cuda import steps
from fastcnn.backends.cuda.arguments import blocks, checked, launch, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.kernels import updates
from fastcnn.errors import ShapeError


def _updated(who: str, **arrays: DeviceArray) -> None:
    """Arrays that are all updated: of the first one's dtype and shape, and not in one place."""
    (data_name, data), *others = arrays.items()
    checked(who, data_name, data)
    for position, (name, array) in enumerate(others, 1):
        checked(who, name, array, data.dtype)
        same_shape(who, name, array, data.shape, f"{data_name} {data.shape}")
        for other_name, other in list(arrays.items())[:position]:
            if array.overlaps(other):
                raise ShapeError(f"{who}: {other_name} and {name} overlap, and both are updated; pass separate arrays")


def _gradient(who: str, data: DeviceArray, grad: DeviceArray, *states: DeviceArray) -> DeviceArray:
    """`grad`; a copy, if the update would write where it lies."""
    grad = checked(who, "grad", grad, data.dtype)
    same_shape(who, "grad", grad, data.shape, f"data {data.shape}")
    return grad.copy() if any(array.overlaps(grad) for array in (data, *states)) else grad


def _numbers(data: DeviceArray, *values: float) -> tuple[DeviceArray, DeviceArray]:
    """What an update's kernel takes: the numbers of this step, and the clock that says where they are."""
    return steps.numbers(values, data.dtype), steps.clock()


def sgd_update(data: DeviceArray, grad: DeviceArray, lr: float) -> None:
    _updated("sgd_update", data=data)
    grad = _gradient("sgd_update", data, grad)
    launch_each(updates.sgd(real_of(data)), data.size, data, grad, *_numbers(data, *finite("sgd_update", lr=lr)))


def momentum_update(
    data: DeviceArray, grad: DeviceArray, velocity: DeviceArray, lr: float, momentum: float, nesterov: bool = False
) -> None:
    who = "momentum_update"
    _updated(who, data=data, velocity=velocity)
    settings = finite(who, lr=lr, momentum=momentum)
    grad = _gradient(who, data, grad, velocity)
    launch_each(
        updates.momentum(real_of(data), bool(nesterov)), data.size, data, grad, velocity, *_numbers(data, *settings)
    )


def rmsprop_update(
    data: DeviceArray, grad: DeviceArray, square_average: DeviceArray, lr: float, decay: float, eps: float
) -> None:
    who = "rmsprop_update"
    _updated(who, data=data, square_average=square_average)
    lr, decay, eps = finite(who, lr=lr, decay=decay, eps=eps)
    rmsprop_eps(who, eps, data.dtype)
    grad = _gradient(who, data, grad, square_average)
    numbers = _numbers(data, lr, decay, 1 - decay, eps)
    launch_each(updates.rmsprop(real_of(data)), data.size, data, grad, square_average, *numbers)


def adam_update(
    data: DeviceArray,
    grad: DeviceArray,
    first_moment: DeviceArray,
    second_moment: DeviceArray,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    who = "adam_update"
    _updated(who, data=data, first_moment=first_moment, second_moment=second_moment)
    beta1, beta2 = betas(who, beta1, beta2)
    lr, eps, weight_decay = finite(who, lr=lr, eps=eps, weight_decay=weight_decay)
    adam_eps(who, eps, data.dtype, beta2)
    step = whole(step, f"{who}: step")
    grad = _gradient(who, data, grad, first_moment, second_moment)
    moments = (beta1, 1 - beta1, beta2, 1 - beta2)
    corrected, root = lr / (1 - beta1**step), 1 / math.sqrt(1 - beta2**step)
    settings = (corrected, *moments, eps, root, 1 - lr * weight_decay)
    launch_each(
        updates.adam(real_of(data)), data.size, data, grad, first_moment, second_moment, *_numbers(data, *settings)
    )


def adjust_gradient(
    grad: DeviceArray,
    data: DeviceArray,
    scale: float = 1.0,
    limit: float = math.inf,
    l1: float = 0.0,
    l2: float = 0.0,
) -> None:
    who = "adjust_gradient"
    grad = checked(who, "grad", grad)
    data = checked(who, "data", data, grad.dtype)
    same_shape(who, "data", data, grad.shape, f"grad {grad.shape}")
    scale = real(scale, f"{who}: scale", "a number", lambda number: True)  # NaN where the norm of gradients is
    limit = real(limit, f"{who}: limit", "a number of 0 or more", lambda number: number >= 0)
    l1, l2 = finite(who, l1=l1, l2=l2)
    data = data.copy() if data.overlaps(grad) else data
    launch_each(updates.adjust(real_of(grad)), grad.size, grad, data, scale, limit, l1, l2)


def sum_of_squares(x: DeviceArray) -> float:
    return float(sum_of_squares_there(x).numpy()[0])


def sum_of_squares_there(x: DeviceArray) -> DeviceArray:
    """The same, left on the GPU: an array of one float64."""
    x = checked("sum_of_squares", "x", x)
    chunks, result = blocks(x.size, updates.CHUNK), empty((1,), np.float64)
    sums, threads = empty((chunks,), np.float64), (updates.THREADS,)
    launch(updates.sum_squares(real_of(x)), (chunks,), threads, x, sums, x.size)
    launch(updates.sum_sums(), (1,), threads, sums, result, chunks)
    return result
