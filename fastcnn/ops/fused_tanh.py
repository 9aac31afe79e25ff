"""Convolution, tanh and average-pooling in one call. The conventions are those of `fastcnn.ops`."""

from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of
from fastcnn.backends.shapes import Size


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
    """``avg_pool2d(tanh(conv2d(x, weight, bias, ...)), pool_size)`` -> y (N, O, PH, PW), and the tanh, (N, O, OH, OW).

    The windows of the pooling lie side by side, without padding. The arguments up to `algorithm` but `pool_size` are
    those of `conv2d`. The bits are those of the three operations; they take a few images at a time, which stay in
    cache.

    >>> x, weight = np.array([[[[0.0, 0.0], [0.0, 1000.0]]]]), np.ones((1, 1, 1, 1))
    >>> y, activated = conv2d_tanh_avg_pool2d(x, weight)
    >>> y, activated
    (array([[[[0.25]]]]), array([[[[0., 0.],
             [0., 1.]]]]))
    """
    return backend_of(x).conv2d_tanh_avg_pool2d(x, weight, bias, stride, padding, dilation, pool_size, algorithm)


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
    """Gradients of `conv2d_tanh_avg_pool2d` with respect to x, weight and bias.

    activated is the second of what it returned. Sums over the batch go in another order than those of the three
    operations. Without `input_gradient` the first of the three is None and costs nothing.

    >>> x, weight = np.arange(9.0).reshape(1, 1, 3, 3) - 4, np.ones((1, 1, 2, 2))
    >>> activated = np.array([[[[0.0, 0.0], [0.0, 1.0]]]])
    >>> dx, dweight, dbias = conv2d_tanh_avg_pool2d_backward(np.full((1, 1, 1, 1), 4.0), activated, x, weight)
    >>> dweight, dbias
    (array([[[[-8., -5.],
             [ 1.,  4.]]]]), array([3.]))
    """
    return backend_of(dy).conv2d_tanh_avg_pool2d_backward(
        dy, activated, x, weight, stride, padding, dilation, pool_size, algorithm, input_gradient
    )
