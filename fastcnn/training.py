"""One step of training."""

from fastcnn.errors import ConfigError
from fastcnn.graph import Sequential
from fastcnn.layers import Training
from fastcnn.layers.parameter import Array
from fastcnn.losses import Loss
from fastcnn.optim import Optimizer


def train_step(model: Sequential, loss: Loss, optimizer: Optimizer, x: Array, y: Array) -> float:
    """Forward, loss, backward, update, on one batch.

    Random layers draw by (``model.seed``, ``optimizer.steps``): with the weights and
    ``optimizer.state_dict()`` restored, a run goes on exactly as if it had never stopped.

    Args:
        model: Ends in logits.
        loss: With any reduction but "none".
        optimizer: Holds the parameters of the model, or some of them.
        x: Inputs ``(N, ...)`` of the model's dtype.
        y: Targets, as the loss takes them.

    Returns:
        The cost before the update.

    Raises:
        ConfigError: for reduction "none", or an optimizer that holds parameters of another model.

    >>> model = fc.Sequential(fc.Linear(4, 2), seed=1)
    >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    >>> optimizer = fc.SGD(model.parameters(), lr=1.0)
    >>> costs = [fc.train_step(model, fc.CrossEntropyLoss(), optimizer, x, y) for _ in range(50)]
    >>> costs[-1] < 0.1 < costs[0]
    True
    """
    if loss.reduction == "none":
        raise ConfigError("train_step: the loss must be one number; use another reduction than 'none'")
    if not model.holds(optimizer.parameters):
        raise ConfigError("train_step: the optimizer holds parameters that are not this model's; make another for it")
    step = Training(model.seed, optimizer.steps, input_gradient=False)
    logits, backward = model.forward(x, step)
    value, loss_backward = loss.forward(logits, y)
    backward(loss_backward())
    optimizer.step()
    return float(value)
