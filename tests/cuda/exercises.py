"""What shows that a kernel with barriers works, small but with all its barriers: for test_barriers.py.

By the name of what makes the kernel; each runs it, and asserts what it gives.
"""

import numpy as np
from numpy.testing import assert_array_equal

from fastcnn.backends import reference
from fastcnn.backends.cuda import operations as cuda
from fastcnn.backends.cuda import updates
from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.kernels import conv_pool_weight
from fastcnn.backends.cuda.kernels import updates as update_kernels
from fastcnn.backends.cuda.language import float32


def sum_squares():
    assert updates.sum_of_squares(to_device(np.arange(300.0))) == np.sum(np.arange(300.0) ** 2)


def sum_sums():
    result = to_device(np.zeros(1))
    launch(update_kernels.sum_sums(), (1,), (update_kernels.THREADS,), to_device(np.arange(300.0)), result, 300)
    assert_array_equal(result.numpy(), [np.sum(np.arange(300.0))])


def integers(*shape):
    return np.random.default_rng(1).integers(-3, 4, shape).astype(np.float32)


def against_the_oracle(name, *arguments, **named):
    """Hold one operation to the float64 oracle."""
    sent = [to_device(one) if isinstance(one, np.ndarray) else one for one in arguments]
    got = getattr(cuda, name)(*sent, **named).numpy()
    assert_array_equal(got, getattr(reference, name)(*arguments, **named))


def matmul():
    against_the_oracle("matmul", integers(3, 33), integers(33, 2))


def conv2d():
    against_the_oracle("conv2d", integers(1, 5, 3, 3), integers(2, 5, 2, 2))


def conv2d_backward_input():
    against_the_oracle("conv2d_backward_input", integers(1, 5, 2, 2), integers(5, 2, 2, 2), (1, 2, 3, 3))


def conv2d_backward_weight():
    against_the_oracle("conv2d_backward_weight", integers(1, 2, 5, 5), integers(1, 1, 6, 6), (2, 1, 2, 2))


def sum_channels():
    against_the_oracle("conv2d_backward_bias", integers(2, 1, 200))


def conv_pool():
    inputs = (integers(1, 9, 4, 4), integers(2, 9, 3, 3))  # 9 channels go through shared memory in two stages
    got = cuda.conv2d_relu_max_pool2d(*map(to_device, inputs), padding=1)
    for one, other in zip(got, reference.conv2d_relu_max_pool2d(*inputs, padding=1), strict=True):
        assert_array_equal(one.numpy(), other)


def conv_pool_backward_input():
    inputs = (integers(1, 1, 4, 4), integers(9, 1, 3, 3))
    y, argmax = reference.conv2d_relu_max_pool2d(*inputs, padding=1)
    forward = (np.ones(y.shape, np.float32), y.astype(np.float32), argmax, *inputs)
    got = cuda.conv2d_relu_max_pool2d_backward(*map(to_device, forward), padding=1)
    assert_array_equal(got[0].numpy(), reference.conv2d_relu_max_pool2d_backward(*forward, padding=1)[0])


def weight_gradient(make, channels, *constants):
    """Of two images in one part, which follow each other in shared memory."""
    x, weight, dy = integers(2, channels, 4, 12), integers(1, channels, 3, 3), integers(2, 1, 2, 6)
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
    "conv_direct.conv2d": conv2d,
    "conv_direct.conv2d_backward_input": conv2d_backward_input,
    "conv_direct.conv2d_backward_weight": conv2d_backward_weight,
    "conv_pool.conv_pool": conv_pool,
    "conv_pool.conv_pool_backward_input": conv_pool_backward_input,
    "conv_pool_weight.by_channel": by_channel,
    "conv_pool_weight.by_window": by_window,
    "gemm.matmul": matmul,
    "reductions.sum_channels": sum_channels,
    "updates.sum_squares": sum_squares,
    "updates.sum_sums": sum_sums,
}
