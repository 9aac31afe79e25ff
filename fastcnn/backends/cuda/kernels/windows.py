"""What follows a convolution whose output is stored: ReLU, pooling and dropout, and where their gradients go.

    max_windows, mean_windows   y and marks of maps z (N, O, OH, OW), as in `kernels.conv_pool`; windows of any size
    spread                      dz[n,o,i,j] = g of its window, where the window's mark says so, else 0
    shares                      of the mean: g = dy / cells, and the sum of what each window passes on

Layout     NCHW; the sizes of maps and windows are constants of the kernel. Windows lie side by side; what is left at
           the lower and right edge is in none.
Method     A thread a window; in `spread` a thread a pixel, which looks up its window.
Ties, NaN  As in `kernels.conv_pool`.
Cost       Bound by memory.
"""

from typing import NamedTuple

from fastcnn.backends.cuda.kernels.conv_pool_weight import passing
from fastcnn.backends.cuda.kernels.random import random_bits, random_key
from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint8, uint32, uint64

THREADS = 256


class Grid(NamedTuple):
    """Windows side by side in a map."""

    height: int  # of the map
    width: int
    window: tuple[int, int]
    rows: int  # of windows
    columns: int


def corner_of(grid):
    """The index of a window's first pixel."""
    height, width, (down, across), rows, columns = grid
    windows = rows * columns

    @inline
    def corner(i):
        plane, window = uint32(i // uint32(windows)), uint32(i % uint32(windows))
        row = uint32(plane * uint32(height) + window // uint32(columns) * uint32(down))
        return uint32(row * uint32(width) + window % uint32(columns) * uint32(across))

    return corner


@kernel(threads=THREADS)
def max_windows(real, grid):
    """Thread i makes y[i]."""
    _, width, (down, across), *_ = grid
    corner = corner_of(grid)

    def body(
        z: pointer(real),
        y: pointer(real),
        marks: pointer(uint8),
        drop: uint32,
        scale: real,
        seed: uint64,
        offset: uint64,
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            first, best, mark = corner(i), real(0), uint32(0)
            for a in range(uint32(down)):
                for b in range(uint32(across)):
                    value = z[uint32(first + a * uint32(width) + b)]
                    if value > best or (value != value and best == best):
                        best, mark = value, uint32(a * uint32(across) + b)
            y[i] = best * scale if random_bits(i, random_key(seed, offset, clock)) >= drop else real(0)
            marks[i] = uint8(mark)

    return body


@kernel(threads=THREADS)
def mean_windows(real, grid):
    """Thread i makes y[i]; a window has up to 8 pixels."""
    _, width, (down, across), *_ = grid
    corner = corner_of(grid)

    def body(z: pointer(real), y: pointer(real), marks: pointer(uint8), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            first, total, mark = corner(i), real(0), uint32(0)
            for a in range(uint32(down)):
                for b in range(uint32(across)):
                    value = z[uint32(first + a * uint32(width) + b)]
                    if not value <= real(0):
                        total += value
                        mark = uint32(mark | uint32(1) << uint32(a * uint32(across) + b))
            y[i] = total / real(down * across)
            marks[i] = uint8(mark)

    return body


@kernel(threads=THREADS)
def spread(real, grid, average):
    """Thread i makes dz[i]."""
    height, width, (down, across), rows, columns = grid
    pixels, windows, passed = height * width, rows * columns, passing(average)

    def body(g: pointer(real), marks: pointer(uint8), dz: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            plane, pixel = uint32(i // uint32(pixels)), uint32(i % uint32(pixels))
            h, v = uint32(pixel // uint32(width)), uint32(pixel % uint32(width))
            row, column = uint32(h // uint32(down)), uint32(v // uint32(across))
            value = real(0)
            if row < uint32(rows) and column < uint32(columns):
                at = uint32(plane * uint32(windows) + row * uint32(columns) + column)
                if passed(uint32(marks[at]), uint32(h % uint32(down) * uint32(across) + v % uint32(across))):
                    value = g[at]
            dz[i] = value

    return body


@kernel(threads=THREADS)
def shares(real, cells):
    """Thread i makes g[i] and sums[i]."""

    def body(dy: pointer(real), marks: pointer(uint8), g: pointer(real), sums: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            share, mark, total = dy[i] / real(cells), uint32(marks[i]), real(0)
            for cell in range(uint32(cells)):
                if mark >> cell & uint32(1) == uint32(1):
                    total += share
            g[i] = share
            sums[i] = total

    return body
