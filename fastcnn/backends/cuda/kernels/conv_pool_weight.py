"""The gradient of the weights of a convolution with ReLU and pooling behind it, from the pixels that passed one on.

    dw[o,c,r,s] = sum over n,i,j of g[n,o,i,j] * the sum over marked pixels (a, b) of the window of
                  x[n, c, i*P + a + r - padding, j*P + b + s - padding]

    g and marks are those of `kernels.conv_pool`: one pixel of a window is marked of the maximum, any of the mean.

For whom   K x K filters, stride 1, dilation 1, P x P windows side by side, as in `kernels.conv_pool`.
Layout     dw (parts, O, C, K, K): parts of the images are added up by `kernels.reductions`.
Method     `by_channel`, for many input channels, 3x3 filters and 2x2 windows: a lane of a warp takes a channel and has
           9 sums for each of some outputs; the warp goes over the windows together, so that all lanes follow the same
           marks. x, g and the marks of some rows of windows stand in shared memory.
           `by_window`, for the rest: a block takes an output and an input channel, a thread every 128th window.
NaN        Where g is 0, nothing is added, whatever x is.
Numerics   Chains in the order of n,i,j, in `by_window` of every 128th window; those are added up in a fixed order.
Cost       9 multiplications for a window that passes its gradient on, a quarter of the dense product.
"""

from typing import NamedTuple

from fastcnn.backends.cuda.kernels.conv_pool import SHARED
from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint8, uint32, unrolled

THREADS = 128
WARP = 32
WARPS = THREADS // WARP
QUAD = 4  # outputs whose gradients are read at once
EVERYONE = 0xFFFFFFFF


class Windows(NamedTuple):
    """The sizes of a convolution and its pooling, but for the batch."""

    channels: int
    height: int
    width: int
    outputs: int
    kernel: int
    padding: int
    pool: int
    rows: int  # of windows
    columns: int


def strip_of(sizes: Windows, lanes: int, itemsize: int) -> int:
    """How many rows of windows `by_channel` has in shared memory at a time; 0 if it isn't for these sizes."""
    if sizes.kernel != 3 or sizes.pool != 2 or sizes.channels < WARP // 2:
        return 0
    for strip in range(sizes.rows, 0, -1):
        pixels = WARP * pitch_of(sizes, strip) * itemsize
        windows = strip * sizes.columns * WARPS * lanes * (itemsize + 4)
        if pixels + windows <= SHARED:
            return strip
    return 0


def pitch_of(sizes: Windows, strip: int) -> int:
    """Numbers between the channels of x in shared memory: odd, so that lanes meet different banks."""
    return (2 * strip + 2) * (2 * sizes.columns + 2) + 1


def passing(average):
    """Whether the pixel of a window has passed its gradient on."""

    @inline
    def passed(mark, cell):
        return mark >> uint32(cell) & uint32(1) == uint32(1) if average else mark == uint32(cell)

    return passed


@kernel(threads=THREADS)
def by_channel(real, sizes, strip, lanes, average):
    """Grid (groups of 32 channels * groups of outputs, parts of the images); `lanes` outputs, 4 or 8, for a warp."""
    sizes = Windows(*sizes)
    channels, height, width, outputs, _, padding, _, rows, columns = sizes
    tile_width, pitch, per_block = 2 * columns + 2, pitch_of(sizes, strip), WARPS * lanes
    seen_rows, windows = 2 * strip + 2, strip * columns
    pixels, gradients, sums_size, groups = WARP * pitch, windows * per_block, 9 * lanes, -(-channels // WARP)
    bottom, right, plane = height + padding, width + padding, seen_rows * tile_width
    passed = passing(average)

    @inline
    def take(values, marks, tile_g, tile_marks, at):
        for i in range(QUAD):
            values[i] = tile_g[uint32(at + uint32(i))]
            marks[i] = tile_marks[uint32(at + uint32(i))]

    def adding(first):
        def add(i, sums, seen, values, marks):
            value, mark = values[i], marks[i]
            if value != real(0):
                for cell in range(4):
                    if passed(mark, cell):
                        for tap in range(9):
                            pixel = seen[(cell // 2 + tap // 3) * 4 + cell % 2 + tap % 3]
                            sums[(first + i) * 9 + tap] += value * pixel

        return unrolled(QUAD, inline(add))

    add_first, add_second = adding(0), adding(QUAD)

    def body(g: pointer(real), marks: pointer(uint8), x: pointer(real), dw: pointer(real), batch: uint32, part: uint32):
        tile_x = cuda.shared.array(pixels, real, alignment=16)
        tile_g = cuda.shared.array(gradients, real, alignment=16)
        tile_marks = cuda.shared.array(gradients, uint32, alignment=16)
        sums, seen = cuda.local.array(sums_size, real), cuda.local.array(16, real)
        values, cells = cuda.local.array(QUAD, real), cuda.local.array(QUAD, uint32)
        t, z = uint32(cuda.threadIdx.x), uint32(cuda.blockIdx.y)
        lane, first = uint32(t % uint32(WARP)), uint32(t // uint32(WARP) * uint32(lanes))
        first_channel = uint32(cuda.blockIdx.x % uint32(groups) * uint32(WARP))
        first_output = uint32(cuda.blockIdx.x // uint32(groups) * uint32(per_block))
        for i in range(sums_size):
            sums[i] = real(0)
        n, last = uint32(z * part), uint32(min(batch, uint32((z + 1) * part)))
        while n < last:
            top = uint32(0)
            while top < uint32(rows):
                e = uint32(t)
                while e < uint32(WARP * plane):
                    channel, cell = uint32(e // uint32(plane)), uint32(e % uint32(plane))
                    c = uint32(first_channel + channel)
                    h = uint32(top * uint32(2) + cell // uint32(tile_width))  # from the edge of the padding
                    v = uint32(cell % uint32(tile_width))
                    inside = h >= uint32(padding) and h < uint32(bottom) and v >= uint32(padding) and v < uint32(right)
                    value = real(0)
                    if inside and c < uint32(channels):
                        line = uint32((n * uint32(channels) + c) * uint32(height) + h - uint32(padding))
                        value = x[uint32(line * uint32(width) + v - uint32(padding))]
                    tile_x[uint32(channel * uint32(pitch) + cell)] = value
                    e = uint32(e + uint32(THREADS))
                e = uint32(t)
                while e < uint32(gradients):
                    output, window = uint32(e // uint32(windows)), uint32(e % uint32(windows))
                    o, row = uint32(first_output + output), uint32(top + window // uint32(columns))
                    value, mark = real(0), uint32(0)
                    if o < uint32(outputs) and row < uint32(rows):
                        line = uint32((n * uint32(outputs) + o) * uint32(rows) + row)
                        at = uint32(line * uint32(columns) + window % uint32(columns))
                        value, mark = g[at], uint32(marks[at])
                    tile_g[uint32(window * uint32(per_block) + output)] = value
                    tile_marks[uint32(window * uint32(per_block) + output)] = mark
                    e = uint32(e + uint32(THREADS))
                cuda.syncthreads()
                for row in range(uint32(strip)):
                    for column in range(uint32(columns)):
                        corner = uint32(lane * uint32(pitch) + row * uint32(2 * tile_width) + column * uint32(2))
                        for i in range(4):
                            for j in range(4):
                                seen[i * 4 + j] = tile_x[uint32(corner + uint32(i * tile_width) + uint32(j))]
                        at = uint32((row * uint32(columns) + column) * uint32(per_block) + first)
                        take(values, cells, tile_g, tile_marks, at)
                        add_first(sums, seen, values, cells)
                        if lanes > QUAD:
                            take(values, cells, tile_g, tile_marks, uint32(at + uint32(QUAD)))
                            add_second(sums, seen, values, cells)
                cuda.syncthreads()
                top = uint32(top + uint32(strip))
            n = uint32(n + uint32(1))
        c = uint32(first_channel + lane)
        for i in range(lanes):
            o = uint32(first_output + first + uint32(i))
            if c < uint32(channels) and o < uint32(outputs):
                for tap in range(9):
                    at = uint32(((z * uint32(outputs) + o) * uint32(channels) + c) * uint32(9) + uint32(tap))
                    dw[at] = sums[i * 9 + tap]

    return body


@kernel(threads=THREADS)
def by_window(real, sizes, average):
    """Grid (outputs * channels, parts of the images)."""
    channels, height, width, outputs, kernel_size, padding, pool, rows, columns = sizes
    taps, windows, cells = kernel_size * kernel_size, rows * columns, pool * pool if average else 1
    bottom, right, shared = height + padding, width + padding, taps * WARPS
    passed = passing(average)

    def body(g: pointer(real), marks: pointer(uint8), x: pointer(real), dw: pointer(real), batch: uint32, part: uint32):
        of_warps = cuda.shared.array(shared, real)
        sums = cuda.local.array(taps, real)
        t, z = uint32(cuda.threadIdx.x), uint32(cuda.blockIdx.y)
        o, c = uint32(cuda.blockIdx.x // uint32(channels)), uint32(cuda.blockIdx.x % uint32(channels))
        for tap in range(taps):
            sums[tap] = real(0)
        q = uint32(z * part * uint32(windows) + t)
        last = uint32(min(batch, uint32((z + 1) * part)) * uint32(windows))
        while q < last:
            n, window = uint32(q // uint32(windows)), uint32(q % uint32(windows))
            at = uint32((n * uint32(outputs) + o) * uint32(windows) + window)
            value, mark = g[at], uint32(marks[at])
            top, left = (
                uint32(window // uint32(columns) * uint32(pool)),
                uint32(window % uint32(columns) * uint32(pool)),
            )
            image = uint32((n * uint32(channels) + c) * uint32(height))
            for number in range(uint32(cells)):
                cell = uint32(number) if average else mark
                if value != real(0) and (passed(mark, cell) if average else mark < uint32(pool * pool)):
                    for r in range(kernel_size):
                        for s in range(kernel_size):
                            h = uint32(top + cell // uint32(pool) + uint32(r))  # from the edge of the padding
                            v = uint32(left + cell % uint32(pool) + uint32(s))
                            down, across = h >= uint32(padding) and h < uint32(bottom), v >= uint32(padding)
                            if down and across and v < uint32(right):
                                line = uint32((image + h - uint32(padding)) * uint32(width))
                                sums[r * kernel_size + s] += value * x[uint32(line + v - uint32(padding))]
            q = uint32(q + uint32(THREADS))
        for tap in range(taps):
            total = sums[tap]
            for step in range(5):
                total += cuda.shfl_xor_sync(EVERYONE, total, 16 >> step)
            if t % uint32(WARP) == 0:
                of_warps[uint32(uint32(tap) * uint32(WARPS) + t // uint32(WARP))] = total
        cuda.syncthreads()
        if t < uint32(taps):
            total = real(0)
            for warp in range(uint32(WARPS)):
                total += of_warps[uint32(t * uint32(WARPS) + warp)]
            dw[uint32(((z * uint32(outputs) + o) * uint32(channels) + c) * uint32(taps) + t)] = total

    return body
