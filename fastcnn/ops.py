"""The functional API: one function per operation, forwards and backwards side by side.

Conventions, true for every function here:

* Arrays are NumPy, `float32` or `float64`, all of one call of the same dtype; layout NCHW; any strides, read-only or
  not. Results are new C-contiguous arrays of that dtype. A batch of 0 is allowed, other sizes are at least 1.
* Sizes (`kernel_size`, `stride`, `padding`, `dilation`) are an int, or a pair (height, width).
* `dy` is the gradient of the loss with respect to the operation's output; a backward returns the gradient with respect
  to what its name says.
* Errors: `ShapeError` for sizes that do not fit, `DTypeError` for dtypes, `ConfigError` for settings out of range.
* Results are the same bits for any number of threads. Denormal numbers are flushed to zero inside kernels.
"""

import numpy as np
from numpy.typing import DTypeLike

from fastcnn.backends import cpu
from fastcnn.backends.cpu import Array
from fastcnn.backends.shapes import Size

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_algorithm",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv_output_shape",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "im2col",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "max_pool2d",
    "max_pool2d_backward",
    "pool_output_shape",
    "relu",
    "relu_backward",
    "rmsprop_update",
    "sgd_update",
    "softmax",
    "softmax_backward",
]


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

    ``OH = (H + 2*padding - dilation*(KH - 1) - 1) // stride + 1``. `algorithm` is "auto", "direct" or "im2col"; all
    give the same sums, added in the same order.

    >>> x, weight = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> conv2d(x, weight)
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    return cpu.conv2d(x, weight, bias, stride, padding, dilation, algorithm)


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
    return cpu.conv2d_backward_input(dy, weight, input_shape, stride, padding, dilation, algorithm)


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

    >>> conv2d_backward_weight(np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3), (1, 1, 2, 2))
    array([[[[ 8., 12.],
             [20., 24.]]]])
    """
    return cpu.conv2d_backward_weight(dy, x, weight_shape, stride, padding, dilation, algorithm)


def conv2d_backward_bias(dy: Array) -> Array:
    """Sum of dy (N, C, ...) over every axis but the second -> (C,): the gradient of any per-channel bias.

    >>> conv2d_backward_bias(np.ones((5, 2, 3, 3)))
    array([45., 45.])
    """
    return cpu.conv2d_backward_bias(dy)


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
    """The algorithm that "auto" means for these shapes on this CPU: "direct" or "im2col".

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
    return cpu.im2col(x, kernel_size, stride, padding, dilation)


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
    return cpu.col2im(columns, input_shape, kernel_size, stride, padding, dilation)


def matmul(a: Array, b: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Matrix product op(a) (M, K) @ op(b) (K, N) -> (M, N); op transposes where asked.

    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), transpose_b=True)
    array([[11.]])
    """
    return cpu.matmul(a, b, transpose_a, transpose_b)


def max_pool2d(x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> tuple[Array, Array]:
    """Largest value of each window of x (N, C, H, W), and where it was -> y (N, C, OH, OW), argmax uint8 alike.

    ``argmax = r * KW + s`` counts cells from the window's corner (in the padding, if the window starts there). The
    first of equal values wins; a NaN wins over numbers. `stride` defaults to `kernel_size`; `padding` is at most half
    the window, and its cells never win. A window has at most 255 cells.

    >>> y, argmax = max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    >>> y[0, 0], argmax[0, 0]
    (array([[ 5.,  7.],
           [13., 15.]]), array([[3, 3],
           [3, 3]], dtype=uint8))
    """
    return cpu.max_pool2d(x, kernel_size, stride, padding)


def max_pool2d_backward(
    dy: Array,
    argmax: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
) -> Array:
    """Adds each dy (N, C, OH, OW) to the cell of input_shape (N, C, H, W) that won its window.

    Raises:
        ShapeError: also if an argmax is not a cell of its window.

    >>> max_pool2d_backward(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 2, np.uint8), (1, 1, 2, 2), 2)
    array([[[[0., 0.],
             [1., 0.]]]])
    """
    return cpu.max_pool2d_backward(dy, argmax, input_shape, kernel_size, stride, padding)


def pool_output_shape(
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    who: object = "max_pool2d",
) -> tuple[int, ...]:
    """Shape (N, C, OH, OW) that a pooling would return; errors begin with `who`.

    >>> pool_output_shape((100, 128, 7, 7), 2)
    (100, 128, 3, 3)
    """
    return cpu.pool_output_shape(input_shape, kernel_size, stride, padding, who)


def relu(x: Array) -> Array:
    """max(x, 0), any shape; a NaN passes through.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return cpu.relu(x)


def relu_backward(dy: Array, y: Array) -> Array:
    """dy where y > 0, else 0; y is what `relu` returned. The gradient at 0 is 0, as in PyTorch.

    >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
    array([0., 5.])
    """
    return cpu.relu_backward(dy, y)


def dropout(x: Array, p: float, seed: int, offset: int = 0) -> Array:
    """x with each element dropped with probability p, the others scaled by 1 / (1 - p).

    Which elements go depends on (seed, offset, flat index) alone (csrc/random.h): nothing is stored, and the same call
    always drops the same elements, for any number of threads.

    >>> dropout(np.ones(8), 0.5, seed=1)
    array([0., 0., 2., 0., 2., 0., 2., 2.])
    """
    return cpu.dropout(x, p, seed, offset)


def dropout_backward(dy: Array, p: float, seed: int, offset: int = 0) -> Array:
    """Gradient of `dropout` with the same p, seed and offset: the same map, applied to dy.

    >>> bool((dropout_backward(np.ones(8), 0.5, seed=1) == dropout(np.ones(8), 0.5, seed=1)).all())
    True
    """
    return cpu.dropout_backward(dy, p, seed, offset)


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) over each row of x (N, classes).

    >>> softmax(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    return cpu.softmax(x)


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `softmax`; y (N, classes) is what it returned.

    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    array([[ 0.25, -0.25]])
    """
    return cpu.softmax_backward(dy, y)


def log_softmax(x: Array) -> Array:
    """Logarithm of `softmax`, exact also where softmax would round to 0.

    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    return cpu.log_softmax(x)


def log_softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `log_softmax`; y (N, classes) is what it returned.

    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log(np.array([[0.5, 0.5]])))
    array([[ 0.5, -0.5]])
    """
    return cpu.log_softmax_backward(dy, y)


def cross_entropy(logits: Array, target: Array) -> Array:
    """-sum(target * log_softmax(logits)) of each row of logits (N, classes) -> (N,).

    `target` holds class indices (N,), any integer dtype, or soft targets (N, classes), which need not sum to 1.

    >>> cross_entropy(np.zeros((1, 4)), np.array([2])).round(4)
    array([1.3863])
    """
    return cpu.cross_entropy(logits, target)


def cross_entropy_backward(dy: Array, logits: Array, target: Array) -> Array:
    """Gradient of `cross_entropy` with respect to logits (N, classes), for dy (N,).

    >>> cross_entropy_backward(np.ones(1), np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    return cpu.cross_entropy_backward(dy, logits, target)


def rmsprop_update(data: Array, grad: Array, square_average: Array, lr: float, decay: float, eps: float) -> None:
    """One RMSprop step, in place, as Gorgonia computes it: eps inside the root, no bias correction.

    ``s = s*decay + (1-decay)*g*g;  data -= lr * g / sqrt(s + eps)``; three arrays of one shape.

    >>> data, average = np.array([1.0]), np.array([0.0])
    >>> rmsprop_update(data, np.array([2.0]), average, lr=0.1, decay=0.75, eps=0.0)
    >>> data, average
    (array([0.8]), array([1.]))
    """
    cpu.rmsprop_update(data, grad, square_average, lr, decay, eps)


def sgd_update(data: Array, grad: Array, lr: float) -> None:
    """One step of gradient descent, in place: ``data -= lr * grad``.

    >>> data = np.array([1.0])
    >>> sgd_update(data, np.array([2.0]), lr=0.25)
    >>> data
    array([0.5])
    """
    cpu.sgd_update(data, grad, lr)
