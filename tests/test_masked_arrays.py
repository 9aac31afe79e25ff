"""Masked arrays (numpy.ma) are refused wherever arrays enter: nothing here heeds a mask, and it would be lost."""

import numpy as np
import pytest
from tiny_training import tiny_arrays, tiny_trainer

import fastcnn as fc
from fastcnn import ops
from fastcnn.data import ArraySamples, ImageSamples, contact_sheet, save_png, scale_pixels, soft_targets, write_idx
from fastcnn.judge import evaluate


def floats(*shape):
    return np.zeros(shape, np.float32)


def bytes_(*shape):
    return np.zeros(shape, np.uint8)


X, W, DY, POOLED = floats(2, 3, 6, 6), floats(4, 3, 3, 3), floats(2, 4, 4, 4), floats(2, 4, 2, 2)
ROWS, CLASSES = floats(4, 10), np.arange(4)
CALLS = {
    "conv2d": (ops.conv2d, X, W, floats(4)),
    "conv2d_backward_input": (lambda dy, w: ops.conv2d_backward_input(dy, w, X.shape), DY, W),
    "conv2d_backward_weight": (lambda dy, x: ops.conv2d_backward_weight(dy, x, W.shape), DY, X),
    "conv2d_relu_max_pool2d": (ops.conv2d_relu_max_pool2d, X, W, floats(4)),
    "conv2d_relu_max_pool2d_backward": (
        ops.conv2d_relu_max_pool2d_backward, POOLED, POOLED, bytes_(*POOLED.shape), X, W,
    ),
    "matmul": (ops.matmul, floats(2, 3), floats(3, 2)),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), X),
    "max_pool2d_backward": (
        lambda dy, argmax: ops.max_pool2d_backward(dy, argmax, DY.shape, 2), POOLED, bytes_(*POOLED.shape),
    ),
    "relu_backward": (ops.relu_backward, ROWS, ROWS),
    "concat": (lambda *arrays: ops.concat(arrays), ROWS, ROWS),
    "cross_entropy": (ops.cross_entropy, ROWS, CLASSES),
    "cross_entropy, soft": (ops.cross_entropy, ROWS, ROWS),
    "cross_entropy_backward": (ops.cross_entropy_backward, floats(4), ROWS, CLASSES),
    "adam_update": (
        lambda *arrays: ops.adam_update(*arrays, 0.1, 0.9, 0.9, 1e-8, 1), floats(3), floats(3), floats(3), floats(3),
    ),
    "a layer": (fc.Linear(10, 2), ROWS),
    "a model": (fc.Sequential(fc.Linear(10, 2)), ROWS),
    "a frozen model": (fc.Sequential(fc.Linear(10, 2)).freeze(), ROWS),
    "a loss": (fc.CrossEntropyLoss(), ROWS, CLASSES),
    "a loss of soft targets": (fc.ProductLoss(), ROWS, ROWS),
    "a parameter": (lambda values: setattr(fc.Parameter((3,)), "data", values), floats(3)),
    "ArraySamples": (ArraySamples, ROWS, CLASSES),
    "ImageSamples": (ImageSamples, bytes_(4, 1, 5, 5), CLASSES),
    "check": (fc.data.check, bytes_(4, 1, 5, 5), CLASSES),
    "scale_pixels": (lambda images: scale_pixels(images, "unit", "float32"), bytes_(2, 3)),
    "soft_targets": (lambda labels: soft_targets(labels, "float32"), CLASSES),
    "mnist_style": (fc.data.mnist_style, bytes_(9, 9)),
    "mnist_row": (fc.data.mnist_row, bytes_(9, 9)),
    "write_idx": (lambda array: write_idx("/no/such/folder/file", array), bytes_(4)),
    "save_png": (lambda images: save_png("/no/such/folder/picture.png", images), bytes_(4, 4)),
    "contact_sheet": (lambda images, labels: contact_sheet(images, labels, ROWS), bytes_(4, 1, 5, 5), CLASSES),
    "fit": (lambda x, y: tiny_trainer().fit(x, y), *tiny_arrays(10)),
    "fit in batches": (lambda x, y: tiny_trainer().fit([(x, y)]), *tiny_arrays(10)),
    "fit of several targets": (lambda x, y: tiny_trainer().fit(x, [y, y]), *tiny_arrays(10)),
    "validation": (lambda x, y: tiny_trainer().fit(*tiny_arrays(10), validation=(x, y)), *tiny_arrays(10)),
    "evaluate": (lambda x, y: evaluate(tiny_trainer().model, [(x, y)]), *tiny_arrays(10)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_masked_array_is_refused_in_every_place_and_the_remedy_said(name):
    call, *arrays = CALLS[name]
    for place, array in enumerate(arrays):
        masked = [*arrays]
        masked[place] = np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == 1)
        with pytest.raises(fc.DTypeError, match=r"must be a plain array, got a masked one, .*\.filled\(0\)$"):
            call(*masked)


@pytest.mark.parametrize("name", ["parameter", "optimizer"])
def test_a_state_dict_of_masked_arrays_is_refused(name):
    model = fc.Sequential(fc.Linear(3, 2))
    optimizer = fc.RMSprop(model.parameters())
    owner, entry = {"parameter": (model, "linear1.weight"), "optimizer": (optimizer, "square_average")}[name]
    state = owner.state_dict()
    state[entry] = np.ma.masked_equal(state[entry], 0)
    with pytest.raises(fc.DTypeError, match=f"{entry} must be a plain array, got a masked one"):
        owner.load_state_dict(state)


def test_a_list_of_masked_rows_is_refused():
    rows = [np.ma.masked_less(np.arange(3.0), 1)] * 4
    with pytest.raises(fc.DTypeError, match="x must be a plain array, got a masked one"):
        ArraySamples(rows, CLASSES)


def test_other_subclasses_of_arrays_are_taken_as_ever(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    assert (ops.conv2d(mapped, W) == ops.conv2d(X, W)).all()
