"""What the door of the operations turns away, in one clear line."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastcnn import _core, ops
from fastcnn.errors import ConfigError, DTypeError, FastcnnError, ShapeError


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def huge(*shape):
    """An array of any shape over a single number, so large that no machine could copy it."""
    return np.broadcast_to(np.float32(0), shape)


X = zeros(2, 3, 5, 6)
W = zeros(4, 3, 3, 3)
DY = zeros(2, 4, 3, 4)
POOLED = zeros(2, 3, 2, 3)
ARGMAX = np.zeros(POOLED.shape, np.uint8)
LOGITS = zeros(4, 10)
CLASSES = np.arange(4)


def adam(step=1, beta1=0.9, beta2=0.999, **arrays):
    given = {name: zeros(5) for name in ("data", "grad", "first_moment", "second_moment")} | arrays
    ops.adam_update(**given, lr=0.1, beta1=beta1, beta2=beta2, eps=1e-8, step=step)


def fused_backward(**arrays):
    given = {"dy": zeros(2, 4, 1, 2), "y": zeros(2, 4, 1, 2), "argmax": np.zeros((2, 4, 1, 2), np.uint8), **arrays}
    ops.conv2d_relu_max_pool2d_backward(**given, x=X, weight=W)


BAD_SHAPES = {
    "kernel taller than the input": lambda: ops.conv2d(X, zeros(4, 3, 6, 3)),
    "kernel wider than the input": lambda: ops.conv2d(X, zeros(4, 3, 3, 7)),
    "dilated kernel larger than the input": lambda: ops.conv2d(X, W, dilation=3),
    "stride 0": lambda: ops.conv2d(X, W, stride=0),
    "stride 0 in one direction": lambda: ops.conv2d(X, W, stride=(1, 0)),
    "negative stride": lambda: ops.conv2d(X, W, stride=-1),
    "negative padding": lambda: ops.conv2d(X, W, padding=-1),
    "dilation 0": lambda: ops.conv2d(X, W, dilation=0),
    "empty kernel": lambda: ops.conv2d(X, zeros(4, 3, 0, 3)),
    "empty input": lambda: ops.conv2d(zeros(2, 3, 0, 6), W),
    "channels that differ": lambda: ops.conv2d(X, zeros(4, 2, 3, 3)),
    "input without a channel axis": lambda: ops.conv2d(X[0], W),
    "weight of three axes": lambda: ops.conv2d(X, W[0]),
    "bias of another length": lambda: ops.conv2d(X, W, zeros(3)),
    "bias of two axes": lambda: ops.conv2d(X, W, zeros(4, 1)),
    "dy of another batch": lambda: ops.conv2d_backward_input(zeros(3, 4, 3, 4), W, X.shape),
    "dy of another size": lambda: ops.conv2d_backward_input(zeros(2, 4, 4, 4), W, X.shape),
    "dy of other channels": lambda: ops.conv2d_backward_input(zeros(2, 5, 3, 4), W, X.shape),
    "input shape of other channels": lambda: ops.conv2d_backward_input(DY, W, (2, 2, 5, 6)),
    "input shape of three numbers": lambda: ops.conv2d_backward_input(DY, W, (2, 3, 5)),
    "negative input shape": lambda: ops.conv2d_backward_input(DY, W, (-2, 3, 5, 6)),
    "weight gradient, dy of another size": lambda: ops.conv2d_backward_weight(DY[..., 1:], X, W.shape),
    "weight gradient, other channels": lambda: ops.conv2d_backward_weight(DY, X, (4, 2, 3, 3)),
    "weight gradient, other outputs": lambda: ops.conv2d_backward_weight(DY, X, (5, 3, 3, 3)),
    "weight gradient, negative kernel": lambda: ops.conv2d_backward_weight(DY, X, (4, 3, -3, 3)),
    "weight gradient, stride 0": lambda: ops.conv2d_backward_weight(DY, X, W.shape, 0),
    "bias gradient of a vector": lambda: ops.conv2d_backward_bias(zeros(4)),
    "im2col, kernel 0": lambda: ops.im2col(X, 0),
    "im2col, kernel larger than the input": lambda: ops.im2col(X, 6),
    "col2im, rows that do not fit": lambda: ops.col2im(zeros(2, 26, 12), X.shape, 3),
    "col2im, columns that do not fit": lambda: ops.col2im(zeros(2, 27, 11), X.shape, 3),
    "col2im, another batch": lambda: ops.col2im(zeros(1, 27, 12), X.shape, 3),
    "inner sizes that differ": lambda: ops.matmul(zeros(3, 4), zeros(5, 6)),
    "inner sizes that differ once transposed": lambda: ops.matmul(zeros(3, 4), zeros(4, 6), transpose_a=True),
    "product with a vector": lambda: ops.matmul(zeros(3, 4), zeros(4)),
    "product of a stack": lambda: ops.matmul(zeros(2, 3, 4), zeros(2, 4, 3)),
    "window taller than the input": lambda: ops.max_pool2d(X, (6, 2)),
    "window of no cells": lambda: ops.max_pool2d(X, 0),
    "window stride 0": lambda: ops.max_pool2d(X, 2, 0),
    "window padding over half the window": lambda: ops.max_pool2d(X, 3, 1, 2),
    "negative window padding": lambda: ops.max_pool2d(X, 3, 1, -1),
    "window of 256 cells": lambda: ops.max_pool2d(zeros(1, 1, 20, 20), 16),
    "pooling of three axes": lambda: ops.max_pool2d(X[0], 2),
    "pooled dy of another size": lambda: ops.max_pool2d_backward(POOLED[..., 1:], ARGMAX, X.shape, 2),
    "argmax of another size": lambda: ops.max_pool2d_backward(POOLED, ARGMAX[..., 1:], X.shape, 2),
    "pooled input shape of three numbers": lambda: ops.max_pool2d_backward(POOLED, ARGMAX, X.shape[1:], 2),
    "average window taller than the input": lambda: ops.avg_pool2d(X, (6, 2)),
    "average window of no cells": lambda: ops.avg_pool2d(X, 0),
    "average padding over half the window": lambda: ops.avg_pool2d(X, 3, 1, 2),
    "average of three axes": lambda: ops.avg_pool2d(X[0], 2),
    "averaged dy of another size": lambda: ops.avg_pool2d_backward(POOLED[..., 1:], X.shape, 2),
    "averaged input shape of three numbers": lambda: ops.avg_pool2d_backward(POOLED, X.shape[1:], 2),
    "ReLU gradient of another size": lambda: ops.relu_backward(zeros(3), zeros(4)),
    "ReLU gradient that would broadcast": lambda: ops.relu_backward(zeros(1), zeros(4)),
    "leaky ReLU gradient of another size": lambda: ops.leaky_relu_backward(zeros(3), zeros(4)),
    "sigmoid gradient of another size": lambda: ops.sigmoid_backward(zeros(3), zeros(4)),
    "tanh gradient of another size": lambda: ops.tanh_backward(zeros(3), zeros(4)),
    "terms of two sizes": lambda: ops.add(zeros(3), zeros(4)),
    "terms that would broadcast": lambda: ops.add(zeros(4), zeros(1)),
    "parts that differ behind the axis": lambda: ops.concat([zeros(2, 3, 4), zeros(2, 3, 5)]),
    "parts that differ before the axis": lambda: ops.concat([zeros(2, 3, 4), zeros(1, 3, 4)]),
    "parts of two ranks": lambda: ops.concat([zeros(2, 3), zeros(2, 3, 1)]),
    "an axis past the last": lambda: ops.concat([zeros(2, 3)], 2),
    "an axis before the first": lambda: ops.concat([zeros(2, 3)], -3),
    "a word for an axis": lambda: ops.concat([zeros(2, 3)], "channels"),
    "parts that are no arrays of axes": lambda: ops.concat([zeros()], 0),
    "sizes that do not add up": lambda: ops.concat_backward(zeros(2, 5), (2, 2)),
    "sizes of no parts": lambda: ops.concat_backward(zeros(2, 0), ()),
    "a size below zero": lambda: ops.concat_backward(zeros(2, 5), (6, -1)),
    "sizes with a fraction": lambda: ops.concat_backward(zeros(2, 5), (2.5, 2.5)),
    "softmax of a vector": lambda: ops.softmax(zeros(10)),
    "softmax of no classes": lambda: ops.softmax(zeros(4, 0)),
    "softmax gradient of another size": lambda: ops.softmax_backward(zeros(4, 9), LOGITS),
    "log-softmax of a vector": lambda: ops.log_softmax(zeros(10)),
    "log-softmax gradient of another size": lambda: ops.log_softmax_backward(zeros(5, 10), LOGITS),
    "too few class indices": lambda: ops.cross_entropy(LOGITS, CLASSES[1:]),
    "soft targets of another size": lambda: ops.cross_entropy(LOGITS, zeros(4, 9)),
    "logits of one axis": lambda: ops.cross_entropy(LOGITS[0], CLASSES),
    "loss gradient of another size": lambda: ops.cross_entropy_backward(zeros(5), LOGITS, CLASSES),
    "RMSprop, gradient of another size": lambda: ops.rmsprop_update(zeros(5), zeros(4), zeros(5), 0.1, 0.9, 0.1),
    "RMSprop, mean square of another size": lambda: ops.rmsprop_update(zeros(5), zeros(5), zeros(4), 0.1, 0.9, 0.1),
    "SGD, gradient of another size": lambda: ops.sgd_update(zeros(5), zeros(1), 0.1),
    "momentum, velocity of another size": lambda: ops.momentum_update(zeros(5), zeros(5), zeros(4), 0.1, 0.9),
    "Adam, gradient of another size": lambda: adam(grad=zeros(4)),
    "Adam, first moment of another size": lambda: adam(first_moment=zeros(4)),
    "Adam, second moment of another size": lambda: adam(second_moment=zeros(4)),
    "penalty on weights of another size": lambda: ops.adjust_gradient(zeros(5), zeros(4)),
    "fused, window larger than the convolution": lambda: ops.conv2d_relu_max_pool2d(X, W, pool_size=4),
    "fused, bias of another length": lambda: ops.conv2d_relu_max_pool2d(X, W, zeros(3)),
    "fused, channels that differ": lambda: ops.conv2d_relu_max_pool2d(X, zeros(4, 2, 3, 3)),
    "fused, dy of another size": lambda: fused_backward(dy=zeros(2, 4, 1, 1)),
    "fused, y of another size": lambda: fused_backward(y=zeros(2, 4, 1, 1)),
    "fused, argmax of another size": lambda: fused_backward(argmax=np.zeros((2, 4, 1, 1), np.uint8)),
    "fused, argmax outside its window": lambda: fused_backward(argmax=np.full((2, 4, 1, 2), 4, np.uint8)),
}

BEYOND_MEMORY = {
    "outputs past 2**63": lambda: ops.conv_output_shape((2**31, 1, 2**16, 2**15), (2**4, 1, 1, 1), 1, 0, 1),
    "inputs past 2**63": lambda: ops.conv_output_shape((2**31, 2**31, 2**31, 4), (1, 2**31, 1, 1), 2**30, 0, 1),
    "weights past 2**63": lambda: ops.conv_output_shape((1, 2**31, 1, 1), (2**31, 2**31, 1, 1), 1, 0, 1),
    "padding past 2**63": lambda: ops.conv_output_shape((1, 1, 4, 4), (1, 1, 3, 3), 1, 2**62, 1),
    "dilation past 2**63": lambda: ops.conv_output_shape((1, 1, 4, 4), (1, 1, 5, 5), 1, 0, 2**62),
    "stride past 2**64": lambda: ops.conv_output_shape((1, 1, 4, 4), (1, 1, 3, 3), 2**64, 0, 1),
    "pooled past 2**63": lambda: ops.pool_output_shape((2**31, 2**31, 2**16, 2), 1, 1, 0),
    "pooling stride past 2**64": lambda: ops.pool_output_shape((1, 1, 4, 4), 2, 2**64, 0),
    "convolution": lambda: ops.conv2d(huge(2**30, 1, 2**15, 2**14), huge(2**10, 1, 1, 1)),
    "input gradient": lambda: ops.conv2d_backward_input(DY, W, (2**40, 2**40, 5, 6)),
    "weight gradient": lambda: ops.conv2d_backward_weight(DY, X, (2**40, 2**40, 3, 3)),
    "columns": lambda: ops.im2col(huge(2**20, 2**10, 2**15, 2**14), 3, 1, 1),
    "image of columns": lambda: ops.col2im(zeros(1, 1, 1), (2**40, 2**40, 3, 3), 3),
    "product": lambda: ops.matmul(huge(2**50, 1), huge(1, 2**50)),
    "pooling gradient": lambda: ops.max_pool2d_backward(POOLED, ARGMAX, (2**40, 2**40, 5, 6), 2),
    "averaging gradient": lambda: ops.avg_pool2d_backward(POOLED, (2**40, 2**40, 5, 6), 2),
    "joined arrays": lambda: ops.concat([huge(2**30, 1, 2**28), huge(2**30, 3, 2**28)]),
}

BAD_DTYPES = {
    "integers": lambda: ops.conv2d(X.astype(int), W.astype(int)),
    "half precision": lambda: ops.conv2d(X.astype(np.float16), W.astype(np.float16)),
    "complex numbers": lambda: ops.matmul(zeros(3, 3, dtype=complex), zeros(3, 3, dtype=complex)),
    "objects": lambda: ops.relu(zeros(3, dtype=object)),
    "booleans": lambda: ops.relu(zeros(3, dtype=bool)),
    "integer ReLU": lambda: ops.relu(np.arange(3)),
    "integer dropout": lambda: ops.dropout(np.arange(3), 0.5, 0),
    "integer pooling": lambda: ops.max_pool2d(X.astype(int), 2),
    "integer softmax": lambda: ops.softmax(LOGITS.astype(int)),
    "weight of another type": lambda: ops.conv2d(X, W.astype(float)),
    "bias of another type": lambda: ops.conv2d(X, W, zeros(4, dtype=float)),
    "dy of another type": lambda: ops.conv2d_backward_input(DY.astype(float), W, X.shape),
    "x of another type": lambda: ops.conv2d_backward_weight(DY, X.astype(float), W.shape),
    "factors of two types": lambda: ops.matmul(zeros(3, 3), zeros(3, 3, dtype=float)),
    "integer averaging": lambda: ops.avg_pool2d(X.astype(int), 2),
    "integer leaky ReLU": lambda: ops.leaky_relu(np.arange(3)),
    "integer sigmoid": lambda: ops.sigmoid(np.arange(3)),
    "integer tanh": lambda: ops.tanh(np.arange(3)),
    "integer norm": lambda: ops.sum_of_squares(np.arange(3)),
    "terms of two types": lambda: ops.add(zeros(3), zeros(3, dtype=float)),
    "parts of two types": lambda: ops.concat([zeros(2, 3), zeros(2, 3, dtype=float)]),
    "no parts": lambda: ops.concat([]),
    "one array in place of parts": lambda: ops.concat(zeros(2, 3)),
    "a number among the parts": lambda: ops.concat([zeros(2, 3), 1.0]),
    "leaky ReLU gradient of another type": lambda: ops.leaky_relu_backward(zeros(3), zeros(3, dtype=float)),
    "moment of another type": lambda: adam(second_moment=zeros(5, dtype=float)),
    "penalty on weights of another type": lambda: ops.adjust_gradient(zeros(5), zeros(5, dtype=float)),
    "fused, weight of another type": lambda: ops.conv2d_relu_max_pool2d(X, W.astype(float)),
    "fused, y of another type": lambda: fused_backward(y=zeros(2, 4, 1, 2, dtype=float)),
    "fused, wide argmax": lambda: fused_backward(argmax=np.zeros((2, 4, 1, 2), int)),
    "wide argmax": lambda: ops.max_pool2d_backward(POOLED, ARGMAX.astype(int), X.shape, 2),
    "ReLU gradient of another type": lambda: ops.relu_backward(zeros(3), zeros(3, dtype=float)),
    "softmax gradient of another type": lambda: ops.softmax_backward(LOGITS.astype(float), LOGITS),
    "soft targets of another type": lambda: ops.cross_entropy(LOGITS, LOGITS.astype(float)),
    "optimizer, gradient of another type": lambda: ops.sgd_update(zeros(5), zeros(5, dtype=float), 0.1),
    "optimizer on integers": lambda: ops.sgd_update(np.arange(5), np.arange(5), 1),
}


def argmax_with(value):
    argmax = ARGMAX.copy()
    argmax[1, 2, 1, 2] = value
    return argmax


def padded_argmax(value):
    argmax = np.full((1, 1, 2, 2), 4, np.uint8)
    argmax[0, 0, 0, 0] = value
    return ops.max_pool2d_backward(zeros(1, 1, 2, 2), argmax, (1, 1, 4, 4), 3, 2, 1)


def read_only():
    data = zeros(5)
    data.flags.writeable = False
    return data


BAD_VALUES = {
    "class indices with a fraction": lambda: ops.cross_entropy(LOGITS, CLASSES.astype(np.float32)),
    "unknown algorithm": lambda: ops.conv2d(X, W, algorithm="fast"),
    "unknown algorithm backwards": lambda: ops.conv2d_backward_input(DY, W, X.shape, algorithm=""),
    "three strides": lambda: ops.conv2d(X, W, stride=(1, 1, 1)),
    "half a stride": lambda: ops.conv2d(X, W, stride=1.5),
    "a word for a stride": lambda: ops.conv2d(X, W, stride="same"),
    "argmax outside its window": lambda: ops.max_pool2d_backward(POOLED, argmax_with(4), X.shape, 2),
    "largest argmax": lambda: ops.max_pool2d_backward(POOLED, argmax_with(255), X.shape, 2),
    "argmax in the padding above": lambda: padded_argmax(1),
    "argmax in the padding on the left": lambda: padded_argmax(3),
    "class index too large": lambda: ops.cross_entropy(LOGITS, np.array([0, 1, 2, 10])),
    "negative class index": lambda: ops.cross_entropy(LOGITS, np.array([0, 1, -1, 9])),
    "class index past 2**32": lambda: ops.cross_entropy(LOGITS, np.array([0, 2**32, 1, 9])),
    "class index too large, backwards": lambda: ops.cross_entropy_backward(zeros(4), LOGITS, np.array([0, 1, 2, 10])),
    "negative probability": lambda: ops.dropout(X, -0.1, 0),
    "probability over 1": lambda: ops.dropout(X, 1.1, 0),
    "probability NaN": lambda: ops.dropout(X, float("nan"), 0),
    "data that cannot be written": lambda: ops.sgd_update(read_only(), zeros(5), 0.1),
    "a velocity that cannot be written": lambda: ops.momentum_update(zeros(5), zeros(5), read_only(), 0.1, 0.9),
    "a moment that cannot be written": lambda: adam(first_moment=read_only()),
    "a gradient that cannot be written": lambda: ops.adjust_gradient(read_only(), zeros(5)),
    "a limit below zero": lambda: ops.adjust_gradient(zeros(5), zeros(5), limit=-1.0),
    "a limit that is NaN": lambda: ops.adjust_gradient(zeros(5), zeros(5), limit=float("nan")),
    "step 0": lambda: adam(step=0),
    "a step past 2**63": lambda: adam(step=2**63),
    "half a step": lambda: adam(step=1.5),
    "beta 1": lambda: adam(beta1=1.0),
    "negative beta": lambda: adam(beta2=-0.1),
    "an infinite slope": lambda: ops.leaky_relu(X, float("inf")),
    "a slope that is NaN": lambda: ops.leaky_relu_backward(X, X, float("nan")),
    "a list for an algorithm": lambda: ops.conv2d(X, W, algorithm=["auto"]),
    "fused, unknown algorithm": lambda: ops.conv2d_relu_max_pool2d(X, W, algorithm="fast"),
}


def bad(table):
    return pytest.mark.parametrize("call", table.values(), ids=table.keys())


@bad(BAD_SHAPES)
def test_shapes_that_do_not_fit_are_shape_errors(call):
    with pytest.raises(ShapeError):
        call()


@bad(BEYOND_MEMORY)
def test_shapes_past_the_address_space_are_shape_errors(call):
    with pytest.raises(ShapeError):
        call()


@bad(BAD_DTYPES)
def test_other_element_types_are_dtype_errors(call):
    with pytest.raises(DTypeError):
        call()


@bad(BAD_VALUES)
def test_values_outside_their_range_are_errors(call):
    with pytest.raises(FastcnnError):
        call()


@bad(BAD_SHAPES | BEYOND_MEMORY | BAD_DTYPES | BAD_VALUES)
def test_the_message_is_one_line_that_names_the_operation(call):
    with pytest.raises(FastcnnError, match=r"\A\w+[^\n]{15,}\Z"):
        call()


def test_the_message_says_what_was_expected_and_what_came():
    with pytest.raises(ShapeError, match=r"conv2d.*expected .*2.*got .*3"):
        ops.conv2d(X, zeros(4, 2, 3, 3))


def test_output_shapes_name_who_asked():
    with pytest.raises(ShapeError, match="pool3"):
        ops.pool_output_shape((1, 1, 3, 3), 4, 4, 0, who="MaxPool2d 'pool3'")


def test_a_strided_arena_is_updated_or_refused_but_never_skipped():
    data = zeros(10)[::2]
    try:
        ops.sgd_update(data, np.ones(5, np.float32), 1.0)
    except FastcnnError:
        return
    assert_array_equal(data, -np.ones(5))


@pytest.mark.parametrize("dimensions", [33, 64])
def test_any_number_of_dimensions_that_numpy_has_is_taken(dimensions):
    x = np.full((1,) * dimensions, -1.0)
    assert_array_equal(ops.relu(x), np.zeros_like(x))


def test_a_fraction_is_no_stride_even_where_its_value_was_taken_before():
    x, weight = np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))
    ops.conv2d(x, weight, stride=2)
    with pytest.raises(ShapeError, match="stride must be an int"):
        ops.conv2d(x, weight, stride=2.0)


@pytest.mark.parametrize("argument", ["stride", "padding", "dilation"])
def test_a_size_past_what_can_be_addressed_is_not_called_too_small(argument):
    with pytest.raises(ShapeError, match=r"more elements than can be addressed|does not fit"):
        ops.conv_output_shape((1, 1, 4, 4), (1, 1, 2, 2), **{argument: 1 << 62})


@pytest.mark.parametrize("count", [0, -1, 1025, 10**30, 1.5, "2"])
def test_a_number_of_threads_is_a_whole_number_in_bounds(count):
    with pytest.raises(ConfigError, match="number of threads"):
        _core.set_num_threads(count)


def test_shapes_whose_scratch_memory_could_not_be_addressed_are_shape_errors():
    f, reach = np.float32, 2**58 - 4
    with pytest.raises(ShapeError, match="addressed"):
        dy, weight = np.ones((1, 32, 1, 1), f), np.ones((32, 1, 2, 1), f)
        ops.conv2d_backward_input(dy, weight, (1, 1, 1, 1), padding=(2**58 - 1, 0), dilation=(2**59 - 2, 1))
    with pytest.raises(ShapeError, match="addressed"):
        x, weight = np.ones((1, 1, 1, 1), f), np.ones((1, 1, 2, 1), f)
        ops.conv2d(x, weight, padding=(2**58 - 1, 0), dilation=(2**59 - 2, 1))
    with pytest.raises(ShapeError, match="addressed"):
        x = np.ones((1, 1, 1, 1))
        geometry = {"stride": (reach, 2), "padding": (reach // 2, 1), "dilation": (reach, 2)}
        ops.conv2d_backward_weight(x, x, (1, 1, 2, 2), **geometry)


def test_an_update_reads_its_gradient_before_it_writes():
    values = np.arange(40_000.0)
    expected = values[1:] - 0.5 * values[:-1]
    ops.sgd_update(values[1:], values[:-1], 0.5)
    assert_array_equal(values[1:], expected)


def test_an_update_of_two_arrays_in_one_place_is_refused():
    data = zeros(5)
    with pytest.raises(ShapeError, match="overlap"):
        ops.rmsprop_update(data, zeros(5), data, 0.1, 0.9, 1e-8)
    with pytest.raises(ShapeError, match="overlap"):
        ops.momentum_update(data, zeros(5), data, 0.1, 0.9)
    with pytest.raises(ShapeError, match="first_moment and second_moment overlap"):
        adam(first_moment=data, second_moment=data)


def test_an_update_may_keep_its_state_where_the_gradient_was():
    data, shared, velocity = np.zeros(5), np.arange(5.0), np.arange(5.0)
    expected = data.copy()
    ops.momentum_update(expected, shared.copy(), velocity, 1.0, 0.5)
    ops.momentum_update(data, shared, shared, 1.0, 0.5)
    assert_array_equal(data, expected)
