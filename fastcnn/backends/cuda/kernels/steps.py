"""What a recorded training step does beside its operations: count, and fetch its batch.

    clock = (steps since the record was made, row of the tables that this step reads)

Layout     Images (samples, pixels) and labels (samples,) as bytes; order (rows, batch) says which sample is where.
Cost       Bound by memory: a byte read and a real written a pixel.
"""

from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint8, uint32

THREADS = 256


@kernel(threads=32)
def tick():
    """A step is over."""

    def body(clock: pointer(uint32)):
        i = uint32(cuda.threadIdx.x)
        if i < uint32(2):
            clock[i] = uint32(clock[i] + uint32(1))

    return body


@kernel(threads=THREADS)
def fetch_images(real):
    """x[n, p] = numbers[images[order[row, n], p]]; `numbers` has what each of the 256 values of a pixel stands for."""

    def body(
        images: pointer(uint8),
        numbers: pointer(real),
        order: pointer(uint32),
        clock: pointer(uint32),
        x: pointer(real),
        batch: uint32,
        pixels: uint32,
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            n = uint32(i // pixels)
            sample = order[uint32(clock[1] * batch + n)]
            x[i] = numbers[images[uint32(sample * pixels + i - n * pixels)]]

    return body


@kernel(threads=THREADS)
def fetch_targets(real):
    """y[n, c] = targets[labels[order[row, n]], c]."""

    def body(
        labels: pointer(uint8),
        targets: pointer(real),
        order: pointer(uint32),
        clock: pointer(uint32),
        y: pointer(real),
        batch: uint32,
        classes: uint32,
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            n = uint32(i // classes)
            sample = order[uint32(clock[1] * batch + n)]
            y[i] = targets[uint32(labels[sample] * classes + i - n * classes)]

    return body


@kernel(threads=32)
def keep_cost(real):
    """costs[row] = the sum of `losses` in order, divided by `count`; one thread, for a batch has few."""

    def body(losses: pointer(real), costs: pointer(real), clock: pointer(uint32), samples: uint32, divisor: real):
        if cuda.threadIdx.x == 0:
            total = real(0)
            for n in range(samples):
                total += losses[uint32(n)]
            costs[clock[1]] = total / divisor

    return body
