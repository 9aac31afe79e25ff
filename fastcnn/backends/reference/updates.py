"""Updates of parameters by gradients, written into the arrays they are given."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.backends.reference.taps import float64


def sgd_update(data: NDArray[Any], grad: NDArray[Any], lr: float) -> None:
    """In place: a step of lr * grad."""
    data[...] = float64(data) - lr * float64(grad)


def momentum_update(
    data: NDArray[Any],
    grad: NDArray[Any],
    velocity: NDArray[Any],
    lr: float,
    momentum: float,
    nesterov: bool = False,
) -> None:
    """In place: the velocity moves, then a step of lr * velocity; Nesterov's looks one step of the velocity ahead."""
    velocity[...] = momentum * float64(velocity) + float64(grad)
    ahead = float64(grad) + momentum * float64(velocity) if nesterov else float64(velocity)
    data[...] = float64(data) - lr * ahead


def rmsprop_update(
    data: NDArray[Any], grad: NDArray[Any], square_average: NDArray[Any], lr: float, decay: float, eps: float
) -> None:
    """In place: the mean square of the gradient moves, then a step of lr * grad / sqrt(mean square + eps)."""
    square_average[...] = decay * float64(square_average) + (1 - decay) * float64(grad) ** 2
    data[...] = float64(data) - lr * float64(grad) / np.sqrt(float64(square_average) + eps)


def adam_update(
    data: NDArray[Any],
    grad: NDArray[Any],
    first_moment: NDArray[Any],
    second_moment: NDArray[Any],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """In place: the weights shrink, both moments move, then a step by the moments, as if not begun at zero."""
    grad = float64(grad)
    first_moment[...] = beta1 * float64(first_moment) + (1 - beta1) * grad
    second_moment[...] = beta2 * float64(second_moment) + (1 - beta2) * grad**2
    first, second = float64(first_moment) / (1 - beta1**step), float64(second_moment) / (1 - beta2**step)
    data[...] = float64(data) * (1 - lr * weight_decay) - lr * first / (np.sqrt(second) + eps)


def adjust_gradient(
    grad: NDArray[Any],
    data: NDArray[Any],
    scale: float = 1.0,
    limit: float = np.inf,
    l1: float = 0.0,
    l2: float = 0.0,
) -> None:
    """In place: the gradient is scaled and clipped, then the penalties' gradients are added."""
    data = float64(data)
    grad[...] = np.clip(float64(grad) * scale, -limit, limit) + l1 * np.sign(data) + l2 * data


def sum_of_squares(x: ArrayLike) -> float:
    """The sum of the squares."""
    return float(np.sum(float64(x) ** 2))
