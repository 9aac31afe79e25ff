"""Hold the gradients of a layer to central differences, in float64.

Each entry of an input or a parameter is moved a little both ways; what that does to the output, per unit of
the move, is what backward should have given for it. The output is made one number by a random direction:
``cost = sum(y * direction)``, so ``dy = direction``.

A difference is wrong where it steps over a kink, and it is rounded. So inputs keep away from each other and from
multiples of 1/2, where most layers have their kinks; an entry that seems off gets closer looks with much smaller steps,
which few kinks survive and every wrong gradient does; rounding is allowed for, the more the smaller the step.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastcnn.errors import ConfigError, FastcnnError
from fastcnn.layers.arguments import positive, whole
from fastcnn.layers.layer import Layer, Shape, Training, within
from fastcnn.layers.parameter import Arena, Array
from fastcnn.model import Model

WITHIN = 2.0  # inputs lie from -2 to 2: exp and its like are neither flat nor steep there
CLOSER_LOOKS = (1 / 32, 1 / 1024)  # of the step
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a sum, relative to the sum of its absolute values; generous


class GradientError(FastcnnError, AssertionError):
    """A gradient that is not the slope, or another promise of `fastcnn.Layer.forward` that a layer breaks."""


class _NotFinite(GradientError):
    """Says nothing about gradients: the layer is not defined where it was looked at."""


def gradcheck(
    layer: Layer,
    input_shape: Sequence[Any],
    *,
    training: Training | bool | None = None,
    seed: int = 0,
    step: float = 1e-5,
    tolerance: float = 1e-6,
    entries: int = 1000,
) -> bool:
    """Check what backward gives for the input and for every parameter of a layer or a whole model.

    All of it happens in float64, on a copy: the layer stays as it is. Parameters have the values that they have there,
    but those that are zero everywhere, which hides errors in what it is multiplied with, get small random ones. Inputs
    are random, from -2 to 2; more than 40,000 entries reach further, for each keeps ten steps from the next.

    Checked are also the promises around the gradients: forward leaves its input as it is and backward its ``dy``;
    parameters' gradients are overwritten; shapes are those of `output_shape`; a second forward gives the same, and
    disturbs neither what the first returned nor its backward; a batch of one more works as well. An input that the
    output depends on in steps alone, as one of indices, may have None as its gradient.

    Args:
        layer: Any layer, `Sequential` or `Graph`. Of a model that is off, the layer to blame is named.
        input_shape: Shape of the input, batch included; a tuple of shapes for a layer that takes many.
        training: What forward is given; None is evaluation, True a `fastcnn.Training` of step 0.
        seed: Decides the inputs and directions.
        step: How far an entry is moved.
        tolerance: By how much an entry may be off, relative to the largest of its array.
        entries: How many entries of an array are looked at one by one, drawn at random if there are more.
            All of them are looked at together, by a move in a random direction.

    Returns:
        True.

    Raises:
        GradientError: says which layer, which tensor, which entry, and how many are off.
        ConfigError: for something else than a layer, or a setting out of range.

    What a layer raises itself comes through, a ShapeError for inputs that don't fit it, for instance.

    >>> fc.gradcheck(fc.Conv2d(2, 3, 3, stride=2), (2, 2, 5, 5))
    True
    >>> class Square(fc.Layer):
    ...     def forward(self, x, training):
    ...         return x * x, lambda dy: dy * x
    >>> fc.gradcheck(Square(), (1, 2))                                              # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    fastcnn.gradcheck.GradientError: Square: the gradient of the input is off at 2 of 2 entries, most at (0, 1): ...
    """
    if not isinstance(layer, Layer):
        raise ConfigError(f"gradcheck: expected a layer or a model, got {layer!r}")
    if not isinstance(training, Training | bool | None):
        raise ConfigError(f"gradcheck: training must be None, a bool or a fastcnn.Training, got {training!r}")
    list(within(layer))  # raises if they are too deep to be copied
    shapes = _checked_shapes(layer, input_shape)
    settings = _Settings(
        seed=whole(seed, "gradcheck: seed", least=0),
        step=positive(step, "gradcheck: step"),
        tolerance=positive(tolerance, "gradcheck: tolerance"),
        entries=whole(entries, "gradcheck: entries"),
    )
    layer, training = _in_float64(layer, settings), Training.of(training)
    try:
        _check(layer, shapes, training, settings)
    except GradientError as error:
        raise (_blame(layer, shapes, training, settings) or error) from None
    return True


# ---- preparations ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Settings:
    """How to look."""

    seed: int
    step: float
    tolerance: float
    entries: int


def _checked_shapes(layer: Layer, input_shape: Sequence[Any]) -> list[Shape]:
    """The shape of each input."""
    what = f"gradcheck: {layer.who}: input_shape"
    shapes = input_shape if layer.takes_many else (input_shape,)
    if not isinstance(shapes, Sequence) or not all(isinstance(shape, Sequence) and shape for shape in shapes):
        expected = "a tuple of shapes such as ((2, 3), (2, 3))" if layer.takes_many else "a shape such as (2, 3)"
        got = f"an array of shape {input_shape.shape}" if hasattr(input_shape, "shape") else repr(input_shape)
        raise ConfigError(f"{what} must be {expected}, batch included, got {got}")
    return [tuple(whole(size, f"each size of {what}") for size in shape) for shape in shapes]


def _in_float64(layer: Layer, settings: _Settings) -> Layer:
    """A copy whose parameters lie in an arena of their own."""
    layer = copy.deepcopy(layer)
    parameters = layer.parameters()
    values = [parameter.data for parameter in parameters]
    Arena(parameters, np.float64)
    rng = np.random.default_rng(settings.seed)
    for parameter, data in zip(parameters, values, strict=True):
        sign = rng.choice([-1.0, 1.0], parameter.shape)
        parameter.data = data if data.any() else sign * rng.uniform(0.1, 0.5, parameter.shape)
    for inner in within(layer):
        if isinstance(inner, Model):
            inner.dtype = np.dtype(np.float64)
    return layer


def _apart(shapes: list[Shape], rng: np.random.Generator, step: float) -> tuple[Array, ...]:
    """Values in random order: none is close to another or to a multiple of 1/2, so no kink there lies within a step."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    distance = max(2 * WITHIN / sum(sizes), 10 * step)
    values = rng.permutation((np.arange(sum(sizes)) - sum(sizes) // 2 + 0.5) * distance)
    values[abs(values - np.round(2 * values) / 2) < 2 * step] += 4 * step
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


# ---- the check of one layer ------------------------------------------------------------------------------------------


def _check(layer: Layer, shapes: list[Shape], training: Training | bool | None, settings: _Settings) -> None:
    """Hold a layer to all promises, at inputs of these shapes."""
    place = _Place(layer, layer.who, shapes, training, settings)
    for tensor in place.tensors:
        place.look_at_entries(tensor)
        place.look_along_a_direction(tensor)
    place.look_after_another_forward()
    who = f"{layer.who}, with a batch of {shapes[0][0] + 1} after one of {shapes[0][0]}"
    try:
        larger = _Place(layer, who, [(shape[0] + 1, *shape[1:]) for shape in shapes], training, settings)
    except GradientError:
        raise
    except Exception as error:
        raise GradientError(f"{who}: {type(error).__name__}: {error}; take sizes from x.shape") from error
    for tensor in larger.tensors:
        larger.look_along_a_direction(tensor)


@dataclass(frozen=True)
class _Tensor:
    """An input or a parameter: a flat view of its values, and what backward gave for them."""

    name: str
    shape: Shape
    values: Array
    gradient: Array


class _Place:
    """A layer, with the inputs and the direction of the output at which it is looked at."""

    def __init__(
        self, layer: Layer, who: str, shapes: list[Shape], training: Training | bool | None, settings: _Settings
    ) -> None:
        self.layer, self.who, self.training, self.settings = layer, who, training, settings
        self.rng = np.random.default_rng(settings.seed)
        self.inputs = _apart(shapes, self.rng, settings.step)
        kept = copy.deepcopy(self.inputs)
        outputs, backward = self.forward(self.inputs)
        if not all(map(np.array_equal, self.inputs, kept)):
            raise GradientError(f"{who}: forward changed its input; work on a copy")
        self.check_outputs(outputs)
        again = self.forward(self.inputs)[0]
        if not all(map(np.array_equal, outputs, again)):
            mend = "draw random numbers by training.seed and training.offset, as Dropout does, not from NumPy's random"
            raise GradientError(f"{who}: two forwards of the same input differ; {mend}, and change nothing in self")
        self.directions = tuple(self.rng.standard_normal(y.shape) for y in outputs)
        size = sum(float(abs(y * d).sum()) for y, d in zip(outputs, self.directions, strict=True))
        self.noise = ROUNDING * size / settings.step  # in a slope
        self.tensors = self.backward(backward)

    def forward(self, inputs: tuple[Array, ...]) -> tuple[tuple[Array, ...], Callable[[tuple[Array, ...]], Any]]:
        """The outputs and the way back, as tuples also where there is only one."""
        y, backward = self.layer.forward(inputs if self.layer.takes_many else inputs[0], self.training)
        if isinstance(y, tuple):
            return y, backward
        return (y,), lambda dy: backward(dy[0])

    def check_outputs(self, outputs: tuple[Array, ...]) -> None:
        """Hold the outputs to their shapes and to float64."""
        shapes = tuple(x.shape for x in self.inputs)
        promised = self.layer.output_shape(shapes if self.layer.takes_many else shapes[0])
        for y in outputs:
            if not isinstance(y, np.ndarray) or y.dtype != np.float64:
                got = getattr(y, "dtype", type(y).__name__)
                raise GradientError(f"{self.who}: forward gave {got} for float64 input; keep the input's dtype")
        promised = promised if promised and isinstance(promised[0], tuple) else (promised,)
        if [y.shape for y in outputs] != list(map(tuple, promised)):
            got = " and ".join(str(y.shape) for y in outputs)
            expected = " and ".join(map(str, promised))
            raise GradientError(f"{self.who}: forward gave the shape {got}, but output_shape says {expected}; mend one")
        if not all(np.isfinite(y).all() for y in outputs):
            reach = max(WITHIN, *(abs(x).max() for x in self.inputs))
            raise _NotFinite(
                f"{self.who}: forward gave nan or inf for inputs from {-reach:.3g} to {reach:.3g}; put a layer before "
                "it that brings them to where it is defined: gradcheck(fc.Sequential(fc.Sigmoid(), layer), ...)"
            )

    def backward(self, backward: Callable[[tuple[Array, ...]], Any]) -> list[_Tensor]:
        """Run it and collect the gradients of all inputs and parameters."""
        named = list(self.layer.named_parameters())
        for _, parameter in named:
            parameter.grad[...] = np.nan
        dy = copy.deepcopy(self.directions)
        dx = backward(dy)
        if not all(map(np.array_equal, dy, self.directions)):
            raise GradientError(f"{self.who}: backward changed its dy, which others may read; work on a copy")
        tensors = self.tensors_of_inputs(dx)
        for name, parameter in named:
            unwritten = np.isnan(parameter.grad)
            if unwritten.any():
                raise GradientError(
                    f"{self.who}: after backward the gradient of {name!r} is nan at {unwritten.sum()} of "
                    f"{unwritten.size} entries; write all of it, with = and not with +="
                )
            gradient = parameter.grad.flatten()  # a copy, as below
            tensors.append(_Tensor(repr(name), parameter.shape, parameter.data.reshape(-1), gradient))
        return tensors

    def tensors_of_inputs(self, dx: Any) -> list[_Tensor]:
        """The inputs with the gradients that backward returned; none if nobody asked for those."""
        step = Training.of(self.training)
        if step and not step.input_gradient:
            return []
        many = self.layer.takes_many
        gradients = dx if many else (dx,)
        if not isinstance(gradients, tuple) or len(gradients) != len(self.inputs):
            raise GradientError(
                f"{self.who}: backward must return a tuple of {len(self.inputs)} arrays, got {dx!r:.60}"
            )
        tensors = []
        for number, (x, gradient) in enumerate(zip(self.inputs, gradients, strict=True), 1):
            name = f"input {number}" if many else "the input"
            got = getattr(gradient, "shape", type(gradient).__name__)
            tensor = _Tensor(name, x.shape, x.reshape(-1), np.zeros(x.size) if gradient is None else gradient)
            constant = gradient is None and not self.slope(tensor, ..., self.rng.choice([-1.0, 1.0], x.size))
            if got != x.shape and not constant:
                raise GradientError(f"{self.who}: the gradient of {name} must have its shape {x.shape}, got {got}")
            tensors.append(replace(tensor, gradient=tensor.gradient.flatten()))
        return tensors

    def look_at_entries(self, tensor: _Tensor) -> None:
        """Hold a gradient to differences, entry by entry."""
        count, limit = tensor.values.size, self.settings.entries
        chosen = np.arange(count) if count <= limit else np.sort(self.rng.choice(count, limit, replace=False))
        gave = tensor.gradient[chosen]
        slopes = np.array([self.slope(tensor, index) for index in chosen])
        allowed = self.settings.tolerance * abs(slopes).max()
        off = ~(abs(gave - slopes) <= allowed + self.noise)
        for scale in CLOSER_LOOKS:
            for i in np.flatnonzero(off):
                slopes[i] = self.slope(tensor, chosen[i], scale=scale)
                off[i] = not abs(gave[i] - slopes[i]) <= allowed + self.noise / scale
        error = np.where(off, abs(gave - slopes), 0)
        if off.any():
            worst = int(np.argmax(error))  # the first nan, if there is one
            entry = tuple(map(int, np.unravel_index(chosen[worst], tensor.shape)))
            seen = f"{count} entries" if count <= limit else f"the {limit} entries looked at ({count} in all)"
            raise GradientError(
                f"{self.who}: the gradient of {tensor.name} is off at {off.sum()} of {seen}, most at {entry}: "
                f"backward gave {gave[worst]:.9g}, differences give {slopes[worst]:.9g}"
            )

    def look_along_a_direction(self, tensor: _Tensor) -> None:
        """Hold a gradient to the difference that a move of all entries makes."""
        along = self.rng.standard_normal(tensor.values.size)
        along /= np.linalg.norm(along)
        gave = float((tensor.gradient * along).sum())
        allowed = self.settings.tolerance * float(np.linalg.norm(tensor.gradient))
        for scale in (1.0, *CLOSER_LOOKS):
            slope = self.slope(tensor, ..., along, scale)
            if abs(gave - slope) <= allowed + self.noise / scale:
                return
        raise GradientError(
            f"{self.who}: the gradient of {tensor.name} is off: in a random direction backward gave {gave:.9g}, "
            f"differences give {slope:.9g}"
        )

    def look_after_another_forward(self) -> None:
        """Hold outputs and gradients to what they were when no other forward and backward came between."""
        outputs, backward = self.forward(self.inputs)
        kept = copy.deepcopy(outputs)
        _, another_backward = self.forward(tuple(-x for x in self.inputs))
        self.check_kept("forward", outputs, kept)
        for before, after in zip(self.tensors, self.backward(backward), strict=True):
            allowed = self.settings.tolerance * abs(before.gradient).max()
            if not (abs(before.gradient - after.gradient) <= allowed).all():
                raise GradientError(
                    f"{self.who}: the gradient of {before.name} changes when another forward runs before backward; "
                    "keep what backward needs in variables of forward, not in self"
                )
        dx = backward(copy.deepcopy(self.directions))
        kept = copy.deepcopy(dx)
        another_backward(tuple(2 * d for d in self.directions))
        self.check_kept("backward", dx, kept)

    def check_kept(self, method: str, gave: Any, kept: Any) -> None:
        """Hold what a call returned to a copy from before the next call."""
        both = (gave, kept) if isinstance(gave, tuple) else ((gave,), (kept,))
        if not all(
            now is None or np.array_equal(now, before, equal_nan=True) for now, before in zip(*both, strict=True)
        ):
            changed = f"what {method} returned changes when it runs another time"
            raise GradientError(f"{self.who}: {changed}; return a new array each time")

    def slope(self, tensor: _Tensor, where: Any, along: Array | float = 1.0, scale: float = 1.0) -> float:
        """What the cost changes, per unit of a move of ``values[where]`` along a direction."""
        step = self.settings.step * scale
        kept = np.array(tensor.values[where])
        tensor.values[where] = kept + step * along
        above = [y.copy() for y in self.forward(self.inputs)[0]]  # a copy, for y may be a view of x
        tensor.values[where] = kept - step * along
        below = self.forward(self.inputs)[0]
        change = sum(((a - b) * d).sum() for a, b, d in zip(above, below, self.directions, strict=True))
        tensor.values[where] = kept
        return float(change) / (2 * step)


# ---- whom to blame ---------------------------------------------------------------------------------------------------


def _blame(
    layer: Layer, shapes: list[Shape], training: Training | bool | None, settings: _Settings
) -> GradientError | None:
    """The error of the first inner layer that is off by itself too, at inputs of the shapes it has in there."""
    for inner, inner_shapes, inner_training in _calls(layer, shapes, training, settings):
        try:
            with suppress(_NotFinite):
                _check(inner, inner_shapes, inner_training, settings)
        except GradientError as error:
            return error
    return None


def _calls(
    layer: Layer, shapes: list[Shape], training: Training | bool | None, settings: _Settings
) -> list[tuple[Layer, list[Shape], Training | bool | None]]:
    """What the inner layers are called with in a forward of the outer one: shapes and training, innermost first."""
    calls: list[tuple[Layer, list[Shape], Training | bool | None]] = []

    def noting(inner: Layer) -> Callable[..., Any]:
        forward = inner.forward

        def noting_forward(x: Any, training: Training | bool | None = None) -> Any:
            result = forward(x, training)
            calls.append((inner, [part.shape for part in (x if inner.takes_many else (x,))], training))
            return result

        return noting_forward

    inner_layers = list(within(layer))[1:]
    for inner in inner_layers:
        vars(inner)["forward"] = noting(inner)
    inputs = _apart(shapes, np.random.default_rng(settings.seed), settings.step)
    layer.forward(inputs if layer.takes_many else inputs[0], training)
    for inner in inner_layers:
        del vars(inner)["forward"]
    return calls
