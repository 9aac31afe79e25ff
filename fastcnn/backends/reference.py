"""The oracle: every operation written the slow and obvious way, in NumPy float64.

Tests hold each fast backend to these functions. They share no code with any kernel, check no arguments, and
are meant to be compared with a formula by eye. Whatever comes in is taken as float64 and float64 goes out;
only the updates at the end write into the arrays they are given. Names and arguments are those of `fastcnn.ops`.

Convolutions go tap by tap: for one cell (r, s) of the filter, the input cells that it meets are a strided
slice of the padded input, one cell per output position. `algorithm` is accepted and makes no difference.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Words = NDArray[Any]  # uint64
Pair = int | tuple[int, int]

LOW_32 = np.uint64(2**32 - 1)


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
    weight = _float64(weight)
    padded = _pad(_float64(x), padding)
    kernel = weight.shape[2:]
    y = np.zeros((len(padded), len(weight), *_output_size(padded.shape[2:], kernel, stride, dilation)))
    for r, s, rows, columns in _taps(y.shape[2:], kernel, stride, dilation):
        y += np.einsum("nchw,oc->nohw", padded[:, :, rows, columns], weight[:, :, r, s])
    return y if bias is None else y + _float64(bias)[:, None, None]


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
    dy, weight = _float64(dy), _float64(weight)
    padded = _pad(np.zeros(input_shape), padding)
    for r, s, rows, columns in _taps(dy.shape[2:], weight.shape[2:], stride, dilation):
        padded[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, weight[:, :, r, s])
    return _crop(padded, padding)


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
    dy = _float64(dy)
    padded = _pad(_float64(x), padding)
    dweight = np.zeros(weight_shape)
    for r, s, rows, columns in _taps(dy.shape[2:], dweight.shape[2:], stride, dilation):
        dweight[:, :, r, s] = np.einsum("nohw,nchw->oc", dy, padded[:, :, rows, columns])
    return dweight


def conv2d_backward_bias(dy: ArrayLike) -> Array:
    """dbias[o] = sum of dy over every axis but the channels'."""
    dy = _float64(dy)
    return _float64(dy.sum(axis=tuple(axis for axis in range(dy.ndim) if axis != 1)))


def im2col(x: ArrayLike, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1) -> Array:
    """Row (c, r, s), column (i, j): the cell of channel c that tap (r, s) meets for output (i, j)."""
    padded, kernel = _pad(_float64(x), padding), _pair(kernel_size)
    batch, channels = padded.shape[:2]
    size = _output_size(padded.shape[2:], kernel, stride, dilation)
    columns = np.zeros((batch, channels, *kernel, *size))
    for r, s, rows, cols in _taps(size, kernel, stride, dilation):
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
    padded, kernel = _pad(np.zeros(input_shape), padding), _pair(kernel_size)
    size = _output_size(padded.shape[2:], kernel, stride, dilation)
    taps = _float64(columns).reshape(*padded.shape[:2], *kernel, *size)
    for r, s, rows, cols in _taps(size, kernel, stride, dilation):
        padded[:, :, rows, cols] += taps[:, :, r, s]
    return _crop(padded, padding)


def matmul(a: ArrayLike, b: ArrayLike, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """The product of two matrices, either of them transposed first if asked for."""
    a, b = _float64(a), _float64(b)
    return _float64(np.einsum("mk,kn->mn", a.T if transpose_a else a, b.T if transpose_b else b))


def max_pool2d(
    x: ArrayLike, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0
) -> tuple[Array, NDArray[np.uint8]]:
    """The largest cell of each window, and where it lies in the window.

    `numpy.argmax` has the promised rules: the first maximum in row-major order wins, and the first NaN over
    every number. Cells of the padding are not looked at.
    """
    x, kernel = _float64(x), _pair(kernel_size)
    stride, padding = _pair(kernel if stride is None else stride), _pair(padding)
    padded_size = (x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1])
    y = np.zeros((*x.shape[:2], *_output_size(padded_size, kernel, stride, 1)))
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
    dy, offset, kernel = _float64(dy), np.asarray(argmax, dtype=np.int64), _pair(kernel_size)
    stride, padding = _pair(kernel if stride is None else stride), _pair(padding)
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
    x, ones, stride = _float64(x), np.ones((1, 1, *_pair(kernel_size))), kernel_size if stride is None else stride
    sums = conv2d(x.reshape(-1, 1, *x.shape[2:]), ones, None, stride, padding)
    means = sums / _window_cells(x.shape[2:], ones, stride, padding, count_include_pad)
    return _float64(means.reshape(*x.shape[:2], *means.shape[2:]))


def avg_pool2d_backward(
    dy: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    count_include_pad: bool = True,
) -> Array:
    """Each output gradient, over the number of its window's cells, goes back to all of them."""
    dy, ones, stride = _float64(dy), np.ones((1, 1, *_pair(kernel_size))), kernel_size if stride is None else stride
    shares = dy / _window_cells(input_shape[2:], ones, stride, padding, count_include_pad)
    planes = (dy.shape[0] * dy.shape[1], 1)
    dx = conv2d_backward_input(
        shares.reshape(*planes, *dy.shape[2:]), ones, (*planes, *input_shape[2:]), stride, padding
    )
    return dx.reshape(tuple(input_shape))


def relu(x: ArrayLike) -> Array:
    """Zero in place of what is below zero; NaN passes through."""
    x = _float64(x)
    return np.where(x <= 0, 0, x)


def relu_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The gradient where the output is above zero; none at zero."""
    return np.where(_float64(y) <= 0, 0, _float64(dy))


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """What is above zero as it is, the rest times the slope; NaN passes through."""
    x = _float64(x)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> Array:
    """The gradient where the input is above zero; elsewhere, zero included, the slope times it."""
    dy = _float64(dy)
    return np.where(_float64(x) > 0, dy, negative_slope * dy)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + exp(-x)); where exp overflows, 0."""
    with np.errstate(over="ignore"):
        return _float64(1 / (1 + np.exp(-_float64(x))))


def sigmoid_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The derivative of the sigmoid, written in its value y, is y * (1 - y)."""
    y = _float64(y)
    return _float64(dy) * y * (1 - y)


def tanh(x: ArrayLike) -> Array:
    """NumPy's hyperbolic tangent."""
    return _float64(np.tanh(_float64(x)))


def tanh_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """The derivative of the hyperbolic tangent, written in its value y, is 1 - y**2; factored, no digits cancel."""
    y = _float64(y)
    return _float64(dy) * (1 - y) * (1 + y)


def add(a: ArrayLike, b: ArrayLike) -> Array:
    """The sum."""
    return _float64(a) + _float64(b)


def concat(arrays: Sequence[ArrayLike], axis: int = 1) -> Array:
    """NumPy's own."""
    return np.concatenate([_float64(array) for array in arrays], axis)


def concat_backward(dy: ArrayLike, sizes: Sequence[int], axis: int = 1) -> tuple[Array, ...]:
    """dy cut where one part ends and the next begins."""
    return tuple(np.split(_float64(dy), np.cumsum(sizes)[:-1], axis))


def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array:
    """y[n,o] = bias[o] + sum over i of x[n,i] * weight[o,i]."""
    y = matmul(x, weight, transpose_b=True)
    return y if bias is None else y + _float64(bias)


def linear_backward(
    dy: ArrayLike, x: ArrayLike, weight: ArrayLike, input_gradient: bool = True, out: Array | None = None
) -> tuple[Array | None, Array, Array]:
    """dx, dweight, dbias."""
    dx, dweight = matmul(dy, weight) if input_gradient else None, matmul(dy, x, transpose_a=True)
    if out is not None:
        out[...] = dweight
        dweight = out
    return dx, dweight, conv2d_backward_bias(dy)


def linear_relu_dropout(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, p: float = 0.0, seed: int = 0, offset: int = 0
) -> Array:
    """The three operations, one after the other."""
    return dropout(relu(linear(x, weight, bias)), p, seed, offset)


def linear_relu_dropout_backward(
    dy: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    p: float = 0.0,
    input_gradient: bool = True,
    out: Array | None = None,
) -> tuple[Array | None, Array, Array]:
    """What dropout kept and ReLU let through is scaled as dropout did; the rest is 0."""
    gradient = relu_backward(_float64(dy) * (1 / (1 - p) if p < 1 else 0), y)
    return linear_backward(gradient, x, weight, input_gradient, out)


def conv2d_relu_max_pool2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    seed: int = 0,
    offset: int = 0,
) -> tuple[Array, NDArray[np.uint8]]:
    """The four operations, one after the other."""
    y, argmax = max_pool2d(relu(conv2d(x, weight, bias, stride, padding, dilation)), pool_size)
    return dropout(y, p, seed, offset), argmax


def conv2d_relu_max_pool2d_backward(
    dy: ArrayLike,
    y: ArrayLike,
    argmax: ArrayLike,
    x: ArrayLike,
    weight: ArrayLike,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    pool_size: Pair = 2,
    algorithm: str = "auto",
    p: float = 0.0,
    input_gradient: bool = True,
) -> tuple[Array | None, Array, Array]:
    """The backwards in the opposite order.

    Of ReLU's output only the cells that won a window and were not dropped are known, and no other cell has a gradient
    to let through.
    """
    x, weight = _float64(x), _float64(weight)
    padded_size = _pad(x, padding).shape[2:]
    convolved = (len(x), len(weight), *_output_size(padded_size, weight.shape[2:], stride, dilation))
    winners = max_pool2d_backward(y, argmax, convolved, pool_size)
    kept = _float64(dy) * (1 / (1 - p) if p < 1 else 0)
    gradient = relu_backward(max_pool2d_backward(kept, argmax, convolved, pool_size), winners)
    dx = conv2d_backward_input(gradient, weight, x.shape, stride, padding, dilation) if input_gradient else None
    dweight = conv2d_backward_weight(gradient, x, weight.shape, stride, padding, dilation)
    return dx, dweight, conv2d_backward_bias(gradient)


def dropout(x: ArrayLike, p: float, seed: int, offset: int = 0) -> Array:
    """Zero with probability p, and x / (1 - p) otherwise, by the random bits of the element's flat index."""
    x = _float64(x)
    keep = dropout_bits(seed, offset, x.size).reshape(x.shape) >= np.uint64(int(p * 2**32))
    return np.where(keep, x * (1 / (1 - p) if p < 1 else 0), 0)


def dropout_backward(dy: ArrayLike, p: float, seed: int, offset: int = 0) -> Array:
    """Dropout is linear in x with a symmetric matrix: its backward is itself."""
    return dropout(dy, p, seed, offset)


def dropout_bits(seed: int, offset: int, count: int) -> Words:
    """The 32 random bits of the elements 0 .. count-1, as uint64: a hash of (seed, offset, index)."""
    key = _mix64(_mix64(seed + 0x9E3779B97F4A7C15) ^ (offset + 0x9E3779B97F4A7C15))
    low_key, high_key = np.uint64(key % 2**32), np.uint64(key >> 32)
    index = np.arange(count, dtype=np.uint64)
    low, high = index & LOW_32, index >> 32
    return _mix32(_mix32(low ^ low_key) + (high_key ^ (high * 0x9E3779B9 & LOW_32)))


def softmax(x: ArrayLike) -> Array:
    """exp(x_j) / sum over k of exp(x_k), each row shifted so that its largest entry is 0."""
    e = np.exp(_shifted(x))
    return _float64(e / e.sum(axis=-1, keepdims=True))


def softmax_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """dx_j = y_j * (dy_j - sum over k of dy_k * y_k)."""
    dy, y = _float64(dy), _float64(y)
    return _float64(y * (dy - np.sum(dy * y, axis=-1, keepdims=True)))


def log_softmax(x: ArrayLike) -> Array:
    """x_j - log(sum over k of exp(x_k)), each row shifted so that its largest entry is 0."""
    shifted = _shifted(x)
    return _float64(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))


def log_softmax_backward(dy: ArrayLike, y: ArrayLike) -> Array:
    """dx_j = dy_j - exp(y_j) * sum over k of dy_k."""
    dy, y = _float64(dy), _float64(y)
    return _float64(dy - np.exp(y) * np.sum(dy, axis=-1, keepdims=True))


def cross_entropy(logits: ArrayLike, target: ArrayLike) -> Array:
    """-sum over j of t_j * log_softmax(logits)_j, one loss per sample.

    A class of target 0 adds nothing, even where it has no probability: 0 * log(0) is 0. A NaN row costs NaN.
    """
    log_probability = log_softmax(logits)
    soft = _soft(target, log_probability.shape)
    ignored = (soft == 0) & ~np.isnan(log_probability)
    return _float64(-np.sum(np.where(ignored, 0, soft * log_probability), axis=-1))


def cross_entropy_backward(dy: ArrayLike, logits: ArrayLike, target: ArrayLike) -> Array:
    """dlogits_j = dy * (p_j * sum over k of t_k - t_j)."""
    probability = softmax(logits)
    soft = _soft(target, probability.shape)
    return _float64(_float64(dy)[:, None] * (probability * soft.sum(axis=-1, keepdims=True) - soft))


def sgd_update(data: NDArray[Any], grad: NDArray[Any], lr: float) -> None:
    """In place: a step of lr * grad."""
    data[...] = _float64(data) - lr * _float64(grad)


def momentum_update(
    data: NDArray[Any],
    grad: NDArray[Any],
    velocity: NDArray[Any],
    lr: float,
    momentum: float,
    nesterov: bool = False,
) -> None:
    """In place: the velocity moves, then a step of lr * velocity; Nesterov's looks one step of the velocity ahead."""
    velocity[...] = momentum * _float64(velocity) + _float64(grad)
    ahead = _float64(grad) + momentum * _float64(velocity) if nesterov else _float64(velocity)
    data[...] = _float64(data) - lr * ahead


def rmsprop_update(
    data: NDArray[Any], grad: NDArray[Any], square_average: NDArray[Any], lr: float, decay: float, eps: float
) -> None:
    """In place: the mean square of the gradient moves, then a step of lr * grad / sqrt(mean square + eps)."""
    square_average[...] = decay * _float64(square_average) + (1 - decay) * _float64(grad) ** 2
    data[...] = _float64(data) - lr * _float64(grad) / np.sqrt(_float64(square_average) + eps)


def adam_update(
    data: NDArray[Any],
    grad: NDArray[Any],
    first_moment: NDArray[Any],
    second_moment: NDArray[Any],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """In place: the weights shrink, both moments move, then a step by the moments, as if not begun at zero."""
    grad = _float64(grad)
    first_moment[...] = beta1 * _float64(first_moment) + (1 - beta1) * grad
    second_moment[...] = beta2 * _float64(second_moment) + (1 - beta2) * grad**2
    first, second = _float64(first_moment) / (1 - beta1**step), _float64(second_moment) / (1 - beta2**step)
    data[...] = _float64(data) * (1 - lr * weight_decay) - lr * first / (np.sqrt(second) + eps)


def adjust_gradient(
    grad: NDArray[Any],
    data: NDArray[Any],
    scale: float = 1.0,
    limit: float = np.inf,
    l1: float = 0.0,
    l2: float = 0.0,
) -> None:
    """In place: the gradient is scaled and clipped, then the penalties' gradients are added."""
    data = _float64(data)
    grad[...] = np.clip(_float64(grad) * scale, -limit, limit) + l1 * np.sign(data) + l2 * data


def sum_of_squares(x: ArrayLike) -> float:
    """The sum of the squares."""
    return float(np.sum(_float64(x) ** 2))


def _float64(array: ArrayLike) -> Array:
    return np.asarray(array, dtype=np.float64)


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _pad(x: Array, padding: Pair) -> Array:
    """A copy with `padding` rows and columns of zeros on each side."""
    rows, columns = _pair(padding)
    return np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))


def _crop(padded: Array, padding: Pair) -> Array:
    """The inverse of `_pad`."""
    rows, columns = _pair(padding)
    return padded[:, :, rows : padded.shape[2] - rows, columns : padded.shape[3] - columns]


def _output_size(padded_size: Sequence[int], kernel: Sequence[int], stride: Pair, dilation: Pair) -> tuple[int, int]:
    """How many positions the dilated kernel takes inside the padded input, down and across."""
    height, width = (
        (size - (d * (k - 1) + 1)) // step + 1
        for size, k, step, d in zip(padded_size, kernel, _pair(stride), _pair(dilation), strict=True)
    )
    return height, width


def _window_cells(size: Sequence[int], ones: Array, stride: Pair, padding: Pair, count_padding: bool) -> Array:
    """How many cells each window, of the size of `ones`, has; those of the padding count, or don't."""
    rows, columns = _pair(padding)
    counts = np.pad(np.ones(size), ((rows, rows), (columns, columns)), constant_values=float(count_padding))
    return conv2d(counts[None, None], ones, None, stride)


def _taps(
    output_size: Sequence[int], kernel: Sequence[int], stride: Pair, dilation: Pair
) -> Iterator[tuple[int, int, slice, slice]]:
    """Every filter cell (r, s) with the rows and columns of the padded input that it meets."""
    for r, s in np.ndindex(*kernel):
        rows, columns = (
            slice(tap * d, tap * d + step * (size - 1) + 1, step)
            for tap, d, step, size in zip((r, s), _pair(dilation), _pair(stride), output_size, strict=True)
        )
        yield r, s, rows, columns


def _shifted(x: ArrayLike) -> Array:
    """Rows minus their largest entry: no overflow in exp, and the softmax is the same."""
    x = _float64(x)
    return _float64(x - x.max(axis=-1, keepdims=True))


def _soft(target: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Targets as weights per class: class indices become rows with a single one."""
    target = np.asarray(target)
    return np.eye(shape[1])[target] if target.ndim == 1 else _float64(target)


def _mix64(z: int) -> int:
    """The finalizer of SplitMix64, on a Python integer modulo 2**64."""
    z %= 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def _mix32(h: Words) -> Words:
    """A strong hash of 32 bits to 32 bits, on uint64 arrays modulo 2**32 so that no product overflows."""
    h = h & LOW_32
    h = (h ^ (h >> 16)) * 0x7FEB352D & LOW_32
    h = (h ^ (h >> 15)) * 0x846CA68B & LOW_32
    return h ^ (h >> 16)
