"""Fifty steps of MXNet's tutorial "Convolutional neural networks from scratch", followed number by number.

The tutorial's network, loss and SGD are written out below in NumPy float64, cell by cell as the tutorial has them
(its shapes, its order of operations, matrices as (in, out)); nothing of fastcnn is in it. Its starting weights come
from MXNet's generator, which nobody else has: both sides get the same ones here, drawn from NumPy's N(0, .01).
"""

import os
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import fastcnn as fc

BATCH, STEPS = 64, 50
SHAPES = ((20, 1, 3, 3), (20,), (50, 20, 5, 5), (50,), (800, 128), (128,), (128, 10), (10,))
STARTS = {  # deviation of the starting weights, learning rate
    "as the seed": (0.01, 0.01),  # the first 50 steps move little but the last bias: the losses stay near log 10
    "under way": (0.05, 0.002),  # here the losses fall, and every weight moves
}
TOLERANCE = {"float32": 1e-3, "float64": 1e-11}
# Not under way in float32: a sum near 0 may round to the other side of a ReLU, in all blank windows of a batch at once,
# and where the network learns fast such a difference grows.
RUNS = [("as the seed", "float32"), ("as the seed", "float64"), ("under way", "float64")]
every_run = pytest.mark.parametrize(("start", "dtype"), RUNS)
every_array = pytest.mark.parametrize("which", range(len(SHAPES)))


# The tutorial. Every function returns its value and a function from the value's gradient to its arguments' gradients.


def convolution(data, weight, bias):
    kernel = weight.shape[2:]
    windows = sliding_window_view(data, kernel, axis=(2, 3))  # (N, C, OH, OW, KH, KW)
    out = np.tensordot(windows, weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2) + bias[:, None, None]

    def backward(dout):
        dweight = np.tensordot(dout, windows, axes=([0, 2, 3], [0, 2, 3]))
        ddata = np.zeros_like(data)
        height, width = dout.shape[2:]
        for r, s in np.ndindex(*kernel):
            part = np.tensordot(dout, weight[:, :, r, s], axes=(1, 0)).transpose(0, 3, 1, 2)
            ddata[:, :, r : r + height, s : s + width] += part
        return ddata, dweight, dout.sum(axis=(0, 2, 3))

    return out, backward


def average_pooling(data):
    """Windows of 2x2, step 2; an odd last row or column is not read."""
    height, width = data.shape[2] // 2, data.shape[3] // 2
    corners = [(slice(i, i + 2 * height, 2), slice(j, j + 2 * width, 2)) for i in (0, 1) for j in (0, 1)]
    out = sum(data[:, :, rows, columns] for rows, columns in corners) / 4

    def backward(dout):
        ddata = np.zeros_like(data)
        for rows, columns in corners:
            ddata[:, :, rows, columns] = dout / 4
        return ddata

    return out, backward


def relu(x):
    """By `maximum`, whose gradient MXNet gives to the first argument where the two are equal: 1 at 0."""
    return np.maximum(x, 0), lambda dout: dout * (x >= 0)


def fully_connected(x, weight, bias):
    return x @ weight + bias, lambda dout: (dout @ weight.T, x.T @ dout, dout.sum(axis=0))


def softmax_cross_entropy(yhat_linear, y):
    shifted = yhat_linear - yhat_linear.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(y * log_softmax).sum(axis=1), np.exp(log_softmax) - y  # y sums to 1


def losses_and_gradients(params, x, y):
    """The losses of a batch (N,), and the gradients of their sum, as `loss.backward()` gives them."""
    w1, b1, w2, b2, w3, b3, w4, b4 = params
    h1_conv, back_conv1 = convolution(x, w1, b1)
    h1_activation, back_relu1 = relu(h1_conv)
    h1, back_pool1 = average_pooling(h1_activation)
    h2_conv, back_conv2 = convolution(h1, w2, b2)
    h2_activation, back_relu2 = relu(h2_conv)
    h2, back_pool2 = average_pooling(h2_activation)
    h3_linear, back_linear3 = fully_connected(h2.reshape(len(x), -1), w3, b3)
    h3, back_relu3 = relu(h3_linear)
    yhat_linear, back_linear4 = fully_connected(h3, w4, b4)
    losses, dyhat = softmax_cross_entropy(yhat_linear, y)

    dh3, dw4, db4 = back_linear4(dyhat)
    dflat, dw3, db3 = back_linear3(back_relu3(dh3))
    dh1, dw2, db2 = back_conv2(back_relu2(back_pool2(dflat.reshape(h2.shape))))
    _, dw1, db1 = back_conv1(back_relu1(back_pool1(dh1)))
    return losses, [dw1, db1, dw2, db2, dw3, db3, dw4, db4]


def sgd(params, gradients, lr):
    for param, gradient in zip(params, gradients, strict=True):
        param[:] = param - lr * gradient


# The two runs.


@pytest.fixture(scope="session")
def digits():
    """Images (3200, 1, 28, 28) in unit scale and one-hot labels (3200, 10), of MNIST if it is there."""
    folder = os.environ.get("FASTCNN_DATA_DIR")
    loaded = fc.data.load_dataset("auto", folder) if folder else fc.data.load_dataset("sample")
    return loaded.train_images[: STEPS * BATCH] / 255, np.eye(10)[loaded.train_labels[: STEPS * BATCH]]


def first_params(deviation):
    generator = np.random.default_rng(2)
    return [generator.normal(0, deviation, shape) for shape in SHAPES]


def batches(x, y):
    return ((x[first : first + BATCH], y[first : first + BATCH]) for first in range(0, STEPS * BATCH, BATCH))


@pytest.fixture(scope="session")
def seed_run(digits):
    """A function that gives, for a start, what `run_of_the_seed` gives; computed once."""
    return cache(lambda start: run_of_the_seed(start, digits))


@pytest.fixture(scope="session")
def our_run(digits):
    """The same by fastcnn, for a start and a dtype."""
    return cache(lambda start, dtype: run_of_ours(start, dtype, digits))


def run_of_the_seed(start, digits):
    """The mean losses, the gradients of the first step and the last arrays, by the code above."""
    deviation, lr = STARTS[start]
    params, losses, gradients = first_params(deviation), [], []
    for x, y in batches(*digits):
        loss, gradient = losses_and_gradients(params, x, y)
        sgd(params, gradient, lr)
        losses.append(loss.mean())
        gradients.append(gradient)
    return losses, gradients[0], params


def run_of_ours(start, dtype, digits):
    deviation, lr = STARTS[start]
    model = fc.models.mxnet_scratch(dtype)
    for parameter, values in zip(model.parameters(), first_params(deviation), strict=True):
        parameter.data = transposed(values)
    loss, optimizer = fc.CrossEntropyLoss("sum"), fc.SGD(model.parameters(), lr=lr)
    x, y = (array.astype(dtype) for array in digits)
    costs, gradients = [], []
    for batch in batches(x, y):
        costs.append(fc.train_step(model, loss, optimizer, *batch) / BATCH)
        gradients.append([transposed(parameter.grad).copy() for parameter in model.parameters()])
    return costs, gradients[0], [transposed(parameter.data) for parameter in model.parameters()]


def transposed(array):
    """The seed's matrices are (in, out), ours (out, in)."""
    return array.T if array.ndim == 2 else array


def test_the_gradients_written_out_here_are_those_of_the_loss(digits):
    x, y = digits[0][:BATCH], digits[1][:BATCH]
    params = first_params(0.05)
    for index, gradient in enumerate(losses_and_gradients(params, x, y)[1]):
        uphill, step, total = gradient / np.abs(gradient).max(), 1e-8, []
        for move in (step, -step):
            moved = [*params[:index], params[index] + move * uphill, *params[index + 1 :]]
            total.append(losses_and_gradients(moved, x, y)[0].sum())
        assert (gradient * uphill).sum() == pytest.approx((total[0] - total[1]) / (2 * step), rel=1e-4)


@every_run
def test_every_loss_of_50_steps_is_the_seed_s(start, dtype, our_run, seed_run):
    np.testing.assert_allclose(our_run(start, dtype)[0], seed_run(start)[0], rtol=TOLERANCE[dtype])


@every_run
@every_array
def test_the_gradients_of_the_first_step_are_the_seed_s(start, dtype, which, our_run, seed_run):
    ours, seed = our_run(start, dtype)[1][which], seed_run(start)[1][which]
    assert np.abs(ours - seed).max() <= TOLERANCE[dtype] * np.abs(seed).max()


@every_run
@every_array
def test_every_array_after_50_steps_is_the_seed_s(start, dtype, which, our_run, seed_run):
    ours, seed = our_run(start, dtype)[2][which], seed_run(start)[2][which]
    assert np.abs(ours - seed).max() <= TOLERANCE[dtype] * np.abs(seed).max()


@pytest.mark.parametrize("start", STARTS)
@every_array
def test_in_float64_the_way_of_every_array_in_50_steps_is_the_seed_s(start, which, our_run, seed_run):
    first = first_params(STARTS[start][0])[which]
    ours, seed = our_run(start, "float64")[2][which], seed_run(start)[2][which]
    assert np.abs(ours - seed).max() <= TOLERANCE["float64"] * np.abs(seed - first).max()


def test_every_part_of_the_network_has_learnt_in_50_steps(seed_run):
    losses, _, params = seed_run("under way")
    assert np.mean(losses[-5:]) < 0.95 * losses[0]
    for first, last in zip(first_params(STARTS["under way"][0]), params, strict=True):
        assert np.abs(last - first).max() > 0.05 * np.abs(first).max()


def test_debug_shapes_are_those_that_the_seed_prints():
    table = fc.models.mxnet_scratch().summary()
    for shape in ("(N, 20, 13, 13)", "(N, 50, 4, 4)", "(N, 800)", "(N, 128)", "(N, 10)"):
        assert shape in table
