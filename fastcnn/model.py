"""What every model is: layers wired together, their parameters in one arena, one way to run them forth and back.

The arrays that flow through a model are numbered: 0 is the input, ``i + 1`` what layer ``i`` makes. ``sources[i]`` are
the numbers that layer ``i`` takes, all smaller than ``i + 1``, and ``outputs`` those that the model gives. A chain and
a graph with branches differ in nothing else.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import count
from textwrap import indent
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from fastcnn import cuda, fuse, remedies, summary, watch
from fastcnn.backends.arrays import array_of, holds
from fastcnn.backends.choice import as_array, host, on_device
from fastcnn.backends.cuda.kernels import FILES
from fastcnn.errors import ConfigError, DataError, DTypeError, ShapeError
from fastcnn.execution import Execution
from fastcnn.frozen import Frozen
from fastcnn.fuse import ConvStage
from fastcnn.layers import Conv2d
from fastcnn.layers.arguments import choice, float_dtype, whole
from fastcnn.layers.contract import check_signature
from fastcnn.layers.layer import Backward, Layer, Shape, Training, check_dtypes, has_custom, within
from fastcnn.layers.node import Node
from fastcnn.layers.parameter import Arena, Array, Parameter
from fastcnn.linear_stage import LinearStage
from fastcnn.printable import printable
from fastcnn.summary import Place

DEVICES = ("cpu", "cuda")


class Model(Layer):
    """Base of `fastcnn.Sequential` and `fastcnn.Graph`, which see.

    Attributes:
        layers: All layers, each after those whose outputs it takes.
        dtype: Of parameters and inputs.
        seed: Of the starting weights and of dropout's masks.
        input_shape: Of one sample, if the model was told.
        sources: For each layer the numbers of the arrays that it takes, see the head of this file.
        outputs: The numbers of the arrays that the model gives.
        several: Whether it gives them as a tuple.
        has_custom_layers: Whether somebody else than fastcnn wrote one of them, or one inside of it.
    """

    skips_input_gradient = True
    is_model = True

    def __init__(
        self,
        layers: Sequence[Layer],
        sources: Sequence[tuple[int, ...]],
        outputs: Sequence[int],
        several: bool,
        input_shape: Sequence[int] | None,
        dtype: DTypeLike,
        seed: int,
        name: str | None,
    ) -> None:
        self.name = name
        self.layers = tuple(layers)
        self.sources = list(sources)
        self.outputs = tuple(outputs)
        self.several = several
        self.seed = whole(seed, f"{self.who}: seed", least=0)
        self.dtype = float_dtype(dtype, f"{self.who}: dtype")
        self._give_names()
        self.input_shape = None if input_shape is None else self._sizes(input_shape)
        self._fits: Shape | None = None  # the sample shape that was last found to go through
        if self.input_shape is not None:
            self.output_shape((1, *self.input_shape))
        for layer in within(self):
            check_signature(layer)
        self.has_custom_layers = has_custom(self)
        # Only now, when nothing can fail any more, do inner models and parameters become part of this one.
        for layer in within(self):
            if isinstance(layer, Model):
                layer.dtype = self.dtype
        for parameter_name, parameter in self.named_parameters():
            parameter.name = parameter_name
        self._arena = Arena(self.parameters(), self.dtype, self.seed)
        self._one_by_one = Execution(fuse.one_by_one(self.layers, self.sources), self.outputs, several)
        self._in_stages = Execution(fuse.in_stages(self.layers, self.sources, self.outputs), self.outputs, several)
        self._fused = True

    @property
    def arena(self) -> Arena:
        """The flat arrays of all values and gradients.

        Raises:
            ConfigError: if parameters have moved into another model.
        """
        if any(parameter.arena is not self._arena for parameter in self.parameters()):
            raise ConfigError(f"{self.who}: has no arena, its layers are part of another model; use parameters()")
        return self._arena

    # ---- forth and back ----------------------------------------------------------------------------------------------

    @property
    def fused(self) -> bool:
        """Whether chains of layers run as one stage where they can, see `fastcnn.fuse`; they do unless switched off.

        A stage adds in another order than its layers one by one: results differ by rounding.
        """
        return self._fused

    @fused.setter
    def fused(self, on: bool) -> None:
        self._fused = bool(on)
        for layer in self.layers:
            if isinstance(layer, Model):
                layer.fused = on

    def convolve(self, algorithm: str) -> None:
        """Have every convolution take an algorithm by name: ``"direct"`` does without Winograd's rounding.

        Raises:
            ConfigError: for an unknown name, or one that a layer can't take; the layers stay as they were.

        >>> model = fc.models.gorgonia()
        >>> model.convolve("direct")
        """
        convolutions = [layer for layer in self._all_layers() if isinstance(layer, Conv2d)]
        for layer in convolutions:
            layer.check_algorithm(algorithm)
        for layer in convolutions:
            layer.algorithm = algorithm

    def _all_layers(self) -> Iterator[Layer]:
        """Those of inner models in their place."""
        for layer in self.layers:
            if isinstance(layer, Model):
                yield from layer._all_layers()
            else:
                yield layer

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Any, Backward]:
        try:
            return self._execution().forward(self._checked(x), Training.of(training), self.dtype, self.who)
        except DTypeError:
            check_dtypes(self, self.dtype)  # a layer that another model took over is the better reason
            raise

    def __call__(self, *x: Any) -> Any:
        """Evaluate, any batch size; keeps no activation longer than the layers need it. Or, with a node, describe."""
        if len(x) != 1 or isinstance(x[0], Node):
            return super().__call__(*x)
        try:
            return self._execution().evaluate(self._checked(x[0]), self.dtype)
        except DTypeError:
            check_dtypes(self, self.dtype)
            raise

    def to(self, device: str) -> Self:
        """Move the parameters into the memory of the GPU, ``"cuda"``, or back to the host, ``"cpu"``.

        An optimizer keeps its state where the parameters were when it was made: make it afterwards.

        Returns:
            The model.

        Raises:
            ConfigError: for another name, and as `arena` does.
            CudaError: if this machine has no GPU, or lacks what talks to it; says which.
        """
        choice(device, DEVICES, f"{self.who}: device")
        like = np.zeros(0, self.dtype)
        self.arena.to(cuda.to_device(like) if device == "cuda" else like)
        return self

    @property
    def on_device(self) -> bool:
        """Whether the parameters lie in the memory of the GPU."""
        return self._arena.flat is not None and on_device(self._arena.flat[0])

    def freeze(self) -> Frozen:
        """The model as it is now, for inference alone, on the CPU: see `fastcnn.Frozen`.

        Raises:
            ConfigError: if it is on the GPU.
            DTypeError: if a layer has become part of a model of another dtype.
        """
        check_dtypes(self, self.dtype)
        if self.on_device:
            raise ConfigError(f"{self.who}: is on the GPU, frozen models run on the CPU; move it there by to('cpu')")
        return Frozen(deepcopy(self))

    def prepared(self, input_shape: Shape) -> Callable[[Array], Any]:
        return (self._in_stages if self._fused else self._one_by_one).prepared(input_shape, self.dtype)

    def _execution(self) -> Execution:
        watcher = watch.current()
        return self._in_stages if self._fused and (watcher is None or watcher.takes_stages) else self._one_by_one

    # ---- shapes ------------------------------------------------------------------------------------------------------

    def output_shape(self, input_shape: Shape) -> Any:
        shapes: list[Any] = [input_shape]
        for layer, sources in zip(self.layers, self.sources, strict=True):
            shapes.append(self._shape_after(layer, sources, shapes))
        outputs = tuple(shapes[number] for number in self.outputs)
        return outputs if self.several else outputs[0]

    def _shape_after(self, layer: Layer, sources: tuple[int, ...], shapes: Sequence[Any]) -> Shape:
        taken = tuple(shapes[source] for source in sources)
        try:
            shape = layer.output_shape(taken if layer.takes_many else taken[0])
        except ShapeError as error:
            givers = [repr(self.layers[source - 1].name) for source in sources if source]
            if not givers or hasattr(error, "givers"):  # an inner model has said it already
                raise
            explained = ShapeError(f"{error} (from {' and '.join(givers)})")
            explained.givers = givers  # type: ignore[attr-defined]
            raise explained from None
        if isinstance(layer, Model) and layer.several:
            raise ConfigError(f"{self.who}: {layer.who} has several outputs; only the outermost model may")
        return tuple(shape)

    def multiply_adds(self, input_shape: Shape) -> int:
        return sum(place.layer.multiply_adds(place.input_shape) for place in self.places(input_shape))

    def places(self, input_shape: Shape) -> list[Place]:
        """All layers as they stand for an input shape (batch included), those of inner models in their place."""
        places = self._places(input_shape, "input", "")[0]
        if self.on_device:
            return [place._replace(kernel=FILES.get(place.kernel, place.kernel)) for place in places]
        return places

    def _places(self, input_shape: Shape, input_name: str, prefix: str) -> tuple[list[Place], str]:
        """The places, and the name of what makes the last of them."""
        places: list[Place] = []
        names, shapes = [input_name], [input_shape]
        steps = ((step.covers, step.layer) for step in self._in_stages.steps)
        stages = {covers: layer for covers, layer in steps if isinstance(layer, ConvStage | LinearStage)}
        kernels: dict[int, str] = {}  # by index of the layer, where a stage decides
        for index, (layer, sources) in enumerate(zip(self.layers, self.sources, strict=True)):
            taken = tuple(shapes[source] for source in sources)
            shape = self._shape_after(layer, sources, shapes)
            name = f"{prefix}{layer.name}"
            for covers, stage in stages.items() if self._fused else ():
                if covers[0] == index:
                    kernels |= dict(zip(covers, stage.kernels(taken[0]), strict=True))
            if isinstance(layer, Model):
                inside, name = layer._places(taken[0], names[sources[0]], f"{name}.")
                places += inside
            else:
                came_from = tuple(names[source] for source in sources)
                given = taken if layer.takes_many else taken[0]
                kernel = kernels[index] if index in kernels else layer.kernel(given)
                places.append(Place(name, layer, came_from, given, shape, kernel))
            names.append(name)
            shapes.append(shape)
        return places, names[self.outputs[0]]

    def _checked(self, x: Array) -> Array:
        x = as_array(x, self.who, "input")
        if on_device(x) != self.on_device:
            where, mend = ("CPU", "to('cuda')") if on_device(x) else ("GPU", "fastcnn.cuda.to_device, for its input")
            raise ConfigError(f"{self.who}: is on the {where}, its input is not; use {mend}")
        if x.dtype != self.dtype:
            mend = remedies.for_dtype(x.dtype, x.ndim, self.dtype)
            raise DTypeError(f"{self.who}: expected {self.dtype} input, got {x.dtype}; {mend}")
        sample = x.shape[1:]
        if self.input_shape is not None and (x.ndim == 0 or sample != self.input_shape):
            expected = ", ".join(map(str, ("N", *self.input_shape)))
            mend = remedies.for_shape(x.shape, self.input_shape)
            raise ShapeError(f"{self.who}: expected input ({expected}), got {x.shape}; {mend}")
        if sample != self._fits or x.ndim == 0:
            self.output_shape(x.shape)
            self._fits = sample
        return x

    # ---- parameters --------------------------------------------------------------------------------------------------

    def members(self) -> Iterator[tuple[str, Layer | Parameter]]:
        for layer in self.layers:
            yield str(layer.name), layer

    def holds(self, parameters: Iterable[Parameter]) -> bool:
        """Whether the model was made with all of these parameters."""
        return set(self._arena.parameters).issuperset(parameters)

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters by name, as PyTorch names them: ``conv1.weight``."""
        return {name: np.array(host(parameter.data)) for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all parameters from arrays by name; all of them or, if anything is amiss, none.

        Raises:
            ShapeError: lists every name that is missing, is unknown, or has another shape.
            DataError: for a NaN, or what is infinite, also once it is of the model's dtype.
            DTypeError: for a masked array.
        """
        if not isinstance(state, Mapping):
            raise ConfigError(f"{self.who}: expected a dict of arrays by name, got {type(state).__name__}")
        arrays = {name: array_of(values, self.who, str(name)) for name, values in state.items()}
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
            if not holds(self.dtype, values):
                worst = values[~(abs(values) <= np.finfo(self.dtype).max)][0]
                raise DataError(
                    f"{self.who}: {name} must hold finite numbers of {self.dtype}, got {worst}; use an undamaged state"
                )
        for name, values in arrays.items():
            own[name].data = values

    def _give_names(self) -> None:
        names = Counter(layer.name for layer in self.layers if layer.name)
        for name, times in names.items():
            if times > 1:
                raise ConfigError(f"{self.who}: two layers are called {name!r}; give each its own, or no, name")
            if name == "input":
                raise ConfigError(f"{self.who}: no layer may be called 'input', as the model's input is; rename it")
        numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        for layer in self.layers:
            if not layer.name:
                stem = layer.prefix or type(layer).__name__.lower()
                layer.name = next(name for n in numbers[stem] if (name := f"{stem}{n}") not in names)

    # ---- for people --------------------------------------------------------------------------------------------------

    def summary(self, input_shape: Sequence[int] | None = None, measure: int | None = None) -> str:
        """A table of the layers: output shapes, parameters, MFLOP of a forward per sample, kernels.

        A kernel's name begins with that of its file: ``conv_pool`` stands in ``csrc/conv_pool.inc``, or for a model on
        the GPU in ``fastcnn/backends/cuda/kernels/conv_pool.py``. Layers that run as one stage, see `fastcnn.fuse`,
        name it once, at the first of them.

        A multiplication with its addition counts as two FLOP; where there are none the cell stays empty. Where a layer
        takes something else than the output of the one above it, a column says what.

        Args:
            input_shape: Shape of one sample; the model's, or the last one seen, if not given.
            measure: A batch size: adds the milliseconds that each layer's forward takes, best of five. On the CPU only.

        Raises:
            ConfigError: if no shape is known, or for `measure` on the GPU.
        """
        if measure is not None and self.on_device:
            raise ConfigError(f"{self.who}: measure takes times on the CPU; leave it out, or use to('cpu') before")
        sample = self._sample_shape(input_shape)
        seconds = None
        if measure is not None:
            batch = whole(measure, f"{self.who}: measure")
            x = np.random.default_rng(0).standard_normal((batch, *sample)).astype(self.dtype)
            seconds = watch.best_times(lambda: self(x), times=5)
        return summary.as_table(self.places((1, *sample)), self.dtype.name, seconds)

    def to_dot(self, input_shape: Sequence[int] | None = None) -> str:
        r"""The model as a drawing in the DOT language of Graphviz: ``dot -Tsvg`` makes a picture of it.

        Args:
            input_shape: Shape of one sample; the model's, or the last one seen, if not given.

        Raises:
            ConfigError: if no shape is known.

        >>> model = fc.Sequential(fc.Linear(3, 2), input_shape=(3,))
        >>> print(model.to_dot())
        digraph {
            node [shape=box]
            "input" [label="input\n(N, 3)"]
            "linear1" [label="linear1: Linear\n(N, 2)"]
            "input" -> "linear1"
        }
        """
        sample = self._sample_shape(input_shape)
        return summary.as_dot(self.places((1, *sample)), sample)

    def _sample_shape(self, input_shape: Sequence[int] | None) -> Shape:
        if input_shape is not None:
            return self._sizes(input_shape)
        shape = self.input_shape or self._fits
        if shape is None:
            raise ConfigError(f"{self.who}: needs the shape of a sample for that; pass input_shape=(C, H, W)")
        return shape

    def _sizes(self, input_shape: Any) -> Shape:
        """The shape of a sample as a tuple of whole numbers."""
        if not isinstance(input_shape, Iterable):
            raise ConfigError(f"{self.who}: input_shape must be sizes such as (1, 28, 28), got {input_shape!r}")
        return tuple(whole(size, f"{self.who}: each size of input_shape") for size in input_shape)

    def __repr__(self) -> str:
        lines = (indent(f"{layer!r},  # {printable(str(layer.name), keep='')}", "    ") for layer in self.layers)
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
