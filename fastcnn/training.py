"""One step of training."""

import math
from typing import Any

import numpy as np

from fastcnn import watch
from fastcnn.backends.choice import host
from fastcnn.errors import ConfigError, FastcnnError
from fastcnn.layers import Training
from fastcnn.layers.parameter import Array
from fastcnn.losses import Loss
from fastcnn.model import Model
from fastcnn.optim import Optimizer


class NonFiniteError(FastcnnError, ArithmeticError):
    """A cost, gradient or weight became infinite or NaN.

    Attributes:
        layer: Name of the layer where it began; None if it began elsewhere, in the input or in the loss.
    """

    def __init__(self, message: str, layer: str | None = None) -> None:
        super().__init__(message)
        self.layer = layer


def train_step(model: Model, loss: Loss, optimizer: Optimizer, x: Array, y: Any) -> float:
    """Forward, loss, backward, update, on one batch.

    Random layers draw by (``model.seed``, ``optimizer.steps``): with the weights and
    ``optimizer.state_dict()`` restored, a run goes on exactly as if it had never stopped.

    Args:
        model: Ends in logits, or whatever the loss takes.
        loss: With any reduction but "none".
        optimizer: Holds the parameters of the model, or some of them.
        x: Inputs ``(N, ...)`` of the model's dtype.
        y: Targets, as the loss takes them; a tuple where the model has several outputs.

    Returns:
        The cost before the update.

    Raises:
        ConfigError: for reduction "none", or an optimizer that holds parameters of another model.
        NonFiniteError: if the cost is infinite or NaN, before anything is updated; names the layer where it began.

    >>> model = fc.Sequential(fc.Linear(4, 2), seed=1)
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> optimizer = fc.SGD(model.parameters(), lr=1.0)
    >>> costs = [fc.train_step(model, fc.CrossEntropyLoss(), optimizer, x, y) for _ in range(50)]
    >>> costs[-1] < 0.1 < costs[0]
    True
    """
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"train_step: the optimizer must be an instance of fastcnn.optim's, got {optimizer!r}")
    if loss.reduction == "none":
        raise ConfigError("train_step: the loss must be one number; use another reduction than 'none'")
    if not model.holds(optimizer.parameters):
        raise ConfigError("train_step: the optimizer holds parameters that are not this model's; make another for it")
    step = Training(model.seed, optimizer.steps, input_gradient=False)
    outputs, backward = model.forward(x, step)
    with watch.part("loss"):
        value, loss_backward = loss.forward(outputs, y)
        cost = float(value)
        if not math.isfinite(cost):
            raise _explained(model, x, step, cost)
        gradient = loss_backward()
    backward(gradient)
    with watch.part("optimizer"):
        optimizer.step()
    return cost


def _explained(model: Model, x: Array, step: Training, cost: float) -> NonFiniteError:
    """Why the cost is not finite: the same forward again, bit by bit, with somebody looking on."""
    with watch.FirstNonFinite() as first:
        model.forward(x, step)
    if not np.isfinite(host(x)).all():
        return NonFiniteError(f"the cost became {cost}: the input holds infinite numbers or NaN; check the data")
    if first.name is None:
        return NonFiniteError(f"the cost became {cost} in the loss, all layers are finite; check the targets")
    return NonFiniteError(f"the cost became {cost}: it began in {first.where}; use a smaller learning rate", first.name)
