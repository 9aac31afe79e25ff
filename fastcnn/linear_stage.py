"""A fully connected layer and what follows it, as one stage: see `fastcnn.fuse`."""

from collections.abc import Callable

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.layers import Dropout, Layer, Linear, ReLU
from fastcnn.layers.layer import Backward, Shape, Training
from fastcnn.layers.parameter import Array


class LinearStage(Layer):
    """Linear, ReLU, and perhaps Dropout: one pass after the product, and a backward without arrays between.

    Args:
        linear: Any.
        relu: Named in messages.
        dropout: None if there is none. Draws as it does alone.
    """

    skips_input_gradient = True

    def __init__(self, linear: Linear, relu: ReLU, dropout: Dropout | None = None) -> None:
        self.name = "+".join(str(layer.name) for layer in (linear, relu, dropout) if layer is not None)
        self.linear = linear
        self.dropout = dropout

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.linear.output_shape(input_shape)

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.linear.multiply_adds(input_shape)

    def kernels(self, input_shape: Shape) -> tuple[str, ...]:
        """What the summary says of the layers."""
        inside = f"in {self.linear.name}"
        return ("linear", inside) if self.dropout is None else ("linear", inside, inside)

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        linear = self.linear
        return prepared.linear(linear.weight.data, None if linear.bias is None else linear.bias.data, relu=True)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        wants_dx = step is None or step.input_gradient
        weight, bias = self.linear.weight, self.linear.bias
        p, seed, offset = 0.0, 0, 0
        if step is not None and self.dropout is not None:
            p, seed, offset = self.dropout.p, step.seed, step.offset
        y = ops.linear_relu_dropout(x, weight.data, None if bias is None else bias.data, p, seed, offset)

        def backward(dy: Array) -> Array | None:
            dx, _, dbias = ops.linear_relu_dropout_backward(dy, y, x, weight.data, p, wants_dx, out=weight.grad)
            if bias is not None:
                bias.grad = dbias
            return dx

        return y, backward
