"""Convolution, and the matrix product that it can be turned into. The conventions are those of `fastcnn.ops`."""

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.backends import cpu
from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of
from fastcnn.backends.shapes import Size


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    """Cross-correlation of x (N, C, H, W) with weight (O, C, KH, KW), plus bias (O,) -> (N, O, OH, OW).

    ``OH = (H + 2*padding - dilation*(KH - 1) - 1) // stride + 1``. `algorithm` is "direct" or "im2col", which give the
    same sums, added in the same order; "winograd", for 3x3 and 5x5 filters with stride 1, dilation 1 and padding less
    than the filter, which multiplies up to 4.6 times less; or "auto", the fastest of the three, in float64 never
    Winograd's. `conv2d_algorithm` tells which that is.

    Where "auto" means Winograd's method it is off float64, on normally distributed float32 of up to 256 channels, by up
    to 5e-6 of the largest output ("direct": 2.5e-6). Outputs that don't read an outlier stay as exact as that: an image
    whose pixels differ too much in size, or are infinite or NaN, goes the direct way, with its bits. That is decided
    from the image alone (csrc/winograd_range.inc says how), so its bits don't depend on its batch. "winograd" by name
    measures nothing: a pixel is off by up to 1e-6 of itself in all outputs of its tile, and a NaN spoils them.
    A filter's outlier keeps to its own output channel, but there may put the border, which doesn't read it, off by 1e-6
    of itself times the largest pixel.

    >>> x, weight = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> conv2d(x, weight)
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    return backend_of(x).conv2d(x, weight, bias, stride, padding, dilation, algorithm)


def conv2d_backward_input(
    dy: Array,
    weight: Array,
    input_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    """Gradient of `conv2d` with respect to x: dy (N, O, OH, OW), weight (O, C, KH, KW) -> input_shape (N, C, H, W).

    >>> conv2d_backward_input(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), (1, 1, 3, 3))
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    return backend_of(dy).conv2d_backward_input(dy, weight, input_shape, stride, padding, dilation, algorithm)


def conv2d_backward_weight(
    dy: Array,
    x: Array,
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> Array:
    """Gradient of `conv2d` with respect to weight: dy (N, O, OH, OW), x (N, C, H, W) -> weight_shape (O, C, KH, KW).

    Where "auto" means Winograd's method it is off by up to 5e-6 of the largest ("direct": 1.5e-6); a batch with an
    image or a gradient that is unfit for it, as `conv2d` says, goes the direct way. Infinities and NaN show in the
    weights that read them, and in no others.

    >>> conv2d_backward_weight(np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3), (1, 1, 2, 2))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return backend_of(dy).conv2d_backward_weight(dy, x, weight_shape, stride, padding, dilation, algorithm)


def conv2d_backward_bias(dy: Array) -> Array:
    """Sum of dy (N, C, ...) over every axis but the second -> (C,): the gradient of any per-channel bias.

    >>> conv2d_backward_bias(np.ones((5, 2, 3, 3)))
    array([45., 45.])
    """
    return backend_of(dy).conv2d_backward_bias(dy)


def conv_output_shape(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    who: object = "conv2d",
) -> tuple[int, ...]:
    """Shape (N, O, OH, OW) that `conv2d` would return; errors begin with `who`.

    >>> conv_output_shape((100, 1, 28, 28), (32, 1, 3, 3), padding=1)
    (100, 32, 28, 28)
    """
    return cpu.conv_output_shape(input_shape, weight_shape, stride, padding, dilation, who)


def conv2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    direction: str = "forward",
    dtype: DTypeLike = np.float32,
) -> str:
    """The algorithm that "auto" means for these shapes on this CPU: "direct", "im2col" or "winograd".

    `direction` is "forward", "backward_input" or "backward_weight".

    >>> conv2d_algorithm((100, 1, 28, 28), (32, 1, 3, 3), padding=1)
    'direct'
    """
    return cpu.conv2d_algorithm(input_shape, weight_shape, stride, padding, dilation, direction, dtype)


def im2col(x: Array, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Array:
    """Columns (N, C*KH*KW, OH*OW) of x (N, C, H, W): every output pixel's window as a column; zeros outside x.

    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2)
    array([[[0., 1., 3., 4.],
            [1., 2., 4., 5.],
            [3., 4., 6., 7.],
            [4., 5., 7., 8.]]])
    """
    return backend_of(x).im2col(x, kernel_size, stride, padding, dilation)


def col2im(
    columns: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
) -> Array:
    """Adjoint of `im2col`: adds each entry of columns (N, C*KH*KW, OH*OW) to the cell it came from -> (N, C, H, W).

    >>> col2im(np.ones((1, 4, 4)), (1, 1, 3, 3), 2)
    array([[[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]]])
    """
    return backend_of(columns).col2im(columns, input_shape, kernel_size, stride, padding, dilation)


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Matrix product op(a) (M, K) @ op(b) (K, N) -> (M, N); op transposes where asked.

    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), transpose_b=True)
    array([[11.]])
    """
    return backend_of(a).matmul(a, b, transpose_a, transpose_b)
