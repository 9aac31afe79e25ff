"""Models: layers put together. `Sequential` is a chain, `Graph` anything without a cycle."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import DTypeLike

from fastcnn.errors import ConfigError
from fastcnn.layers.layer import Layer
from fastcnn.layers.node import Input, Node
from fastcnn.model import Model


class Sequential(Model):
    """A chain of layers. It is a layer itself, so chains nest.

    Args:
        layers: The layers in order, as arguments or as one list. Those without a name get one (conv1).
        input_shape: Shape of one sample, ``(C, H, W)``. With it the shapes of the whole chain are checked
            here and now and inputs must have it; without, each new sample shape is checked when it comes
            first.
        dtype: float32 or float64: of the parameters, and of the inputs from then on.
        seed: Decides the starting weights, the dropout masks in training, and the order of a trainer's batches. Two
            models of one seed, as two made without, are twins that learn the same: give each member of an ensemble
            its own.
        name: For messages and summaries.

    All parameters lie in one flat `arena` (see `fastcnn.layers.parameter`), unless the chain is part of
    another model: then they lie in that one's.

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

    An ensemble, whose answer is the mean of its members':

    >>> members = [fc.Sequential(fc.Linear(4, 3), fc.Softmax(), seed=seed) for seed in range(5)]
    >>> np.mean([member(np.ones((2, 4), np.float32)) for member in members], axis=0).shape
    (2, 3)
    """

    def __init__(
        self,
        *layers: Layer | Sequence[Layer],
        input_shape: Sequence[int] | None = None,
        dtype: DTypeLike = "float32",
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.name = name
        chain = _chain(self.who, layers)
        sources = [(index,) for index in range(len(chain))]
        super().__init__(chain, sources, [len(chain)], False, input_shape, dtype, seed, name)


class Graph(Model):
    """Layers with branches that part and join, and one output or several.

    Described with nodes: call layers with them as with arrays, then name the input and the outputs.

    Args:
        x: The input, a `fastcnn.Input`.
        outputs: A node, or a list of nodes for several outputs: then the model gives a tuple of arrays, its
            backward takes one, and `fastcnn.MultiLoss` makes one cost of them.
        dtype: float32 or float64: of the parameters and of inputs.
        seed: Decides the starting weights and more; without one of their own two models are twins, see `Sequential`.
        name: For messages and summaries.

    Layers are named and computed in the order in which they were called. Shapes are checked when the graph is built.

    Raises:
        ConfigError: for what is no node, an output that doesn't depend on `x`, or on another input too, a layer
            used twice, two layers of one name.
        ShapeError: if a layer doesn't fit what it takes; the message names both.

    >>> x = fc.Input(8, 14, 14)                                       # a residual block, and a head
    >>> branch = fc.Conv2d(8, 8, 3, padding=1)(fc.ReLU()(fc.Conv2d(8, 8, 3, padding=1)(x)))
    >>> joined = fc.ReLU()(fc.Add()(x, branch))
    >>> model = fc.Graph(x, fc.Linear(8 * 14 * 14, 10)(fc.Flatten()(joined)))
    >>> model(np.ones((2, 8, 14, 14), np.float32)).shape
    (2, 10)
    """

    def __init__(
        self,
        x: Input,
        outputs: Node | Sequence[Node],
        *,
        dtype: DTypeLike = "float32",
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        self.name = name
        several = isinstance(outputs, Sequence)
        ends: list[Any] = list(outputs) if isinstance(outputs, Sequence) else [outputs]
        if not isinstance(x, Input):
            raise ConfigError(f"{self.who}: the input must be made by fastcnn.Input, got {x!r}")
        if not ends or not all(isinstance(node, Node) for node in ends):
            raise ConfigError(f"{self.who}: the outputs must be a node or a list of nodes, got {outputs!r}")
        nodes = self._all_before(x, ends)
        numbers: dict[Node, int] = {node: number for number, node in enumerate([x, *nodes])}
        sources = [tuple(numbers[taken] for taken in node.inputs) for node in nodes]
        super().__init__(
            [node.layer for node in nodes],
            sources,
            [numbers[node] for node in ends],
            several,
            x.sample_shape,
            dtype,
            seed,
            name,
        )

    def _all_before(self, x: Input, ends: Sequence[Node]) -> list[Node]:
        """Every node that the outputs are made of but the input, in order of their making."""
        found: set[Node] = {x}
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            if isinstance(node, Input):
                raise ConfigError(f"{self.who}: an output depends on a second Input; a graph has one input")
            found.add(node)
            waiting += node.inputs
        nodes = sorted(found - {x}, key=lambda node: node.serial)
        if not any(x in node.inputs for node in nodes):
            raise ConfigError(f"{self.who}: no output is made of the input")
        layers = [node.layer for node in nodes]
        for position, layer in enumerate(layers):
            if any(layer is earlier for earlier in layers[:position]):
                raise ConfigError(f"{self.who}: {layer.who} is called twice; make a second {type(layer).__name__}")
        return nodes


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
        if layer.takes_many:
            raise ConfigError(f"{who}: layer {position}, {layer.who}, takes several inputs; use a Graph")
        if any(layer is earlier for earlier in layers[: position - 1]):
            raise ConfigError(f"{who}: layer {position} is in the chain already; make a second {type(layer).__name__}")
    return layers
