"""Convolution, tanh and average-pooling in one call on the GPU, against the float64 oracle."""

import numpy as np
from support import integers

from fastcnn import ops
from fastcnn.backends import reference
from fastcnn.backends.cuda.array import to_device

GEOMETRY = (1, 2, 1, 2)  # stride, padding, dilation, pool_size


def arrays():
    """x, weight, bias and dy, which four pixels share, and a tanh with slopes of whole numbers."""
    rng = np.random.default_rng(13)
    sizes = ((2, 2, 6, 5), (3, 2, 5, 5), (3,), (2, 3, 3, 2))
    x, weight, bias, dy = (integers(rng, size, np.float32) for size in sizes)
    return x, weight, bias, 4 * dy, rng.integers(0, 3, (2, 3, 6, 5)).astype(np.float32)


def test_forward_gives_what_the_three_operations_give(device):
    x, weight, bias, *_ = arrays()
    got = ops.conv2d_tanh_avg_pool2d(*map(to_device, (x / 64, weight, bias / 64)), *GEOMETRY)
    for one, expected in zip(got, reference.conv2d_tanh_avg_pool2d(x / 64, weight, bias / 64, *GEOMETRY), strict=True):
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-6)


def test_backward_is_exact_on_integers(device):
    x, weight, _, dy, activated = arrays()
    got = ops.conv2d_tanh_avg_pool2d_backward(*map(to_device, (dy, activated, x, weight)), *GEOMETRY)
    expected = reference.conv2d_tanh_avg_pool2d_backward(dy, activated, x, weight, *GEOMETRY)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)


def test_the_input_gradient_may_be_left_out(device):
    x, weight, _, dy, activated = arrays()
    on_gpu = [to_device(array) for array in (dy, activated, x, weight)]
    assert ops.conv2d_tanh_avg_pool2d_backward(*on_gpu, *GEOMETRY, input_gradient=False)[0] is None
