"""Nodes: how a graph is described before it is built. A layer called with nodes gives the node of its output."""

from itertools import count
from typing import Any

from fastcnn.errors import ConfigError
from fastcnn.layers.arguments import whole

_serial = count()


class Node:
    """An array to come: the input of a graph, or what a layer makes of other nodes.

    Only `fastcnn.Input` and calls of layers make nodes.

    Attributes:
        layer: The layer whose output this is; None for an input.
        inputs: The nodes that the layer is called with.
        serial: Grows with every node, so that sorting by it puts a node after all that it is made of.
    """

    def __init__(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        for position, node in enumerate(inputs, 1):
            if not isinstance(node, Node):
                raise ConfigError(
                    f"{layer.who}: input {position} is {type(node).__name__}, where others are nodes of a graph; "
                    "pass nodes only, or arrays only"
                )
        self.layer = layer
        self.inputs = inputs
        self.serial = next(_serial)


class Input(Node):
    """The input of a graph.

    Args:
        sample_shape: The sizes of one sample, ``Input(1, 28, 28)`` for images ``(N, 1, 28, 28)``.

    Raises:
        ConfigError: for a size that is no whole number >= 1.

    >>> x = fc.Input(3, 8, 8)
    >>> model = fc.Graph(x, fc.Add()(x, fc.Conv2d(3, 3, 3, padding=1)(x)))
    >>> model(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 3, 8, 8)
    """

    def __init__(self, *sample_shape: int) -> None:
        super().__init__(None, ())
        self.sample_shape = tuple(whole(size, "Input: each size") for size in sample_shape)
