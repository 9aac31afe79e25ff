"""From maps to vectors."""

import math
from collections.abc import Callable

from fastcnn.errors import ShapeError
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Flatten(Layer):
    """Lay each sample out as one vector, in row-major (C, H, W) order.

    Shapes:
        Input ``(N, ...)``, output ``(N, product of the rest)``.

    >>> fc.Flatten()(np.ones((5, 2, 3, 3))).shape
    (5, 18)
    """

    prefix = "flatten"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise ShapeError(f"{self.who}: expected input (N, ...), got ()")
        return input_shape[0], math.prod(input_shape[1:])

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        shape = self.output_shape(input_shape)
        return lambda x: x.reshape(shape)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        return x.reshape(self.output_shape(x.shape)), lambda dy: dy.reshape(x.shape)
