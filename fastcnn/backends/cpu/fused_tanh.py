"""Convolution, tanh and average-pooling in one call."""

from fastcnn import _core
from fastcnn.backends.arrays import Array, checked, plain, same_shape
from fastcnn.backends.cpu.convolution import algorithm_number, bias_of
from fastcnn.backends.shapes import Size, conv_shape, pool_shape


def conv2d_tanh_avg_pool2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
) -> tuple[Array, Array]:
    who = "conv2d_tanh_avg_pool2d"
    x = checked(who, "x", x)
    weight = checked(who, "weight", weight, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who, argmax=False)
    number, bias = algorithm_number(who, algorithm, shape), bias_of(who, bias, weight)
    return _core.conv_tanh_pool(shape, pooling, number, plain(x), plain(weight), bias)


def conv2d_tanh_avg_pool2d_backward(
    dy: Array,
    activated: Array,
    x: Array,
    weight: Array,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    who = "conv2d_tanh_avg_pool2d_backward"
    x = checked(who, "x", x)
    weight, dy = checked(who, "weight", weight, x.dtype), checked(who, "dy", dy, x.dtype)
    activated = checked(who, "activated", activated, x.dtype)
    shape = conv_shape(x.shape, weight.shape, stride, padding, dilation, who)
    pooling = pool_shape(shape.output, pool_size, None, 0, who, argmax=False)
    same_shape(who, "dy", dy, pooling.output, "input {}", x.shape)
    same_shape(who, "activated", activated, shape.output, "input {}", x.shape)
    number = algorithm_number(who, algorithm, shape)
    return _core.conv_tanh_pool_backward(
        shape, pooling, number, plain(dy), plain(activated), plain(x), plain(weight), input_gradient
    )
