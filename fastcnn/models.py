"""Ready-made networks."""

from numpy.typing import DTypeLike

from fastcnn.graph import Sequential
from fastcnn.init import glorot_normal, normal
from fastcnn.layers import AvgPool2d, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Tanh


def gorgonia(dtype: DTypeLike = "float32", dropout: bool = True, seed: int = 0) -> Sequential:
    """The network of Gorgonia's tutorial "Simple Convolution Neural Net (MNIST)", up to its logits.

    Three times [3x3 convolution, ReLU, 2x2 max-pool, dropout 0.2] with 32, 64 and 128 filters, the third
    dropout after flattening; then 1152 -> 625, ReLU, dropout 0.55, 625 -> 10. No biases; Glorot normal
    weights.

    Args:
        dtype: float32 or float64.
        dropout: Whether the dropout layers are there.
        seed: Decides the starting weights (the same with and without dropout) and the dropout masks.

    Shapes:
        Input ``(N, 1, 28, 28)``, output ``(N, 10)``.

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

    layers = [
        *block(1, 32), *drop(0.2),
        *block(32, 64), *drop(0.2),
        *block(64, 128), Flatten(), *drop(0.2),
        linear(128 * 3 * 3, 625), ReLU(), *drop(0.55),
        linear(625, 10),
    ]  # fmt: skip
    return Sequential(layers, input_shape=(1, 28, 28), dtype=dtype, seed=seed, name="gorgonia")


def mxnet_scratch(dtype: DTypeLike = "float32", seed: int = 0) -> Sequential:
    """The network of MXNet's tutorial "Convolutional neural networks from scratch", up to its logits.

    3x3 convolution to 20 maps, ReLU, 2x2 average pooling; 5x5 convolution to 50 maps, ReLU, 2x2 average pooling,
    which leaves the ninth row and column unread; 800 -> 128, ReLU, 128 -> 10. No padding. Weights and biases
    start as N(0, .01).

    Args:
        dtype: float32 or float64.
        seed: Decides the starting weights.

    Shapes:
        Input ``(N, 1, 28, 28)``, output ``(N, 10)``.

    >>> fc.models.mxnet_scratch()(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    start = normal(0.01)

    def convolution(channels: int, filters: int, size: int) -> Conv2d:
        return Conv2d(channels, filters, size, weight_init=start, bias_init=start)

    def linear(inputs: int, outputs: int) -> Linear:
        return Linear(inputs, outputs, weight_init=start, bias_init=start)

    layers = [
        convolution(1, 20, 3), ReLU(), AvgPool2d(2),
        convolution(20, 50, 5), ReLU(), AvgPool2d(2),
        Flatten(), linear(800, 128), ReLU(), linear(128, 10),
    ]  # fmt: skip
    return Sequential(layers, input_shape=(1, 28, 28), dtype=dtype, seed=seed, name="mxnet-scratch")


def lenet5(dtype: DTypeLike = "float32", seed: int = 0) -> Sequential:
    """LeNet-5 as it is usually taught: tanh, average pooling, and the second convolution reads all six maps.

    5x5 convolution to 6 maps, padded by 2, tanh, 2x2 average pooling; 5x5 convolution to 16 maps, tanh, 2x2
    average pooling; 400 -> 120 -> 84 -> 10 with tanh between. Glorot normal weights, biases zero.

    Args:
        dtype: float32 or float64.
        seed: Decides the starting weights.

    Shapes:
        Input ``(N, 1, 28, 28)``, output ``(N, 10)``.

    >>> fc.models.lenet5()(np.ones((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    layers = [
        Conv2d(1, 6, 5, padding=2), Tanh(), AvgPool2d(2),
        Conv2d(6, 16, 5), Tanh(), AvgPool2d(2),
        Flatten(), Linear(400, 120), Tanh(), Linear(120, 84), Tanh(), Linear(84, 10),
    ]  # fmt: skip
    return Sequential(layers, input_shape=(1, 28, 28), dtype=dtype, seed=seed, name="lenet5")
