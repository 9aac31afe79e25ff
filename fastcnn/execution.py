"""How a model runs: its steps forth, and back again, with every array let go as soon as nobody needs it."""

from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from fastcnn import ops, watch
from fastcnn.backends.arrays import plain
from fastcnn.errors import DTypeError, ShapeError
from fastcnn.fuse import Step
from fastcnn.layers.contract import is_custom, run_forward
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Array


class Execution:
    """The steps of a model, in order, and what running them needs to know.

    Args:
        steps: Each after those whose arrays it takes; arrays are numbered as in `fastcnn.model`.
        outputs: The numbers of the arrays that the model gives.
        several: Whether it gives them as a tuple.
    """

    def __init__(self, steps: Sequence[Step], outputs: Sequence[int], several: bool) -> None:
        self.steps = list(steps)
        self.outputs = tuple(outputs)
        self.several = several
        learns = {0: False}  # by number of the array: whether a gradient for it reaches a parameter
        for step in self.steps:
            above = any(learns[source] for source in step.sources)
            learns[step.target] = above or bool(step.layer.parameters())
        # By whether the gradient of the input is wanted: the arrays whose gradient is wanted then, and the targets of
        # the steps that may leave out that of their own input.
        self._wanted = {wants_dx: {n for n in learns if wants_dx or learns[n]} for wants_dx in (False, True)}
        self._skips = {wants_dx: self._skipping(wanted) for wants_dx, wanted in self._wanted.items()}
        last_user = {source: position for position, step in enumerate(self.steps) for source in step.sources}
        self._drops: list[list[int]] = [[] for _ in self.steps]
        for number, position in last_user.items():
            if number not in self.outputs:
                self._drops[position].append(number)

    def forward(self, x: Array, training: Training | None, dtype: np.dtype[Any], who: str) -> tuple[Any, Backward]:
        """``Model.forward``, for a checked input; `who` is the model, for messages."""
        wants_dx = training is None or training.input_gradient
        wanted, skips, watcher = self._wanted[wants_dx], self._skips[wants_dx], watch.current()
        shapes: dict[int, Shape] = {}
        backwards: list[Backward | None] = []

        def run(step: Step, taken: Any) -> Any:
            layer = step.layer
            if step.target not in wanted:  # nobody asks this layer for a gradient: no need to remember how
                backwards.append(None)
                told = training and training.for_layer(step.covers[-1], False)
                return _one_forward(layer, taken, told, watcher)[0]
            told = training and training.for_layer(step.covers[-1], step.target not in skips)
            y, backward = _one_forward(layer, taken, told, watcher)
            backwards.append(backward)
            return y

        outputs = self._run(x, run, dtype, shapes)

        def backward(dy: Any) -> Array | None:
            gradients: dict[int, Array] = {}
            for number, part in zip(self.outputs, self._one_each(dy, who), strict=True):
                _accumulate(gradients, number, _fitting(part, shapes[number], dtype, who, "backward takes"))
            for step, layer_backward in zip(reversed(self.steps), reversed(backwards), strict=True):
                if layer_backward is None:
                    continue
                dx = layer_backward(gradients.pop(step.target))
                parts = _parts(step.layer, dx, len(step.sources)) if step.layer.takes_many else (dx,)
                for source, part in zip(step.sources, parts, strict=True):
                    if source in wanted:
                        part = _fitting(part, shapes[source], dtype, step.layer, "its backward must return")
                        _accumulate(gradients, source, part)
            return gradients[0] if wants_dx else None

        return outputs, backward

    def evaluate(self, x: Array, dtype: np.dtype[Any]) -> Any:
        """``Model.__call__``, for a checked input."""
        watcher = watch.current()

        def run(step: Step, taken: Any) -> Any:
            if step.layer.is_model and watcher is None:
                return step.layer(taken)  # which lets go of its arrays one by one, too
            return _one_forward(step.layer, taken, None, watcher)[0]

        return self._run(x, run, dtype, {})

    def prepared(self, input_shape: Shape, dtype: np.dtype[Any]) -> Callable[[Array], Any]:
        """`evaluate` for inputs of one shape, with all done now that can be: see `Layer.prepared`."""
        shapes: dict[int, Any] = {0: input_shape}
        calls = []
        for step, drops in zip(self.steps, self._drops, strict=True):
            taken = tuple(shapes[source] for source in step.sources)
            given = taken if step.layer.takes_many else taken[0]
            shapes[step.target] = tuple(step.layer.output_shape(given))
            call = _prepared_by_itself(step.layer, given) or _checked_forward(step.layer, shapes[step.target], dtype)
            calls.append((call, itemgetter(*step.sources), step.target, drops))

        room = 1 + max(shapes)

        def run(x: Array) -> Any:
            arrays: list[Any] = [None] * room
            arrays[0] = x
            for call, take, target, drops in calls:
                arrays[target] = call(take(arrays))
                for number in drops:
                    arrays[number] = None
            outputs = tuple(map(arrays.__getitem__, self.outputs))
            return outputs if self.several else outputs[0]

        return run

    def _run(self, x: Array, run: Any, dtype: np.dtype[Any], shapes: dict[int, Shape]) -> Any:
        """Pass an input through ``run(step, input)`` of each step, and note the shapes of all arrays."""
        arrays: dict[int, Any] = {0: x}
        shapes[0] = x.shape
        for step, drops in zip(self.steps, self._drops, strict=True):
            sources = step.sources
            taken = tuple(map(arrays.__getitem__, sources)) if step.layer.takes_many else arrays[sources[0]]
            y = run(step, taken)
            if getattr(y, "dtype", None) != dtype:
                raise _wrong_dtype(step.layer, y, dtype)
            arrays[step.target] = y
            shapes[step.target] = y.shape
            del taken
            for number in drops:
                del arrays[number]
        outputs = tuple(arrays[number] for number in self.outputs)
        return outputs if self.several else outputs[0]

    def _skipping(self, wanted: set[int]) -> set[int]:
        """The targets of steps that heed Training.input_gradient where nobody wants one."""
        skip = (step for step in self.steps if step.layer.skips_input_gradient)
        return {step.target for step in skip if wanted.isdisjoint(step.sources)}

    def _one_each(self, dy: Any, who: str) -> tuple[Array, ...]:
        """The gradients of the outputs, as a tuple."""
        if not self.several:
            return (dy,)
        if not isinstance(dy, tuple) or len(dy) != len(self.outputs):
            got = f"{len(dy)}" if isinstance(dy, tuple) else type(dy).__name__
            raise ShapeError(f"{who}: backward takes a tuple of {len(self.outputs)} gradients, got {got}")
        return dy


def _prepared_by_itself(layer: Layer, input_shape: Any) -> Callable[[Any], Array] | None:
    """``layer.prepared``, unless a subclass has given the layer another forward since."""
    for kind in type(layer).__mro__:
        if "prepared" in vars(kind):
            return layer.prepared(input_shape)
        if "forward" in vars(kind):
            break
    return None


def _checked_forward(layer: Layer, shape: Shape, dtype: np.dtype[Any]) -> Callable[[Any], Array]:
    """The forward of a layer in evaluation, its result as prepared kernels may trust it."""
    forward = partial(run_forward, layer) if is_custom(layer) else layer.forward

    def run(x: Any) -> Array:
        y = forward(x, None)[0]
        if getattr(y, "dtype", None) != dtype:
            raise _wrong_dtype(layer, y, dtype)
        if y.shape != shape:
            raise ShapeError(f"{layer.who}: its output_shape says {shape}, but its forward gave {y.shape}")
        return plain(y)

    return run


def _wrong_dtype(layer: Layer, y: Any, dtype: np.dtype[Any]) -> DTypeError:
    got = getattr(y, "dtype", type(y).__name__)
    return DTypeError(f"{layer.who}: its forward gave {got} in a model of {dtype}; cast the result")


def _one_forward(
    layer: Layer, taken: Any, training: Training | None, watcher: watch.Watch | None
) -> tuple[Any, Backward]:
    if watcher is None:
        result: tuple[Any, Backward] = (
            run_forward(layer, taken, training) if is_custom(layer) else layer.forward(taken, training)
        )
        return result
    return watcher.forward(layer, taken, training, inner=layer.is_model)


def _parts(layer: Layer, dx: Any, sources: int) -> tuple[Any, ...]:
    """What the backward of a layer that takes many returned, if it is a gradient for each array."""
    if not isinstance(dx, tuple) or len(dx) != sources:
        got = f"{len(dx)}" if isinstance(dx, tuple) else type(dx).__name__
        raise ShapeError(f"{layer.who}: its backward must return a tuple of {sources} gradients, got {got}")
    return dx


def _fitting(gradient: Any, shape: Shape, dtype: np.dtype[Any], who: Layer | str, what: str) -> Array:
    """A gradient, if it has the shape of the array it belongs to, and the model's dtype."""
    if getattr(gradient, "shape", None) != shape:
        got = getattr(gradient, "shape", type(gradient).__name__)
        raise ShapeError(f"{getattr(who, 'who', who)}: {what} a gradient of shape {shape}, got {got}")
    if gradient.dtype != dtype:
        raise DTypeError(f"{getattr(who, 'who', who)}: {what} a gradient of {dtype}, got {gradient.dtype}; cast it")
    fitting: Array = gradient
    return fitting


def _accumulate(gradients: dict[int, Array], number: int, gradient: Array) -> None:
    """Add a gradient to those of an array that several layers take; never in place, for they may be one memory."""
    before = gradients.get(number)
    gradients[number] = gradient if before is None else ops.add(before, gradient)
