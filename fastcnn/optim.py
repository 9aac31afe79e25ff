"""Optimizers: what to do with a gradient.

The parameters of a model lie side by side in one arena, so a step is one kernel call, whatever their number.
State (say, RMSprop's average of squares) is one flat array too, in the order of the parameters.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastcnn import ops
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError
from fastcnn.layers.arguments import positive, real, whole
from fastcnn.layers.parameter import Array, Parameter, first_repeated, flat_runs


class Optimizer:
    """Base of the optimizers. A subclass names its state arrays and writes `update`.

    Args:
        parameters: What to optimize, as ``model.parameters()`` gives it.
        lr: Learning rate, positive and finite. May be changed between steps.

    Attributes:
        steps: How many steps were taken. Training keys its random numbers by it.
        state: The state arrays by name, flat, zero at first.

    Raises:
        ConfigError: for no parameters, one twice, or a setting that is no positive number.
        DTypeError: if the parameters have more than one dtype.
    """

    state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        self.parameters = list(parameters) if isinstance(parameters, Iterable) else []
        kinds = {type(item).__name__ for item in self.parameters if not isinstance(item, Parameter)}
        if kinds or not self.parameters:
            got = f"{type(parameters).__name__}({', '.join(sorted(kinds))})"
            raise ConfigError(f"{self.who}: there are no parameters to optimize in {got}; pass model.parameters()")
        if (twice := first_repeated(self.parameters)) is not None:
            raise ConfigError(f"{self.who}: {twice.name} is in the list of parameters twice; give each once")
        dtype, *others = {parameter.data.dtype for parameter in self.parameters}
        if others:
            raise DTypeError(f"{self.who}: all parameters must have one dtype, got {dtype} and {others[0]}")
        self.lr = lr
        self.steps = 0
        size = sum(parameter.size for parameter in self.parameters)
        self.state = {name: np.zeros(size, dtype) for name in self.state_names}

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = positive(value, f"{self.who}: lr")

    def step(self) -> None:
        """Change every parameter by its gradient."""
        start = 0
        for data, grad in flat_runs(self.parameters):
            span = slice(start, start + data.size)
            self.update(data, grad, *(array[span] for array in self.state.values()))
            start += data.size
        self.steps += 1

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        """Change `data` and the state arrays in place; all are flat and of one length."""
        raise NotImplementedError(f"{self.who}: write update(self, data, grad, *state)")

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that a resumed run needs: ``steps`` and the state arrays."""
        return {"steps": np.array(self.steps)} | {name: array.copy() for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; or, if anything is amiss, change nothing.

        Raises:
            ShapeError: if the arrays are not those of this optimizer and these parameters.
            DataError: if one holds anything but finite numbers.
            ConfigError: if the steps are no whole number.
        """
        arrays = {name: np.asarray(values) for name, values in state.items()}
        expected = {name: array.shape for name, array in self.state_dict().items()}
        got = {name: array.shape for name, array in arrays.items()}
        if got != expected:
            raise ShapeError(f"{self.who}: the state does not fit: expected {expected}, got {got}")
        steps = whole(arrays.pop("steps"), f"{self.who}: steps", least=0)
        for name, values in arrays.items():
            if values.dtype.kind not in "fiu" or not (abs(values) <= np.finfo(self.state[name].dtype).max).all():
                raise DataError(f"{self.who}: {name} must hold finite numbers; use an undamaged state")
        self.steps = steps
        for name, values in arrays.items():
            self.state[name][...] = values

    @property
    def who(self) -> str:
        """How messages call this optimizer."""
        return type(self).__name__


class SGD(Optimizer):
    """``data -= lr * grad``.

    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [1.0, -2.0]
    >>> fc.SGD([weight], lr=0.5).step()
    >>> weight.data
    array([-0.5,  1. ], dtype=float32)
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float = 0.01) -> None:
        super().__init__(parameters, lr)

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        ops.sgd_update(data, grad, self.lr)


class RMSprop(Optimizer):
    """Gorgonia's RMSProp: ``s = decay*s + (1 - decay)*grad**2``, then ``data -= lr * grad / sqrt(s + eps)``.

    The eps is inside the root and s, which starts at zero, is not corrected for that: the first steps are
    long.

    Args:
        parameters: What to optimize.
        lr: Learning rate.
        decay: How much of the average of squares stays at each step, from 0 to below 1.
        eps: Keeps the root away from zero; positive.

    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [1.0, -2.0]
    >>> fc.RMSprop([weight]).step()
    >>> weight.data.round(4)                                # lr / sqrt(1 - decay)
    array([-0.0316,  0.0316], dtype=float32)
    """

    state_names = ("square_average",)

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 0.001, decay: float = 0.999, eps: float = 1e-8
    ) -> None:
        super().__init__(parameters, lr)
        self.decay = real(decay, f"{self.who}: decay", "from 0 to below 1", lambda number: 0 <= number < 1)
        self.eps = positive(eps, f"{self.who}: eps")

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        (square_average,) = state
        ops.rmsprop_update(data, grad, square_average, self.lr, self.decay, self.eps)
