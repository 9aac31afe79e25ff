"""Several operations in one call. The conventions are those of `fastcnn.ops`."""

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.backends import cpu
from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of
from fastcnn.backends.shapes import Size


def conv2d_relu_max_pool2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    for_backward: bool = True,
) -> tuple[Array, Array | None]:
    """``max_pool2d(relu(conv2d(x, weight, bias, ...)), pool_size)`` -> y (N, O, PH, PW), argmax alike; and dropout.

    The windows of the pooling lie side by side, without padding. The arguments up to `algorithm` but `pool_size` are
    those of `conv2d`, y and argmax those of `max_pool2d`, but that ``dropout(y, p, seed, offset)`` takes the place of y
    where p is not 0. One kernel does it all where it can (see `conv2d_relu_max_pool2d_algorithm`); the convolution's
    output is then never stored, and its sums go in another order than those of `conv2d`. Otherwise, and with algorithm
    "im2col", the kernels of each operation run one after the other and give their very bits. argmax is None without
    `for_backward`, and costs nothing.

    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> y, argmax = conv2d_relu_max_pool2d(x, weight)
    >>> y, argmax
    (array([[[[24.]]]]), array([[[[3]]]], dtype=uint8))
    """
    return backend_of(x).conv2d_relu_max_pool2d(
        x, weight, bias, stride, padding, dilation, pool_size, algorithm, p, seed, offset, for_backward
    )


def conv2d_relu_max_pool2d_backward(
    dy: Array,
    y: Array,
    argmax: Array,
    x: Array,
    weight: Array,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of `conv2d_relu_max_pool2d` with respect to x, weight and bias.

    y and argmax are what it returned, and y tells what ReLU and dropout cut: it is 0 there, and nowhere else. Where one
    kernel did the forward, others visit the active windows only, those with y > 0 and dy != 0: what is zero there is
    left out, also where its partner is infinite or NaN; but not for the weights of a single input channel, which some
    CPUs sum over all windows (csrc/conv_pool_one.inc). A NaN in y counts as active. Without `input_gradient` the first
    of the three is None and costs nothing.

    Raises:
        ShapeError: also if an argmax is not a cell of its window.

    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> y, argmax = conv2d_relu_max_pool2d(x, weight)
    >>> dx, dweight, dbias = conv2d_relu_max_pool2d_backward(np.ones((1, 1, 1, 1)), y, argmax, x, weight)
    >>> dweight, dbias
    (array([[[[4., 5.],
             [7., 8.]]]]), array([1.]))
    """
    return backend_of(dy).conv2d_relu_max_pool2d_backward(
        dy, y, argmax, x, weight, stride, padding, dilation, pool_size, algorithm, p, input_gradient
    )


def conv2d_relu_max_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: DTypeLike = np.float32,
) -> str | None:
    """What `conv2d_relu_max_pool2d` takes for these shapes: "direct", "winograd", or None for a kernel each.

    One kernel takes stride 1, dilation 1, filters up to 7x7 and square windows up to 3x3: csrc/conv_pool.inc, or
    csrc/winograd.inc.

    >>> conv2d_relu_max_pool2d_algorithm((100, 32, 14, 14), (64, 32, 3, 3), padding=1)
    'winograd'
    """
    return cpu.conv2d_relu_max_pool2d_algorithm(input_shape, weight_shape, stride, padding, dilation, pool_size, dtype)


def conv2d_relu_avg_pool2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    for_backward: bool = True,
) -> tuple[Array, Array | None]:
    """``avg_pool2d(relu(conv2d(x, weight, bias, ...)), pool_size)`` -> y (N, O, PH, PW), active alike, uint8.

    As `conv2d_relu_max_pool2d`, with the mean of each window instead of its largest pixel. Bit ``p`` of an ``active``
    says that ReLU let pixel ``p`` of the window through, counted along its rows: the pixel is above 0, or NaN.
    active is None without `for_backward`.

    Raises:
        ShapeError: also for windows of more than 8 pixels.

    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3) - 4, np.ones((1, 1, 2, 2))
    >>> y, active = conv2d_relu_avg_pool2d(x, weight)
    >>> y, active
    (array([[[[3.]]]]), array([[[[12]]]], dtype=uint8))
    """
    return backend_of(x).conv2d_relu_avg_pool2d(
        x, weight, bias, stride, padding, dilation, pool_size, algorithm, for_backward
    )


def conv2d_relu_avg_pool2d_backward(
    dy: Array,
    active: Array,
    x: Array,
    weight: Array,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    algorithm: str = "auto",
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """Gradients of `conv2d_relu_avg_pool2d` with respect to x, weight and bias.

    active is what it returned; bits past a window's pixels don't count. Where one kernel did the forward, pixels that
    no window reads take no part. Without `input_gradient` the first of the three is None and costs nothing.

    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3) - 4, np.ones((1, 1, 2, 2))
    >>> y, active = conv2d_relu_avg_pool2d(x, weight)
    >>> dx, dweight, dbias = conv2d_relu_avg_pool2d_backward(np.ones((1, 1, 1, 1)), active, x, weight)
    >>> dweight, dbias
    (array([[[[-0.25,  0.25],
             [ 1.25,  1.75]]]]), array([0.5]))
    """
    return backend_of(dy).conv2d_relu_avg_pool2d_backward(
        dy, active, x, weight, stride, padding, dilation, pool_size, algorithm, input_gradient
    )


def conv2d_relu_avg_pool2d_algorithm(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    pool_size: Size = 2,
    dtype: DTypeLike = np.float32,
) -> str | None:
    """What `conv2d_relu_avg_pool2d` takes for these shapes: as `conv2d_relu_max_pool2d_algorithm`, with 2x2 windows.

    >>> conv2d_relu_avg_pool2d_algorithm((64, 1, 28, 28), (20, 1, 3, 3))
    'direct'
    """
    return cpu.conv2d_relu_avg_pool2d_algorithm(input_shape, weight_shape, stride, padding, dilation, pool_size, dtype)
