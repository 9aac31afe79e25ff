"""What shows that a kernel with barriers works, small but with all its barriers: for test_barriers.py.

By the name of what makes the kernel; each runs it, and asserts what it gives.
"""

import numpy as np
from numpy.testing import assert_array_equal

from fastcnn.backends.cuda import updates
from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import to_device
from fastcnn.backends.cuda.kernels import updates as update_kernels


def sum_squares():
    assert updates.sum_of_squares(to_device(np.arange(300.0))) == np.sum(np.arange(300.0) ** 2)


def sum_sums():
    result = to_device(np.zeros(1))
    launch(update_kernels.sum_sums(), (1,), (update_kernels.THREADS,), to_device(np.arange(300.0)), result, 300)
    assert_array_equal(result.numpy(), [np.sum(np.arange(300.0))])


EXERCISES = {
    "updates.sum_squares": sum_squares,
    "updates.sum_sums": sum_sums,
}
