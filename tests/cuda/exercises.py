"""What shows that a kernel with barriers works, small but with all its barriers: for test_barriers.py.

By the name of what makes the kernel; each runs it, and asserts what it gives.
"""

import numpy as np
from numpy.testing import assert_array_equal
from support import integers
from there import there

from fastcnn.backends import cuda, reference
from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.kernels import conv_pool_weight, updates
from fastcnn.backends.cuda.language import float32


def agree(name, *arguments):
    """The operation gives just what the oracle gives."""
    assert_array_equal(there(name, *arguments), getattr(reference, name)(*arguments))


def small(*shape):
    return integers(np.random.default_rng(len(shape)), shape, np.float32)


def sum_sums():
    result = to_device(np.zeros(1))
    launch(updates.sum_sums(), (1,), (updates.THREADS,), to_device(np.arange(300.0)), result, 300)
    assert_array_equal(result.numpy(), [np.sum(np.arange(300.0))])


def conv_pool():
    inputs = (small(1, 9, 4, 4), small(2, 9, 3, 3))  # 9 channels go through shared memory in two stages
    got = cuda.conv2d_relu_max_pool2d(*map(to_device, inputs), padding=1)
    for one, other in zip(got, reference.conv2d_relu_max_pool2d(*inputs, padding=1), strict=True):
        assert_array_equal(one.numpy(), other)


def conv_pool_backward_input():
    inputs = (small(1, 1, 4, 4), small(9, 1, 3, 3))
    y, argmax = reference.conv2d_relu_max_pool2d(*inputs, padding=1)
    forward = (np.ones(y.shape, np.float32), y.astype(np.float32), argmax, *inputs)
    got = cuda.conv2d_relu_max_pool2d_backward(*map(to_device, forward), padding=1)
    assert_array_equal(got[0].numpy(), reference.conv2d_relu_max_pool2d_backward(*forward, padding=1)[0])


def weight_gradient(make, channels, *constants):
    """Of two images in one part, which follow each other in shared memory."""
    x, weight, dy = small(2, channels, 4, 12), small(1, channels, 3, 3), small(2, 1, 2, 6)
    marks = (np.arange(dy.size) % 4).astype(np.uint8).reshape(dy.shape)
    sizes = conv_pool_weight.Windows(channels, 4, 12, 1, 3, 1, 2, 2, 6)
    kernel, dw = make(float32, sizes, *constants, False), empty(weight.shape, np.float32)
    launch(kernel, (1, 1), (kernel.threads,), to_device(dy), to_device(marks), to_device(x), dw, 2, 2)
    expected = reference.conv2d_relu_max_pool2d_backward(dy, np.ones(dy.shape), marks, x, weight, padding=1)[1]
    assert_array_equal(dw.numpy(), expected)


def by_channel():
    weight_gradient(conv_pool_weight.by_channel, 16, 2, 4)


def by_window():
    weight_gradient(conv_pool_weight.by_window, 1)


EXERCISES = {
    "conv_pool.conv_pool": conv_pool,
    "conv_pool.conv_pool_backward_input": conv_pool_backward_input,
    "conv_pool_weight.by_channel": by_channel,
    "conv_pool_weight.by_window": by_window,
    "conv_direct.conv2d": lambda: agree("conv2d", small(1, 4, 6, 7), small(3, 4, 3, 3)),
    "conv_direct.conv2d_backward_input": lambda: agree(
        "conv2d_backward_input", small(1, 4, 4, 5), small(4, 3, 3, 3), (1, 3, 6, 7)
    ),
    "conv_direct.conv2d_backward_weight": lambda: agree(
        "conv2d_backward_weight", small(1, 4, 6, 7), small(1, 3, 8, 9), (4, 3, 3, 3)
    ),
    "gemm.matmul": lambda: agree("matmul", small(9, 40), small(40, 7)),
    "reductions.sum_channels": lambda: agree("conv2d_backward_bias", small(2, 3, 9, 31)),
    "updates.sum_squares": lambda: agree("sum_of_squares", np.arange(300.0)),
    "updates.sum_sums": sum_sums,
}
