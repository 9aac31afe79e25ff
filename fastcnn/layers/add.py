"""The sum of several arrays, where branches of a graph meet."""

from functools import reduce

from fastcnn import ops
from fastcnn.errors import ShapeError
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Add(Layer):
    """The sum of two or more arrays, from the first to the last.

    Shapes:
        Inputs of one shape, output alike.

    Raises:
        ShapeError: when the model is built, if the shapes differ.

    >>> fc.Add()(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[11., 22.]])
    """

    prefix = "add"
    stem = "pointwise"
    takes_many = True

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def output_shape(self, input_shape: tuple[Shape, ...]) -> Shape:
        if len(input_shape) < 2 or len(set(input_shape)) > 1:
            got = " and ".join(map(str, input_shape))
            raise ShapeError(f"{self.who}: expected two or more inputs of one shape, got {got}")
        return input_shape[0]

    def forward(self, x: tuple[Array, ...], training: Training | bool | None = None) -> tuple[Array, Backward]:
        def backward(dy: Array) -> tuple[Array, ...]:
            return (dy,) * len(x)

        return reduce(ops.add, x), backward
