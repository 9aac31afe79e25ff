"""What every layer is: a function with a backward, and perhaps parameters.

A layer of your own is a subclass with one method::

    class Scale(fc.Layer):
        def __init__(self, channels):
            self.factor = fc.Parameter((channels,))

        def forward(self, x, training):
            def backward(dy):
                self.factor.grad = (dy * x).sum(axis=0)
                return dy * self.factor.data
            return x * self.factor.data, backward
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from fastcnn.layers.parameter import Array, Parameter

Shape = tuple[int, ...]
Backward = Callable[[Array], Array | None]


@dataclass(frozen=True)
class Training:
    """What a layer may know of the training step that it runs in; always true, evaluation passes None.

    Random layers use ``(seed, offset)`` as the key of their counter-based numbers: every (step, layer) has
    numbers of its own, and a run that was killed and resumed draws the same ones.

    Attributes:
        seed: Seed of the model.
        step: Number of the step, from 0.
        stream: Which layer; a container gives each child its own by `for_layer`.
        input_gradient: False if nobody will use the gradient of the layer's input, as in the first layer of
            a model: the layer's backward may then skip that work and return None. A layer that takes no
            notice is right too.
    """

    seed: int = 0
    step: int = 0
    stream: int = 0
    input_gradient: bool = True

    @classmethod
    def of(cls, training: "Training | bool | None") -> "Training | None":
        """The argument of a forward in one form: None for evaluation, ``Training()`` for a bare True."""
        return (training if isinstance(training, cls) else cls()) if training else None

    def for_layer(self, index: int, input_gradient: bool = True) -> Self:
        """The same step as child `index` sees it; distinct for up to 1023 children, nested three deep."""
        stream = (self.stream * 1024 + index + 1) % 2**32
        return replace(self, stream=stream, input_gradient=input_gradient)

    @property
    def offset(self) -> int:
        """Step and stream as one 64-bit number."""
        return (self.step % 2**32) << 32 | self.stream


class Layer:
    """Base of all layers. Subclasses write `forward`, and `output_shape` if the shape changes.

    Layers hold parameters and settings, nothing else: what a forward saves for its backward lives in the
    closure that it returns, so two forwards before a backward just work.
    """

    name: str | None = None
    prefix: ClassVar[str] = ""  # of the names that a model gives: conv1, conv2; the class's name if empty
    settings: ClassVar[tuple[str, ...]] = ()  # the attributes that repr shows

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        """Compute the output and how to go back.

        Args:
            x: Input, ``(N, ...)``.
            training: The step this runs in, or None in evaluation.

        Returns:
            ``(y, backward)``; ``backward(dy)`` overwrites the parameters' gradients and returns ``dx``.
        """
        raise NotImplementedError(f"{type(self).__name__}: write forward(self, x, training) -> (y, backward)")

    def output_shape(self, input_shape: Shape) -> Shape:
        """The output's shape for an input's, batch included, or a ShapeError. Unchanged if not overridden."""
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        """How many multiplications, each with its addition, a forward takes; 0 if they don't matter."""
        return 0

    def kernel(self, input_shape: Shape) -> str:
        """Which kernel computes this shape, for the summary."""
        return ""

    def __call__(self, x: Array) -> Array:
        """Check the shape and evaluate."""
        self.output_shape(x.shape)
        return self.forward(x, None)[0]

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Names and parameters, those of layers that are attributes included, in the order of assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
            elif isinstance(value, Layer):
                yield from value.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """All parameters, in forward order."""
        return [parameter for _, parameter in self.named_parameters()]

    @property
    def who(self) -> str:
        """How messages call this layer: ``Conv2d 'conv1'``."""
        return f"{type(self).__name__} {self.name!r}" if self.name else type(self).__name__

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({settings})"
