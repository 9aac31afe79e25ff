"""Sums over many numbers in two stages, in an order that the shape alone decides.

    sum_rows      y[part, j] = sum of x[i, j] over the rows i of a part            x (rows, columns)
    sum_channels  y[part, c] = sum of x[n, c, :] over the images n of a part       x (batch, channels, size)

Method     The first stage makes a row for each part, `sum_rows` over those rows the result. In `sum_rows` a thread has
           a column; in `sum_channels` a block a channel, each of its threads every 256th number, and then they add up
           in pairs.
Cost       Bound by memory.
"""

from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint32

THREADS = 256
CHANNEL_THREADS = 256


@kernel(threads=THREADS)
def sum_rows(real):
    """Grid (columns / threads, parts)."""

    def body(x: pointer(real), y: pointer(real), rows: uint32, columns: uint32, part: uint32):
        j = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        z = uint32(cuda.blockIdx.y)
        if j < columns:
            last = uint32(min(rows, uint32((z + 1) * part)))
            total = real(0)
            for i in range(uint32(z * part), last):
                total += x[uint32(i * columns + j)]
            y[uint32(z * columns + j)] = total

    return body


@kernel(threads=CHANNEL_THREADS)
def sum_channels(real):
    """Grid (channels, parts)."""

    def body(x: pointer(real), y: pointer(real), batch: uint32, channels: uint32, size: uint32, part: uint32):
        totals = cuda.shared.array(CHANNEL_THREADS, real)
        t, c, z = uint32(cuda.threadIdx.x), uint32(cuda.blockIdx.x), uint32(cuda.blockIdx.y)
        n, i = uint32(z * part), uint32(t)
        last = uint32(min(batch, uint32(n + part)))
        total = real(0)
        while n < last:
            while i < size:
                total += x[uint32((n * channels + c) * size + i)]
                i = uint32(i + CHANNEL_THREADS)
            i = uint32(i - size)  # small maps: the threads go on in the next image where they left this one
            n = uint32(n + 1)
        totals[t] = total
        half = uint32(CHANNEL_THREADS // 2)
        while half > 0:
            cuda.syncthreads()
            if t < half:
                totals[t] += totals[uint32(t + half)]
            half = uint32(half // 2)
        if t == 0:
            y[uint32(z * channels + c)] = totals[t]

    return body
