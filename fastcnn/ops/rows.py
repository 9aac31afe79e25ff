"""Softmax and cross-entropy. The conventions are those of `fastcnn.ops`."""

from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over each row of x (N, classes).

    >>> softmax(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return backend_of(x).softmax(x)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `softmax`; y (N, classes) is what it returned.

    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return backend_of(dy).softmax_backward(dy, y)


def log_softmax(x: Array) -> Array:
    """Logarithm of `softmax`, exact also where softmax would round to 0.

    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return backend_of(x).log_softmax(x)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `log_softmax`; y (N, classes) is what it returned.

    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log(np.array([[0.5, 0.5]])))
    array([[ 0.5, -0.5]])
    """
    return backend_of(dy).log_softmax_backward(dy, y)


def cross_entropy(logits: Array, target: Array) -> Array:
    """-sum(target * log_softmax(logits)) of each row of logits (N, classes) -> (N,).

    `target` holds class indices (N,), any integer dtype, or soft targets (N, classes), which need not sum to 1.

    >>> cross_entropy(np.zeros((1, 4)), np.array([2])).round(4)
    array([1.3863])
    """
    return backend_of(logits).cross_entropy(logits, target)


def cross_entropy_backward(dy: Array, logits: Array, target: Array) -> Array:
    """Gradient of `cross_entropy` with respect to logits (N, classes), for dy (N,).

    >>> cross_entropy_backward(np.ones(1), np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    return backend_of(dy).cross_entropy_backward(dy, logits, target)


def product_loss(p: Array, target: Array) -> Array:
    """``-sum_j p_j t_j`` of each row: p and target (N, classes) -> (N,). The cost of Gorgonia's tutorial.

    >>> product_loss(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))
    array([-0.5])
    """
    return backend_of(p).product_loss(p, target)


def product_loss_backward(dy: Array, target: Array) -> Array:
    """Gradient of `product_loss` with respect to p: dy (N,) -> (N, classes).

    >>> product_loss_backward(np.array([2.0]), np.array([[1.0, 0.0]]))
    array([[-2., -0.]])
    """
    return backend_of(dy).product_loss_backward(dy, target)


def log_product_loss(log_p: Array, target: Array) -> Array:
    """``-sum_j (log p_j + log t_j)`` of each row: log_p and target (N, classes) -> (N,). That of Gorgonia's program.

    >>> log_product_loss(np.array([[-1.0, -2.0]]), np.array([[1.0, 1.0]]))
    array([3.])
    """
    return backend_of(log_p).log_product_loss(log_p, target)


def log_product_loss_backward(dy: Array, target: Array) -> Array:
    """Gradient of `log_product_loss` with respect to log_p, which no target changes: dy (N,) -> (N, classes).

    >>> log_product_loss_backward(np.array([2.0]), np.array([[1.0, 0.0]]))
    array([[-2., -2.]])
    """
    return backend_of(dy).log_product_loss_backward(dy, target)
