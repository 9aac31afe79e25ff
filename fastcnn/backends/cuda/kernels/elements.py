"""What is done to each element by itself: activations, sums of two arrays, dropout.

    relu        y = x, or 0 where x <= 0                  dx = dy, or 0 where y <= 0: the gradient at 0 is 0
    leaky_relu  y = x, or slope*x where not x > 0         dx = dy, or slope*dy where not x > 0
    sigmoid     y = 1 / (1 + exp(-x))                     dx = dy * y * (1 - y)
    tanh        y = tanh(x)                               dx = dy * (1 - y)(1 + y)
    add         y = a + b
    dropout     y = x * scale where the random bits are not below `drop`, else 0; backward is the same map of dy

Layout     Flat arrays; thread i takes element i.
NaN        Passes through all but dropout, which may drop it.
Numerics   The sigmoid takes exp of -abs(x), which never overflows and loses nothing next to 0. The gradient of tanh is
           a product because 1 - y*y would lose most digits where y is near 1 or -1.
Cost       Bound by memory: each element is read and written once.
"""

from fastcnn.backends.cuda.kernels.random import random_bits, random_key
from fastcnn.backends.cuda.language import cuda, exp, inline, kernel, pointer, tanh, uint32, uint64

THREADS = 256


def each(real, formula):
    """A body that maps each element of an array."""
    result = inline(formula)

    def body(x: pointer(real), y: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            y[i] = result(x[i])

    return body


def each_two(real, formula):
    """A body that maps each pair of elements of two arrays."""
    result = inline(formula)

    def body(a: pointer(real), b: pointer(real), y: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            y[i] = result(a[i], b[i])

    return body


@kernel(threads=THREADS)
def relu(real):
    """The positive part."""
    return each(real, lambda x: real(0) if x <= real(0) else x)


@kernel(threads=THREADS)
def relu_backward(real):
    """Of dy and y: also of y = NaN, dy passes."""
    return each_two(real, lambda dy, y: real(0) if y <= real(0) else dy)


@kernel(threads=THREADS)
def leaky_relu(real):
    """dy * slope where not x > 0; forward, dy is x."""

    def body(dy: pointer(real), x: pointer(real), slope: real, dx: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            dx[i] = dy[i] * (real(1) if x[i] > real(0) else slope)

    return body


@kernel(threads=THREADS)
def sigmoid(real):
    """From exp(-abs(x))."""

    def formula(x):
        e = exp(-x if x > real(0) else x)
        return (real(1) if x >= real(0) else e) / (real(1) + e)

    return each(real, formula)


@kernel(threads=THREADS)
def sigmoid_backward(real):
    """Of dy and y."""
    return each_two(real, lambda dy, y: dy * (y * (real(1) - y)))


@kernel(threads=THREADS)
def tanh_forward(real):
    """The library's hyperbolic tangent."""
    return each(real, lambda x: tanh(x))


@kernel(threads=THREADS)
def tanh_backward(real):
    """Of dy and y."""
    return each_two(real, lambda dy, y: dy * ((real(1) - y) * (real(1) + y)))


@kernel(threads=THREADS)
def add(real):
    """The sum."""
    return each_two(real, lambda a, b: a + b)


@kernel(threads=THREADS)
def dropout(real):
    """Zero where the random bits of the element are below `drop`; see `kernels.random`."""

    def body(
        x: pointer(real),
        y: pointer(real),
        drop: uint32,
        scale: real,
        seed: uint64,
        offset: uint64,
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            kept = random_bits(i, random_key(seed, offset, clock)) >= drop
            y[i] = x[i] * scale if kept else real(0)

    return body


@kernel(threads=THREADS)
def fill(real):
    """y = value."""

    def body(y: pointer(real), value: real, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            y[i] = value

    return body
