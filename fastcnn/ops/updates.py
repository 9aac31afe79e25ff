"""What optimizers do to arrays. The conventions are those of `fastcnn.ops`, but results are written in place."""

import math

from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of


def sgd_update(data: Array, grad: Array, lr: float) -> None:
    """One step of gradient descent, in place: ``data -= lr * grad``.

    >>> data = np.array([1.0])
    >>> sgd_update(data, np.array([2.0]), lr=0.25)
    >>> data
    array([0.5])
    """
    backend_of(data).sgd_update(data, grad, lr)


def momentum_update(
    data: Array, grad: Array, velocity: Array, lr: float, momentum: float, nesterov: bool = False
) -> None:
    """One step of gradient descent with momentum, in place, as PyTorch computes it.

    ``v = momentum*v + g;  data -= lr * v``, or with `nesterov` ``data -= lr * (g + momentum*v)``; three arrays of one
    shape.

    >>> data, velocity = np.array([1.0]), np.array([2.0])
    >>> momentum_update(data, np.array([1.0]), velocity, lr=0.25, momentum=0.5)
    >>> data, velocity
    (array([0.5]), array([2.]))
    """
    backend_of(data).momentum_update(data, grad, velocity, lr, momentum, nesterov)


def rmsprop_update(data: Array, grad: Array, square_average: Array, lr: float, decay: float, eps: float) -> None:
    """One RMSprop step, in place, as Gorgonia computes it: eps inside the root, no bias correction.

    ``s = s*decay + (1-decay)*g*g;  data -= lr * g / sqrt(s + eps)``; three arrays of one shape.

    >>> data, average = np.array([1.0]), np.array([0.0])
    >>> rmsprop_update(data, np.array([2.0]), average, lr=0.1, decay=0.75, eps=0.0)
    >>> data, average
    (array([0.8]), array([1.]))
    """
    backend_of(data).rmsprop_update(data, grad, square_average, lr, decay, eps)


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
    """One step of Adam, in place, as PyTorch computes it; with `weight_decay` it is AdamW.

    ``m = beta1*m + (1-beta1)*g;  v = beta2*v + (1-beta2)*g*g;  data -= lr * m' / (sqrt(v') + eps)``, where ``m' = m /
    (1 - beta1**step)`` and ``v' = v / (1 - beta2**step)``; four arrays of one shape. `step` counts from 1. The weight
    decay is decoupled from the gradient: first of all, ``data *= 1 - lr*weight_decay``.

    Raises:
        ConfigError: if step is below 1, or a beta not from 0 to below 1.

    >>> data, first, second = np.array([1.0]), np.array([0.0]), np.array([0.0])
    >>> adam_update(data, np.array([4.0]), first, second, lr=0.5, beta1=0.5, beta2=0.75, eps=0.0, step=1)
    >>> data, first, second
    (array([0.5]), array([2.]), array([4.]))
    """
    backend_of(data).adam_update(data, grad, first_moment, second_moment, lr, beta1, beta2, eps, step, weight_decay)


def adjust_gradient(
    grad: Array, data: Array, scale: float = 1.0, limit: float = math.inf, l1: float = 0.0, l2: float = 0.0
) -> None:
    """Scales and clips a gradient, then adds penalties on the weights `data`, of the same shape; in place, on grad.

    ``g = clip(g*scale, -limit, limit) + l1*sign(w) + l2*w``. A NaN stays NaN.

    Raises:
        ConfigError: if the limit is negative or NaN.

    >>> grad = np.array([3.0, -30.0])
    >>> adjust_gradient(grad, np.array([2.0, -1.0]), limit=5.0, l1=0.5, l2=0.25)
    >>> grad
    array([ 4.  , -5.75])
    """
    backend_of(grad).adjust_gradient(grad, data, scale, limit, l1, l2)


def sum_of_squares(x: Array) -> float:
    """Sum of the squares of all elements of x, added up in float64 whatever the dtype; any shape.

    >>> sum_of_squares(np.array([3.0, 4.0], np.float32))
    25.0
    """
    return backend_of(x).sum_of_squares(x)
