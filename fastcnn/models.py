"""Ready-made networks, for MNIST's images and classes if not told otherwise.

Two made without a seed, or with the same one, are twins: give each member of an ensemble its own.

>>> one, twin, other = fc.models.lenet5(), fc.models.lenet5(), fc.models.lenet5(seed=1)
>>> np.array_equal(one.arena.data, twin.arena.data), np.array_equal(one.arena.data, other.arena.data)
(True, False)
"""

import math
from collections.abc import Sequence

from numpy.typing import DTypeLike

from fastcnn.errors import ShapeError
from fastcnn.graph import Sequential
from fastcnn.init import glorot_normal, normal
from fastcnn.layers import AvgPool2d, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Tanh
from fastcnn.layers.arguments import Pair, pair, whole

MNIST_SIZE, MNIST_CLASSES = (28, 28), 10


def gorgonia(
    dtype: DTypeLike = "float32",
    dropout: bool = True,
    seed: int = 0,
    classes: int = MNIST_CLASSES,
    image_size: int | Pair = MNIST_SIZE,
) -> Sequential:
    """The network of Gorgonia's tutorial "Simple Convolution Neural Net (MNIST)", up to its logits.

    Three times [3x3 convolution, ReLU, 2x2 max-pool, dropout 0.2] with 32, 64 and 128 filters, the third
    dropout after flattening; then 1152 -> 625, ReLU, dropout 0.55, 625 -> 10. No biases; Glorot normal
    weights.

    Args:
        dtype: float32 or float64.
        dropout: Whether the dropout layers are there.
        seed: Decides the starting weights (the same with and without dropout) and the dropout masks.
        classes: How many logits.
        image_size: Height and width of the images; the first fully connected layer follows them.

    Shapes:
        Input ``(N, 1, *image_size)``, output ``(N, classes)``.

    Raises:
        ShapeError: if the images are too small: 8x8 is the least.

    >>> fc.models.gorgonia()(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """

    def block(channels: int, filters: int) -> list[Layer]:
        convolution = Conv2d(channels, filters, 3, padding=1, bias=False, weight_init=glorot_normal())
        return [convolution, ReLU(), MaxPool2d(2)]

    def linear(inputs: int, outputs: int) -> Linear:
        return Linear(inputs, outputs, bias=False, weight_init=glorot_normal())

    def drop(p: float) -> list[Layer]:
        return [Dropout(p)] if dropout else []

    classes, image_size = _sizes("gorgonia", classes, image_size, least=8)
    features = [
        *block(1, 32), *drop(0.2),
        *block(32, 64), *drop(0.2),
        *block(64, 128), Flatten(), *drop(0.2),
    ]  # fmt: skip
    inputs = math.prod(size // 2 // 2 // 2 for size in image_size)
    head = [linear(128 * inputs, 625), ReLU(), *drop(0.55), linear(625, classes)]
    return _network([*features, *head], image_size, dtype, seed, "gorgonia")


def mxnet_scratch(
    dtype: DTypeLike = "float32", seed: int = 0, classes: int = MNIST_CLASSES, image_size: int | Pair = MNIST_SIZE
) -> Sequential:
    """The network of MXNet's tutorial "Convolutional neural networks from scratch", up to its logits.

    3x3 convolution to 20 maps, ReLU, 2x2 average pooling; 5x5 convolution to 50 maps, ReLU, 2x2 average pooling,
    which leaves the ninth row and column unread; 800 -> 128, ReLU, 128 -> 10. No padding. Weights and biases
    start as N(0, .01).

    Args:
        dtype: float32 or float64.
        seed: Decides the starting weights.
        classes: How many logits.
        image_size: Height and width of the images; the first fully connected layer follows them.

    Shapes:
        Input ``(N, 1, *image_size)``, output ``(N, classes)``.

    Raises:
        ShapeError: if the images are too small: 14x14 is the least.

    >>> fc.models.mxnet_scratch()(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    start = normal(0.01)

    def convolution(channels: int, filters: int, size: int) -> Conv2d:
        return Conv2d(channels, filters, size, weight_init=start, bias_init=start)

    def linear(inputs: int, outputs: int) -> Linear:
        return Linear(inputs, outputs, weight_init=start, bias_init=start)

    classes, image_size = _sizes("mxnet-scratch", classes, image_size, least=14)
    inputs = math.prod(((size - 2) // 2 - 4) // 2 for size in image_size)
    layers = [
        convolution(1, 20, 3), ReLU(), AvgPool2d(2),
        convolution(20, 50, 5), ReLU(), AvgPool2d(2),
        Flatten(), linear(50 * inputs, 128), ReLU(), linear(128, classes),
    ]  # fmt: skip
    return _network(layers, image_size, dtype, seed, "mxnet-scratch")


def lenet5(
    dtype: DTypeLike = "float32", seed: int = 0, classes: int = MNIST_CLASSES, image_size: int | Pair = MNIST_SIZE
) -> Sequential:
    """LeNet-5 as it is usually taught: tanh, average pooling, and the second convolution reads all six maps.

    5x5 convolution to 6 maps, padded by 2, tanh, 2x2 average pooling; 5x5 convolution to 16 maps, tanh, 2x2
    average pooling; 400 -> 120 -> 84 -> 10 with tanh between. Glorot normal weights, biases zero. Images of 32x32, the
    size that the network was made for, and larger ones are not padded.

    Args:
        dtype: float32 or float64.
        seed: Decides the starting weights.
        classes: How many logits.
        image_size: Height and width of the images; the first fully connected layer follows them.

    Shapes:
        Input ``(N, 1, *image_size)``, output ``(N, classes)``.

    Raises:
        ShapeError: if the images are too small: 12x12 is the least.

    >>> fc.models.lenet5()(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    classes, image_size = _sizes("lenet5", classes, image_size, least=12)
    padding = 2 if min(image_size) < 32 else 0
    inputs = math.prod(((size + 2 * padding - 4) // 2 - 4) // 2 for size in image_size)
    layers = [
        Conv2d(1, 6, 5, padding=padding), Tanh(), AvgPool2d(2),
        Conv2d(6, 16, 5), Tanh(), AvgPool2d(2),
        Flatten(), Linear(16 * inputs, 120), Tanh(), Linear(120, 84), Tanh(), Linear(84, classes),
    ]  # fmt: skip
    return _network(layers, image_size, dtype, seed, "lenet5")


def _sizes(name: str, classes: int, image_size: int | Pair, least: int) -> tuple[int, Pair]:
    """The arguments, if the network can be built of them."""
    size = pair(image_size, f"{name}: image_size")
    if min(size) < least:
        raise ShapeError(
            f"{name}: expected images of {least}x{least} or more, got {size[0]}x{size[1]}; enlarge them, as by "
            "images.repeat(2, axis=-1).repeat(2, axis=-2), or use another model"
        )
    return whole(classes, f"{name}: classes", 2), size


def _network(layers: Sequence[Layer], image_size: Pair, dtype: DTypeLike, seed: int, name: str) -> Sequential:
    return Sequential(layers, input_shape=(1, *image_size), dtype=dtype, seed=seed, name=name)
