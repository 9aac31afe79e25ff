"""Fully connected layers on the GPU, against the float64 oracle."""

import numpy as np
import pytest
from support import assert_within_bound, every_dtype, integers, reals

from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda import operations as cuda
from fastcnn.backends.cuda.array import to_device
from fastcnn.errors import ShapeError

DEVICES = "first thread first", "GPU"

SHAPES = [(1, 1, 1), (3, 17, 15), (5, 130, 33), (70, 3, 65)]  # batch, inputs, outputs


def arrays_of(shape, fill, dtype=np.float32):
    batch, inputs, outputs = shape
    rng = np.random.default_rng(11)
    return [fill(rng, size, dtype) for size in ((batch, inputs), (outputs, inputs), (outputs,), (batch, outputs))]


def assert_all_equal(got, expected):
    for one, other in zip(got, expected, strict=True):
        if one is None or other is None:
            assert one is other
        else:
            np.testing.assert_array_equal(one.numpy(), other)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_and_backward_are_exact_on_integers(device, shape):
    x, weight, bias, dy = arrays_of(shape, integers)
    on_gpu = [to_device(array) for array in (x, weight, bias, dy)]
    np.testing.assert_array_equal(cuda.linear(*on_gpu[:3]).numpy(), reference.linear(x, weight, bias))
    np.testing.assert_array_equal(cuda.linear(*on_gpu[:2]).numpy(), reference.linear(x, weight))
    gradients = cuda.linear_backward(on_gpu[3], *on_gpu[:2])
    assert_all_equal(gradients, reference.linear_backward(dy, x, weight))


@pytest.mark.parametrize("p", [0.0, 0.5, 0.75, 1.0])
def test_relu_and_dropout_draw_and_cut_as_on_the_cpu(device, p):
    x, weight, bias, dy = arrays_of((7, 40, 33), integers)
    on_gpu = [to_device(array) for array in (x, weight, bias, dy)]
    y = cuda.linear_relu_dropout(*on_gpu[:3], p, 3, 2**40)
    expected = cpu.linear_relu_dropout(x, weight, bias, p, 3, 2**40)
    np.testing.assert_array_equal(y.numpy(), expected)
    gradients = cuda.linear_relu_dropout_backward(on_gpu[3], y, *on_gpu[:2], p)
    assert_all_equal(gradients, reference.linear_relu_dropout_backward(dy, expected, x, weight, p))


@every_dtype
def test_rounds_no_more_than_its_sums_are_long(device, dtype):
    x, weight, bias, _ = arrays_of((4, 200, 9), reals, dtype)
    got = cuda.linear(*map(to_device, (x, weight, bias))).numpy()
    assert_within_bound(got, reference.linear(x, weight, bias), reference.linear(*map(np.abs, (x, weight, bias))), 201)


@pytest.mark.parametrize(("batch", "sums"), [(3, 1), (300, 3)])
def test_the_input_gradient_can_be_left_out_and_the_weights_put_in_place(device, batch, sums):
    x, weight, _, dy = arrays_of((batch, 17, 15), integers)
    out = to_device(np.full(weight.shape, np.nan, np.float32))
    gradients = cuda.linear_backward(*map(to_device, (dy, x, weight)), False, out)
    assert gradients[0] is None and gradients[1] is out
    assert_all_equal(gradients, reference.linear_backward(dy, x, weight, False))
    names = [name.split("(")[0] for name in device.launched]
    assert names == ["matmul", *["sum_rows"] * sums]  # for the bias; of many images for the weight in parts, too


def test_nan_passes_relu(device):
    x, weight = np.array([[np.nan], [-1.0]]), np.ones((2, 1))
    y = cuda.linear_relu_dropout(to_device(x), to_device(weight))
    np.testing.assert_array_equal(y.numpy(), [[np.nan, np.nan], [0, 0]])
    gradients = cuda.linear_relu_dropout_backward(to_device(np.ones((2, 2))), y, to_device(x), to_device(weight))
    np.testing.assert_array_equal(gradients[2].numpy(), [1, 1])


def test_an_empty_batch_gives_zero_gradients(device):
    x, weight, dy = (to_device(np.ones(shape)) for shape in ((0, 3), (2, 3), (0, 2)))
    assert cuda.linear(x, weight).shape == (0, 2)
    dx, dweight, dbias = cuda.linear_backward(dy, x, weight)
    assert dx.shape == (0, 3)
    np.testing.assert_array_equal(dweight.numpy(), np.zeros((2, 3)))
    np.testing.assert_array_equal(dbias.numpy(), np.zeros(2))


def test_shapes_that_do_not_fit_are_refused(device):
    x, weight = to_device(np.ones((2, 3))), to_device(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="expected x"):
        cuda.linear(x, weight)
    with pytest.raises(ShapeError, match="expected out"):
        cuda.linear_backward(x, x, to_device(np.ones((3, 3))), out=weight)
