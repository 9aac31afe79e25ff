"""The rectifier that lets a little of the negative through."""

import math

from fastcnn import ops
from fastcnn.layers.arguments import real
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array


class LeakyReLU(Layer):
    """``x`` where it is above 0, ``negative_slope * x`` elsewhere, entry by entry; NaN stays NaN.

    The gradient at 0 is `negative_slope`, as in PyTorch.

    Args:
        negative_slope: Any finite number.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Any, unchanged.

    Raises:
        ConfigError: if the slope is no finite number.

    >>> fc.LeakyReLU(0.25)(np.array([[-1.0, 2.0]]))
    array([[-0.25,  2.  ]])
    """

    prefix = "relu"
    stem = "pointwise"

    def __init__(self, negative_slope: float = 0.01, *, name: str | None = None) -> None:
        self.name = name
        self.negative_slope = real(negative_slope, f"{self.who}: negative_slope", "a finite number", math.isfinite)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        def backward(dy: Array) -> Array:
            return ops.leaky_relu_backward(dy, x, self.negative_slope)

        return ops.leaky_relu(x, self.negative_slope), backward
