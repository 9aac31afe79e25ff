"""The logistic function."""

from fastcnn import ops
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array


class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``, entry by entry: from 0 to 1. No x overflows; NaN stays NaN.

    Shapes:
        Any, unchanged.

    >>> fc.Sigmoid()(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[0. , 0.5, 1. ]])
    """

    prefix = "sigmoid"
    stem = "pointwise"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        y = ops.sigmoid(x)

        def backward(dy: Array) -> Array:
            return ops.sigmoid_backward(dy, y)

        return y, backward
