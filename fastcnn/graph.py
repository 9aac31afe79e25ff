"""Models: layers put together. `Sequential` is a chain."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.errors import ConfigError, DTypeError, ShapeError
from fastcnn.layers.arguments import float_dtype, whole
from fastcnn.layers.layer import Backward, Layer, Shape, Training
from fastcnn.layers.parameter import Arena, Array, Parameter


class Sequential(Layer):
    """A chain of layers. It is a layer itself, so chains nest.

    Args:
        layers: The layers in order, as arguments or as one list. Those without a name get one (conv1).
        input_shape: Shape of one sample, ``(C, H, W)``. With it the shapes of the whole chain are checked
            here and now and inputs must have it; without, each new sample shape is checked when it comes
            first.
        dtype: float32 or float64: of the parameters, and of the inputs from then on.
        seed: Decides the starting weights, and the dropout masks in training.
        name: For messages and summaries.

    All parameters lie in one flat `arena` (see `fastcnn.layers.parameter`), unless the chain is part of
    another one: then they lie in that one's.

    Raises:
        ConfigError: for an empty chain, two layers of one name, a layer used twice, a negative seed.
        ShapeError: if a layer doesn't fit the one before it; the message names it.
        DTypeError: for another dtype, or an input of another dtype than the model's.

    >>> model = fc.Sequential(fc.Conv2d(1, 4, 3), fc.ReLU(), fc.Flatten(), fc.Linear(4 * 6 * 6, 10),
    ...                       input_shape=(1, 8, 8))
    >>> model(np.ones((5, 1, 8, 8), np.float32)).shape
    (5, 10)
    >>> [parameter.name for parameter in model.parameters()]
    ['conv1.weight', 'conv1.bias', 'linear1.weight', 'linear1.bias']
    """

    skips_input_gradient = True

    def __init__(
        self,
        *layers: Layer | Sequence[Layer],
        input_shape: Sequence[int] | None = None,
        dtype: DTypeLike = "float32",
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.name = name
        self.layers = _chain(self.who, layers)
        self.seed = whole(seed, f"{self.who}: seed", least=0)
        self.dtype = float_dtype(dtype, f"{self.who}: dtype")
        self._give_names()
        _adopt(self, self.dtype)
        for parameter_name, parameter in self.named_parameters():
            parameter.name = parameter_name
        self._arena = Arena(self.parameters(), self.dtype, self.seed)
        learns = (index for index, layer in enumerate(self.layers) if layer.parameters())
        self.first_learner = next(learns, len(self.layers))

        self.input_shape: Shape | None = None
        self._fits: Shape | None = None  # the sample shape that was last found to go through
        if input_shape is not None:
            if not isinstance(input_shape, Iterable):
                raise ConfigError(f"{self.who}: input_shape must be sizes such as (1, 28, 28), got {input_shape!r}")
            self.input_shape = tuple(whole(size, f"{self.who}: each size of input_shape") for size in input_shape)
            self.output_shape((1, *self.input_shape))

    @property
    def arena(self) -> Arena:
        """The flat arrays of all values and gradients.

        Raises:
            ConfigError: if parameters have moved into another model.
        """
        if any(parameter.arena is not self._arena for parameter in self.parameters()):
            raise ConfigError(f"{self.who}: has no arena, its layers are part of another model; use parameters()")
        return self._arena

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        x = self._checked(x)
        step = Training.of(training)
        wants_dx = step is None or step.input_gradient
        stop = 0 if wants_dx else self.first_learner  # backward goes no further than this
        backwards = []
        for index, layer in enumerate(self.layers):
            wanted = wants_dx or index > stop or not layer.skips_input_gradient
            child_step = step and step.for_layer(index, input_gradient=wanted)
            x, layer_backward = layer.forward(x, child_step)
            if index >= stop:
                backwards.append(layer_backward)

        def backward(dy: Array) -> Array | None:
            gradient: Array | None = dy
            for layer_backward in reversed(backwards):
                assert gradient is not None
                gradient = layer_backward(gradient)
            return gradient if wants_dx else None

        return x, backward

    def __call__(self, x: Array) -> Array:
        """Evaluate, any batch size; keeps no activation longer than the next layer needs it."""
        x = self._checked(x)
        for layer in self.layers:
            x = layer(x)
        return x

    def output_shape(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape

    def multiply_adds(self, input_shape: Shape) -> int:
        return sum(layer.multiply_adds(shape) for _, layer, shape in self._leaves(input_shape))

    def members(self) -> Iterator[tuple[str, Layer | Parameter]]:
        for layer in self.layers:
            yield str(layer.name), layer

    def holds(self, parameters: Iterable[Parameter]) -> bool:
        """Whether the model was made with all of these parameters."""
        return set(self._arena.parameters).issuperset(parameters)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters by name, as PyTorch names them: ``conv1.weight``."""
        return {name: parameter.data.copy() for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all parameters from arrays by name; all of them or, if anything is amiss, none.

        Raises:
            ShapeError: lists every name that is missing, is unknown, or has another shape.
        """
        arrays = {name: np.asarray(values) for name, values in state.items()}
        own = dict(self.named_parameters())
        problems = [f"{name} is missing" for name in own if name not in arrays]
        for name, values in arrays.items():
            if name not in own:
                problems.append(f"{name} is unknown")
            elif values.shape != own[name].shape:
                problems.append(f"{name} has shape {values.shape} instead of {own[name].shape}")
            elif values.dtype.kind not in "fiu":
                problems.append(f"{name} holds {values.dtype} instead of real numbers")
        if problems:
            raise ShapeError(f"{self.who}: the state dict does not fit: {'; '.join(problems)}")
        for name, values in arrays.items():
            own[name].data = values

    def summary(self, input_shape: Sequence[int] | None = None) -> str:
        """A table of the layers: output shapes, parameters, MFLOP of a forward per sample, kernels.

        A multiplication with its addition counts as two FLOP; where there are none the cell stays empty.

        Args:
            input_shape: Shape of one sample; the model's, or the last one seen, if not given.
        """
        shape = input_shape or self.input_shape or self._fits
        if shape is None:
            raise ConfigError(f"{self.who}: summary needs the shape of a sample; pass input_shape=(C, H, W)")
        rows = [("layer", "type", "output shape", "parameters", "MFLOP", "kernel")]
        for name, layer, layer_input in self._leaves((1, *shape)):
            work = layer.multiply_adds(layer_input)
            rows.append((
                name,
                type(layer).__name__,
                f"({', '.join(map(str, ('N', *layer.output_shape(layer_input)[1:])))})",
                _thousands(sum(parameter.size for parameter in layer.parameters())),
                f"{2e-6 * work:.3f}" if work else "",
                layer.kernel(layer_input),
            ))  # fmt: skip
        total = sum(parameter.size for parameter in self.parameters())
        megaflop = f"{2e-6 * self.multiply_adds((1, *shape)):.3f}"
        rows.append(("total", "", self.dtype.name, _thousands(total), megaflop, ""))
        return _table(rows, right={3, 4})

    def __repr__(self) -> str:
        lines = (f"    {layer!r},  # {layer.name}" for layer in self.layers)
        return "\n".join(["Sequential(", *lines, ")"])

    def _give_names(self) -> None:
        names = [layer.name for layer in self.layers if layer.name]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"{self.who}: two layers are called {name!r}; give each its own, or no, name")
        for layer in self.layers:
            if not layer.name:
                stem = layer.prefix or type(layer).__name__.lower()
                layer.name = next(name for n in count(1) if (name := f"{stem}{n}") not in names)
                names.append(layer.name)

    def _checked(self, x: Array) -> Array:
        x = np.asarray(x)
        if x.dtype != self.dtype:
            raise DTypeError(
                f"{self.who}: expected {self.dtype} input, got {x.dtype}; use x.astype({self.dtype.name!r})"
            )
        sample = x.shape[1:]
        if self.input_shape is not None and (x.ndim == 0 or sample != self.input_shape):
            expected = ", ".join(map(str, ("N", *self.input_shape)))
            raise ShapeError(f"{self.who}: expected input ({expected}), got {x.shape}")
        if sample != self._fits or x.ndim == 0:
            self.output_shape(x.shape)
            self._fits = sample
        return x

    def _leaves(self, shape: Shape, prefix: str = "") -> Iterator[tuple[str, Layer, Shape]]:
        """Name, layer and input shape of all layers, those of inner chains in their place."""
        for layer in self.layers:
            if isinstance(layer, Sequential):
                yield from layer._leaves(shape, f"{prefix}{layer.name}.")
            else:
                yield f"{prefix}{layer.name}", layer, shape
            shape = layer.output_shape(shape)


def _chain(who: str, arguments: Sequence[Layer | Sequence[Layer]]) -> list[Layer]:
    """The layers, given one by one or as one list."""
    layers: list[Any] = list(arguments)
    if len(layers) == 1 and isinstance(layers[0], (list, tuple)):
        layers = list(layers[0])
    if not layers:
        raise ConfigError(f"{who}: a model needs at least one layer")
    for position, layer in enumerate(layers, 1):
        if not isinstance(layer, Layer):
            raise ConfigError(f"{who}: layer {position} is {layer!r}, which is no fastcnn layer")
        if any(layer is earlier for earlier in layers[: position - 1]):
            raise ConfigError(f"{who}: layer {position} is in the chain already; make a second {type(layer).__name__}")
    return layers


def _adopt(layer: Layer, dtype: np.dtype[Any]) -> None:
    """Give a dtype to all models inside a layer, itself included."""
    if isinstance(layer, Sequential):
        layer.dtype = dtype
    for _, member in layer.members():
        if isinstance(member, Layer):
            _adopt(member, dtype)


def _thousands(number: int) -> str:
    return f"{number:,}" if number else ""


def _table(rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Rows as aligned text: the first is the head, the last the totals, ruled off."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])
