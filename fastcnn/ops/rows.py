"""Softmax and cross-entropy. The conventions are those of `fastcnn.ops`."""

from fastcnn.backends import cpu
from fastcnn.backends.arrays import Array


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over each row of x (N, classes).

    >>> softmax(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return cpu.softmax(x)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `softmax`; y (N, classes) is what it returned.

    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return cpu.softmax_backward(dy, y)


def log_softmax(x: Array) -> Array:
    """Logarithm of `softmax`, exact also where softmax would round to 0.

    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return cpu.log_softmax(x)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `log_softmax`; y (N, classes) is what it returned.

    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log(np.array([[0.5, 0.5]])))
    array([[ 0.5, -0.5]])
    """
    return cpu.log_softmax_backward(dy, y)


def cross_entropy(logits: Array, target: Array) -> Array:
    """-sum(target * log_softmax(logits)) of each row of logits (N, classes) -> (N,).

    `target` holds class indices (N,), any integer dtype, or soft targets (N, classes), which need not sum to 1.

    >>> cross_entropy(np.zeros((1, 4)), np.array([2])).round(4)
    array([1.3863])
    """
    return cpu.cross_entropy(logits, target)


def cross_entropy_backward(dy: Array, logits: Array, target: Array) -> Array:
    """Gradient of `cross_entropy` with respect to logits (N, classes), for dy (N,).

    >>> cross_entropy_backward(np.ones(1), np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    return cpu.cross_entropy_backward(dy, logits, target)
