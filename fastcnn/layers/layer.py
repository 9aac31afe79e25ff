"""What every layer is: a function with a backward, and perhaps parameters.

A layer of your own is a subclass with one method:

>>> class Scale(fc.Layer):
...     def __init__(self, features):
...         self.factor = fc.Parameter((features,), fc.init.ones)
...
...     def forward(self, x, training):
...         def backward(dy):
...             self.factor.grad = (dy * x).sum(axis=0)
...             return dy * self.factor.data
...
...         return x * self.factor.data, backward
>>> model = fc.Sequential(fc.Linear(3, 2), Scale(2))
>>> [parameter.name for parameter in model.parameters()]
['linear1.weight', 'linear1.bias', 'scale1.factor']

It may hold layers, as attributes or in lists. Layer number i gets ``training.for_layer(i)`` (`training` is None
in evaluation): random layers that get the same `training` draw the same numbers.

>>> class Residual(fc.Layer):
...     def __init__(self, features):
...         self.branch = [fc.Linear(features, features), fc.Dropout(0.2)]
...
...     def forward(self, x, training):
...         y, backwards = x, []
...         for i, layer in enumerate(self.branch):
...             y, backward = layer.forward(y, training and training.for_layer(i))
...             backwards.insert(0, backward)
...
...         def backward_all(dy):
...             dx = dy
...             for backward in backwards:
...                 dx = backward(dx)
...             return dy + dx
...
...         return x + y, backward_all
>>> [name for name, _ in Residual(3).named_parameters()]
['branch.0.weight', 'branch.0.bias']
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple, Self, overload

import numpy as np

from fastcnn.backends.choice import as_array
from fastcnn.errors import ConfigError, DTypeError
from fastcnn.layers.contract import is_custom, run_forward
from fastcnn.layers.node import Node
from fastcnn.layers.parameter import Array, Parameter

Shape = tuple[int, ...]
DEEPEST = 64  # layers within one another; of 128 Python's limit on the depth of calls still lets all be copied and run

Backward = Callable[[Any], Any]  # from dy to dx; of a layer that takes many, to a tuple; None where dx isn't wanted


class Training(NamedTuple):
    """What a layer may know of the training step that it runs in; always true, evaluation passes None.

    Random layers use ``(seed, offset)`` as the key of their counter-based numbers: every (step, layer) has
    numbers of its own, and a run that was killed and resumed draws the same ones.

    Attributes:
        seed: Seed of the model.
        step: Number of the step, from 0.
        stream: Which layer; a container gives each child its own by `for_layer`.
        input_gradient: False if nobody will use the gradient of the layer's input, as in the first layer of
            a model: the layer's backward may then skip that work and return None. A model says so only to
            layers with ``skips_input_gradient``.
    """

    seed: int = 0
    step: int = 0
    stream: int = 0
    input_gradient: bool = True

    @classmethod
    def of(cls, training: "Training | bool | None") -> "Training | None":
        """The argument of a forward in one form: None for evaluation, ``Training()`` for a bare True."""
        return (training if isinstance(training, cls) else cls()) if training else None

    def for_layer(self, index: int, input_gradient: bool = True) -> Self:
        """The same step as child `index` sees it; distinct for up to 1023 children, nested three deep."""
        stream = (self.stream * 1024 + index + 1) % 2**32
        return type(self)(self.seed, self.step, stream, input_gradient)

    @property
    def offset(self) -> int:
        """Step and stream as one 64-bit number."""
        return (self.step % 2**32) << 32 | self.stream


class Layer:
    """Base of all layers. Subclasses write `forward`, and `output_shape` if the shape changes.

    Layers hold parameters and settings, nothing else: what a forward saves for its backward lives in the
    closure that it returns, so two forwards before a backward just work. A model with a layer that has changed in
    another way, by a running mean or a counter, is not saved: a file would lose it.
    """

    name: str | None = None
    prefix: ClassVar[str] = ""  # of the names that a model gives: conv1, conv2; the class's name if empty
    stem: ClassVar[str] = ""  # of the file in csrc/ that computes it, if it is always the same one
    skips_input_gradient: ClassVar[bool] = False  # whether forward heeds Training.input_gradient
    is_model: ClassVar[bool] = False  # whether it is a model, whose layers are its own business
    transient: ClassVar[tuple[str, ...]] = ()  # attributes that a file may go without: caches, counters; see save
    takes_many: ClassVar[bool] = False  # whether x, dx and input_shape are tuples of two or more, as in Add

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but for what would be lost without a word: training goes through `parameters`.

        Raises:
            ConfigError: for an array in the place of a parameter, or a layer that a model was not made of.
        """
        before = vars(self).get(name)
        if isinstance(before, Parameter) and not (value is None or isinstance(value, Parameter)):
            raise ConfigError(
                f"{self.who}: {name} is a Parameter, which {type(value).__name__} can't take the place of; its values "
                f"are {name}.data, its gradient is {name}.grad"
            )
        if self.is_model and "layers" in vars(self) and isinstance(value, Layer | Parameter):
            known = [*within(self), *self.parameters()]
            if not any(value is member for member in known):
                raise ConfigError(
                    f"{self.who}: {name} would be neither trained nor saved: a model has the layers that it was made "
                    "of; make another one with it"
                )
        super().__setattr__(name, value)

    def forward(self, x: Any, training: Any) -> tuple[Any, Backward]:
        """Compute the output and how to go back.

        Args:
            x: Input, ``(N, ...)``.
            training: The step this runs in, a `Training`, or None in evaluation. (Any, so that type checkers let a
                subclass say ``Training | None``; fastcnn's own layers have None as a default and take True, too.)

        Returns:
            ``(y, backward)``; ``backward(dy)`` overwrites the parameters' gradients and returns ``dx``.
        """
        raise NotImplementedError(f"{type(self).__name__}: write forward(self, x, training) -> (y, backward)")

    def prepared(self, input_shape: Any) -> Callable[[Any], Array] | None:
        """What a frozen model calls with each x of this shape, see `fastcnn.Frozen`; None: forward, in evaluation.

        It gives what forward would give, and may trust x: C-contiguous, of the model's dtype, of this shape. Parameters
        don't change any more. A subclass that has a forward of its own, and no `prepared`, is called by its forward.
        """
        return None

    def output_shape(self, input_shape: Any) -> Any:
        """The output's shape for an input's, batch included, or a ShapeError. Unchanged if not overridden."""
        return input_shape[0] if self.takes_many else input_shape

    def multiply_adds(self, input_shape: Any) -> int:
        """How many multiplications, each with its addition, a forward takes; 0 if they don't matter."""
        return 0

    def kernel(self, input_shape: Any) -> str:
        """Which kernel computes this shape, for the summary: ``conv_direct`` stands in ``csrc/conv_direct.inc``."""
        return self.stem

    @overload
    def __call__(self, *x: Node) -> Node: ...
    @overload
    def __call__(self, *x: Array) -> Array: ...
    def __call__(self, *x: Any) -> Any:
        """Evaluate arrays, after a check of their shapes; or, called with nodes, go on describing a `fastcnn.Graph`.

        Raises:
            ConfigError: for another number of arguments than the layer takes.
        """
        if len(x) < 1 + self.takes_many or (len(x) > 1 and not self.takes_many):
            raise ConfigError(
                f"{self.who}: takes {'two or more inputs' if self.takes_many else 'one input'}, got {len(x)}"
            )
        if any(isinstance(item, Node) for item in x):
            return Node(self, x)
        arrays = tuple(as_array(item, self.who, "input") for item in x)
        shapes = tuple(array.shape for array in arrays)
        self.output_shape(shapes if self.takes_many else shapes[0])
        try:
            return run_forward(self, arrays if self.takes_many else arrays[0], None)[0]
        except DTypeError:
            dtypes = {parameter.dtype.name for parameter in self.parameters()}
            floats = {array.dtype.name for array in arrays if array.dtype.kind == "f"}
            if len(dtypes) != 1 or not floats or dtypes == floats:
                raise
            [dtype] = dtypes
            raise DTypeError(
                f"{self.who}: its parameters are {dtype}, as those of the model that has it, its input is "
                f"{arrays[0].dtype}; use x.astype({dtype!r})"
            ) from None

    def config(self) -> dict[str, Any]:
        """The arguments with which the constructor makes this layer again, as `fastcnn.save` keeps them.

        These are the attributes of the same names; the layer's name and initialisers (``..._init``) don't count. Write
        a config() of your own where an argument is no attribute, or is one of another meaning.

        Raises:
            ConfigError: if an attribute is not there.

        >>> fc.Dropout(0.2).config()
        {'p': 0.2}
        """
        values = {}
        for argument in self._arguments():
            if not hasattr(self, argument.name):
                raise ConfigError(
                    f"{self.who}: can't tell how it was made; keep the argument {argument.name!r} "
                    f"as self.{argument.name}, or write config()"
                )
            values[argument.name] = getattr(self, argument.name)
        return values

    def members(self) -> "Iterator[tuple[str, Layer | Parameter]]":
        """Names, layers and parameters that are attributes or lie in lists, tuples or dicts that are; each once."""
        seen: set[int] = set()  # ids, for a layer of yours may call others equal to it, or be unhashable
        for name, member in _members("", vars(self)):
            if id(member) not in seen:
                seen.add(id(member))
                yield name, member

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Names and parameters, those of its layers included, in the order of assignment."""
        for name, member in self.members():
            if isinstance(member, Parameter):
                yield prefix + name, member
            else:
                yield from member.named_parameters(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """All parameters, in forward order."""
        return [parameter for _, parameter in self.named_parameters()]

    @property
    def who(self) -> str:
        """How messages call this layer: ``Conv2d 'conv1'``."""
        return f"{type(self).__name__} {self.name!r}" if self.name else type(self).__name__

    def _arguments(self) -> list[inspect.Parameter]:
        """Those of the constructor that make a difference once the layer has its name and its weights."""
        arguments = inspect.signature(type(self)).parameters.values()
        return [argument for argument in arguments if argument.name != "name" and not argument.name.endswith("_init")]

    def __repr__(self) -> str:
        try:
            config = self.config()
        except ConfigError:
            return f"{type(self).__name__}(...)"
        defaults = {argument.name: argument.default for argument in self._arguments()}
        shown = {name: _number_if_square(value) for name, value in config.items()}
        said = (
            f"{name}={value!r}" for name, value in shown.items() if value != defaults.get(name, inspect.Parameter.empty)
        )
        return f"{type(self).__name__}({', '.join(said)})"


def within(layer: Layer) -> Iterator[Layer]:
    """A layer and all that are inside it, however deep, each once and before those that it holds; no recursion.

    Raises:
        ConfigError: if one holds itself, or they are more than `DEEPEST` deep.
    """
    seen: set[int] = set()
    path: list[Layer] = []
    waiting = [iter([layer])]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            del path[-1:]
        elif any(found is holder for holder in path):
            holder = path[-1].who
            raise ConfigError(f"{found.who}: holds itself, through {holder}; let no layer keep one that it is part of")
        elif id(found) not in seen:
            if len(path) >= DEEPEST:
                raise ConfigError(f"{layer.who}: expected layers at most {DEEPEST} deep, got more; nest them less")
            seen.add(id(found))
            yield found
            path.append(found)
            waiting.append(member for _, member in found.members() if isinstance(member, Layer))


def has_custom(layer: Layer) -> bool:
    """Whether the layer, or one inside it, is none of fastcnn's own."""
    return any(map(is_custom, within(layer)))


def check_dtypes(model: Layer, dtype: np.dtype[Any]) -> None:
    """Raise a DTypeError if a layer of the model has become part of one of another dtype since."""
    for layer in within(model):
        for _, member in layer.members():
            if isinstance(member, Parameter) and member.dtype != dtype:
                raise DTypeError(
                    f"{model.who}: {layer.who} has become part of another model, of {member.dtype}, which this one of "
                    f"{dtype} can't compute with; make a layer for each of the models, or both of one dtype"
                )


def _number_if_square(value: Any) -> Any:
    """3 for (3, 3), as people write it; anything else as it is."""
    return value[0] if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1] else value


def _members(name: str, value: Any) -> Iterator[tuple[str, Layer | Parameter]]:
    """What is in a value, however deep, by names such as ``branch.0``."""
    if isinstance(value, Layer | Parameter):
        yield name, value
    elif isinstance(value, dict | list | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _members(f"{name}.{key}" if name else str(key), item)
