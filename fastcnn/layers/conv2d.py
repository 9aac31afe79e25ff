"""Two-dimensional convolution, in the sense of neural networks: a cross-correlation."""

import math
from collections.abc import Callable
from typing import Any

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.errors import ConfigError, ShapeError
from fastcnn.init import Initialiser, glorot_normal, zeros
from fastcnn.layers.arguments import Pair, choice, pair, whole
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array, Parameter

ALGORITHMS = ("auto", "direct", "im2col", "winograd")


class Conv2d(Layer):
    """Slide `out_channels` filters over a map; PyTorch's argument names and defaults.

    Args:
        in_channels: Channels of the input.
        out_channels: Number of filters, the channels of the output.
        kernel_size: Filter height and width, one int or a pair, as the next three.
        stride: Step between windows.
        padding: Rows and columns of zeros added on each side.
        dilation: Distance between the cells that a filter reads.
        bias: Whether to add a learnable bias.
        algorithm: ``"auto"``, the fastest for the shape; or one by name: ``"direct"``, ``"im2col"``, ``"winograd"``
            (3x3 or 5x5 filters, stride 1), see `fastcnn.ops.conv2d`. In float32 ``"auto"`` may be off float64 by 5e-6
            of the largest output (``"direct"``: 2.5e-6), never because of outliers that an output doesn't read; after
            three steps of Gorgonia's network its cross-entropy is off by 1e-7 (``"direct"``: 1e-8, PyTorch: 3e-7).
            Without Winograd's rounding: ``"direct"``, or for all of a model ``model.convolve("direct")``.
        weight_init: What the weight starts with, see `fastcnn.init`; `glorot_normal` if not given.
        bias_init: What the bias starts with; zeros if not given.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Input ``(N, C, H, W)``, output ``(N, O, OH, OW)`` with
        ``OH = (H + 2*padding - dilation*(kernel - 1) - 1) // stride + 1``; weight ``(O, C, KH, KW)``, bias
        ``(O,)``.

    Raises:
        ConfigError: for sizes that are no whole numbers or too small, and an unknown algorithm.
        ShapeError: when the model is built, if the channels differ or the filter is larger than the padded
            input.

    >>> fc.Conv2d(1, 8, 3, padding=1)(np.ones((5, 1, 28, 28), np.float32)).shape
    (5, 8, 28, 28)
    """

    prefix = "conv"
    skips_input_gradient = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,
        bias: bool = True,
        algorithm: str = "auto",
        weight_init: Initialiser | None = None,
        bias_init: Initialiser = zeros,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.in_channels = whole(in_channels, f"{self.who}: in_channels")
        self.out_channels = whole(out_channels, f"{self.who}: out_channels")
        self.kernel_size = pair(kernel_size, f"{self.who}: kernel_size")
        self.stride = pair(stride, f"{self.who}: stride")
        self.padding = pair(padding, f"{self.who}: padding", least=0)
        self.dilation = pair(dilation, f"{self.who}: dilation")
        self.check_algorithm(algorithm)
        self.algorithm = algorithm
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        self.weight = Parameter(shape, weight_init or glorot_normal(), "weight")
        self.bias = Parameter((self.out_channels,), bias_init, "bias") if bias else None

    def check_algorithm(self, algorithm: str) -> None:
        """Raise ConfigError for a name that is unknown, or that this convolution can't take."""
        choice(algorithm, ALGORITHMS, f"{self.who}: algorithm")
        fits = self.kernel_size in ((3, 3), (5, 5)) and self.stride == self.dilation == (1, 1)
        fits = fits and max(self.padding) < self.kernel_size[0]
        if algorithm == "winograd" and not fits:
            raise ConfigError(
                f"{self.who}: algorithm must be another than 'winograd', which takes 3x3 and 5x5 filters with "
                "stride 1, dilation 1 and padding less than the filter"
            )

    def config(self) -> dict[str, Any]:
        return {**super().config(), "bias": self.bias is not None}

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 4 or input_shape[1] != self.in_channels:
            raise ShapeError(f"{self.who}: expected input (N, {self.in_channels}, H, W), got {input_shape}")
        geometry = (self.stride, self.padding, self.dilation)
        return ops.conv_output_shape(input_shape, self.weight.shape, *geometry, who=self.who)

    def multiply_adds(self, input_shape: Shape) -> int:
        return math.prod(self.output_shape(input_shape)) * self.in_channels * math.prod(self.kernel_size)

    def kernel(self, input_shape: Shape) -> str:
        geometry, dtype = (self.stride, self.padding, self.dilation), self.weight.dtype
        algorithm = self.algorithm
        if algorithm == "auto":
            algorithm = self.weight.backend.conv2d_algorithm(input_shape, self.weight.shape, *geometry, dtype=dtype)
        return algorithm if algorithm == "winograd" else f"conv_{algorithm}"

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        bias = None if self.bias is None else self.bias.data
        how = (self.stride, self.padding, self.dilation, self.algorithm)
        return prepared.conv2d(input_shape, self.weight.data, bias, *how)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        weight, bias = self.weight, self.bias
        how = (self.stride, self.padding, self.dilation, self.algorithm)
        y = ops.conv2d(x, weight.data, None if bias is None else bias.data, *how)

        def backward(dy: Array) -> Array | None:
            weight.grad = ops.conv2d_backward_weight(dy, x, weight.shape, *how)
            if bias is not None:
                bias.grad = ops.conv2d_backward_bias(dy)
            if step and not step.input_gradient:
                return None
            return ops.conv2d_backward_input(dy, weight.data, x.shape, *how)

        return y, backward
