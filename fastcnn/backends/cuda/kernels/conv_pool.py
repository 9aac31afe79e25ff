"""Convolution, ReLU, pooling and dropout in one kernel, and the gradient of its input.

    max   z[n,o,i,j] = relu(bias[o] + sum of w[o] * window of x); of each P x P window of z the largest, with dropout;
          marks[n,o,i,j] = a*P + b of the pixel that won
    avg   the mean of the window;                  marks: bit a*P + b is set where z is not 0
    dx    the convolution of g, spread out to where it came from, with the filters turned round; g = dy * scale where
          ReLU and dropout let through (`kernels.linear.linear_end_backward`; of the mean, dy / P*P)

For whom   K x K filters, stride 1, dilation 1, padding < K, P x P windows side by side; see `Tiling`.
Layout     NCHW, OIHW. All sizes but the batch are constants of the kernel.
Method     A block takes some rows of windows of an image, and some output channels. Input channels go through shared
           memory a few at a time. A thread makes a window of 8 channels (4 if P is 3): it takes the pixels that the
           window sees into registers, and multiplies them with weights that it shares with its warp. What is pooled
           away is never stored. For dx the same loop makes 2 x 2 pixels of 8 channels.
Ties       The first pixel in row-major order wins; a NaN wins over numbers, the first NaN over later ones. A window
           that ReLU cut has the mark 0.
NaN        What lies outside counts as 0, also times a weight that is infinite or NaN; so does what is not spread.
Numerics   Chains in the order of c,r,s; of dx in that of o and the filter backwards.
Cost       K*K*P*P*8 multiplications for (P+K-1)^2 + 2*K*K reads of shared memory.
"""

from typing import NamedTuple

from fastcnn.backends.cuda.kernels.random import random_bits, random_key
from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint8, uint32, uint64, unrolled

SHARED = 48 * 1024  # bytes that a block may have without asking


class Tiling(NamedTuple):
    """How a convolution with stride 1 is shared out, forward or backward: what it is made of, and what a block does."""

    channels: int  # summed over
    height: int  # of the input
    width: int
    outputs: int
    kernel: int
    padding: int
    side: int  # of the square of output pixels that a thread makes
    rows: int  # of squares, in all
    columns: int
    strip: int  # rows of squares of a block
    lanes: int  # channels of a thread
    groups: int  # of lanes, of a block
    stage: int  # input channels in shared memory at a time

    @property
    def threads(self) -> int:
        """Of a block, whole warps."""
        return -(-self.strip * self.columns * self.groups // 32) * 32

    @property
    def strips(self) -> int:
        """Blocks for an image."""
        return -(-self.rows // self.strip)

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of the input that a block sees; an even number, so that two can be read at once."""
        width = self.columns * self.side + self.kernel - 1
        return self.strip * self.side + self.kernel - 1, width + width % 2

    @property
    def pitch(self) -> int:
        """Numbers between the weights of one tap and those of the next, in shared memory."""
        return self.groups * self.lanes + 4

    @property
    def shared(self) -> int:
        """Numbers in shared memory."""
        return self.stage * (self.tile[0] * self.tile[1] + self.kernel * self.kernel * self.pitch)


def tiling(
    channels: int,
    height: int,
    width: int,
    outputs: int,
    kernel_size: int,
    padding: int,
    side: int,
    rows: int,
    columns: int,
    itemsize: int,
) -> Tiling | None:
    """The `Tiling` of a convolution, or None if it doesn't fit."""
    reach = side + kernel_size - 1
    if padding >= kernel_size or reach * reach > 36 or not 1 <= columns <= 256:
        return None
    lanes = 8 if side < 3 else 4
    strip = min(rows, 256 // columns)
    groups = max(1, min(-(-outputs // lanes), 224 // (strip * columns), 8))
    for stages in range(-(-channels // 8), channels + 1):
        stage = -(-channels // stages)
        found = Tiling(
            channels, height, width, outputs, kernel_size, padding, side, rows, columns, strip, lanes, groups, stage
        )
        if found.shared * itemsize <= SHARED:
            return found
    return None


def convolving(real, tiling, load, load_weight):
    """The sums of a thread, for kernels to call: `sums[(a * side + b) * lanes + lane]`.

    `load(source, marks, n, channel, i, j)` is a pixel of the input, `load_weight(w, output, channel, tap)` a weight.
    """
    channels, height, width, outputs, kernel_size, padding, side = tiling[:7]
    columns, strip, lanes, groups, stage = tiling[8:]
    (tile_height, tile_width), threads, pitch = tiling.tile, tiling.threads, tiling.pitch
    plane, squares, taps, reach = tile_height * tile_width, strip * columns, kernel_size**2, side + kernel_size - 1
    pixels, weights = stage * plane, stage * taps * groups * lanes
    shared_weights, sums_size, seen_size = stage * taps * pitch, side * side * lanes, reach * reach
    bottom, right = height + padding, width + padding

    @inline
    def multiply_row(r, sums, seen, tile_w, at):
        for s in range(kernel_size):
            for lane in range(lanes):
                weight = tile_w[uint32(at + uint32((r * kernel_size + s) * pitch) + uint32(lane))]
                for a in range(side):
                    for b in range(side):
                        sums[(a * side + b) * lanes + lane] += seen[(a + r) * reach + b + s] * weight

    multiply_rows = unrolled(kernel_size, multiply_row)

    @inline
    def convolve(source, marks, w, sums, n, first_row, first_output):
        tile_x = cuda.shared.array(pixels, real, alignment=16)
        tile_w = cuda.shared.array(shared_weights, real, alignment=16)
        seen = cuda.local.array(seen_size, real)
        t = uint32(cuda.threadIdx.x)
        square, group = uint32(t % uint32(squares)), uint32(t // uint32(squares))
        row, column = uint32(square // uint32(columns)), uint32(square % uint32(columns))
        corner = uint32(row * uint32(side * tile_width) + column * uint32(side))
        for i in range(sums_size):
            sums[i] = real(0)
        start = uint32(0)
        while start < uint32(channels):
            e = uint32(t)
            while e < uint32(pixels):
                c, cell = uint32(start + e // uint32(plane)), uint32(e % uint32(plane))
                h = uint32(first_row * uint32(side) + cell // uint32(tile_width))  # from the edge of the padding
                v = uint32(cell % uint32(tile_width))
                inside = h >= uint32(padding) and h < uint32(bottom) and v >= uint32(padding) and v < uint32(right)
                value = real(0)
                if inside and c < uint32(channels):
                    value = load(source, marks, n, c, uint32(h - uint32(padding)), uint32(v - uint32(padding)))
                tile_x[e] = value
                e = uint32(e + uint32(threads))
            e = uint32(t)
            while e < uint32(weights):
                o, k = uint32(e // uint32(stage * taps)), uint32(e % uint32(stage * taps))
                c, output = uint32(start + k // uint32(taps)), uint32(first_output + o)
                value = real(0)
                if c < uint32(channels) and output < uint32(outputs):
                    value = load_weight(w, output, c, uint32(k % uint32(taps)))
                tile_w[uint32(k * uint32(pitch) + o)] = value
                e = uint32(e + uint32(threads))
            cuda.syncthreads()
            if group < uint32(groups):
                for c in range(uint32(stage)):
                    at = uint32(c * uint32(plane) + corner)
                    for i in range(reach):
                        for j in range(reach):
                            seen[i * reach + j] = tile_x[uint32(at + uint32(i * tile_width) + uint32(j))]
                    multiply_rows(sums, seen, tile_w, uint32(c * uint32(taps * pitch) + group * uint32(lanes)))
            cuda.syncthreads()
            start = uint32(start + uint32(stage))

    return convolve


def _threads(real, tiling, *others):
    return Tiling(*tiling).threads


def places(tiling):
    """Where a thread is: its row of squares, its column, its first output; and whether it has any."""
    columns, strip, lanes, groups, rows = tiling.columns, tiling.strip, tiling.lanes, tiling.groups, tiling.rows
    squares = strip * columns

    @inline
    def place(first_row, first_output):
        t = uint32(cuda.threadIdx.x)
        square, group = uint32(t % uint32(squares)), uint32(t // uint32(squares))
        row = uint32(first_row + square // uint32(columns))
        works = group < uint32(groups) and row < uint32(rows)
        return row, uint32(square % uint32(columns)), uint32(first_output + group * uint32(lanes)), works

    return place


def of_image(tiling):
    """The loader of pixels for the forward."""
    channels, height, width = tiling[:3]

    @inline
    def load(x, marks, n, c, i, j):
        return x[uint32(((n * uint32(channels) + c) * uint32(height) + i) * uint32(width) + j)]

    return load


def of_gradient(real, tiling, windows, pool, average):
    """The loader for dx: g[n,c,i // pool, j // pool] where its mark says that pixel (i, j) passed it on."""
    channels, (rows, columns) = tiling.channels, windows

    @inline
    def load(g, marks, n, c, i, j):
        row, column = uint32(i // uint32(pool)), uint32(j // uint32(pool))
        value = real(0)
        if row < uint32(rows) and column < uint32(columns):
            at = uint32(((n * uint32(channels) + c) * uint32(rows) + row) * uint32(columns) + column)
            cell = uint32(i % uint32(pool) * uint32(pool) + j % uint32(pool))
            passed = uint32(marks[at]) >> cell & uint32(1) == uint32(1) if average else uint32(marks[at]) == cell
            value = g[at] if passed else real(0)
        return value

    return load


@kernel(threads=_threads)
def conv_pool(real, tiling, biased, average):
    """Grid (images * strips, groups of output channels)."""
    tiling = Tiling(*tiling)
    outputs, side, lanes, taps = tiling.outputs, tiling.side, tiling.lanes, tiling.kernel**2
    rows, columns = tiling.rows, tiling.columns
    strip, strips, channels, per_block = tiling.strip, tiling.strips, tiling.channels, tiling.groups * tiling.lanes
    sums_size, cells = side * side * lanes, side * side

    @inline
    def load_weight(w, output, c, tap):
        return w[uint32((output * uint32(channels) + c) * uint32(taps) + tap)]

    convolve, place = convolving(real, tiling, of_image(tiling), load_weight), places(tiling)

    def body(
        x: pointer(real),
        w: pointer(real),
        bias: pointer(real),
        y: pointer(real),
        marks: pointer(uint8),
        drop: uint32,
        scale: real,
        seed: uint64,
        offset: uint64,
        clock: pointer(uint32),
    ):
        sums = cuda.local.array(sums_size, real)
        n, first_row = uint32(cuda.blockIdx.x // strips), uint32(cuda.blockIdx.x % strips * strip)
        first_output = uint32(cuda.blockIdx.y * per_block)
        convolve(x, x, w, sums, n, first_row, first_output)
        row, column, output, works = place(first_row, first_output)
        key = random_key(seed, offset, clock)
        for lane in range(lanes):
            o = uint32(output + uint32(lane))
            if works and o < uint32(outputs):
                at = uint32(((n * uint32(outputs) + o) * uint32(rows) + row) * uint32(columns) + column)
                start = bias[o] if biased else real(0)
                result, mark = real(0), uint32(0)
                for cell in range(cells):
                    value = start + sums[cell * lanes + lane]
                    value = real(0) if value <= real(0) else value
                    if average:
                        result += value
                        mark = uint32(mark | uint32(uint32(value != real(0)) << uint32(cell)))
                    else:
                        wins = value > result or (value != value and result == result)
                        result, mark = (value, uint32(cell)) if wins else (result, mark)
                if average:
                    result /= real(cells)
                y[at] = result * scale if random_bits(at, key) >= drop else real(0)
                marks[at] = uint8(mark)

    return body


@kernel(threads=_threads)
def conv_pool_backward_input(real, tiling, windows, pool, average):
    """dx of g; the tiling's outputs are channels of x. Grid (images * strips, groups of channels of x)."""
    tiling = Tiling(*tiling)
    outputs, side, lanes, taps = tiling.outputs, tiling.side, tiling.lanes, tiling.kernel**2
    strip, strips, per_block = tiling.strip, tiling.strips, tiling.groups * tiling.lanes
    height, width = (size + 2 * tiling.padding - tiling.kernel + 1 for size in tiling[1:3])
    sums_size = side * side * lanes

    @inline
    def load_weight(w, c, o, tap):
        return w[uint32((o * uint32(outputs) + c) * uint32(taps) + (uint32(taps - 1) - tap))]

    load = of_gradient(real, tiling, windows, pool, average)
    convolve, place = convolving(real, tiling, load, load_weight), places(tiling)

    def body(g: pointer(real), marks: pointer(uint8), w: pointer(real), dx: pointer(real)):
        sums = cuda.local.array(sums_size, real)
        n, first_row = uint32(cuda.blockIdx.x // strips), uint32(cuda.blockIdx.x % strips * strip)
        first_output = uint32(cuda.blockIdx.y * per_block)
        convolve(g, marks, w, sums, n, first_row, first_output)
        row, column, channel, works = place(first_row, first_output)
        for lane in range(lanes):
            c = uint32(channel + uint32(lane))
            if works and c < uint32(outputs):
                for a in range(side):
                    for b in range(side):
                        h, v = uint32(row * side + a), uint32(column * side + b)
                        if h < uint32(height) and v < uint32(width):
                            at = uint32(((n * uint32(outputs) + c) * uint32(height) + h) * uint32(width) + v)
                            dx[at] = sums[(a * side + b) * lanes + lane]

    return body
