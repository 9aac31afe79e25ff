"""How much memory a sample takes on its way through a model: what a file may ask for without having it."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fastcnn.layers import Conv2d, Linear
from fastcnn.layers.layer import Layer, Shape
from fastcnn.model import Model

SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 28, 32, 64, 128, 224, 256)  # of images, where a model doesn't say


def sample_memory(model: Model) -> int:
    """Bytes that one sample takes in evaluation: the arrays that are needed at one time, their padding included.

    Of a model that doesn't say its samples' shape, for the smallest sample found that goes through; 0 if none is.

    >>> sample_memory(fc.Sequential(fc.Conv2d(1, 1, 1, padding=20_000), input_shape=(1, 1, 1))) > 12e9
    True
    """
    for shape in _samples(model):
        with suppress(Exception):  # a layer of somebody's own may raise anything
            return model.dtype.itemsize * _entries(model, (1, *shape))
    return 0


def _samples(model: Model) -> Iterator[Shape]:
    """The shapes of samples that may go through the model."""
    if model.input_shape is not None:
        yield model.input_shape
        return
    for layer in model._all_layers():
        if isinstance(layer, Linear):
            yield (layer.in_features,)
            return
        if isinstance(layer, Conv2d):
            for side in SIDES:
                yield layer.in_channels, side, side
            return


def _entries(model: Model, input_shape: Shape) -> int:
    """The most numbers that are there at one time, as `fastcnn.execution` lets go of them."""
    last_user = {source: index for index, sources in enumerate(model.sources) for source in sources}
    shapes: dict[int, Any] = {0: input_shape}
    alive = most = math.prod(input_shape)
    for index, (layer, sources) in enumerate(zip(model.layers, model.sources, strict=True)):
        taken = tuple(shapes[source] for source in sources)
        given = taken if layer.takes_many else taken[0]
        made = tuple(layer.output_shape(given))
        within = _entries(layer, given) if isinstance(layer, Model) else _padded(layer, given)
        shapes[index + 1] = made
        alive += math.prod(made)
        most = max(most, alive + within)
        for source in set(sources):
            if last_user[source] == index and source not in model.outputs:
                alive -= math.prod(shapes.pop(source))
    return most


def _padded(layer: Layer, input_shape: Any) -> int:
    """Numbers of the copy that a kernel makes of its input, with zeros around it."""
    padding = getattr(layer, "padding", (0, 0))
    if layer.takes_many or len(input_shape) != 4 or not any(padding):
        return 0
    samples, channels, height, width = input_shape
    return int(samples * channels * (height + 2 * padding[0]) * (width + 2 * padding[1]))
