"""Ready-made networks."""

from numpy.typing import DTypeLike

from fastcnn.graph import Sequential
from fastcnn.init import glorot_normal
from fastcnn.layers import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU


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
