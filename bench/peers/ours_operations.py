"""fastcnn's single operations."""

from collections.abc import Callable

import numpy as np

from fastcnn import ops
from peers.operation import Operation
from peers.ours import start as start


def work(variant: str, operation: Operation) -> Callable[[], np.ndarray]:
    """What is timed: a call that returns its result. Those of optimizers go on from where they are."""
    return KINDS[operation.kind](operation, **operation.arrays())


def _conv2d(operation: Operation, x, weight, dy) -> Callable[[], np.ndarray]:
    how = tuple(operation.sizes[name] for name in ("stride", "padding", "dilation"))
    return {
        "forward": lambda: ops.conv2d(x, weight, None, *how),
        "dinput": lambda: ops.conv2d_backward_input(dy, weight, x.shape, *how),
        "dweight": lambda: ops.conv2d_backward_weight(dy, x, weight.shape, *how),
    }[operation.direction]


def _matmul(operation: Operation, a, b) -> Callable[[], np.ndarray]:
    turned = tuple(operation.sizes[name] == "t" for name in "ab")
    return lambda: ops.matmul(a, b, *turned)


def _pool(operation: Operation, x, dy) -> Callable[[], np.ndarray]:
    how = tuple(operation.sizes[name] for name in ("kernel", "stride", "padding"))
    argmax = ops.max_pool2d(x, *how)[1]
    return {
        "max forward": lambda: ops.max_pool2d(x, *how)[0],
        "max backward": lambda: ops.max_pool2d_backward(dy, argmax, x.shape, *how),
        "avg forward": lambda: ops.avg_pool2d(x, *how),
        "avg backward": lambda: ops.avg_pool2d_backward(dy, x.shape, *how),
    }[operation.direction]


def _flat(operation: Operation, x, dy, relu, half) -> Callable[[], np.ndarray]:
    data, one, two = x.copy(), np.zeros_like(x), np.zeros_like(x)
    calls = {
        "relu": lambda: ops.relu(x),
        "sigmoid": lambda: ops.sigmoid(x),
        "tanh": lambda: ops.tanh(x),
        "relu backward": lambda: ops.relu_backward(dy, relu),
        "sigmoid backward": lambda: ops.sigmoid_backward(dy, half),
        "tanh backward": lambda: ops.tanh_backward(dy, half),
        "add": lambda: ops.add(x, dy),
        "copy": lambda: ops.concat([x], 0),
    }
    updates = {
        "sgd": lambda: ops.sgd_update(data, dy, 1e-3),
        "momentum": lambda: ops.momentum_update(data, dy, one, 1e-3, 0.9),
        "rmsprop": lambda: ops.rmsprop_update(data, dy, one, 1e-3, 0.999, 1e-8),
        "adam": lambda: ops.adam_update(data, dy, one, two, 1e-3, 0.9, 0.999, 1e-8, 1),
    }
    if operation.direction in calls:
        return calls[operation.direction]
    update = updates[operation.direction]

    def updated() -> np.ndarray:
        update()
        return data

    return updated


def _rows(operation: Operation, x, dy, y, log_y, labels) -> Callable[[], np.ndarray]:
    return {
        "softmax": lambda: ops.softmax(x),
        "softmax backward": lambda: ops.softmax_backward(dy, y),
        "log_softmax": lambda: ops.log_softmax(x),
        "log_softmax backward": lambda: ops.log_softmax_backward(dy, log_y),
        "cross_entropy": lambda: ops.cross_entropy(x, labels),
    }[operation.direction]


KINDS = {"conv2d": _conv2d, "matmul": _matmul, "pool": _pool, "flat": _flat, "rows": _rows}
