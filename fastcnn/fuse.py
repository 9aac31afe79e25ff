"""Chains of layers that run as one stage: convolution or fully connected layer, and what follows it.

Behind a convolution these are ReLU, max-pooling, and perhaps dropout, or ReLU or tanh and average-pooling; behind a
fully connected layer, ReLU and perhaps dropout. A stage has the layers' own parameters and gives what they would give,
to rounding: its sums go in another order. With ReLU the convolution's output is never stored, and the way back visits
active windows only (csrc/conv_pool.inc), or behind average-pooling writes one array instead of two
(csrc/conv_avg_pool.inc). With tanh, the layers' kernels take a few images at a time (csrc/conv_tanh_pool.inc).
A Flatten before the dropout may as well come behind it, and does: a dropout draws by the index in the flat array.
Models run their layers in steps; without stages a step is a layer.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastcnn import ops
from fastcnn.backends.cpu import prepared
from fastcnn.layers import AvgPool2d, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Tanh
from fastcnn.layers.layer import Backward, Shape, Training
from fastcnn.layers.parameter import Array
from fastcnn.linear_stage import LinearStage


class Step(NamedTuple):
    """A layer or a stage as it stands in a model, whose arrays are numbered as in `fastcnn.model`.

    Attributes:
        layer: What runs.
        covers: Indices of the layer, or of those of a stage; random layers draw by the last.
        sources: Numbers of the arrays that it takes.
        target: Number of the array that it makes.
    """

    layer: Layer
    covers: tuple[int, ...]
    sources: tuple[int, ...]
    target: int


class ConvStage(Layer):
    """Conv2d, ReLU, MaxPool2d, and perhaps Dropout in one pass.

    Args:
        convolution: With stride 1 and dilation 1.
        activation: Named in messages.
        pool: Square windows side by side, without padding.
        dropout: None if there is none. Draws as it does alone.
    """

    skips_input_gradient = True
    average = False  # the maximum of windows
    asked = "conv2d_relu_max_pool2d_algorithm"  # what of a backend tells whether one kernel takes a shape

    def __init__(
        self, convolution: Conv2d, activation: ReLU | Tanh, pool: MaxPool2d | AvgPool2d, dropout: Dropout | None = None
    ) -> None:
        self.name = "+".join(str(layer.name) for layer in (convolution, activation, pool, dropout) if layer is not None)
        self.convolution = convolution
        self.activation = activation
        self.pool = pool
        self.dropout = dropout

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.pool.output_shape(self.convolution.output_shape(input_shape))

    def multiply_adds(self, input_shape: Shape) -> int:
        return self.convolution.multiply_adds(input_shape)

    def kernels(self, input_shape: Shape) -> tuple[str, ...]:
        """What the summary says of the layers: conv_pool where that takes the shape, else their own."""
        convolution, pool = self.convolution, self.pool
        behind = [layer for layer in (self.activation, pool, self.dropout) if layer is not None]
        weight, how = convolution.weight, {"padding": convolution.padding, "pool_size": pool.kernel_size}
        chosen = getattr(weight.backend, self.asked)(input_shape, weight.shape, **how, dtype=weight.dtype)
        if chosen is None or convolution.algorithm == "im2col":
            return convolution.kernel(input_shape), *[layer.stem for layer in behind]
        if convolution.algorithm != "auto":
            chosen = convolution.algorithm
        kernel = "conv_pool" if chosen == "direct" else chosen
        return kernel, *[f"in {convolution.name}"] * len(behind)

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        convolution = self.convolution
        bias = None if convolution.bias is None else convolution.bias.data
        return prepared.conv2d_relu_pool2d(self.average, input_shape, convolution.weight.data, bias, *self._how())

    def forward(self, x: Array, training: Training | bool | None = None) -> tuple[Array, Backward]:
        step = Training.of(training)
        y, kept = self._together(x, step, for_backward=step is not None)

        def backward(dy: Array) -> Array | None:
            # evaluation keeps nothing for gradients: one who wants them nevertheless waits for it
            found = self._together(x, step, for_backward=True)[1] if kept is None else kept
            dx, self.convolution.weight.grad, dbias = self._gradients(dy, y, found, x, step)
            if self.convolution.bias is not None:
                self.convolution.bias.grad = dbias
            return dx

        return y, backward

    def _together(self, x: Array, step: Training | None, for_backward: bool) -> tuple[Array, Any]:
        """The output, and which pixels the gradient goes to; None without `for_backward`."""
        bias = self.convolution.bias
        p, seed, offset = 0.0, 0, 0
        if step is not None and self.dropout is not None:
            p, seed, offset = self.dropout.p, step.seed, step.offset
        return ops.conv2d_relu_max_pool2d(
            x,
            self.convolution.weight.data,
            None if bias is None else bias.data,
            *self._how(),
            p,
            seed,
            offset,
            for_backward,
        )

    def _gradients(
        self, dy: Array, y: Array, kept: Array, x: Array, step: Training | None
    ) -> tuple[Array | None, Array, Array]:
        p = 0.0 if step is None or self.dropout is None else self.dropout.p
        return ops.conv2d_relu_max_pool2d_backward(
            dy, y, kept, x, self.convolution.weight.data, *self._how(), p, step is None or step.input_gradient
        )

    def _how(self) -> tuple[int, tuple[int, int], int, tuple[int, int], str]:
        """What ops take of the layers, from the stride to the algorithm."""
        return 1, self.convolution.padding, 1, self.pool.kernel_size, self.convolution.algorithm


class AverageStage(ConvStage):
    """Conv2d, ReLU and AvgPool2d in one pass; the windows are of 2x2 pixels."""

    average = True
    asked = "conv2d_relu_avg_pool2d_algorithm"

    def _together(self, x: Array, step: Training | None, for_backward: bool) -> tuple[Array, Any]:
        weight, bias = self.convolution.weight.data, self.convolution.bias
        return ops.conv2d_relu_avg_pool2d(
            x, weight, None if bias is None else bias.data, *self._how(), for_backward=for_backward
        )

    def _gradients(
        self, dy: Array, y: Array, kept: Array, x: Array, step: Training | None
    ) -> tuple[Array | None, Array, Array]:
        return ops.conv2d_relu_avg_pool2d_backward(
            dy, kept, x, self.convolution.weight.data, *self._how(), step is None or step.input_gradient
        )


class TanhStage(ConvStage):
    """Conv2d, Tanh and AvgPool2d, a few images at a time."""

    def kernels(self, input_shape: Shape) -> tuple[str, ...]:
        return self.convolution.kernel(input_shape), "conv_tanh_pool", f"in {self.activation.name}"

    def prepared(self, input_shape: Shape) -> Callable[[Array], Array]:
        convolve = self.convolution.prepared(input_shape)
        pool = self.pool.prepared(self.convolution.output_shape(input_shape))
        return lambda x: pool(ops.tanh(convolve(x)))

    def _together(self, x: Array, step: Training | None, for_backward: bool) -> tuple[Array, Any]:
        weight, bias = self.convolution.weight.data, self.convolution.bias
        return ops.conv2d_tanh_avg_pool2d(x, weight, None if bias is None else bias.data, *self._how())

    def _gradients(
        self, dy: Array, y: Array, kept: Array, x: Array, step: Training | None
    ) -> tuple[Array | None, Array, Array]:
        wants_dx = step is None or step.input_gradient
        return ops.conv2d_tanh_avg_pool2d_backward(dy, kept, x, self.convolution.weight.data, *self._how(), wants_dx)


def one_by_one(layers: Sequence[Layer], sources: Sequence[tuple[int, ...]]) -> list[Step]:
    """A step for each layer."""
    wired = enumerate(zip(layers, sources, strict=True))
    return [Step(layer, (index,), taken, index + 1) for index, (layer, taken) in wired]


def in_stages(layers: Sequence[Layer], sources: Sequence[tuple[int, ...]], outputs: Sequence[int]) -> list[Step]:
    """The same with stages, wherever nobody else takes what lies inside one."""
    steps = one_by_one(layers, sources)
    users = Counter([*outputs, *(source for taken in sources for source in taken)])
    user_of = {source: index for index, taken in enumerate(sources) for source in taken}
    inside: set[int] = set()
    for index in range(len(layers)):
        chain = [index]
        while len(chain) < 5 and users[chain[-1] + 1] == 1 and (chain[-1] + 1) in user_of:
            chain.append(user_of[chain[-1] + 1])
        stage, places = _stage([layers[i] for i in chain])
        if stage is None:
            continue
        covers = tuple(chain[place] for place in places)
        last = covers[-1]
        inside.update(covers)
        if places == BESIDE_FLATTEN:
            pool, flatten = chain[2:4]
            steps[pool] = Step(stage, covers, sources[index], pool + 1)
            steps[flatten] = Step(layers[flatten], (flatten,), (pool + 1,), last + 1)
            inside.remove(pool)
        else:
            steps[last] = Step(stage, covers, sources[index], last + 1)
            inside.remove(last)
    return [step for index, step in enumerate(steps) if index not in inside]


PLACES: tuple[int, ...] = (0, 1, 2, 3)  # in a chain: what a stage takes, or the first of them
BESIDE_FLATTEN = (0, 1, 2, 4)  # what a convolution's stage takes that leaves out a Flatten


def _stage(chain: Sequence[Any]) -> tuple[Layer | None, tuple[int, ...]]:
    """The stage that a chain begins with, if any, and the places in the chain of the layers that it takes."""
    kinds = [type(layer) for layer in chain]
    if kinds[:3] == [Conv2d, ReLU, MaxPool2d] and _fit(chain[0], chain[2]):
        beside = kinds[3:] == [Flatten, Dropout]
        places = BESIDE_FLATTEN if beside else PLACES[: 4 if kinds[3:4] == [Dropout] else 3]
        return ConvStage(*[chain[place] for place in places]), places
    if kinds[:3] == [Conv2d, ReLU, AvgPool2d] and _fit(chain[0], chain[2]) and _average_fits(chain[0], chain[2]):
        return AverageStage(*chain[:3]), PLACES[:3]
    if kinds[:3] == [Conv2d, Tanh, AvgPool2d] and _fit(chain[0], chain[2]):
        return TanhStage(*chain[:3]), PLACES[:3]
    if kinds[:2] == [Linear, ReLU]:
        places = PLACES[: 3 if kinds[2:3] == [Dropout] else 2]
        return LinearStage(*[chain[place] for place in places]), places
    return None, ()


def _fit(convolution: Conv2d, pool: MaxPool2d | AvgPool2d) -> bool:
    plain = convolution.stride == (1, 1) and convolution.dilation == (1, 1)
    side = pool.kernel_size[0]
    return plain and pool.kernel_size == pool.stride == (side, side) and pool.padding == (0, 0)


def _average_fits(convolution: Conv2d, pool: AvgPool2d) -> bool:
    """Whether one kernel takes the smallest map that a window fits, and so any. Layer by layer is faster if not."""
    if math.prod(pool.kernel_size) > 8:  # which the operation refuses
        return False
    smallest = (1, convolution.in_channels, *(size + pool.kernel_size[0] - 1 for size in convolution.kernel_size))
    shapes = (smallest, convolution.weight.shape)
    return ops.conv2d_relu_avg_pool2d_algorithm(*shapes, pool_size=pool.kernel_size) is not None
