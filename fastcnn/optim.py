"""Optimizers: what to do with a gradient.

The parameters of a model lie side by side in one arena, so a step is one kernel call, whatever their number.
State (say, RMSprop's average of squares) is one flat array too, in the order of the parameters. Where nothing
else is said the arithmetic is PyTorch's.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np

from fastcnn import ops
from fastcnn.backends.arrays import array_of, holds
from fastcnn.backends.choice import beside, host
from fastcnn.backends.cpu.updates import adam_eps, rmsprop_eps
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError
from fastcnn.layers.arguments import not_negative, positive, real, whole
from fastcnn.layers.parameter import Array, Parameter, first_repeated, flat_runs, flat_zeros


class Common(TypedDict, total=False):
    """The settings that all optimizers take by name; `Optimizer` explains them."""

    weight_decay: float
    l1: float
    clip_norm: float | None
    clip_value: float | None


class Optimizer:
    """Base of the optimizers. A subclass names its state arrays and writes `update`.

    The gradient is first clipped, then decay is added to it; both happen in place, in ``parameter.grad``, and
    cost nothing where they are off.

    Args:
        parameters: What to optimize, as ``model.parameters()`` gives it.
        lr: Learning rate, finite and not negative; at 0 a step leaves the weights alone. May be changed between steps.
        weight_decay: Adds ``weight_decay * w`` to the gradient of each weight, the gradient of the penalty
            ``weight_decay / 2 * sum(w**2)``. `AdamW` decays in a way of its own.
        l1: Adds ``l1 * sign(w)`` to it, the gradient of the penalty ``l1 * sum(abs(w))``.
        clip_norm: The largest length that the gradient of all parameters together may have; a longer one is
            made that long. None does not clip.
        clip_value: The largest absolute value that an entry of the gradient may have; others are set to it.

    Attributes:
        steps: How many steps were taken. Training keys its random numbers by it.
        state: The state arrays by name, flat, zero at first.

    Raises:
        ConfigError: for no parameters, one twice, or a setting that is out of range.
        DTypeError: if the parameters have more than one dtype.

    >>> class SignSGD(fc.optim.Optimizer):
    ...     def update(self, data, grad):
    ...         data -= self.lr * np.sign(grad)
    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [5.0, -0.1]
    >>> SignSGD([weight], lr=0.5).step()
    >>> weight.data
    array([-0.5,  0.5], dtype=float32)
    """

    state_names: tuple[str, ...] = ()
    decouples_decay: ClassVar[bool] = False  # whether update does the weight decay itself
    saw_gradients: bool = False  # whether a backward was seen to write all of them, see fastcnn.gradients

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
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
        self.weight_decay = not_negative(weight_decay, f"{self.who}: weight_decay")
        self.l1 = not_negative(l1, f"{self.who}: l1")
        self.clip_norm = None if clip_norm is None else positive(clip_norm, f"{self.who}: clip_norm")
        self.clip_value = None if clip_value is None else positive(clip_value, f"{self.who}: clip_value")
        self.steps = 0
        size = sum(parameter.size for parameter in self.parameters)
        zeros = flat_zeros(len(self.state_names), size, dtype)
        like = self.parameters[0].data
        self.state = {name: beside(array, like) for name, array in zip(self.state_names, zeros, strict=True)}

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = not_negative(value, f"{self.who}: lr")

    def step(self) -> None:
        """Change every parameter by its gradient."""
        runs = list(flat_runs(self.parameters))
        scale = self._scale(runs)
        limit = math.inf if self.clip_value is None else self.clip_value
        l2 = 0.0 if self.decouples_decay else self.weight_decay
        adjusts = (scale, limit, self.l1, l2) != (1.0, math.inf, 0.0, 0.0)
        start = 0
        for data, grad in runs:
            if adjusts:
                ops.adjust_gradient(grad, data, scale, limit, self.l1, l2)
            span = slice(start, start + data.size)
            self.update(data, grad, *(array[span] for array in self.state.values()))
            start += data.size
        self.steps += 1

    def _scale(self, runs: list[tuple[Array, Array]]) -> float:
        """What clipping by norm multiplies the gradient with: at most 1, and NaN for a gradient that has one."""
        if self.clip_norm is None:
            return 1.0
        norm = math.sqrt(sum(ops.sum_of_squares(grad) for _, grad in runs))
        scale = self.clip_norm / (norm + 1e-6)  # as torch.nn.utils.clip_grad_norm_
        return 1.0 if scale > 1 else scale

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        """Change `data` and the state arrays in place; all are flat and of one length.

        This is step number ``self.steps + 1``. Parameters that don't lie side by side come one after another.
        """
        raise NotImplementedError(f"{self.who}: write update(self, data, grad, *state)")

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that a resumed run needs: ``steps`` and the state arrays."""
        return {"steps": np.array(self.steps)} | {name: np.array(host(array)) for name, array in self.state.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave; or, if anything is amiss, change nothing.

        Raises:
            ShapeError: if the arrays are not those of this optimizer and these parameters.
            DataError: if one holds anything but finite numbers.
            DTypeError: if one is masked.
            ConfigError: if the steps are no whole number.
        """
        if not isinstance(state, Mapping):
            raise ConfigError(f"{self.who}: expected a dict of arrays by name, got {type(state).__name__}")
        arrays = {name: array_of(values, self.who, str(name)) for name, values in state.items()}
        expected = {name: array.shape for name, array in self.state_dict().items()}
        got = {name: array.shape for name, array in arrays.items()}
        if got != expected:
            raise ShapeError(f"{self.who}: the state does not fit: expected {expected}, got {got}")
        steps = whole(arrays.pop("steps"), f"{self.who}: steps", least=0)
        for name, values in arrays.items():
            if values.dtype.kind not in "fiu" or not holds(self.state[name].dtype, values):
                raise DataError(f"{self.who}: {name} must hold finite numbers; use an undamaged state")
        self.steps = steps
        for name, values in arrays.items():
            self.state[name][...] = values

    @property
    def who(self) -> str:
        """How messages call this optimizer."""
        return type(self).__name__


class SGD(Optimizer):
    """Gradient descent: ``data -= lr * grad``, or with momentum a ball that rolls.

    With momentum, ``v = momentum*v + grad``, then ``data -= lr * v``; Nesterov's looks a step ahead: ``data -=
    lr * (grad + momentum*v)``.

    Args:
        parameters: What to optimize.
        lr: Learning rate.
        momentum: How much of its velocity the ball keeps at each step, from 0 to below 1.
        nesterov: Whether to look ahead.
        common: Weight decay and clipping, see `Optimizer`.

    Raises:
        ConfigError: also for Nesterov's way without momentum.

    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [1.0, -2.0]
    >>> optimizer = fc.SGD([weight], lr=0.5, momentum=0.5)
    >>> optimizer.step()
    >>> optimizer.step()                                    # 0.5*1, then 0.5*(0.5*1 + 1)
    >>> weight.data
    array([-1.25,  2.5 ], dtype=float32)
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **common: Unpack[Common],
    ) -> None:
        self.momentum = _share(momentum, f"{self.who}: momentum")
        self.nesterov = bool(nesterov)
        if self.nesterov and not self.momentum:
            raise ConfigError(f"{self.who}: nesterov needs a momentum; pass one such as momentum=0.9")
        self.state_names = ("velocity",) if self.momentum else ()
        super().__init__(parameters, lr, **common)

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        if not state:
            ops.sgd_update(data, grad, self.lr)
            return
        (velocity,) = state
        ops.momentum_update(data, grad, velocity, self.lr, self.momentum, self.nesterov)


class RMSprop(Optimizer):
    """Gorgonia's RMSProp: ``s = decay*s + (1 - decay)*grad**2``, then ``data -= lr * grad / sqrt(s + eps)``.

    The eps is inside the root and s, which starts at zero, is not corrected for that: the first steps are
    long.

    Args:
        parameters: What to optimize.
        lr: Learning rate.
        decay: How much of the average of squares stays at each step, from 0 to below 1.
        eps: Keeps the root away from zero; at least 1.2e-38 in float32, whose smaller squares are 0.
        common: Weight decay and clipping, see `Optimizer`.

    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [1.0, -2.0]
    >>> fc.RMSprop([weight]).step()
    >>> weight.data.round(4)                                # lr / sqrt(1 - decay)
    array([-0.0316,  0.0316], dtype=float32)
    """

    state_names = ("square_average",)

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.001,
        decay: float = 0.999,
        eps: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(parameters, lr, **common)
        self.decay = _share(decay, f"{self.who}: decay")
        self.eps = rmsprop_eps(self.who, positive(eps, f"{self.who}: eps"), self.parameters[0].data.dtype)

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        (square_average,) = state
        ops.rmsprop_update(data, grad, square_average, self.lr, self.decay, self.eps)


class Adam(Optimizer):
    """Steps of about `lr`, whatever the size of the gradient: its average over the root of that of its square.

    ``m = beta1*m + (1 - beta1)*grad`` and ``v = beta2*v + (1 - beta2)*grad**2`` start at zero, which is made up
    for: after step number t, ``data -= lr * m/(1 - beta1**t) / (sqrt(v/(1 - beta2**t)) + eps)``.

    Args:
        parameters: What to optimize.
        lr: Learning rate.
        betas: How much of the two averages stays at each step, from 0 to below 1.
        eps: Keeps the divisor away from zero; at least 3.5e-18 in float32 (with the default betas), where squares of
            smaller gradients are 0 and eps alone would divide.
        common: Weight decay and clipping, see `Optimizer`.

    >>> weight = fc.Parameter((2,))
    >>> weight.grad = [1.0, -200.0]
    >>> fc.Adam([weight], lr=0.5).step()
    >>> weight.data
    array([-0.5,  0.5], dtype=float32)
    """

    state_names = ("first_moment", "second_moment")

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(parameters, lr, **common)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ConfigError(f"{self.who}: betas must be two numbers, got {betas!r}")
        self.betas = (_share(betas[0], f"{self.who}: betas[0]"), _share(betas[1], f"{self.who}: betas[1]"))
        eps, dtype = positive(eps, f"{self.who}: eps"), self.parameters[0].data.dtype
        self.eps = adam_eps(self.who, eps, dtype, self.betas[1])

    def update(self, data: Array, grad: Array, *state: Array) -> None:
        first, second = state
        decay = self.weight_decay if self.decouples_decay else 0.0
        ops.adam_update(data, grad, first, second, self.lr, *self.betas, self.eps, self.steps + 1, decay)


class AdamW(Adam):
    """`Adam` whose weight decay shrinks the weights themselves: ``data *= 1 - lr*weight_decay``, then its step.

    So weights with large gradients decay as fast as others, which they don't where the decay is added to the
    gradient.

    Args:
        parameters: What to optimize.
        lr: Learning rate.
        betas: As in `Adam`.
        eps: As in `Adam`.
        common: Weight decay, 0.01 if not given, and clipping, see `Optimizer`.

    >>> weight = fc.Parameter((1,), fc.init.ones)
    >>> fc.AdamW([weight], lr=0.5, weight_decay=0.5).step()                 # a gradient of zero
    >>> weight.data
    array([0.75], dtype=float32)
    """

    decouples_decay = True

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        common.setdefault("weight_decay", 0.01)
        super().__init__(parameters, lr, betas, eps, **common)


def _share(value: Any, what: str) -> float:
    return real(value, what, "from 0 to below 1", lambda number: 0 <= number < 1)
