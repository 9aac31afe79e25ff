"""Dropout with counter-based random numbers."""

from collections.abc import Callable

from fastcnn import ops
from fastcnn.layers.arguments import real
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Dropout(Layer):
    """In training, set each entry to zero with probability `p` and scale the others by ``1 / (1 - p)``.

    In evaluation nothing changes. Which entries go depends on (seed, step, layer, entry) alone: the backward
    finds them again without a stored mask, for any number of threads.

    A model tells its layers apart by itself. A layer of your own that holds two dropouts must do so too, and
    pass ``training.for_layer(i)`` to number i, or both have one mask: see `fastcnn.layers.layer`.

    Args:
        p: Probability of a zero, from 0 to 1.
        name: For messages and summaries; a model gives one if you don't.

    Shapes:
        Any, unchanged.

    Raises:
        ConfigError: if `p` is no probability.

    >>> fc.Dropout(0.5)(np.ones((1, 4)))                    # evaluation
    array([[1., 1., 1., 1.]])
    """

    prefix = "dropout"
    stem = "pointwise"

    def __init__(self, p: float = 0.5, *, name: str | None = None) -> None:
        self.name = name
        self.p = real(p, f"{self.who}: p", "a probability from 0 to 1", lambda number: 0 <= number <= 1)

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        return lambda x: x

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        if step is None:
            return x, lambda dy: dy
        key = (step.seed, step.offset)

        def backward(dy: Array) -> Array:
            return ops.dropout_backward(dy, self.p, *key)

        return ops.dropout(x, self.p, *key), backward
