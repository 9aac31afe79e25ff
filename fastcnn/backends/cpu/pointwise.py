"""Activations, dropout, the sum of two arrays; and joining arrays: whatever takes arrays of any shape."""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

from fastcnn import _core
from fastcnn.backends.arrays import Array, addressable, checked, plain, real, same_shape, whole
from fastcnn.errors import DTypeError, ShapeError


def _two(who: str, name: str, array: Array, partner_name: str, partner: Array) -> tuple[Array, Array]:
    """Both arrays as the kernels take them, if they are of one dtype and shape."""
    array = checked(who, name, array)
    partner = checked(who, partner_name, partner, array.dtype)
    same_shape(who, name, array, partner.shape, "{} {}", partner_name, partner.shape)
    return plain(array), plain(partner)


def relu(x: Array) -> Array:
    return _core.relu(plain(checked("relu", "x", x)))


def relu_backward(dy: Array, y: Array) -> Array:
    return _core.relu_backward(*_two("relu_backward", "dy", dy, "y", y))


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return _core.leaky_relu(plain(checked("leaky_relu", "x", x)), real(negative_slope, "leaky_relu: negative_slope"))


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    who = "leaky_relu_backward"
    return _core.leaky_relu_backward(*_two(who, "dy", dy, "x", x), real(negative_slope, f"{who}: negative_slope"))


def sigmoid(x: Array) -> Array:
    return _core.sigmoid(plain(checked("sigmoid", "x", x)))


def sigmoid_backward(dy: Array, y: Array) -> Array:
    return _core.sigmoid_backward(*_two("sigmoid_backward", "dy", dy, "y", y))


def tanh(x: Array) -> Array:
    return _core.tanh(plain(checked("tanh", "x", x)))


def tanh_backward(dy: Array, y: Array) -> Array:
    return _core.tanh_backward(*_two("tanh_backward", "dy", dy, "y", y))


def add(a: Array, b: Array) -> Array:
    return _core.add(*_two("add", "a", a, "b", b))


def dropout_rate(who: str, p: float) -> float:
    """p as a float, if it is a probability."""
    if type(p) is float and 0 <= p <= 1:  # as layers write it
        return p
    return real(p, f"{who}: p, the probability to drop,", "a number from 0 to 1", lambda number: 0 <= number <= 1)


def dropout_key(who: str, seed: int, offset: int) -> tuple[int, int]:
    """Both as ints, if they fit 64 bits."""
    return whole(seed, f"{who}: seed", 0, 2**64 - 1), whole(offset, f"{who}: offset", 0, 2**64 - 1)


def _dropout(who: str, name: str, array: Array, p: float, seed: int, offset: int) -> Array:
    array = checked(who, name, array)
    return _core.dropout(plain(array), dropout_rate(who, p), *dropout_key(who, seed, offset))


def dropout(x: Array, p: float, seed: int, offset: int = 0) -> Array:
    return _dropout("dropout", "x", x, p, seed, offset)


def dropout_backward(dy: Array, p: float, seed: int, offset: int = 0) -> Array:
    return _dropout("dropout_backward", "dy", dy, p, seed, offset)


# ---- joining ---------------------------------------------------------------------------------------------------------


def axis_of(who: str, axis: int, dimensions: int) -> int:
    """`axis` counted from the front."""
    try:
        if -dimensions <= index(axis) < dimensions:
            return index(axis) % dimensions
    except TypeError:
        pass
    raise ShapeError(
        f"{who}: axis must be one of the {dimensions} axes, counted from 0 (or from the end), got {axis!r}"
    )


def joined_shape(arrays: Sequence[Any], axis: int, checked: Callable[..., Any]) -> tuple[tuple[int, ...], int]:
    """The shape of the arrays joined along an axis, and the axis counted from the front; each array is `checked`."""
    if not (isinstance(arrays, list | tuple) and arrays):
        got = f"an empty {type(arrays).__name__}" if isinstance(arrays, list | tuple) else type(arrays).__name__
        raise DTypeError(f"concat: arrays must be a list or tuple of one array or more, got {got}")
    first = checked("concat", "arrays[0]", arrays[0])
    axis = axis_of("concat", axis, first.ndim)
    before, behind = first.shape[:axis], first.shape[axis + 1 :]
    for position, array in enumerate(arrays):
        checked("concat", f"arrays[{position}]", array, first.dtype)
        if array.ndim != first.ndim or (array.shape[:axis], array.shape[axis + 1 :]) != (before, behind):
            raise ShapeError(
                f"concat: all sizes but that of axis {axis} must be the same, got arrays[0] {first.shape} and "
                f"arrays[{position}] {array.shape}"
            )
    return (*before, sum(array.shape[axis] for array in arrays), *behind), axis


def concat(arrays: Sequence[Array], axis: int = 1) -> Array:
    shape, axis = joined_shape(arrays, axis, checked)
    addressable("concat", shape)
    return _core.concat([plain(array) for array in arrays], shape, math.prod(shape[:axis]))


def part_shapes(shape: tuple[int, ...], sizes: Sequence[int], axis: int) -> tuple[list[tuple[int, ...]], int]:
    """The shapes of the parts that dy of this shape is cut into, and the axis counted from the front."""
    who = "concat_backward"
    axis = axis_of(who, axis, len(shape))
    try:
        lengths = [index(size) for size in sizes]
    except TypeError:
        raise ShapeError(f"{who}: sizes must be the lengths of the parts, got {sizes!r}") from None
    if not lengths or min(lengths) < 0 or sum(lengths) != shape[axis]:
        raise ShapeError(f"{who}: sizes must add up to the {shape[axis]} of dy {shape}'s axis {axis}, got {sizes}")
    return [(*shape[:axis], length, *shape[axis + 1 :]) for length in lengths], axis


def concat_backward(dy: Array, sizes: Sequence[int], axis: int = 1) -> tuple[Array, ...]:
    dy = checked("concat_backward", "dy", dy)
    shapes, axis = part_shapes(dy.shape, sizes, axis)
    return _core.concat_backward(plain(dy), shapes, math.prod(dy.shape[:axis]))
