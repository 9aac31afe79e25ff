"""Hypothesis strategies: shapes around every tail of the kernels, small enough for the oracle.

A case holds shapes and a seed; its arrays are made on demand, so that a failure prints one short line.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from fastcnn import ops

# Around multiples of 8 and 16, where the last vector or tile of a kernel is partly filled.
TAILS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33)
OUTPUT_WORK = 1_500_000  # multiplications of one convolution

seeds = st.integers(0, 2**32 - 1)
channels = st.sampled_from(TAILS) | st.integers(1, 40)


@dataclass(frozen=True)
class ConvCase:
    """One convolution: shapes, geometry, and arrays by the seed."""

    input_shape: tuple
    weight_shape: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    seed: int

    @property
    def geometry(self):
        return self.stride, self.padding, self.dilation

    @property
    def kernel_size(self):
        return self.weight_shape[2:]

    @property
    def output_shape(self):
        spans = (d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))
        sizes = zip(self.input_shape[2:], self.padding, spans, self.stride, strict=True)
        size = tuple((length + 2 * pad - span) // step + 1 for length, pad, span, step in sizes)
        return (self.input_shape[0], self.weight_shape[0], *size)

    def arrays(self, fill, dtype):
        """x, weight, bias and dy, filled by `support.integers` or `support.reals`."""
        rng = np.random.default_rng(self.seed)
        shapes = (self.input_shape, self.weight_shape, self.weight_shape[:1], self.output_shape)
        return tuple(fill(rng, shape, dtype) for shape in shapes)

    def pooled_arrays(self, window, fill, dtype, times=1):
        """x, weight, bias and a gradient of the pooled output; drops a case whose convolution the window does not fit.

        Pooling means divide the gradient by the window's pixels: a multiple of them stays whole.
        """
        assume(all(size >= side for size, side in zip(self.output_shape[2:], window, strict=True)))
        x, weight, bias, _ = self.arrays(fill, dtype)
        pooled = ops.pool_output_shape(self.output_shape, window)
        return x, weight, bias, times * fill(np.random.default_rng(self.seed + 1), pooled, dtype)


PLAIN = ((1, 1), (1, 1), (1, 1))  # stride, padding, dilation

# Convolutions that make stages go their different ways.
LARGE = ConvCase((5, 3, 30, 31), (17, 3, 3, 3), *PLAIN, seed=0)
SMALL_IMAGES = ConvCase((83, 17, 7, 6), (35, 17, 3, 3), *PLAIN, seed=0)  # several share a task
ONE_CHANNEL = ConvCase((9, 1, 15, 14), (33, 1, 3, 3), *PLAIN, seed=0)  # takes windows as lanes
STRIPS = ConvCase((2, 40, 33, 33), (48, 40, 3, 3), *PLAIN, seed=0)  # of an image, for Winograd's method
FIVE = ConvCase((3, 20, 13, 13), (50, 20, 5, 5), (1, 1), (0, 0), (1, 1), seed=0)
PADDED = ConvCase((3, 9, 12, 9), (20, 9, 3, 3), (1, 1), (2, 1), (1, 1), seed=0)
PIECES = ConvCase((19, 2, 36, 35), (9, 2, 5, 5), (1, 1), (2, 2), (1, 1), seed=0)  # one or two a group, of two sizes
LARGE_IMAGES = ConvCase((3, 1, 60, 61), (13, 1, 3, 3), *PLAIN, seed=0)  # one piece
MANY_WEIGHTS = ConvCase((9, 33, 6, 7), (65, 33, 3, 3), *PLAIN, seed=0)  # one piece, too
STRIDED = ConvCase((10, 3, 15, 17), (5, 3, 3, 2), (2, 1), (1, 0), (1, 2), seed=0)


@st.composite
def conv_cases(draw):
    """Convolutions with at least one output, up to asymmetric in every parameter."""
    batch, inputs, outputs = draw(st.integers(1, 5)), draw(channels), draw(channels)
    kernel = draw(_square_or_pair(1, 7))
    stride, padding = draw(_square_or_pair(1, 3)), draw(_square_or_pair(0, 3))
    dilation = draw(_square_or_pair(1, 2))
    cells = max(1, OUTPUT_WORK // (batch * inputs * outputs * kernel[0] * kernel[1]))
    height = draw(st.integers(1, min(12, cells)))
    width = draw(st.integers(1, min(36, max(1, cells // height))))
    size = tuple(
        max(1, (out - 1) * step + draw(st.integers(0, step - 1)) + d * (k - 1) + 1 - 2 * pad)
        for out, step, d, k, pad in zip((height, width), stride, dilation, kernel, padding, strict=True)
    )
    return ConvCase((batch, inputs, *size), (outputs, inputs, *kernel), stride, padding, dilation, draw(seeds))


@dataclass(frozen=True)
class PoolCase:
    """One pooling: shape, window, and arrays by the seed."""

    input_shape: tuple
    kernel_size: tuple
    stride: tuple
    padding: tuple
    seed: int

    @property
    def window(self):
        return self.kernel_size, self.stride, self.padding

    @property
    def output_shape(self):
        sizes = zip(self.input_shape[2:], self.padding, self.kernel_size, self.stride, strict=True)
        size = tuple((length + 2 * pad - k) // step + 1 for length, pad, k, step in sizes)
        return (*self.input_shape[:2], *size)

    def arrays(self, fill, dtype):
        """x and dy, filled by `support.integers` or `support.reals`."""
        rng = np.random.default_rng(self.seed)
        return fill(rng, self.input_shape, dtype), fill(rng, self.output_shape, dtype)


@st.composite
def pool_cases(draw):
    """Windows that overlap, touch or leave gaps, padded up to half; many are 2x2, which has its own kernel."""
    if draw(st.booleans()):
        kernel, stride, padding = (2, 2), (2, 2), (0, 0)
    else:
        kernel, stride = draw(_square_or_pair(1, 5)), draw(_square_or_pair(1, 5))
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(
        max(1, k - 2 * pad) + draw(st.integers(0, 9) | st.sampled_from(TAILS))
        for k, pad in zip(kernel, padding, strict=True)
    )
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), *size)
    return PoolCase(shape, kernel, stride, padding, draw(seeds))


@dataclass(frozen=True)
class MatmulCase:
    """One product of matrices of (rows, depth) and (depth, columns), each stored transposed or not."""

    rows: int
    depth: int
    columns: int
    transpose_a: bool
    transpose_b: bool
    seed: int

    @property
    def transposes(self):
        return self.transpose_a, self.transpose_b

    def arrays(self, fill, dtype):
        """a and b as stored, filled by `support.integers` or `support.reals`."""
        rng = np.random.default_rng(self.seed)
        a = (self.depth, self.rows) if self.transpose_a else (self.rows, self.depth)
        b = (self.columns, self.depth) if self.transpose_b else (self.depth, self.columns)
        return fill(rng, a, dtype), fill(rng, b, dtype)


@st.composite
def matmul_cases(draw):
    """Matrices around the tails of the register tile, some deep enough for several cache blocks."""
    rows, columns = (draw(st.sampled_from((*TAILS, 100)) | st.integers(1, 50)) for _ in range(2))
    depth = draw(st.sampled_from((*TAILS, 100, 256, 257, 1200)))
    return MatmulCase(rows, depth, columns, draw(st.booleans()), draw(st.booleans()), draw(seeds))


@st.composite
def row_shapes(draw):
    """(samples, classes) for the operations on rows."""
    return draw(st.integers(1, 40)), draw(st.sampled_from((*TAILS, 10, 100)))


@st.composite
def flat_sizes(draw):
    """Lengths for the operations on single elements; the longest is cut into several tasks."""
    return draw(st.sampled_from((*TAILS, 100, 1000, 4097, 40_001)) | st.integers(1, 200))


def _square_or_pair(low, high):
    """The same value for both axes, or one each."""
    value = st.integers(low, high)
    return value.map(lambda size: (size, size)) | st.tuples(value, value)
