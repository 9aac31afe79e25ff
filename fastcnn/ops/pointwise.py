"""Activations, dropout, the sum of two arrays; joining arrays. The conventions are those of `fastcnn.ops`."""

from collections.abc import Sequence

from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of


def relu(x: Array) -> Array:
    """max(x, 0), any shape; a NaN passes through.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return backend_of(x).relu(x)


def relu_backward(dy: Array, y: Array) -> Array:
    """dy where y > 0, else 0; y is what `relu` returned. The gradient at 0 is 0, as in PyTorch.

    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return backend_of(dy).relu_backward(dy, y)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """x where x > 0, else negative_slope * x; any shape, a NaN passes through.

    Raises:
        ConfigError: if the slope is not a finite number.

    >>> leaky_relu(np.array([-1.0, 0.0, 2.0]), 0.5)
    array([-0.5,  0. ,  2. ])
    """
    return backend_of(x).leaky_relu(x, negative_slope)


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    """dy where x > 0, else negative_slope * dy; x is what `leaky_relu` was given.

    The gradient at 0 is the slope, as in PyTorch.

    >>> leaky_relu_backward(np.array([6.0, 6.0, 6.0]), np.array([-1.0, 0.0, 2.0]), 0.5)
    array([3., 3., 6.])
    """
    return backend_of(dy).leaky_relu_backward(dy, x, negative_slope)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), any shape; no x overflows, and a NaN passes through.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return backend_of(x).sigmoid(x)


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """dy * y * (1 - y); y is what `sigmoid` returned.

    >>> sigmoid_backward(np.array([8.0, 8.0]), np.array([0.5, 1.0]))
    array([2., 0.])
    """
    return backend_of(dy).sigmoid_backward(dy, y)


def tanh(x: Array) -> Array:
    """Hyperbolic tangent, any shape; a NaN passes through.

    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return backend_of(x).tanh(x)


def tanh_backward(dy: Array, y: Array) -> Array:
    """dy * (1 - y*y); y is what `tanh` returned.

    >>> tanh_backward(np.array([4.0, 4.0]), np.array([0.5, 1.0]))
    array([3., 0.])
    """
    return backend_of(dy).tanh_backward(dy, y)


def add(a: Array, b: Array) -> Array:
    """a + b, of one shape: nothing is broadcast. The gradient of each is dy itself.

    >>> add(np.array([1.0, 2.0]), np.array([10.0, 20.0]))
    array([11., 22.])
    """
    return backend_of(a).add(a, b)


def dropout(x: Array, p: float, seed: int, offset: int = 0) -> Array:
    """x with each element dropped with probability p, the others scaled by 1 / (1 - p).

    Which elements go depends on (seed, offset, flat index) alone (csrc/random.h): nothing is stored, and the same call
    always drops the same elements, for any number of threads.

    >>> dropout(np.ones(8), 0.5, seed=1)
    array([0., 0., 2., 0., 2., 0., 2., 2.])
    """
    return backend_of(x).dropout(x, p, seed, offset)


def dropout_backward(dy: Array, p: float, seed: int, offset: int = 0) -> Array:
    """Gradient of `dropout` with the same p, seed and offset: the same map, applied to dy.

    >>> bool((dropout_backward(np.ones(8), 0.5, seed=1) == dropout(np.ones(8), 0.5, seed=1)).all())
    True
    """
    return backend_of(dy).dropout_backward(dy, p, seed, offset)


def concat(arrays: Sequence[Array], axis: int = 1) -> Array:
    """The arrays, a list or tuple of one or more, joined along an axis; their other sizes are equal.

    >>> concat([np.zeros((1, 1, 2)), np.ones((1, 2, 2))])
    array([[[0., 0.],
            [1., 1.],
            [1., 1.]]])
    """
    first = arrays[0] if isinstance(arrays, list | tuple) and arrays else None
    return backend_of(first).concat(arrays, axis)


def concat_backward(dy: Array, sizes: Sequence[int], axis: int = 1) -> tuple[Array, ...]:
    """dy cut along an axis into parts of these sizes, which add up to its own: the gradients of `concat`'s arrays.

    >>> concat_backward(np.array([[1.0, 2.0, 3.0]]), [1, 2])
    (array([[1.]]), array([[2., 3.]]))
    """
    return backend_of(dy).concat_backward(dy, sizes, axis)
