"""Convolution, tanh and average-pooling in one call: a kernel each."""

from fastcnn.backends.cuda.array import DeviceArray
from fastcnn.backends.cuda.convolution import (
    conv2d,
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
)
from fastcnn.backends.cuda.pointwise import tanh, tanh_backward
from fastcnn.backends.cuda.pooling import avg_pool2d, avg_pool2d_backward
from fastcnn.backends.shapes import Size


def conv2d_tanh_avg_pool2d(
    x: DeviceArray,
    weight: DeviceArray,
    bias: DeviceArray | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
) -> tuple[DeviceArray, DeviceArray]:
    activated = tanh(conv2d(x, weight, bias, stride, padding, dilation, algorithm))
    return avg_pool2d(activated, pool_size), activated


def conv2d_tanh_avg_pool2d_backward(
    dy: DeviceArray,
    activated: DeviceArray,
    x: DeviceArray,
    weight: DeviceArray,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    how = (stride, padding, dilation, algorithm)
    dz = tanh_backward(avg_pool2d_backward(dy, activated.shape, pool_size), activated)
    dx = conv2d_backward_input(dz, weight, x.shape, *how) if input_gradient else None
    return dx, conv2d_backward_weight(dz, x, weight.shape, *how), conv2d_backward_bias(dz)
