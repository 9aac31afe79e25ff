"""Max- and average pooling."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.backends.reference.convolution import conv2d, conv2d_backward_input
from fastcnn.backends.reference.taps import Array, Pair, float64, output_size, pair_of


def max_pool2d(
    x: ArrayLike, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> tuple[Array, NDArray[np.uint8]]:
    """The largest cell of each window, and where it lies in the window.

    `numpy.argmax` has the promised rules: the first maximum in row-major order wins, and the first NaN over
    every number. Cells of the padding are not looked at.
    """
    x, kernel = float64(x), pair_of(kernel_size)
    stride, padding = pair_of(kernel if stride is None else stride), pair_of(padding)
    padded_size = (x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1])
    y = np.zeros((*x.shape[:2], *output_size(padded_size, kernel, stride, 1)))
    argmax = np.zeros(y.shape, np.uint8)
    for i, j in np.ndindex(*y.shape[2:]):
        corner = (i * stride[0] - padding[0], j * stride[1] - padding[1])
        top, left = max(corner[0], 0), max(corner[1], 0)
        cells = x[:, :, top : corner[0] + kernel[0], left : corner[1] + kernel[1]]
        height, width = cells.shape[2:]
        winner = np.argmax(cells.reshape(*cells.shape[:2], height * width), axis=2)
        row, column = top + winner // width, left + winner % width
        samples, channels = np.indices(winner.shape)
        y[:, :, i, j] = x[samples, channels, row, column]
        argmax[:, :, i, j] = (row - corner[0]) * kernel[1] + (column - corner[1])
    return y, argmax


def max_pool2d_backward(
    dy: ArrayLike,
    argmax: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
) -> Array:
    """Each output gradient is added to the cell that won its window; windows may overlap."""
    dy, offset, kernel = float64(dy), np.asarray(argmax, dtype=np.int64), pair_of(kernel_size)
    stride, padding = pair_of(kernel if stride is None else stride), pair_of(padding)
    dx = np.zeros(input_shape)
    for n, c, i, j in np.ndindex(*dy.shape):
        row = i * stride[0] - padding[0] + offset[n, c, i, j] // kernel[1]
        column = j * stride[1] - padding[1] + offset[n, c, i, j] % kernel[1]
        dx[n, c, row, column] += dy[n, c, i, j]
    return dx


def avg_pool2d(
    x: ArrayLike, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, count_include_pad: bool = True
) -> Array:
    """Each channel convolved with ones, over the number of cells of each window."""
    x, ones, stride = float64(x), np.ones((1, 1, *pair_of(kernel_size))), kernel_size if stride is None else stride
    sums = conv2d(x.reshape(-1, 1, *x.shape[2:]), ones, None, stride, padding)
    means = sums / _window_cells(x.shape[2:], ones, stride, padding, count_include_pad)
    return float64(means.reshape(*x.shape[:2], *means.shape[2:]))


def avg_pool2d_backward(
    dy: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    count_include_pad: bool = True,
) -> Array:
    """Each output gradient, over the number of its window's cells, goes back to all of them."""
    dy, ones, stride = float64(dy), np.ones((1, 1, *pair_of(kernel_size))), kernel_size if stride is None else stride
    shares = dy / _window_cells(input_shape[2:], ones, stride, padding, count_include_pad)
    planes = (dy.shape[0] * dy.shape[1], 1)
    dx = conv2d_backward_input(
        shares.reshape(*planes, *dy.shape[2:]), ones, (*planes, *input_shape[2:]), stride, padding
    )
    return dx.reshape(tuple(input_shape))


def _window_cells(size: Sequence[int], ones: Array, stride: Pair, padding: Pair, count_padding: bool) -> Array:
    """How many cells each window, of the size of `ones`, has; those of the padding count, or don't."""
    rows, columns = pair_of(padding)
    counts = np.pad(np.ones(size), ((rows, rows), (columns, columns)), constant_values=float(count_padding))
    return conv2d(counts[None, None], ones, None, stride)
