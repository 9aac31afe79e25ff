"""From scores to probabilities."""

from fastcnn import ops
from fastcnn.layers.channels import along_channels, checked_channels
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` over the channels, axis 1.

    For a model that gives probabilities. In training leave it out: `fastcnn.CrossEntropyLoss` takes the scores
    themselves, and stays exact where a probability rounds to 0.

    Shapes:
        Input ``(N, C, ...)``, output alike; its sums over axis 1 are 1.

    Raises:
        ShapeError: when the model is built, if the input has no axis 1.

    >>> fc.Softmax()(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    prefix = "softmax"
    stem = "softmax"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        return checked_channels(input_shape, self.who)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        y = along_channels(ops.softmax, x)

        def backward(dy: Array) -> Array:
            return along_channels(ops.softmax_backward, dy, y)

        return y, backward
