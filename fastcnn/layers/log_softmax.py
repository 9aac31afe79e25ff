"""From scores to logarithms of probabilities."""

from fastcnn import ops
from fastcnn.layers.channels import along_channels, checked_channels
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class LogSoftmax(Layer):
    """The logarithm of `Softmax` over the channels, axis 1; exact also where a probability rounds to 0.

    Shapes:
        Input ``(N, C, ...)``, output alike.

    Raises:
        ShapeError: when the model is built, if the input has no axis 1.

    >>> fc.LogSoftmax()(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """

    prefix = "log_softmax"
    stem = "softmax"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name

    def output_shape(self, input_shape: Shape) -> Shape:
        return checked_channels(input_shape, self.who)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        y = along_channels(ops.log_softmax, x)

        def backward(dy: Array) -> Array:
            return along_channels(ops.log_softmax_backward, dy, y)

        return y, backward
