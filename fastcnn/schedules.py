"""Schedules: the learning rate of each step, for `fastcnn.Trainer`.

A schedule is any function from the number of a step, the first is 0, to a learning rate. It holds no state: the
optimizer counts the steps and its checkpoint keeps the count, so a resumed run goes on at the same rate. One of yours:

>>> halved_every_thousand_steps = lambda step: 0.1 * 0.5 ** (step // 1000)
>>> halved_every_thousand_steps(2500)
0.025

Names, arguments and values of the two here are those of ``torch.optim.lr_scheduler``.
"""

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import choice, not_negative, real, whole

Schedule = Callable[[int], float]
MOST_CHECKED = 10_000  # steps of a run that are asked for their rate before it: milliseconds
ROUNDING = 1e-7  # of a rate that was to be 0, as 0.3 - 3 * 0.1, in float32 too


class OneCycleLR:
    """Up to a high learning rate, then down to almost nothing: trains small networks in few epochs.

    The rate rises from ``max_lr / div_factor`` to `max_lr` in the first part of the steps, and falls in the rest to
    ``max_lr / (div_factor * final_div_factor)``, which it keeps should more steps follow. With an infinite factor that
    end is 0.

    Args:
        max_lr: The highest learning rate.
        total_steps: How many steps there are: epochs times batches an epoch.
        pct_start: Which share of them the rise takes, above 0 and below 1.
        anneal_strategy: ``"cos"``, half a wave of a cosine each way, or ``"linear"``.
        div_factor: The highest rate by the first.
        final_div_factor: The first rate by the last.

    Raises:
        ConfigError: for a number out of range, or another strategy.

    >>> schedule = OneCycleLR(1.0, total_steps=10, pct_start=0.5, anneal_strategy="linear", div_factor=10)
    >>> [round(schedule(step), 3) for step in range(10)]
    [0.1, 0.325, 0.55, 0.775, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    """

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
    ) -> None:
        self.max_lr = not_negative(max_lr, "OneCycleLR: max_lr")
        self.total_steps = whole(total_steps, "OneCycleLR: total_steps")
        self.pct_start = real(pct_start, "OneCycleLR: pct_start", "above 0 and below 1", lambda part: 0 < part < 1)
        self.anneal_strategy = choice(anneal_strategy, ("cos", "linear"), "OneCycleLR: anneal_strategy")
        self.first_lr = max_lr / _divisor(div_factor, "OneCycleLR: div_factor")
        self.last_lr = self.first_lr / _divisor(final_div_factor, "OneCycleLR: final_div_factor")

    def __call__(self, step: int) -> float:
        last = self.total_steps - 1
        summit = self.pct_start * self.total_steps - 1  # may lie between two steps, and before the first
        if step <= summit:
            return self._between(self.first_lr, self.max_lr, step / summit if summit else 1.0)
        return self._between(self.max_lr, self.last_lr, min(1.0, (step - summit) / (last - summit)))

    def _between(self, start: float, end: float, way: float) -> float:
        """From `start` at 0 to `end` at 1."""
        share = (1 - math.cos(math.pi * way)) / 2 if self.anneal_strategy == "cos" else way
        return start * (1 - share) + end * share


class CosineAnnealingLR:
    """Down from a learning rate along half a wave of a cosine.

    Args:
        lr: The learning rate of the first step.
        T_max: After how many steps it reaches `eta_min`, which it then keeps.
        eta_min: The learning rate at the end; may be 0.

    Raises:
        ConfigError: for a number out of range.

    >>> schedule = CosineAnnealingLR(1.0, T_max=4, eta_min=0.1)
    >>> [round(schedule(step), 3) for step in range(6)]
    [1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """

    def __init__(self, lr: float, T_max: int, eta_min: float = 1e-8) -> None:
        self.lr = not_negative(lr, "CosineAnnealingLR: lr")
        self.T_max = whole(T_max, "CosineAnnealingLR: T_max")
        self.eta_min = not_negative(eta_min, "CosineAnnealingLR: eta_min")

    def __call__(self, step: int) -> float:
        way = min(1.0, step / self.T_max)
        return self.eta_min + (self.lr - self.eta_min) * (1 + math.cos(math.pi * way)) / 2


def checked_schedule(schedule: Any, who: str) -> Schedule | None:
    """The schedule, if it is one, or None."""
    if schedule is None or (callable(schedule) and not isinstance(schedule, type)):
        return schedule
    raise ConfigError(f"{who}: schedule must be None or a function of a step's number, got {schedule!r}")


def rate_at(schedule: Schedule, step: int) -> float:
    """The learning rate of a step; what rounding left below 0 is 0.

    Raises:
        ConfigError: if the schedule gives none for it; the message names both.
    """
    name = f"schedule {getattr(schedule, '__name__', type(schedule).__name__)}"
    try:
        rate = schedule(step)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{name}: no learning rate for step {step} (counted from 0): {what}") from error
    if isinstance(rate, Real) and -ROUNDING <= rate < 0:
        return 0.0
    return not_negative(rate, f"{name}: the learning rate of step {step} (counted from 0)")


def check_rates(schedule: Schedule, steps: range) -> None:
    """Raise a ConfigError, as `rate_at`, if the schedule has no rate for a step; of many some are tried."""
    for step in {*steps[:: len(steps) // MOST_CHECKED + 1], *steps[-1:]}:
        rate_at(schedule, step)


def _divisor(value: Any, what: str) -> float:
    return real(value, what, "a positive number", lambda number: number > 0)
