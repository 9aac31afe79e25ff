"""Fully connected layers. The conventions are those of `fastcnn.ops`."""

from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``x @ weight.T + bias``: x (N, I), weight (O, I), bias (O,) or None -> y (N, O).

    >>> linear(np.ones((1, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 20.0]))
    array([[13., 27.]])
    """
    return backend_of(x).linear(x, weight, bias)


def linear_backward(
    dy: Array, x: Array, weight: Array, input_gradient: bool = True, out: Array | None = None
) -> tuple[Array | None, Array, Array]:
    """Gradients of `linear` with respect to x, weight and bias.

    If half of dy or more is zero, only the rest is visited: what is zero there is left out, also where its partner is
    infinite or NaN. Without `input_gradient` the first of the three is None and costs nothing. The second is written
    into `out` where that is given, an array of the weight's shape that is C-contiguous.

    Raises:
        ConfigError: also for an `out` that can't be written to, or shares memory with an input.

    >>> dx, dweight, dbias = linear_backward(np.array([[1.0, 0.0]]), np.array([[5.0]]), np.array([[2.0], [3.0]]))
    >>> dx, dbias
    (array([[2.]]), array([1., 0.]))
    """
    return backend_of(dy).linear_backward(dy, x, weight, input_gradient, out)


def linear_relu_dropout(
    x: Array, weight: Array, bias: Array | None = None, p: float = 0.0, seed: int = 0, offset: int = 0
) -> Array:
    """``dropout(relu(linear(x, weight, bias)), p, seed, offset)``, the same bits; without dropout where p is 0.

    >>> linear_relu_dropout(np.ones((1, 2)), np.array([[1.0, 2.0], [-3.0, -4.0]]))
    array([[3., 0.]])
    """
    return backend_of(x).linear_relu_dropout(x, weight, bias, p, seed, offset)


def linear_relu_dropout_backward(
    dy: Array,
    y: Array,
    x: Array,
    weight: Array,
    p: float = 0.0,
    input_gradient: bool = True,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array]:
    """Gradients of `linear_relu_dropout` with respect to x, weight and bias, as `linear_backward` gives them.

    y is what it returned, and tells what ReLU and dropout cut: it is 0 there, and nowhere else.

    >>> y = np.array([[3.0, 0.0]])
    >>> dx, _, dbias = linear_relu_dropout_backward(np.ones((1, 2)), y, np.ones((1, 1)), np.array([[2.0], [3.0]]))
    >>> dx, dbias
    (array([[2.]]), array([1., 0.]))
    """
    return backend_of(dy).linear_relu_dropout_backward(dy, y, x, weight, p, input_gradient, out)
