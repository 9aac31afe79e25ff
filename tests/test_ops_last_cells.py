"""No operation writes behind the last cell of its result."""

import ctypes

import numpy as np
import pytest
from support import every_dtype, every_isa, poisoned_memory, reals, use_isa

from fastcnn import ops

RNG = np.random.default_rng(0)
LINE = 64  # bytes: the memory of results comes in lines, filled with 0xff by poisoned_memory


def drawn(dtype, *shape):
    return reals(RNG, shape, dtype)


def windows(dtype, height, width, kernel, stride, padding=0):
    """Both poolings, forth and back."""
    x = drawn(dtype, 1, 3, height, width)
    y, argmax = ops.max_pool2d(x, kernel, stride, padding)
    dx = ops.max_pool2d_backward(y, argmax, x.shape, kernel, stride, padding)
    mean = ops.avg_pool2d(x, kernel, stride, padding)
    return y, argmax, dx, mean, ops.avg_pool2d_backward(mean, x.shape, kernel, stride, padding)


def convolution(dtype, height, width, kernel, algorithm, stride=1, padding=0):
    x, weight = drawn(dtype, 1, 3, height, width), drawn(dtype, 5, 3, *kernel)
    how = (stride, padding, 1, algorithm)
    y = ops.conv2d(x, weight, None, *how)
    return y, ops.conv2d_backward_input(y, weight, x.shape, *how), ops.conv2d_backward_weight(y, x, weight.shape, *how)


def stage(dtype, height, width, kernel, pool):
    x, weight = drawn(dtype, 1, 3, height, width), drawn(dtype, 5, 3, *kernel)
    y, argmax = ops.conv2d_relu_max_pool2d(x, weight, pool_size=pool)
    return y, argmax, *ops.conv2d_relu_max_pool2d_backward(y, y, argmax, x, weight, pool_size=pool)


def layer(dtype, batch, inputs, outputs):
    x, weight = drawn(dtype, batch, inputs), drawn(dtype, outputs, inputs)
    y = ops.linear_relu_dropout(x, weight, None, 0.3)
    return y, *ops.linear_relu_dropout_backward(y, y, x, weight, 0.3)


def elements(dtype, count):
    x = drawn(dtype, count)
    rows = x.reshape(1, count)
    return (ops.relu(x), ops.tanh(x), ops.sigmoid(x), ops.leaky_relu(x), ops.add(x, x), ops.dropout(x, 0.3, 1),
            ops.softmax(rows), ops.log_softmax(rows), ops.concat([rows, rows]), ops.tanh_backward(x, x))  # fmt: skip


OPERATIONS = {
    **{f"pool {width} by {kernel}/{stride}": (windows, 3, width, kernel, stride)
       for width in (9, 17, 31, 35) for kernel, stride in ((2, 2), (3, 2), (3, 1), (2, 3))},
    **{f"{algorithm} {width}, stride {stride}": (convolution, 5, width, (3, 3), algorithm, stride, 1)
       for width in (9, 17, 35) for algorithm in ("direct", "im2col") for stride in (1, 2, 3, 4)},
    "1x1, stride 2": (convolution, 5, 17, (1, 1), "im2col", 2),
    "1x1": (convolution, 5, 15, (1, 1), "im2col"),
    "Winograd": (convolution, 5, 15, (3, 3), "winograd"),
    **{f"stage {pool}": (stage, 9, 15, (3, 3), pool) for pool in (1, 2, 3)},
    **{f"linear {outputs}": (layer, batch, 7, outputs) for batch, outputs in ((3, 5), (19, 33))},
    **{f"{count} elements": (elements, count) for count in (1, 15, 17, 31, 33)},
}  # fmt: skip


@every_isa
@every_dtype
@pytest.mark.parametrize(
    ("operation", "arguments"), [(call, rest) for call, *rest in OPERATIONS.values()], ids=OPERATIONS
)
def test_nothing_is_written_behind_the_last_cell(isa, dtype, operation, arguments):
    with use_isa(isa), poisoned_memory():
        results = operation(dtype, *arguments)
        for result in results:
            behind = ctypes.string_at(result.ctypes.data + result.nbytes, -result.nbytes % LINE)
            assert behind == b"\xff" * len(behind)
