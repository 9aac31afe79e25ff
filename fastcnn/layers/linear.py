"""The fully connected layer."""

from collections.abc import Callable
from typing import Any

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.errors import ShapeError
from fastcnn.init import Initialiser, glorot_normal, zeros
from fastcnn.layers.arguments import whole
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array, Parameter


class Linear(Layer):
    """``y = x @ weight.T + bias``.

    Args:
        in_features: Length of an input vector.
        out_features: Length of an output vector.
        bias: Whether to add a learnable bias.
        weight_init: What the weight starts with, see `fastcnn.init`; `glorot_normal` if not given.
        bias_init: What the bias starts with; zeros if not given.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Input ``(N, in_features)``, output ``(N, out_features)``, weight ``(out_features, in_features)`` as in
        PyTorch, bias ``(out_features,)``.

    Raises:
        ConfigError: for sizes that are no whole numbers >= 1.
        ShapeError: when the model is built, if the input has another shape.

    >>> fc.Linear(18, 10)(np.ones((5, 18), np.float32)).shape
    (5, 10)
    """

    prefix = "linear"
    stem = "linear"
    skips_input_gradient = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: Initialiser | None = None,
        bias_init: Initialiser = zeros,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.in_features = whole(in_features, f"{self.who}: in_features")
        self.out_features = whole(out_features, f"{self.who}: out_features")
        self.weight = Parameter((self.out_features, self.in_features), weight_init or glorot_normal(), "weight")
        self.bias = Parameter((self.out_features,), bias_init, "bias") if bias else None

    def config(self) -> dict[str, Any]:
        return {**super().config(), "bias": self.bias is not None}

    def output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2 or input_shape[1] != self.in_features:
            hint = "; put a Flatten() before it" if len(input_shape) > 2 else ""
            raise ShapeError(f"{self.who}: expected input (N, {self.in_features}), got {input_shape}{hint}")
        return input_shape[0], self.out_features

    def multiply_adds(self, input_shape: Shape) -> int:
        return input_shape[0] * self.in_features * self.out_features

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        return prepared.linear(self.weight.data, None if self.bias is None else self.bias.data, relu=False)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        weight, bias = self.weight, self.bias
        wants_dx = step is None or step.input_gradient
        y = ops.linear(x, weight.data, None if bias is None else bias.data)

        def backward(dy: Array) -> Array | None:
            dx, _, dbias = ops.linear_backward(dy, x, weight.data, wants_dx, out=weight.grad)
            if bias is not None:
                bias.grad = dbias
            return dx

        return y, backward
