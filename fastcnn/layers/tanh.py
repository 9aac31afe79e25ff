"""The hyperbolic tangent."""

from fastcnn import ops
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array


class Tanh(Layer):
    """``tanh(x)``, entry by entry: from -1 to 1. No x overflows; NaN stays NaN.

    Shapes:
        Any, unchanged.

    >>> fc.Tanh()(np.array([[-1000.0, 0.0, 1000.0]]))
    array([[-1.,  0.,  1.]])
    """

    prefix = "tanh"
    stem = "pointwise"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        y = ops.tanh(x)

        def backward(dy: Array) -> Array:
            return ops.tanh_backward(dy, y)

        return y, backward
