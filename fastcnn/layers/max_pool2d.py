"""Max-pooling over square or rectangular windows."""

from collections.abc import Callable

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.layers.arguments import Pair, pair
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class MaxPool2d(Layer):
    """Keep the largest value of each window.

    Args:
        kernel_size: Window height and width, one int or a pair.
        stride: Step between windows; `kernel_size` if not given.
        padding: Cells added around the input that never win; at most half the window.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Input ``(N, C, H, W)``, output ``(N, C, OH, OW)`` with ``OH = (H + 2*padding - kernel) // stride +
        1``: a 7x7 map under a 2x2 window becomes 3x3, its last row and column unread.

    Raises:
        ConfigError: for sizes that are no whole numbers or too small.
        ShapeError: when the model is built, if a window is larger than the padded input.

    >>> fc.MaxPool2d(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    prefix = "pool"
    stem = "max_pool"

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        *,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.kernel_size = pair(kernel_size, f"{self.who}: kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, f"{self.who}: stride")
        self.padding = pair(padding, f"{self.who}: padding", least=0)

    def output_shape(self, input_shape: Shape) -> Shape:
        return ops.pool_output_shape(input_shape, self.kernel_size, self.stride, self.padding, who=self.who)

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        return prepared.max_pool2d(input_shape, self.kernel_size, self.stride, self.padding)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        window = (self.kernel_size, self.stride, self.padding)
        y, argmax = ops.max_pool2d(x, *window)

        def backward(dy: Array) -> Array:
            return ops.max_pool2d_backward(dy, argmax, x.shape, *window)

        return y, backward
