"""Batches of no samples, and sums of no terms: results of the right shape, and zeros."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastcnn import ops


def zeros(*shape):
    return np.zeros(shape, np.float32)


X = zeros(0, 3, 5, 6)
W = zeros(4, 3, 3, 3)
DY = zeros(0, 4, 3, 4)
POOLED = zeros(0, 3, 2, 3)
ARGMAX = np.zeros(POOLED.shape, np.uint8)
LOGITS = zeros(0, 10)
CLASSES = np.arange(0)

EMPTY_BATCHES = {
    "conv2d": (lambda: ops.conv2d(X, W, zeros(4), padding=1), (0, 4, 5, 6)),
    "conv2d by columns": (lambda: ops.conv2d(X, W, algorithm="im2col"), (0, 4, 3, 4)),
    "conv2d_backward_input": (lambda: ops.conv2d_backward_input(DY, W, (0, 3, 5, 6)), (0, 3, 5, 6)),
    "im2col": (lambda: ops.im2col(X, 3), (0, 27, 12)),
    "col2im": (lambda: ops.col2im(zeros(0, 27, 12), (0, 3, 5, 6), 3), (0, 3, 5, 6)),
    "matmul": (lambda: ops.matmul(zeros(0, 4), zeros(4, 3)), (0, 3)),
    "max_pool2d": (lambda: ops.max_pool2d(X, 2)[0], (0, 3, 2, 3)),
    "max_pool2d, argmax": (lambda: ops.max_pool2d(X, 2)[1], (0, 3, 2, 3)),
    "max_pool2d_backward": (
        lambda: ops.max_pool2d_backward(POOLED, ARGMAX, (0, 3, 5, 6), 2),
        (0, 3, 5, 6),
    ),
    "avg_pool2d": (lambda: ops.avg_pool2d(X, 2), (0, 3, 2, 3)),
    "avg_pool2d_backward": (lambda: ops.avg_pool2d_backward(POOLED, (0, 3, 5, 6), 2), (0, 3, 5, 6)),
    "avg_pool2d_backward, 3x3": (lambda: ops.avg_pool2d_backward(X[:, :, :3, :4], (0, 3, 5, 6), 3, 1), (0, 3, 5, 6)),
    "conv2d_relu_max_pool2d": (lambda: ops.conv2d_relu_max_pool2d(X, W)[0], (0, 4, 1, 2)),
    "leaky_relu": (lambda: ops.leaky_relu(X), (0, 3, 5, 6)),
    "sigmoid": (lambda: ops.sigmoid(X), (0, 3, 5, 6)),
    "tanh_backward": (lambda: ops.tanh_backward(X, X), (0, 3, 5, 6)),
    "add": (lambda: ops.add(X, X), (0, 3, 5, 6)),
    "concat": (lambda: ops.concat([X, X]), (0, 6, 5, 6)),
    "concat_backward": (lambda: ops.concat_backward(X, (1, 2))[1], (0, 2, 5, 6)),
    "relu": (lambda: ops.relu(X), (0, 3, 5, 6)),
    "relu_backward": (lambda: ops.relu_backward(X, X), (0, 3, 5, 6)),
    "dropout": (lambda: ops.dropout(X, 0.5, 0), (0, 3, 5, 6)),
    "softmax": (lambda: ops.softmax(LOGITS), (0, 10)),
    "log_softmax_backward": (lambda: ops.log_softmax_backward(LOGITS, LOGITS), (0, 10)),
    "cross_entropy": (lambda: ops.cross_entropy(LOGITS, CLASSES), (0,)),
    "cross_entropy_backward": (
        lambda: ops.cross_entropy_backward(zeros(0), LOGITS, CLASSES),
        (0, 10),
    ),
}


@pytest.mark.parametrize("call, shape", EMPTY_BATCHES.values(), ids=EMPTY_BATCHES.keys())
def test_an_empty_batch_gives_an_empty_result(call, shape):
    assert call().shape == shape


@pytest.mark.parametrize("algorithm", ["direct", "im2col", "auto"])
def test_an_empty_batch_has_a_weight_gradient_of_zero(algorithm):
    dweight = ops.conv2d_backward_weight(DY, X, W.shape, algorithm=algorithm)
    assert_array_equal(dweight, np.zeros(W.shape))


def test_an_empty_batch_has_a_bias_gradient_of_zero():
    assert_array_equal(ops.conv2d_backward_bias(DY), np.zeros(4))


def test_a_product_over_no_terms_is_zero():
    assert_array_equal(ops.matmul(zeros(3, 0), zeros(0, 2)), np.zeros((3, 2)))
