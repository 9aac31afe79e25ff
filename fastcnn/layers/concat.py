"""Several arrays joined into one, where branches of a graph meet."""

from fastcnn import ops
from fastcnn.errors import ShapeError
from fastcnn.layers.arguments import whole
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Concat(Layer):
    """Two or more arrays one after another along an axis.

    Args:
        axis: Which axis grows: 1, the channels, if not given. Axis 0 is the batch and can't.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Inputs that differ in the length of that axis only; in the output it is the sum of theirs.

    Raises:
        ConfigError: if `axis` is no whole number >= 1.
        ShapeError: when the model is built, if the inputs don't have the axis, or differ in another one.

    >>> fc.Concat()(np.ones((5, 2, 3, 3)), np.ones((5, 4, 3, 3))).shape
    (5, 6, 3, 3)
    """

    prefix = "concat"
    stem = "copy"
    takes_many = True

    def __init__(self, axis: int = 1, *, name: str | None = None) -> None:
        self.name = name
        self.axis = whole(axis, f"{self.who}: axis")

    def output_shape(self, input_shape: tuple[Shape, ...]) -> Shape:
        rest = {(*shape[: self.axis], None, *shape[self.axis + 1 :]) for shape in input_shape}
        if len(input_shape) < 2 or len(rest) > 1 or len(input_shape[0]) <= self.axis:
            got = " and ".join(map(str, input_shape))
            raise ShapeError(f"{self.who}: expected two or more inputs that differ in axis {self.axis} only, got {got}")
        first = input_shape[0]
        return (*first[: self.axis], sum(shape[self.axis] for shape in input_shape), *first[self.axis + 1 :])

    def forward(self, x: tuple[Array, ...], training: Training | bool | None = None) -> tuple[Array, Backward]:
        def backward(dy: Array) -> tuple[Array, ...]:
            return ops.concat_backward(dy, [part.shape[self.axis] for part in x], self.axis)

        return ops.concat(x, self.axis), backward
