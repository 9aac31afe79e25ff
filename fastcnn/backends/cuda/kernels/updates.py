"""The optimizers' updates, in place; what comes before them: clipping and penalties; and the sum of squares, for norms.

    SGD        data += g * -lr
    momentum   v = momentum*v + g;  data += v * -lr, or with Nesterov (g + momentum*v) * -lr          as PyTorch
    RMSprop    s = s*decay + fresh*g*g;  data += 1 / sqrt(s + eps) * (g * -lr)                        as Gorgonia
    Adam       m = beta1*m + fresh1*g;  v = beta2*v + fresh2*g*g;
               data = data*shrink - lr*m / (sqrt(v)*root + eps)                                       as PyTorch
    adjust     g = clip(g * scale, -limit, limit) + l1 * sign(data) + l2 * data

What is the same for all elements is worked out on the host, in double precision: fresh = 1 - decay; for Adam
lr / (1 - beta1**step), root = 1 / sqrt(1 - beta2**step), shrink = 1 - lr*weight_decay. A kernel finds these `numbers`
in the row of the step, see `fastcnn.backends.cuda.steps`.

Layout     Flat arrays; thread i takes element i. Sum of squares: a block takes CHUNK elements, a thread every 256th of
           them; the blocks' sums are summed by one block, in the same way.
NaN        Is never clipped away.
Order      Sums go in an order fixed by the number of elements, in double precision whatever the elements: the same bits
           each time.
Cost       Bound by memory: each array is read once, and written once if it changes.
"""

from fastcnn.backends.cuda.kernels.rows import sum_of_warp
from fastcnn.backends.cuda.language import cuda, float64, inline, kernel, pointer, sqrt, uint32

THREADS, WARPS = 256, 8
CHUNK = 16 * THREADS
STEPS = CHUNK // THREADS


@kernel(threads=THREADS)
def sgd(real):
    """A step against the gradient."""

    def body(data: pointer(real), grad: pointer(real), numbers: pointer(real), clock: pointer(uint32), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            lr = numbers[clock[1]]
            data[i] += grad[i] * -lr

    return body


@kernel(threads=THREADS)
def momentum(real, nesterov):
    """A step along the velocity, or from where that leads."""

    def body(
        data: pointer(real),
        grad: pointer(real),
        velocity: pointer(real),
        numbers: pointer(real),
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            row = uint32(clock[1] * 2)
            lr, momentum = numbers[row], numbers[row + uint32(1)]
            moved = momentum * velocity[i] + grad[i]
            velocity[i] = moved
            data[i] += (grad[i] + momentum * moved if nesterov else moved) * -lr

    return body


@kernel(threads=THREADS)
def rmsprop(real):
    """A step over the root of the mean square."""

    def body(
        data: pointer(real),
        grad: pointer(real),
        average: pointer(real),
        numbers: pointer(real),
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            row = uint32(clock[1] * 4)
            lr, decay = numbers[row], numbers[row + uint32(1)]
            fresh, eps = numbers[row + uint32(2)], numbers[row + uint32(3)]
            g = grad[i]
            mean = average[i] * decay + fresh * g * g
            average[i] = mean
            data[i] += real(1) / sqrt(mean + eps) * (g * -lr)

    return body


@kernel(threads=THREADS)
def adam(real):
    """A step by the moments."""

    def body(
        data: pointer(real),
        grad: pointer(real),
        first: pointer(real),
        second: pointer(real),
        numbers: pointer(real),
        clock: pointer(uint32),
        count: uint32,
    ):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            row = uint32(clock[1] * 8)
            lr, beta1, fresh1 = numbers[row], numbers[row + uint32(1)], numbers[row + uint32(2)]
            beta2, fresh2, eps = numbers[row + uint32(3)], numbers[row + uint32(4)], numbers[row + uint32(5)]
            root, shrink = numbers[row + uint32(6)], numbers[row + uint32(7)]
            g = grad[i]
            m = beta1 * first[i] + fresh1 * g
            v = beta2 * second[i] + fresh2 * g * g
            first[i] = m
            second[i] = v
            data[i] = data[i] * shrink - lr * m / (sqrt(v) * root + eps)

    return body


@kernel(threads=THREADS)
def adjust(real):
    """The gradient before an update."""

    def body(grad: pointer(real), data: pointer(real), scale: real, limit: real, l1: real, l2: real, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            scaled, weight = grad[i] * scale, data[i]
            below = limit if scaled > limit else scaled
            sign = real(1) if weight > real(0) else (real(-1) if weight < real(0) else real(0))
            grad[i] = (-limit if below < -limit else below) + l1 * sign + l2 * weight

    return body


@inline
def sum_of_block(value, zero):
    """The sum over the block's THREADS threads, in the first of them."""
    warps = cuda.shared.array(WARPS, float64)
    value = sum_of_warp(value)
    thread = uint32(cuda.threadIdx.x)
    if cuda.laneid == 0:
        warps[uint32(thread // uint32(32))] = value
    cuda.syncthreads()
    total = zero
    if thread == 0:
        for warp in range(WARPS):
            total += warps[warp]
    return total


@kernel(threads=THREADS)
def sum_squares(real):
    """The sum of the squares of each chunk."""

    def body(x: pointer(real), sums: pointer(float64), count: uint32):
        first = uint32(cuda.blockIdx.x * uint32(CHUNK) + cuda.threadIdx.x)
        total = float64(0)
        for k in range(STEPS):
            i = uint32(first + k * THREADS)
            if i < count:
                total += float64(x[i]) * float64(x[i])
        total = sum_of_block(total, float64(0))
        if cuda.threadIdx.x == 0:
            sums[cuda.blockIdx.x] = total

    return body


@kernel(threads=THREADS)
def sum_sums():
    """The sum of all chunks' sums, by one block."""

    def body(sums: pointer(float64), result: pointer(float64), count: uint32):
        i, total = uint32(cuda.threadIdx.x), float64(0)
        while i < count:
            total += sums[i]
            i = uint32(i + uint32(THREADS))
        total = sum_of_block(total, float64(0))
        if cuda.threadIdx.x == 0:
            result[0] = total

    return body
