"""Max-pooling and average-pooling. The conventions are those of `fastcnn.ops`."""

from fastcnn.backends import cpu
from fastcnn.backends.arrays import Array
from fastcnn.backends.choice import backend_of
from fastcnn.backends.shapes import Size


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
    return backend_of(x).max_pool2d(x, kernel_size, stride, padding)


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
    return backend_of(dy).max_pool2d_backward(dy, argmax, input_shape, kernel_size, stride, padding)


def avg_pool2d(
    x: Array, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Array:
    """Mean of each window of x (N, C, H, W) -> (N, C, OH, OW), ``OH = (H + 2*padding - KH) // stride + 1``.

    `stride` defaults to `kernel_size`; `padding` is at most half the window. The zeros of the padding count as cells;
    without `count_include_pad` a window is divided by the number of its cells that lie in x. A NaN spoils the windows
    that hold it and no other. As in PyTorch.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    array([[[[ 2.5,  4.5],
             [10.5, 12.5]]]])
    """
    return backend_of(x).avg_pool2d(x, kernel_size, stride, padding, count_include_pad)


def avg_pool2d_backward(
    dy: Array,
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> Array:
    """Shares each dy (N, C, OH, OW) out among the cells of its window -> input_shape (N, C, H, W).

    >>> avg_pool2d_backward(np.full((1, 1, 1, 1), 8.0), (1, 1, 2, 3), 2)
    array([[[[2., 2., 0.],
             [2., 2., 0.]]]])
    """
    return backend_of(dy).avg_pool2d_backward(dy, input_shape, kernel_size, stride, padding, count_include_pad)


def pool_output_shape(
    input_shape: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    who: object = "max_pool2d",
    argmax: bool = True,
) -> tuple[int, ...]:
    """Shape (N, C, OH, OW) that a pooling would return; errors begin with `who`.

    `argmax` says whether the pooling has to number the cells of a window, as `max_pool2d` has: at most 255 then.

    >>> pool_output_shape((100, 128, 7, 7), 2)
    (100, 128, 3, 3)
    >>> pool_output_shape((100, 128, 16, 16), 16, who="avg_pool2d", argmax=False)
    (100, 128, 1, 1)
    """
    return cpu.pool_output_shape(input_shape, kernel_size, stride, padding, who, argmax)
