"""Average-pooling over square or rectangular windows."""

from collections.abc import Callable

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.layers.arguments import Pair, pair
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class AvgPool2d(Layer):
    """Take the mean of each window.

    Args:
        kernel_size: Window height and width, one int or a pair, as the next two.
        stride: Step between windows; `kernel_size` if not given.
        padding: Rows and columns of zeros added on each side; at most half the window.
        count_include_pad: Whether the zeros of the padding count in the mean, as in PyTorch.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Input ``(N, C, H, W)``, output ``(N, C, OH, OW)`` with ``OH = (H + 2*padding - kernel) // stride +
        1``: a 7x7 map under a 2x2 window becomes 3x3, its last row and column unread.

    Raises:
        ConfigError: for sizes that are no whole numbers or too small.
        ShapeError: when the model is built, if a window is larger than the padded input.

    >>> fc.AvgPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """

    prefix = "pool"
    stem = "avg_pool"

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        count_include_pad: bool = True,
        *,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.kernel_size = pair(kernel_size, f"{self.who}: kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, f"{self.who}: stride")
        self.padding = pair(padding, f"{self.who}: padding", least=0)
        self.count_include_pad = bool(count_include_pad)

    def output_shape(self, input_shape: Shape) -> Shape:
        window = (self.kernel_size, self.stride, self.padding)
        return ops.pool_output_shape(input_shape, *window, who=self.who, argmax=False)

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        window = (self.kernel_size, self.stride, self.padding, self.count_include_pad)
        return prepared.avg_pool2d(input_shape, *window)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        window = (self.kernel_size, self.stride, self.padding, self.count_include_pad)

        def backward(dy: Array) -> Array:
            return ops.avg_pool2d_backward(dy, x.shape, *window)

        return ops.avg_pool2d(x, *window), backward
