"""The rectifier."""

from fastcnn import ops
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array


class ReLU(Layer):
    """``max(x, 0)``, entry by entry; NaN stays NaN, and the gradient at 0 is 0.

    Shapes:
        Any, unchanged.

    >>> fc.ReLU()(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    prefix = "relu"
    stem = "pointwise"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        y = ops.relu(x)

        def backward(dy: Array) -> Array:
            return ops.relu_backward(dy, y)

        return y, backward
