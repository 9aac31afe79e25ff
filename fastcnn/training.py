"""One step of training, and what it says of mistakes before they spoil the weights."""

import math
from typing import Any

import numpy as np

from fastcnn import gradients, watch
from fastcnn.backends.choice import host
from fastcnn.errors import ConfigError, FastcnnError
from fastcnn.layers import Training
from fastcnn.layers.layer import has_custom, within
from fastcnn.layers.parameter import Array, Parameter
from fastcnn.losses import Loss, has_custom_loss, run_loss
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
            For a layer or a loss of one's own that breaks a promise, see `fastcnn.Layer.forward`.
        NonFiniteError: if the cost or a gradient is infinite or NaN, before anything is updated; names the layer where
            it began.

    >>> model = fc.Sequential(fc.Linear(4, 2), seed=1)
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> optimizer = fc.SGD(model.parameters(), lr=1.0)
    >>> costs = [fc.train_step(model, fc.CrossEntropyLoss(), optimizer, x, y) for _ in range(50)]
    >>> costs[-1] < 0.1 < costs[0]
    True
    """
    if not isinstance(loss, Loss):
        raise ConfigError(f"train_step: the loss must be an instance of a subclass of Loss, got {loss!r:.60}")
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"train_step: the optimizer must be an instance of fastcnn.optim's, got {optimizer!r}")
    if loss.reduction == "none":
        raise ConfigError("train_step: the loss must be one number; use another reduction than 'none'")
    if not model.holds(optimizer.parameters):
        raise ConfigError("train_step: the optimizer holds parameters that are not this model's; make another for it")
    step = Training(model.seed, optimizer.steps, input_gradient=False)
    outputs, backward = model.forward(x, step)
    with watch.part("loss"):
        value, loss_backward = run_loss(loss, outputs, y)
        cost = float(value)
        if not math.isfinite(cost):
            raise _explained(model, x, step, cost)
        gradient = loss_backward()
    custom = model.has_custom_layers or has_custom_loss(loss)
    if custom:
        gradients.mark(optimizer.parameters, wholly=not optimizer.saw_gradients)
    backward(gradient)
    with watch.part("optimizer"):
        if custom and not gradients.are_finite(optimizer.parameters, infinity_too=optimizer.clip_value is None):
            raise _explained_gradient(model, loss, optimizer, x, y, step, cost)
        optimizer.saw_gradients = custom
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
    remedy = "use a smaller learning rate"
    if first.layer is not None and first.where.startswith("the output") and has_custom(first.layer):
        remedy = f"check its forward, or {remedy}"
    return NonFiniteError(f"the cost became {cost}: it began in {first.where}; {remedy}", first.name)


def _explained_gradient(
    model: Model, loss: Loss, optimizer: Optimizer, x: Array, y: Any, step: Training, cost: float
) -> FastcnnError:
    """Why a gradient is not finite: nobody wrote it, or one began so in a layer or in the loss."""
    if left := gradients.unwritten(optimizer.parameters):
        return ConfigError(
            f"{_holder(model, left[0])}: its backward left out entries of the gradient of {left[0].name}; "
            "write all of it in every step, with = and not with +=, zeros where nothing depends on it"
        )
    with watch.FirstNonFiniteGradient() as first:
        outputs, backward = model.forward(x, step)
        gradient = run_loss(loss, outputs, y)[1]()
        parts = gradient if isinstance(gradient, tuple) else (gradient,)
        if not all(np.isfinite(host(part)).all() for part in parts):
            said = f"that of {loss.who}'s backward holds infinite numbers or NaN; check that backward, and the targets"
            return NonFiniteError(f"a gradient is not finite at the finite cost {cost:g}: {said}")
        backward(gradient)
    remedy = "use a smaller learning rate, or smaller inputs"
    if first.layer is not None and has_custom(first.layer):
        remedy = "check its backward, where it divides or takes roots or logarithms"
    where = first.where or "the way back"
    said = f"a gradient is not finite at the finite cost {cost:g}: it began in {where}; {remedy}"
    return NonFiniteError(said, first.name)


def _holder(model: Model, parameter: Parameter) -> str:
    """How messages call the innermost layer that has this parameter."""
    holders = [layer for layer in within(model) if any(member is parameter for _, member in layer.members())]
    return holders[-1].who if holders else model.who
