"""What works along the channels: operations on rows, for arrays of any number of axes."""

from collections.abc import Callable

import numpy as np

from fastcnn.backends.choice import on_device
from fastcnn.errors import ShapeError
from fastcnn.layers.layer import Shape
from fastcnn.layers.parameter import Array


def checked_channels(input_shape: Shape, who: str) -> Shape:
    """The shape, if its axis 1 holds channels."""
    if len(input_shape) < 2 or input_shape[1] < 1:
        raise ShapeError(f"{who}: expected input (N, C, ...), got {input_shape}")
    return input_shape


def along_channels(operation: Callable[..., Array], *arrays: Array) -> Array:
    """Apply an operation on ``(rows, channels)`` to arrays ``(N, C, ...)``: each place of the rest is a row."""
    if arrays[0].ndim == 2:
        return operation(*arrays)
    if on_device(arrays[0]):
        raise ShapeError(f"softmax on the GPU: takes rows (N, C), got {arrays[0].shape}; put a Flatten before it")
    channels_last = [np.moveaxis(array, 1, -1) for array in arrays]
    shape = channels_last[0].shape
    y = operation(*(array.reshape(-1, shape[-1]) for array in channels_last))
    return np.ascontiguousarray(np.moveaxis(y.reshape(shape), -1, 1))
