"""Losses of outputs on the GPU: as on the CPU, on arrays of the GPU."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import fastcnn as fc
from fastcnn.cuda import DeviceArray, to_device

LOGITS = np.array([[1.0, 2.0, 4.0], [0.0, 3.0, 1.0]])
LOSSES = {
    "class indices": (fc.CrossEntropyLoss("none"), np.array([2, 0])),
    "soft targets": (fc.CrossEntropyLoss("none"), np.array([[0.5, 0.25, 0.25], [0, 0, 1]])),
    "the product": (fc.ProductLoss("none"), np.array([2, 0])),
}


@pytest.mark.parametrize("where", [to_device, np.asarray], ids=["on the GPU", "on the host"])
@pytest.mark.parametrize(("loss", "target"), LOSSES.values(), ids=LOSSES)
def test_a_number_per_sample_comes_from_the_gpu_and_goes_back(device, loss, target, where):
    dvalue = np.array([2.0, -1.0])
    losses, backward = loss.forward(to_device(LOGITS), where(target))
    gradient = backward(where(dvalue))
    assert isinstance(losses, DeviceArray) and isinstance(gradient, DeviceArray)
    expected, on_cpu = loss.forward(LOGITS, target)
    assert_allclose(losses.numpy(), expected, rtol=1e-13)
    assert_allclose(gradient.numpy(), on_cpu(dvalue), rtol=1e-13)


def test_what_does_not_fit_is_said(device):
    logits, target = to_device(LOGITS), np.array([2, 0])
    _, backward = fc.CrossEntropyLoss("none").forward(logits, target)
    with pytest.raises(fc.ShapeError, match=r"expected dvalue \(2,\) of dtype float64, .* got \(3,\) of float64"):
        backward(to_device(np.ones(3)))
    with pytest.raises(fc.DTypeError, match=r"got \(2,\) of float32"):
        backward(to_device(np.ones(2, np.float32)))
    _, backward = fc.CrossEntropyLoss("none").forward(LOGITS, target)
    with pytest.raises(fc.DTypeError, match=r"dvalue is on the GPU, the logits are not; use dvalue\.numpy\(\)"):
        backward(to_device(np.ones(2)))
    with pytest.raises(fc.ShapeError, match=r"expected one array of outputs, got a list of 2; .* use MultiLoss"):
        fc.CrossEntropyLoss()([logits, logits], target)


def test_several_outputs_have_a_loss_each(device):
    loss = fc.MultiLoss([fc.CrossEntropyLoss(), fc.ProductLoss()], weights=[1, 0.5])
    targets = np.array([2, 0]), np.array([1, 1])
    value, backward = loss.forward([to_device(LOGITS)] * 2, targets)
    expected, on_cpu = loss.forward([LOGITS] * 2, targets)
    assert_allclose(value, expected, rtol=1e-13)
    for one, other in zip(backward(), on_cpu(), strict=True):
        assert_allclose(one.numpy(), other, rtol=1e-13)
