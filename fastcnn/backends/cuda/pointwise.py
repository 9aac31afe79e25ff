"""Activations, dropout, the sum of two arrays; and joining arrays."""

import math
from collections.abc import Sequence

from fastcnn.backends.arrays import real, same_shape
from fastcnn.backends.cpu.pointwise import dropout_key, dropout_rate, joined_shape, part_shapes
from fastcnn.backends.cuda.arguments import checked, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.kernels import elements, joining
from fastcnn.backends.cuda.steps import clock


def _two(
    who: str, name: str, array: DeviceArray, partner_name: str, partner: DeviceArray
) -> tuple[DeviceArray, DeviceArray]:
    """Both arrays, if they are of one dtype and shape."""
    array = checked(who, name, array)
    partner = checked(who, partner_name, partner, array.dtype)
    same_shape(who, name, array, partner.shape, f"{partner_name} {partner.shape}")
    return array, partner


def _like(x: DeviceArray) -> DeviceArray:
    return empty(x.shape, x.dtype)


def relu(x: DeviceArray) -> DeviceArray:
    y = _like(checked("relu", "x", x))
    launch_each(elements.relu(real_of(x)), x.size, x, y)
    return y


def relu_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dx = _like(_two("relu_backward", "dy", dy, "y", y)[0])
    launch_each(elements.relu_backward(real_of(dy)), dy.size, dy, y, dx)
    return dx


def leaky_relu(x: DeviceArray, negative_slope: float = 0.01) -> DeviceArray:
    y = _like(checked("leaky_relu", "x", x))
    slope = real(negative_slope, "leaky_relu: negative_slope")
    launch_each(elements.leaky_relu(real_of(x)), x.size, x, x, slope, y)
    return y


def leaky_relu_backward(dy: DeviceArray, x: DeviceArray, negative_slope: float = 0.01) -> DeviceArray:
    who = "leaky_relu_backward"
    dx = _like(_two(who, "dy", dy, "x", x)[0])
    slope = real(negative_slope, f"{who}: negative_slope")
    launch_each(elements.leaky_relu(real_of(dy)), dy.size, dy, x, slope, dx)
    return dx


def sigmoid(x: DeviceArray) -> DeviceArray:
    y = _like(checked("sigmoid", "x", x))
    launch_each(elements.sigmoid(real_of(x)), x.size, x, y)
    return y


def sigmoid_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dx = _like(_two("sigmoid_backward", "dy", dy, "y", y)[0])
    launch_each(elements.sigmoid_backward(real_of(dy)), dy.size, dy, y, dx)
    return dx


def tanh(x: DeviceArray) -> DeviceArray:
    y = _like(checked("tanh", "x", x))
    launch_each(elements.tanh_forward(real_of(x)), x.size, x, y)
    return y


def tanh_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dx = _like(_two("tanh_backward", "dy", dy, "y", y)[0])
    launch_each(elements.tanh_backward(real_of(dy)), dy.size, dy, y, dx)
    return dx


def add(a: DeviceArray, b: DeviceArray) -> DeviceArray:
    y = _like(_two("add", "a", a, "b", b)[0])
    launch_each(elements.add(real_of(a)), a.size, a, b, y)
    return y


def dropout_draw(p: float, seed: int, offset: int) -> tuple[int, float, int, int, DeviceArray]:
    """What kernels take for dropout with p < 1: where bits must be below, the scale, what they depend on."""
    return int(p * 2**32), 1 / (1 - p), seed, offset, clock()


def _dropout(who: str, name: str, array: DeviceArray, p: float, seed: int, offset: int) -> DeviceArray:
    result = _like(checked(who, name, array))
    p, seed, offset = dropout_rate(who, p), *dropout_key(who, seed, offset)
    if p == 1:
        launch_each(elements.fill(real_of(result)), result.size, result, 0.0)
        return result
    launch_each(elements.dropout(real_of(array)), array.size, array, result, *dropout_draw(p, seed, offset))
    return result


def dropout(x: DeviceArray, p: float, seed: int, offset: int = 0) -> DeviceArray:
    return _dropout("dropout", "x", x, p, seed, offset)


def dropout_backward(dy: DeviceArray, p: float, seed: int, offset: int = 0) -> DeviceArray:
    return _dropout("dropout_backward", "dy", dy, p, seed, offset)


# ---- joining ---------------------------------------------------------------------------------------------------------


def concat(arrays: Sequence[DeviceArray], axis: int = 1) -> DeviceArray:
    shape, axis = joined_shape(arrays, axis, checked)
    whole = empty(shape, arrays[0].dtype)
    pitch, first = math.prod(shape[axis:]), 0
    for array in arrays:
        length = math.prod(array.shape[axis:])
        launch_each(joining.join(real_of(whole)), array.size, array, whole, length, pitch, first)
        first += length
    return whole


def concat_backward(dy: DeviceArray, sizes: Sequence[int], axis: int = 1) -> tuple[DeviceArray, ...]:
    dy = checked("concat_backward", "dy", dy)
    shapes, axis = part_shapes(dy.shape, sizes, axis)
    parts = tuple(empty(shape, dy.dtype) for shape in shapes)
    pitch, first = math.prod(dy.shape[axis:]), 0
    for part in parts:
        length = math.prod(part.shape[axis:])
        launch_each(joining.cut(real_of(dy)), part.size, part, dy, length, pitch, first)
        first += length
    return parts
