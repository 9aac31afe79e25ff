"""Softmax, log-softmax and cross-entropy over the rows of a (rows, classes) matrix, forward and backward.

    softmax        y_j = exp(x_j - max) / sum_k exp(x_k - max)        dx_j = y_j * (dy_j - sum_k dy_k y_k)
    log_softmax    y_j = x_j - max - log(sum_k exp(x_k - max))        dx_j = dy_j - exp(y_j) * sum_k dy_k
    cross_entropy  loss = -sum_j t_j log_softmax(x)_j                 dx_j = dloss * (softmax(x)_j * sum_k t_k - t_j)
    product_loss   loss = -sum_j p_j t_j                              dp_j = -dloss * t_j
    log_product    loss = -sum_j (log_p_j + log t_j)                  dlog_p_j = -dloss

Layout     A warp takes a row, its 32 threads every 32nd class; a block is (32, ROWS) threads.
Targets    A class index per row (t = 1 there), or a row of soft targets, which need not sum to 1.
Numerics   `max` is the row's own, so no finite row overflows. A class of target 0 adds exactly 0, also where its logit
           is -inf.
Order      Each thread adds its classes up, then the threads' sums are added by halves: the same bits each time.
NaN        A row that holds a NaN or +inf, or nothing but -inf, becomes NaN, and no other row.
Cost       A row is read two or three times, from the cache but for the first; one or two exp per element.
"""

from fastcnn.backends.cuda.language import (
    cuda,
    exp,
    float32,
    float64,
    inline,
    kernel,
    log,
    pointer,
    uint8,
    uint32,
    uint64,
)

WARP, ROWS = 32, 4
ALL = 0xFFFFFFFF  # threads of a warp
LOWEST = float("-inf")


@inline
def sum_of_warp(value):
    """The sum over the threads of the warp, in each of them."""
    for lanes in (16, 8, 4, 2, 1):
        value += cuda.shfl_xor_sync(ALL, value, lanes)
    return value


@inline
def largest_of_row(x, first, classes, lowest):
    """The largest element of the row that begins at `first`; NaN if it holds one."""
    largest, j = lowest, uint32(cuda.threadIdx.x)
    while j < classes:
        value = x[uint32(first + j)]
        largest = value if value > largest or value != value else largest
        j = uint32(j + uint32(WARP))
    for lanes in (16, 8, 4, 2, 1):
        value = cuda.shfl_xor_sync(ALL, largest, lanes)
        largest = value if value > largest or value != value else largest
    return largest


@inline
def sum_of_exponentials(x, first, classes, largest, zero):
    """The sum of exp(x - largest) over the row that begins at `first`."""
    total, j = zero, uint32(cuda.threadIdx.x)
    while j < classes:
        total += exp(x[uint32(first + j)] - largest)
        j = uint32(j + uint32(WARP))
    return sum_of_warp(total)


@kernel(threads=WARP * ROWS)
def softmax(real):
    """Rows of probabilities."""

    def body(x: pointer(real), y: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j = uint32(row * classes), uint32(cuda.threadIdx.x)
            largest = largest_of_row(x, first, classes, real(LOWEST))
            total = sum_of_exponentials(x, first, classes, largest, real(0))
            while j < classes:
                y[uint32(first + j)] = exp(x[uint32(first + j)] - largest) / total
                j = uint32(j + uint32(WARP))

    return body


@kernel(threads=WARP * ROWS)
def softmax_backward(real):
    """Of dy and y."""

    def body(dy: pointer(real), y: pointer(real), dx: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j, total = uint32(row * classes), uint32(cuda.threadIdx.x), real(0)
            while j < classes:
                total += dy[uint32(first + j)] * y[uint32(first + j)]
                j = uint32(j + uint32(WARP))
            total, j = sum_of_warp(total), uint32(cuda.threadIdx.x)
            while j < classes:
                dx[uint32(first + j)] = y[uint32(first + j)] * (dy[uint32(first + j)] - total)
                j = uint32(j + uint32(WARP))

    return body


@kernel(threads=WARP * ROWS)
def log_softmax(real):
    """Rows of logarithms of probabilities."""

    def body(x: pointer(real), y: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j = uint32(row * classes), uint32(cuda.threadIdx.x)
            largest = largest_of_row(x, first, classes, real(LOWEST))
            log_total = log(sum_of_exponentials(x, first, classes, largest, real(0)))
            while j < classes:
                y[uint32(first + j)] = x[uint32(first + j)] - largest - log_total
                j = uint32(j + uint32(WARP))

    return body


@kernel(threads=WARP * ROWS)
def log_softmax_backward(real):
    """Of dy and y."""

    def body(dy: pointer(real), y: pointer(real), dx: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j, total = uint32(row * classes), uint32(cuda.threadIdx.x), real(0)
            while j < classes:
                total += dy[uint32(first + j)]
                j = uint32(j + uint32(WARP))
            total, j = sum_of_warp(total), uint32(cuda.threadIdx.x)
            while j < classes:
                dx[uint32(first + j)] = dy[uint32(first + j)] - exp(y[uint32(first + j)]) * total
                j = uint32(j + uint32(WARP))

    return body


def weight_of(real, kind):
    """The target of a class, where `kind` is the type of the targets' elements: an integer, or `real` itself."""
    if kind in (float32, float64):
        return inline(lambda target, row, first, j: target[uint32(first + j)])
    return inline(lambda target, row, first, j: real(1) if uint32(target[row]) == j else real(0))


@kernel(threads=WARP * ROWS)
def cross_entropy(real, kind):
    """A loss per row."""
    weight = weight_of(real, kind)

    def body(x: pointer(real), target: pointer(kind), loss: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j, total = uint32(row * classes), uint32(cuda.threadIdx.x), real(0)
            largest = largest_of_row(x, first, classes, real(LOWEST))
            log_total = log(sum_of_exponentials(x, first, classes, largest, real(0)))
            while j < classes:
                share = weight(target, row, first, j)
                if share != real(0):
                    total -= share * (x[uint32(first + j)] - largest - log_total)
                j = uint32(j + uint32(WARP))
            total = sum_of_warp(total)
            if cuda.threadIdx.x == 0:
                loss[row] = total if log_total == log_total else log_total

    return body


@kernel(threads=WARP * ROWS)
def cross_entropy_backward(real, kind):
    """Of the gradients of the losses."""
    weight = weight_of(real, kind)

    def body(
        dloss: pointer(real),
        x: pointer(real),
        target: pointer(kind),
        dx: pointer(real),
        classes: uint32,
        rows: uint32,
    ):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j, mass = uint32(row * classes), uint32(cuda.threadIdx.x), real(0)
            largest = largest_of_row(x, first, classes, real(LOWEST))
            total = sum_of_exponentials(x, first, classes, largest, real(0))
            while j < classes:
                mass += weight(target, row, first, j)
                j = uint32(j + uint32(WARP))
            mass, j = sum_of_warp(mass), uint32(cuda.threadIdx.x)
            while j < classes:
                probability = exp(x[uint32(first + j)] - largest) / total
                dx[uint32(first + j)] = dloss[row] * (probability * mass - weight(target, row, first, j))
                j = uint32(j + uint32(WARP))

    return body


@kernel(threads=256)
def find_bad_index(kind):
    """Sets `bad[0]` if a class index is below 0, or not below `classes`."""

    def body(target: pointer(kind), bad: pointer(uint8), classes: uint32, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count and (target[i] < kind(0) or uint64(target[i]) >= uint64(classes)):
            bad[0] = uint8(1)  # whoever else writes, writes the same

    return body


@kernel(threads=WARP * ROWS)
def product_loss(real, logarithm):
    """The loss per row, of p; with `logarithm` that of log_product, of log_p."""
    term = inline((lambda p, t: p + log(t)) if logarithm else (lambda p, t: p * t))

    def body(p: pointer(real), target: pointer(real), loss: pointer(real), classes: uint32, rows: uint32):
        row = uint32(cuda.blockIdx.x * uint32(ROWS) + cuda.threadIdx.y)
        if row < rows:
            first, j, total = uint32(row * classes), uint32(cuda.threadIdx.x), real(0)
            while j < classes:
                total -= term(p[uint32(first + j)], target[uint32(first + j)])
                j = uint32(j + uint32(WARP))
            total = sum_of_warp(total)
            if cuda.threadIdx.x == 0:
                loss[row] = total

    return body


@kernel(threads=256)
def product_loss_backward(real, logarithm):
    """Of the gradients of the losses."""
    term = inline((lambda t: real(1)) if logarithm else (lambda t: t))

    def body(dloss: pointer(real), target: pointer(real), dp: pointer(real), classes: uint32, count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            dp[i] = -dloss[uint32(i // classes)] * term(target[i])

    return body
