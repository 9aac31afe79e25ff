"""What is done to each element by itself: activations, dropout, sums.

Layout     Flat arrays; thread i takes element i.
NaN        Passes through; ReLU keeps it, too.
Cost       Bound by memory: each element is read and written once.
"""

from fastcnn.backends.cuda.kernels.random import random_bits
from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint32

THREADS = 256


@kernel(threads=THREADS)
def relu(real):
    """y = max(x, 0)."""

    def body(x: pointer(real), y: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            y[i] = real(0) if x[i] <= real(0) else x[i]

    return body


@kernel(threads=THREADS)
def relu_backward(real):
    """dx = dy where y > 0, or y is NaN; else 0."""

    def body(dy: pointer(real), y: pointer(real), dx: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            dx[i] = real(0) if y[i] <= real(0) else dy[i]

    return body


@kernel(threads=THREADS)
def dropout(real):
    """y = 0 where the random bits of the element are below `drop`, else x * scale; see `kernels.random`."""

    def body(
        x: pointer(real), y: pointer(real), drop: uint32, scale: real, low_key: uint32, high_key: uint32, count: uint32
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            kept = random_bits(i, low_key, high_key) >= drop
            y[i] = x[i] * scale if kept else real(0)

    return body
