"""What shows that a kernel with barriers works, small but with all its barriers: for test_barriers.py.

By the name of what makes the kernel; each runs it, and asserts what it gives.
"""

import numpy as np
from numpy.testing import assert_array_equal
from support import integers
from there import there

from fastcnn.backends import reference
from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import to_device
from fastcnn.backends.cuda.kernels import updates


def agree(name, *arguments):
    """The operation gives just what the oracle gives."""
    assert_array_equal(there(name, *arguments), getattr(reference, name)(*arguments))


def small(*shape):
    return integers(np.random.default_rng(len(shape)), shape, np.float32)


def sum_sums():
    result = to_device(np.zeros(1))
    launch(updates.sum_sums(), (1,), (updates.THREADS,), to_device(np.arange(300.0)), result, 300)
    assert_array_equal(result.numpy(), [np.sum(np.arange(300.0))])


EXERCISES = {
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
