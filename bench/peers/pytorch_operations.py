"""PyTorch's single operations on the CPU; those of four dimensions in either of its layouts."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from peers import pytorch
from peers.operation import Operation

Work = Callable[[], torch.Tensor]
LAST = "channels_last"
aten = torch.ops.aten


def start(variant: str, threads: int) -> str:
    torch.set_grad_enabled(False)
    return pytorch.start(variant, threads)


def work(variant: str, operation: Operation) -> Work | None:
    """What is timed, as in `ours_operations`; None for a layout that the operation doesn't have."""
    arrays = operation.arrays()
    if variant == LAST and arrays.get("x", np.empty(0)).ndim != 4:
        return None
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if variant == LAST:
        tensors = {name: tensor.to(memory_format=torch.channels_last) for name, tensor in tensors.items()}
    return KINDS[operation.kind](operation, **tensors)


def _conv2d(operation: Operation, x, weight, dy) -> Work:
    how = tuple(operation.sizes[name] for name in ("stride", "padding", "dilation"))
    if operation.direction == "forward":
        return lambda: functional.conv2d(x, weight, None, *how)
    which = {"dinput": 0, "dweight": 1}[operation.direction]
    wanted = [index == which for index in range(3)]
    pairs = [[size] * 2 for size in how]
    return lambda: aten.convolution_backward(dy, x, weight, None, *pairs, False, [0, 0], 1, wanted)[which]


def _matmul(operation: Operation, a, b) -> Work:
    left, right = (tensor.T if operation.sizes[name] == "t" else tensor for name, tensor in (("a", a), ("b", b)))
    return lambda: left @ right


def _pool(operation: Operation, x, dy) -> Work:
    how = tuple([operation.sizes[name]] * 2 for name in ("kernel", "stride", "padding"))
    _, winners = aten.max_pool2d_with_indices(x, *how)
    return {
        "max forward": lambda: aten.max_pool2d_with_indices(x, *how)[0],
        "max backward": lambda: aten.max_pool2d_with_indices_backward(dy, x, *how, [1, 1], False, winners),
        "avg forward": lambda: functional.avg_pool2d(x, *how),
        "avg backward": lambda: aten.avg_pool2d_backward(dy, x, *how, False, True, None),
    }[operation.direction]


def _flat(operation: Operation, x, dy, relu, half) -> Work:
    calls = {
        "relu": lambda: torch.relu(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "tanh": lambda: torch.tanh(x),
        "relu backward": lambda: aten.threshold_backward(dy, relu, 0),
        "sigmoid backward": lambda: aten.sigmoid_backward(dy, half),
        "tanh backward": lambda: aten.tanh_backward(dy, half),
        "add": lambda: x + dy,
        "copy": lambda: half.copy_(x),
    }
    return calls.get(operation.direction) or _update(operation.direction, x.clone(), dy)


def _update(name: str, data: torch.Tensor, grad: torch.Tensor) -> Work:
    """One step of an optimizer, by PyTorch's fused kernels."""
    one, two, step = torch.zeros_like(data), torch.zeros_like(data), torch.ones(())
    rates = {"lr": 1e-3, "weight_decay": 0.0}

    def sgd(momentum: float) -> None:
        flags = {"dampening": 0.0, "nesterov": False, "maximize": False, "is_first_step": False}
        torch._fused_sgd_([data], [grad], [one] if momentum else [], **rates, momentum=momentum, **flags)

    def adam() -> None:
        more = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": False, "maximize": False}
        torch._fused_adam_([data], [grad], [one], [two], [], [step], **rates, **more)

    def rmsprop() -> None:  # PyTorch has no fused one, and adds eps outside of the root
        one.mul_(0.999).addcmul_(grad, grad, value=0.001)
        data.addcdiv_(grad, (one + 1e-8).sqrt_(), value=-1e-3)

    update = {"sgd": lambda: sgd(0.0), "momentum": lambda: sgd(0.9), "rmsprop": rmsprop, "adam": adam}[name]

    def updated() -> torch.Tensor:
        update()
        return data

    return updated


def _rows(operation: Operation, x, dy, y, log_y, labels) -> Work:
    return {
        "softmax": lambda: torch.softmax(x, 1),
        "softmax backward": lambda: aten._softmax_backward_data(dy, y, 1, torch.float32),
        "log_softmax": lambda: torch.log_softmax(x, 1),
        "log_softmax backward": lambda: aten._log_softmax_backward_data(dy, log_y, 1, torch.float32),
        "cross_entropy": lambda: functional.cross_entropy(x, labels, reduction="none"),
    }[operation.direction]


KINDS = {"conv2d": _conv2d, "matmul": _matmul, "pool": _pool, "flat": _flat, "rows": _rows}
