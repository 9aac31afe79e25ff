"""Convolution, its three backwards, columns, and the matrix product."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from fastcnn.backends.reference.taps import Array, Pair, crop, float64, output_size, pad, pair_of, taps


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    algorithm: str = "auto",
) -> Array:
    """y[n,o,i,j] = bias[o] + sum over c,r,s of weight[o,c,r,s] times the cell of x that tap (r, s) meets."""
    weight = float64(weight)
    padded = pad(float64(x), padding)
    kernel = weight.shape[2:]
    y = np.zeros((len(padded), len(weight), *output_size(padded.shape[2:], kernel, stride, dilation)))
    for r, s, rows, columns in taps(y.shape[2:], kernel, stride, dilation):
        y += np.einsum("nchw,oc->nohw", padded[:, :, rows, columns], weight[:, :, r, s])
    return y if bias is None else y + float64(bias)[:, None, None]


def conv2d_backward_input(
    dy: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    algorithm: str = "auto",
) -> Array:
    """Each output gradient goes back, times its weight, to every input cell that it was made of."""
    dy, weight = float64(dy), float64(weight)
    padded = pad(np.zeros(input_shape), padding)
    for r, s, rows, columns in taps(dy.shape[2:], weight.shape[2:], stride, dilation):
        padded[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, weight[:, :, r, s])
    return crop(padded, padding)


def conv2d_backward_weight(
    dy: ArrayLike,
    x: ArrayLike,
    weight_shape: Sequence[int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    algorithm: str = "auto",
) -> Array:
    """dweight[o,c,r,s] = sum over n,i,j of dy[n,o,i,j] times the input cell that weight met there."""
    dy = float64(dy)
    padded = pad(float64(x), padding)
    dweight = np.zeros(weight_shape)
    for r, s, rows, columns in taps(dy.shape[2:], dweight.shape[2:], stride, dilation):
        dweight[:, :, r, s] = np.einsum("nohw,nchw->oc", dy, padded[:, :, rows, columns])
    return dweight


def conv2d_backward_bias(dy: ArrayLike) -> Array:
    """dbias[o] = sum of dy over every axis but the channels'."""
    dy = float64(dy)
    return float64(dy.sum(axis=tuple(axis for axis in range(dy.ndim) if axis != 1)))


def im2col(x: ArrayLike, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Array:
    """Row (c, r, s), column (i, j): the cell of channel c that tap (r, s) meets for output (i, j)."""
    padded, kernel = pad(float64(x), padding), pair_of(kernel_size)
    batch, channels = padded.shape[:2]
    size = output_size(padded.shape[2:], kernel, stride, dilation)
    columns = np.zeros((batch, channels, *kernel, *size))
    for r, s, rows, cols in taps(size, kernel, stride, dilation):
        columns[:, :, r, s] = padded[:, :, rows, cols]
    return columns.reshape(batch, channels * kernel[0] * kernel[1], size[0] * size[1])


def col2im(
    columns: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
) -> Array:
    """The adjoint of `im2col`: every entry is added to the input cell that it was copied from."""
    padded, kernel = pad(np.zeros(input_shape), padding), pair_of(kernel_size)
    size = output_size(padded.shape[2:], kernel, stride, dilation)
    cells = float64(columns).reshape(*padded.shape[:2], *kernel, *size)
    for r, s, rows, cols in taps(size, kernel, stride, dilation):
        padded[:, :, rows, cols] += cells[:, :, r, s]
    return crop(padded, padding)


def matmul(a: ArrayLike, b: ArrayLike, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """The product of two matrices, either of them transposed first if asked for."""
    a, b = float64(a), float64(b)
    return float64(np.einsum("mk,kn->mn", a.T if transpose_a else a, b.T if transpose_b else b))
