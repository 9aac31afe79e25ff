"""Activations, dropout, the sum of two arrays; and joining arrays."""

from fastcnn.backends.arrays import same_shape
from fastcnn.backends.cuda.arguments import checked, launch_each, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.kernels.random import random_key


def relu(x: DeviceArray) -> DeviceArray:
    x = checked("relu", "x", x)
    y = empty(x.shape, x.dtype)
    launch_each(elements.relu(real_of(x)), x.size, x, y)
    return y


def relu_backward(dy: DeviceArray, y: DeviceArray) -> DeviceArray:
    dy = checked("relu_backward", "dy", dy)
    y = checked("relu_backward", "y", y, dy.dtype)
    same_shape("relu_backward", "dy", dy, y.shape, f"y {y.shape}")
    dx = empty(dy.shape, dy.dtype)
    launch_each(elements.relu_backward(real_of(dy)), dy.size, dy, y, dx)
    return dx


def dropout_draw(p: float, seed: int, offset: int) -> tuple[int, float, int, int]:
    """What kernels take for dropout with p < 1: the bits below which an element goes, the scale, both halves of the key."""
    key = random_key(seed, offset)
    return int(p * 2**32), 1 / (1 - p), key % 2**32, key >> 32
