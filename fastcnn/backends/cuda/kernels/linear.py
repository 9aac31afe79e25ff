"""What stands around the products of fully connected layers.

    linear_end            y = drop(relu(sum over parts of product[part] + bias))        relu and drop where asked for
    linear_end_backward   g = dy * scale where y > 0 or y is NaN, else 0: y is 0 exactly where ReLU or dropout cut

Layout     y (N, O), row-major; the product's parts (parts, N, O), see `kernels.gemm`; thread i makes element i.
Numerics   Parts are added up in order, then the bias. Dropout draws by the flat index of y, see `kernels.random`.
"""

from fastcnn.backends.cuda.kernels.random import random_bits, random_key
from fastcnn.backends.cuda.language import cuda, kernel, pointer, uint32, uint64

THREADS = 256


@kernel(threads=THREADS)
def linear_end(real, biased, relu):
    """With drop = 0 and scale = 1 there is no dropout."""

    def body(
        product: pointer(real),
        bias: pointer(real),
        y: pointer(real),
        parts: uint32,
        outputs: uint32,
        drop: uint32,
        scale: real,
        seed: uint64,
        offset: uint64,
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            total = real(0)
            for part in range(parts):
                total += product[uint32(part * count + i)]
            if biased:
                total += bias[uint32(i % outputs)]
            if relu:
                total = real(0) if total <= real(0) else total
            y[i] = total * scale if random_bits(i, random_key(seed, offset, clock)) >= drop else real(0)

    return body


@kernel(threads=THREADS)
def linear_end_backward(real):
    """Element by element."""

    def body(dy: pointer(real), y: pointer(real), scale: real, g: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * THREADS + cuda.threadIdx.x)
        if i < count:
            g[i] = real(0) if y[i] <= real(0) else dy[i] * scale

    return body
