"""Dropout with counter-based random numbers."""

from fastcnn import ops
from fastcnn.errors import ConfigError
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array


class Dropout(Layer):
    """In training, set each entry to zero with probability `p` and scale the others by ``1 / (1 - p)``.

    In evaluation nothing changes. Which entries go depends on (seed, step, layer, entry) alone: the backward
    finds them again without a stored mask, for any number of threads.

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
    settings = ("p",)

    def __init__(self, p: float = 0.5, name: str | None = None) -> None:
        self.name = name
        if not 0 <= p <= 1:  # false for NaN
            raise ConfigError(f"{self.who}: p must be a probability from 0 to 1, got {p}")
        self.p = float(p)

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        if step is None:
            return x, lambda dy: dy
        key = (step.seed, step.offset)

        def backward(dy: Array) -> Array:
            return ops.dropout_backward(dy, self.p, *key)

        return ops.dropout(x, self.p, *key), backward
