"""Denormal numbers: zeros to whatever computes, bits to whatever only selects or copies them."""

import numpy as np
import pytest
from support import every_dtype, every_isa, use_isa, use_threads

from fastcnn import ops


def tiny(dtype):
    """A denormal number; the caller computes with it."""
    return np.finfo(dtype).tiny / dtype(4)


def filled(shape, value, dtype=np.float32):
    return np.full(shape, value, dtype)


def whole(dtype):
    return filled((1, 1, 1, 1), 1, dtype)


def updated(update, dtype, count, *settings):
    """What an update makes of zeros, all arrays, by a denormal gradient that it would make large."""
    arrays = [np.zeros(40, dtype) for _ in range(count)]
    update(arrays[0], filled(40, tiny(dtype), dtype), *arrays[1:], *settings)
    return np.stack(arrays)


# from a map (1, 1, 4, 10) of denormal numbers
COMPUTE = {
    "add": lambda x: ops.add(x, x),
    "avg_pool2d": lambda x: ops.avg_pool2d(x, 2),
    "avg_pool2d of many cells": lambda x: ops.avg_pool2d(x, 1),
    "conv2d": lambda x: ops.conv2d(x, whole(x.dtype), algorithm="direct"),
    "conv2d by columns": lambda x: ops.conv2d(x, whole(x.dtype), algorithm="im2col"),
    "conv2d_backward_bias": ops.conv2d_backward_bias,
    "dropout": lambda x: ops.dropout(x, 0.5, 1),
    "leaky_relu": ops.leaky_relu,
    "linear": lambda x: ops.linear(x[0, 0], filled((3, 10), 1, x.dtype)),
    "matmul": lambda x: ops.matmul(x[0, 0], filled((10, 3), 1, x.dtype)),
    "relu": ops.relu,
    "conv2d_relu_max_pool2d": lambda x: ops.conv2d_relu_max_pool2d(x, whole(x.dtype))[0],
}
PASS_ON = {
    "concat": lambda x: ops.concat([x, x]),
    "im2col": lambda x: ops.im2col(x, 2),
    "max_pool2d": lambda x: ops.max_pool2d(x, 2)[0],
    "max_pool2d 3x3": lambda x: ops.max_pool2d(x, 3, 1)[0],
    "relu_backward": lambda x: ops.relu_backward(x, np.ones_like(x)),
}


@every_isa
@every_dtype
@pytest.mark.parametrize("operation", COMPUTE.values(), ids=COMPUTE.keys())
def test_what_computes_takes_denormals_for_zeros(isa, dtype, operation):
    with use_isa(isa):
        assert not operation(filled((1, 1, 4, 10), tiny(dtype), dtype)).any()


@every_isa
@every_dtype
@pytest.mark.parametrize("operation", PASS_ON.values(), ids=PASS_ON.keys())
def test_what_selects_or_copies_passes_denormals_on(isa, dtype, operation):
    with use_isa(isa):
        assert (operation(filled((1, 1, 4, 10), tiny(dtype), dtype)) == tiny(dtype)).all()


@every_isa
@every_dtype
@pytest.mark.parametrize("count", [1, 3])
def test_a_denormal_operand_is_a_zero_in_every_thread(isa, dtype, count):
    """Its product with a large number would be a normal one: it is the operand that must not count."""
    large = 1 / np.finfo(dtype).tiny
    with use_isa(isa), use_threads(count):
        assert not ops.matmul(filled((90, 90), tiny(dtype), dtype), filled((90, 90), large, dtype)).any()
        assert not ops.leaky_relu(filled(100_000, -tiny(dtype), dtype), large).any()
        assert not updated(ops.sgd_update, dtype, 1, large).any()


@every_isa
@every_dtype
@pytest.mark.parametrize("count", [1, 3])
def test_a_result_that_would_be_denormal_is_zero_in_every_thread(isa, dtype, count):
    small = 2 * np.finfo(dtype).tiny
    with use_isa(isa), use_threads(count):
        assert not ops.matmul(filled((90, 1), small, dtype), filled((1, 90), 0.1, dtype)).any()
        assert not ops.leaky_relu(filled(100_000, -small, dtype), 0.1).any()


@every_isa
@every_dtype
def test_the_maximum_takes_a_denormal_for_as_large_as_zero(isa, dtype):
    x = np.array([[[[0, 0, tiny(dtype), 0], [tiny(dtype), 0, 0, 0]]]], dtype)
    with use_isa(isa):
        y, argmax = ops.max_pool2d(x, 2)
    np.testing.assert_array_equal(argmax.ravel(), [0, 0])
    np.testing.assert_array_equal(y.ravel(), [0, tiny(dtype)])
