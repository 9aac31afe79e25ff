"""Losses: from logits, a batch of ``(N, classes)``, and targets to a cost, and back to the logits' gradient.

Targets are class indices, integers ``(N,)``, or soft targets, ``(N, classes)`` of the logits' dtype. Every
loss is first a number per sample, summed over the classes; `reduction` makes one of them:

    "mean"           over the N samples, as PyTorch
    "mean_elements"  over all N * classes entries, as Gorgonia
    "sum"            over everything
    "none"           the (N,) numbers themselves

`MultiLoss` is made of others, one for each output of a model that has several.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastcnn import ops, remedies
from fastcnn.backends.arrays import array_of
from fastcnn.backends.choice import as_array, beside, host, on_device
from fastcnn.errors import ConfigError, DTypeError, ShapeError
from fastcnn.layers.arguments import choice, real
from fastcnn.layers.contract import OTHERS, Untouched, check_takes, checked_pair, is_custom

Array = NDArray[Any]

FORWARD = "forward must return a pair (value, backward), where backward() gives the gradient of the outputs"
PER_SAMPLE = "per_sample must return a pair (losses, backward), where backward(dlosses) gives the logits' gradient"
REDUCTIONS = ("mean", "mean_elements", "sum", "none")


class Loss:
    """Base of the losses. A subclass writes `per_sample`, for soft targets, or for both kinds.

    Args:
        reduction: See the head of this file.

    Raises:
        ConfigError: for another reduction.
    """

    takes_indices: ClassVar[bool] = False  # whether per_sample wants class indices as they are, not one-hot
    needs_classes: ClassVar[bool] = False  # whether it is a softmax's, which is always 1 over one class
    leaves_alone = False  # whether one of somebody's own was seen to leave its arguments as they are, and
    scales = False  # its backward to heed dlosses
    reduction = "mean"  # of a subclass whose constructor doesn't call this one

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = choice(reduction, REDUCTIONS, f"{self.who}: reduction")

    def __call__(self, logits: Array, target: Array) -> float | Array:
        """The value alone: a float, or with reduction "none" an array ``(N,)``."""
        value: float | Array = run_loss(self, logits, target)[0]
        return value

    def forward(self, logits: Array, target: Array) -> tuple[float | Array, Callable[..., Array]]:
        """The value, and how to go back.

        Args:
            logits: ``(N, classes)``, float32 or float64.
            target: ``(N,)`` integers or ``(N, classes)`` of the logits' dtype.

        Returns:
            ``(value, backward)``; ``backward(dvalue=1.0)`` gives the gradient of the logits. With reduction
            "none" it needs `dvalue`, an array ``(N,)`` of the logits' dtype.

        Raises:
            ShapeError: if the shapes don't belong together, a class index is out of range, a mean is asked of an
                empty batch, or there are several outputs or targets, which take a `MultiLoss`; if `per_sample` of
                a loss of one's own gives something else than it should, or its backward another shape than the logits'.
            DTypeError: if the target's dtype is neither an integer's nor the logits'.
        """
        logits = self._one_array("outputs", logits)
        target = self.checked_target(logits, self._one_array("targets", target))
        result = self.per_sample(logits, beside(target, logits))
        losses, backward = self._checked(result, logits) if is_custom(self, "per_sample") else result
        if self.reduction == "none":

            def backward_each(dvalue: Array) -> Array:
                dvalue = beside(as_array(dvalue, self.who, "dvalue"), logits)
                if on_device(dvalue) and not on_device(logits):
                    raise DTypeError(f"{self.who}: dvalue is on the GPU, the logits are not; use dvalue.numpy()")
                if (dvalue.shape, dvalue.dtype) != (losses.shape, logits.dtype):
                    error = DTypeError if dvalue.shape == losses.shape else ShapeError
                    raise error(
                        f"{self.who}: expected dvalue {losses.shape} of dtype {logits.dtype}, one number per sample, "
                        f"got {dvalue.shape} of {dvalue.dtype}"
                    )
                return backward(dvalue)

            return losses, backward_each
        count = self.divisor(*logits.shape)
        if count == 0:
            raise ShapeError(f"{self.who}: the mean of an empty batch does not exist; use reduction='sum'")

        def backward_all(dvalue: float = 1.0) -> Array:
            return backward(beside(np.full(len(logits), dvalue / count, logits.dtype), logits))

        return float(host(losses).sum(dtype=np.float64) / count), backward_all

    def _checked(self, result: Any, logits: Array) -> tuple[Array, Callable[[Array], Array]]:
        """What `per_sample` gave, if it is a loss for each sample and a way back that is the gradient of their sum."""
        losses, backward = checked_pair(result, self.who, PER_SAMPLE)
        looks = not self.scales
        if looks:
            check_takes(backward, ("dlosses",), f"{self.who}: the backward that per_sample returns")
        if getattr(losses, "shape", None) != logits.shape[:1]:
            got = getattr(losses, "shape", type(losses).__name__)
            raise ShapeError(
                f"{self.who}: per_sample must give a loss for each sample, shape {logits.shape[:1]}, got {got}; "
                "sum over the classes, not over the samples"
            )
        if losses.dtype.kind not in "fiub":
            raise DTypeError(f"{self.who}: per_sample must give real numbers, got {losses.dtype}")

        def checked_backward(dlosses: Array) -> Array:
            gradient: Array = backward(dlosses)
            if getattr(gradient, "shape", None) != logits.shape:
                got = getattr(gradient, "shape", type(gradient).__name__)
                raise ShapeError(
                    f"{self.who}: its backward must give a gradient of the logits' shape {logits.shape}, got {got}; "
                    "multiply by dlosses[:, None]"
                )
            if gradient.dtype != logits.dtype:
                raise DTypeError(
                    f"{self.who}: its backward must give a gradient of {logits.dtype}, got {gradient.dtype}; cast it"
                )
            if looks:
                first, twice = host(gradient).copy(), host(backward(dlosses * 2))
                tolerance = 1e-3 * float(abs(first).max(initial=0))
                if np.isfinite(first).all() and not np.allclose(twice, 2 * first, rtol=1e-3, atol=tolerance):
                    raise ConfigError(
                        f"{self.who}: its backward must give twice the gradient for twice the dlosses, which say what "
                        "each sample counts; multiply by dlosses[:, None]"
                    )
                self.scales = True
            return gradient

        return losses, checked_backward

    def divisor(self, samples: int, classes: int) -> int:
        """What the sum of all losses is divided by, for a reduction to one number."""
        return {"sum": 1, "mean": samples, "mean_elements": samples * classes}[self.reduction]

    def per_sample(self, logits: Array, target: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The losses ``(N,)``, and from their gradient ``(N,)`` to that of the logits."""
        raise NotImplementedError(f"{self.who}: write per_sample(self, logits, target) -> (losses, backward)")

    @property
    def who(self) -> str:
        """How messages call this loss."""
        return type(self).__name__

    def _one_array(self, name: str, values: Any) -> Array:
        if on_device(values):
            array: Array = as_array(values, self.who, name) if name == "outputs" else host(values)
            return array
        several = isinstance(values, tuple | list) and any(
            on_device(part) or (isinstance(part, np.ndarray) and part.ndim) for part in values
        )
        if not several:
            with suppress(ValueError):  # of rows that differ in length
                return array_of(values, self.who, name)
        raise ShapeError(
            f"{self.who}: expected one array of {name}, got a {type(values).__name__} of {len(values)}; "
            "for a model of several outputs use MultiLoss"
        )

    def checked_target(self, logits: Array, target: Array) -> Array:
        """The target as `per_sample` takes it, if it fits the logits, of which only shape and dtype are looked at."""
        if logits.ndim != 2 or logits.shape[1] == 0:
            raise ShapeError(f"{self.who}: expected logits (N, classes), got {logits.shape}")
        samples, classes = logits.shape
        if classes == 1 and self.needs_classes:
            raise ShapeError(
                f"{self.who}: expected logits of two classes or more, got {logits.shape}: of one class alone the "
                "probability is always 1, and nothing is learnt; give the last layer two outputs, for no and for yes"
            )

        def mend() -> str:
            return remedies.for_targets(target, logits.shape, logits.dtype)

        if target.dtype == logits.dtype:
            if target.shape != logits.shape:
                raise ShapeError(
                    f"{self.who}: expected soft targets {logits.shape} as the logits, got {target.shape}; {mend()}"
                )
            return target
        if target.dtype.kind not in "iu":
            raise DTypeError(
                f"{self.who}: expected integer class indices or soft targets of dtype {logits.dtype}, "
                f"got {target.dtype}; {mend()}"
            )
        if target.shape != (samples,):
            raise ShapeError(
                f"{self.who}: expected class indices ({samples},), one per sample, got {target.shape}; {mend()}"
            )
        outside = (target < 0) | (target >= classes)
        if outside.any():
            advice = remedies.for_indices(int(target.min()), int(target.max()), classes)
            raise ShapeError(
                f"{self.who}: class indices must be from 0 to {classes - 1}, got {target[outside][0]}; {advice}"
            )
        return target if self.takes_indices else one_hot(target, classes, logits.dtype)


def has_custom_loss(loss: Loss) -> bool:
    """Whether somebody else than fastcnn wrote the loss, or one of those that it is made of."""
    parts = loss.losses if isinstance(loss, MultiLoss) else ()
    return is_custom(loss) or is_custom(loss, "per_sample") or any(map(has_custom_loss, parts))


def run_loss(loss: Loss, outputs: Any, targets: Any) -> tuple[Any, Callable[..., Any]]:
    """``loss.forward``; one of somebody's own must give a pair and leave alone what it takes, which is looked at once.

    Raises:
        ConfigError: if it doesn't.
    """
    if not (is_custom(loss) or is_custom(loss, "per_sample")):
        return loss.forward(outputs, targets)
    if not loss.leaves_alone:
        check_takes(loss.forward, ("outputs", "targets"), f"{loss.who}: forward")
        check_takes(loss.per_sample, ("logits", "target"), f"{loss.who}: per_sample")
    arrays = [part for given in (outputs, targets) for part in (given if isinstance(given, tuple) else (given,))]
    untouched = Untouched([] if loss.leaves_alone else arrays)
    value, backward = checked_pair(loss.forward(outputs, targets), loss.who, FORWARD)
    if not loss.leaves_alone and loss.reduction != "none":
        check_takes(backward, (), f"{loss.who}: the backward that forward returns")
    untouched.check(loss.who, f"its forward changed the outputs or the targets, {OTHERS}")
    if np.ndim(host(value)) and loss.reduction != "none":
        raise ShapeError(
            f"{loss.who}: forward must give one number with reduction {loss.reduction!r}, got shape {np.shape(value)}; "
            "add up the losses"
        )
    if np.asarray(host(value)).dtype.kind not in "fiub":
        raise ConfigError(f"{loss.who}: forward must give a real number, got {type(value).__name__}")

    def checked_backward(*dvalue: Any) -> Any:
        gradient = backward(*dvalue)
        untouched.check(loss.who, f"its backward changed the outputs or the targets, {OTHERS}")
        loss.leaves_alone = True
        return gradient

    return value, checked_backward


def one_hot(labels: Array, classes: int, dtype: np.dtype[Any]) -> Array:
    """Soft targets with 1 at the label and 0 elsewhere."""
    target = np.zeros((len(labels), classes), dtype)
    target[np.arange(len(labels)), labels] = 1
    return target


class CrossEntropyLoss(Loss):
    """``-sum_j y_j log p_j`` of each sample, p the softmax of its logits.

    >>> fc.CrossEntropyLoss()(np.zeros((2, 10)), np.array([3, 7]))      # log 10
    2.302585092994046
    """

    takes_indices = True
    needs_classes = True

    def per_sample(self, logits: Array, target: Array) -> tuple[Array, Callable[[Array], Array]]:
        def backward(dlosses: Array) -> Array:
            return ops.cross_entropy_backward(dlosses, logits, target)

        return ops.cross_entropy(logits, target), backward


class ProductLoss(Loss):
    """``-sum_j p_j y_j`` of each sample: the formula of the Gorgonia tutorial, which has no logarithm.

    Class indices stand for one-hot targets. It learns slowly where p is near 0 or 1: prefer cross-entropy.

    >>> fc.ProductLoss("mean_elements")(np.zeros((2, 10)), np.array([3, 7]))
    -0.01
    """

    needs_classes = True

    def per_sample(self, logits: Array, target: Array) -> tuple[Array, Callable[[Array], Array]]:
        p = ops.softmax(logits)

        def backward(dlosses: Array) -> Array:
            return ops.softmax_backward(ops.product_loss_backward(dlosses, target), p)

        return ops.product_loss(p, target), backward


class LogProductLoss(Loss):
    """``-sum_j log(p_j y_j)`` of each sample: the cost of Gorgonia's example program, kept for comparison.

    It can't learn: the logarithm of the product splits, and the gradient doesn't depend on the targets.
    These must be soft and positive, for log 0 does not exist.

    Raises:
        ConfigError: for class indices, or soft targets that are not all positive.

    >>> loss = fc.LogProductLoss()(np.zeros((2, 10)), np.full((2, 10), 0.1))
    >>> round(loss / 10, 6)                                             # -log(0.1 * 0.1)
    4.60517
    """

    needs_classes = True

    def per_sample(self, logits: Array, target: Array) -> tuple[Array, Callable[[Array], Array]]:
        log_p = ops.log_softmax(logits)

        def backward(dlosses: Array) -> Array:
            return ops.log_softmax_backward(ops.log_product_loss_backward(dlosses, target), log_p)

        return ops.log_product_loss(log_p, target), backward

    def checked_target(self, logits: Array, target: Array) -> Array:
        target = super().checked_target(logits, target)
        if not (target > 0).all():
            raise ConfigError(f"{self.who}: every target must be positive, log 0 does not exist; use soft targets")
        return target


class MultiLoss(Loss):
    """For a model with several outputs: a loss for each, and the weighted sum of them all.

    Args:
        losses: One loss per output, all of one reduction, which is not "none".
        weights: What each counts; all 1 if not given.

    Raises:
        ConfigError: for no losses, what is none, reductions that differ, or weights that are no finite numbers
            or not as many.

    >>> x = fc.Input(8)
    >>> stem = fc.Linear(8, 8)(x)
    >>> model = fc.Graph(x, [fc.Linear(8, 10)(stem), fc.Linear(8, 2)(stem)])
    >>> loss = fc.MultiLoss([fc.CrossEntropyLoss(), fc.CrossEntropyLoss()], weights=[1.0, 0.3])
    >>> optimizer = fc.SGD(model.parameters(), lr=0.1)
    >>> images, digits, odd = np.zeros((3, 8), np.float32), np.array([4, 7, 9]), np.array([0, 1, 1])
    >>> round(fc.train_step(model, loss, optimizer, images, (digits, odd)), 4)     # log 10 + 0.3 log 2
    2.5105
    """

    def __init__(self, losses: Sequence[Loss], weights: Sequence[float] | Array | None = None) -> None:
        self.losses = tuple(losses) if isinstance(losses, Sequence) else ()
        if not self.losses or not all(isinstance(part, Loss) for part in self.losses):
            raise ConfigError(f"{self.who}: losses must be a list of losses, one for each output, got {losses!r}")
        weights = (1.0,) * len(self.losses) if weights is None else weights
        weights = weights.tolist() if isinstance(weights, np.ndarray) else weights
        if not isinstance(weights, Sequence) or len(weights) != len(self.losses):
            raise ConfigError(f"{self.who}: weights must be {len(self.losses)} numbers, one a loss, got {weights!r}")
        self.weights = tuple(
            real(weight, f"{self.who}: weights[{index}]", "a finite number", math.isfinite)
            for index, weight in enumerate(weights)
        )
        reductions = {part.reduction for part in self.losses}
        if len(reductions) > 1 or "none" in reductions:
            got = ", ".join(sorted(reductions))
            raise ConfigError(f"{self.who}: all losses must have one reduction, and not 'none', got {got}; use weights")
        super().__init__(*reductions)

    def forward(self, logits: Any, target: Any) -> tuple[float, Callable[..., Any]]:
        """The weighted sum, and how to go back.

        Args:
            logits: A tuple with the array of each output.
            target: A tuple with the target of each, as its loss takes it.

        Returns:
            ``(value, backward)``; ``backward(dvalue=1.0)`` gives a tuple with the gradient of each output.

        Raises:
            ShapeError: if there are not as many of both as losses, and as the losses do.
            DTypeError: as the losses do.
        """
        for name, parts in (("outputs", logits), ("targets", target)):
            if not isinstance(parts, tuple | list) or len(parts) != len(self.losses):
                got = len(parts) if isinstance(parts, tuple | list) else type(parts).__name__
                raise ShapeError(f"{self.who}: expected a tuple of {len(self.losses)} {name}, one a loss, got {got}")
        results = [run_loss(part, *both) for part, *both in zip(self.losses, logits, target, strict=True)]
        value = sum(weight * float(cost) for weight, (cost, _) in zip(self.weights, results, strict=True))

        def backward(dvalue: float = 1.0) -> tuple[Array, ...]:
            backwards = [backward for _, backward in results]
            return tuple(go(dvalue * weight) for weight, go in zip(self.weights, backwards, strict=True))

        return value, backward
