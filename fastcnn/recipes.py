"""Recipes: all that decides what a run computes, as numbers and names that fit into a JSON file.

`RECIPES` has one for each model of `fastcnn.models`, with the settings of the tutorial that it comes from, and `fast`,
which gets the first of them to 99 % of MNIST's test digits in the fewest seconds that we found; `recipe` gives one with
changes; `build` and `schedule_of` make of it what a `fastcnn.Trainer` takes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fastcnn import models
from fastcnn.data.samples import FORMS
from fastcnn.data.transforms import SCALINGS
from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import choice, not_negative, positive, real, whole
from fastcnn.losses import REDUCTIONS, CrossEntropyLoss, LogProductLoss, Loss, ProductLoss
from fastcnn.model import Model
from fastcnn.optim import SGD, Adam, AdamW, Common, Optimizer, RMSprop
from fastcnn.schedules import CosineAnnealingLR, OneCycleLR, Schedule

MODELS: dict[str, Callable[..., Model]] = {
    "gorgonia": models.gorgonia,
    "mxnet-scratch": models.mxnet_scratch,
    "lenet5": models.lenet5,
}
SCHEDULES = ("constant", "one-cycle", "cosine")
LOSSES: dict[str, type[Loss]] = {
    "crossentropy": CrossEntropyLoss,
    "product": ProductLoss,
    "log-product": LogProductLoss,
}
# What an optimizer is run with when it takes the place of the recipe's own.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.01},
    "rmsprop": {"lr": 0.001},
    "adam": {"lr": 0.001},
    "adamw": {"lr": 0.001, "weight_decay": 0.01},
}


@dataclass(frozen=True)
class Settings:
    """All that decides what a run computes. The defaults are those of Gorgonia's tutorial.

    What differs from it on purpose: samples are shuffled, and the cost is a cross-entropy. Equal settings and
    equal data give equal bits, on one instruction-set level and any number of threads.

    Attributes:
        model: ``"gorgonia"``, ``"mxnet-scratch"`` or ``"lenet5"``, see `fastcnn.models`.
        dropout: Whether the model's dropout layers are there; only gorgonia has any.
        dtype: float32 or float64.
        loss: A key of `LOSSES`.
        reduction: Of the loss, not "none"; ``"mean_elements"`` divides by samples times classes, as Gorgonia does.
        targets: ``"soft"``, 0.9 at the label and 0.1 elsewhere; ``"one-hot"``, 1 and 0; ``"smooth"``, 0.91 and 0.01; or
            ``"index"``, the label.
        scaling: Of the pixels, see `fastcnn.data.pixel_table`.
        optimizer: A key of `OPTIMIZERS`, see `fastcnn.optim`.
        lr: Learning rate; with another schedule than ``"constant"`` the highest.
        schedule: What becomes of it over the steps of all epochs: ``"constant"``, nothing; ``"one-cycle"``, in straight
            lines up to it and down to almost nothing; ``"cosine"``, down from it. See `fastcnn.schedules`.
        warmup: Which share of the steps the way up of ``"one-cycle"`` takes.
        momentum: Of sgd.
        nesterov: Whether sgd looks ahead by its momentum.
        decay: Of rmsprop's average of squares.
        eps: Of rmsprop, adam and adamw.
        weight_decay: L2 penalty; with adamw the share of the weights that a step takes away, times `lr`.
        l1: L1 penalty.
        clip_norm: Longest gradient, all parameters together; longer ones are scaled down. None: any length.
        epochs: How often the training samples are gone through.
        batch_size: Samples in a step. The last batch of an epoch takes what is left; Gorgonia drops it.
        limit: Train on the first so many images only; None takes all.
        shuffle: Whether each epoch has an order of its own; without, it is the order of the file.
        seed: Of the starting weights, the dropout masks and the orders.
        classes, image_height, image_width: Of the data, which they follow; nobody types them.

    Raises:
        ConfigError: for a name that is unknown, a number out of range, or two settings that don't go together.

    >>> Settings(lr=-1).lr
    Traceback (most recent call last):
        ...
    fastcnn.errors.ConfigError: settings: lr must be a number >= 0, got -1
    """

    model: str = "gorgonia"
    dropout: bool = True
    dtype: str = "float32"
    loss: str = "crossentropy"
    reduction: str = "mean_elements"
    targets: str = "soft"
    scaling: str = "gorgonia"
    optimizer: str = "rmsprop"
    lr: float = 0.001
    schedule: str = "constant"
    warmup: float = 0.3
    momentum: float = 0.0
    nesterov: bool = False
    decay: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    l1: float = 0.0
    clip_norm: float | None = None
    epochs: int = 10
    batch_size: int = 100
    limit: int | None = None
    shuffle: bool = True
    seed: int = 0
    classes: int = 10
    image_height: int = 28
    image_width: int = 28

    def __post_init__(self) -> None:
        choices = {
            "model": tuple(MODELS),
            "dtype": ("float32", "float64"),
            "loss": tuple(LOSSES),
            "reduction": tuple(name for name in REDUCTIONS if name != "none"),
            "targets": FORMS,
            "scaling": SCALINGS,
            "optimizer": tuple(OPTIMIZERS),
            "schedule": SCHEDULES,
        }
        for name, allowed in choices.items():
            choice(getattr(self, name), allowed, f"settings: {name}")
        counts = {"epochs": 1, "batch_size": 1, "limit": 1, "seed": 0}
        for name, least in (counts | {"classes": 2, "image_height": 1, "image_width": 1}).items():
            if (name, getattr(self, name)) != ("limit", None):
                whole(getattr(self, name), f"settings: {name}", least)
        for name in ("eps", "clip_norm"):
            if (name, getattr(self, name)) != ("clip_norm", None):
                positive(getattr(self, name), f"settings: {name}")
        for name in ("momentum", "decay"):
            real(getattr(self, name), f"settings: {name}", "from 0 to below 1", lambda number: 0 <= number < 1)
        for name in ("lr", "weight_decay", "l1"):
            not_negative(getattr(self, name), f"settings: {name}")
        real(self.warmup, "settings: warmup", "above 0 and below 1", lambda share: 0 < share < 1)
        for name in ("dropout", "nesterov", "shuffle"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"settings: {name} must be True or False, got {getattr(self, name)!r}")
        if not self.dropout and self.model != "gorgonia":
            raise ConfigError(f"settings: dropout must be True with {self.model}, which has none to leave out")
        if self.momentum and self.optimizer != "sgd":
            raise ConfigError(f"settings: momentum must be 0 with {self.optimizer}, got {self.momentum}; it is sgd's")
        if self.nesterov and not self.momentum:
            raise ConfigError("settings: nesterov must go with a momentum, got none; give one, say 0.9")
        if self.loss == "log-product" and self.targets != "soft":
            raise ConfigError(
                f"settings: targets must be soft with the log-product loss, got {self.targets!r}; log 0 does not exist"
            )


RECIPES: dict[str, Settings] = {
    "gorgonia": Settings(),
    "mxnet-scratch": Settings(
        model="mxnet-scratch",
        reduction="sum",
        targets="one-hot",
        scaling="unit",
        optimizer="sgd",
        lr=0.01,
        batch_size=64,
    ),
    "lenet5": Settings(
        model="lenet5",
        reduction="mean",
        targets="one-hot",
        scaling="unit",
        optimizer="adam",
        lr=0.001,
        batch_size=64,
    ),
    "fast": Settings(
        dropout=False,
        reduction="mean",
        targets="smooth",
        scaling="standard",
        optimizer="adam",
        lr=0.004,
        schedule="one-cycle",
        warmup=0.2,
        epochs=1,
    ),
}


def recipe(name: str = "gorgonia", **changes: Any) -> Settings:
    """The settings of a name, with changes.

    An optimizer other than the recipe's own comes with the usual settings of its kind, see `OPTIMIZERS`.

    Args:
        name: A key of `RECIPES`.
        changes: Attributes of `Settings`.

    Raises:
        ConfigError: for an unknown name, and as `Settings` does.

    >>> settings = recipe("lenet5", optimizer="sgd", epochs=3)
    >>> settings.lr, settings.batch_size, settings.epochs
    (0.01, 64, 3)
    """
    base = RECIPES[choice(name, tuple(RECIPES), "settings: recipe")]
    optimizer = changes.get("optimizer", base.optimizer)
    usual = {} if optimizer == base.optimizer else OPTIMIZERS.get(str(optimizer), {})
    return replace(base, **(usual | changes))


def build(settings: Settings, device: str = "cpu") -> tuple[Model, Loss, Optimizer]:
    """Make the model, the loss and the optimizer that the settings name, on a device as `Model.to` takes it.

    >>> model, loss, optimizer = build(recipe("gorgonia", seed=3))
    >>> model.name, loss.reduction, optimizer.lr
    ('gorgonia', 'mean_elements', 0.001)
    """
    options: dict[str, Any] = {} if settings.dropout else {"dropout": False}
    options |= {"classes": settings.classes, "image_size": (settings.image_height, settings.image_width)}
    model = MODELS[settings.model](settings.dtype, seed=settings.seed, **options)
    if device != "cpu":
        model.to(device)
    return model, LOSSES[settings.loss](settings.reduction), _optimizer(settings, model)


def schedule_of(settings: Settings, samples: int) -> Schedule | None:
    """The schedule that the settings name, for so many training samples; None for a constant rate.

    >>> schedule = schedule_of(recipe(schedule="cosine", lr=0.5, epochs=2), samples=250)
    >>> schedule.T_max, schedule(0)
    (6, 0.5)
    """
    steps = settings.epochs * math.ceil(samples / settings.batch_size)
    match settings.schedule:
        case "one-cycle":
            return OneCycleLR(settings.lr, steps, settings.warmup, "linear")
        case "cosine":
            return CosineAnnealingLR(settings.lr, steps)
        case _:
            return None


def _optimizer(settings: Settings, model: Model) -> Optimizer:
    parameters, lr, eps = model.parameters(), settings.lr, settings.eps
    common: Common = {"weight_decay": settings.weight_decay, "l1": settings.l1, "clip_norm": settings.clip_norm}
    match settings.optimizer:
        case "sgd":
            return SGD(parameters, lr, settings.momentum, settings.nesterov, **common)
        case "rmsprop":
            return RMSprop(parameters, lr, settings.decay, eps, **common)
        case "adam":
            return Adam(parameters, lr, eps=eps, **common)
        case _:
            return AdamW(parameters, lr, eps=eps, **common)
