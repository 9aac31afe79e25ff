"""The tiled product of two matrices, wherever their elements come from.

    c = op(a) @ op(b)        op(a) (rows, depth), op(b) (depth, columns), c (rows, columns), all row-major

Method     A block makes a tile of 64 x 64 sums, a thread 8 x 4 of them in registers. 16 of the depth at a time go
           through shared memory; while they are multiplied, the next ones are on their way into registers. How an
           element is found is a function of its own, so the same loop multiplies matrices here and convolves in
           `kernels.conv_direct`.
Depth      Cut in `parts` where rows and columns make too few tiles to fill a GPU: each part gives a product of its own,
           `kernels.reductions` adds them up in order.
Numerics   The sum of a part is a chain in the order of the depth. Tails are filled up with zeros times zeros.
Cost       3 reads of 4 numbers from shared memory for 32 multiplications.
"""

from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint32

TILE = 64  # rows and columns of a block
STEP = 16  # of the depth
DOWN, ACROSS = 8, 4  # sums of a thread
SUMS = DOWN * ACROSS
THREADS = (TILE // DOWN) * (TILE // ACROSS)
PITCH = TILE + 4  # of a line in shared memory: what is written along the depth spreads over the banks
SHARED = STEP * PITCH
EACH = TILE * STEP // THREADS  # elements that a thread fetches of a step


def fetching(real, load, deep):
    """Fetch a step's share of a thread, and lay it into shared memory; `deep`: neighbours in depth are so in memory."""

    @inline
    def place(t, e):
        return uint32((t + e * THREADS) // STEP) if deep else uint32((t + e * THREADS) % TILE)

    @inline
    def level(t, e):
        return uint32((t + e * THREADS) % STEP) if deep else uint32((t + e * THREADS) // TILE)

    @inline
    def fetch(matrix, share, t, start, lines, depth, first, last):
        for e in range(EACH):
            line = uint32(start + place(t, uint32(e)))
            k = uint32(first + level(t, uint32(e)))
            share[e] = load(matrix, line, k, lines, depth) if line < lines and k < last else real(0)

    @inline
    def keep(share, tile, t):
        for e in range(EACH):
            tile[uint32(level(t, uint32(e)) * PITCH + place(t, uint32(e)))] = share[e]

    return fetch, keep


def multiplying(real, load_a, deep_a, load_b, deep_b):
    """The sums of a thread, for kernels to call.

    `load_a(a, row, k, rows, depth)` is element (row, k) of op(a), `load_b(b, column, k, columns, depth)` element
    (k, column) of op(b); `deep_a` and `deep_b` say in which direction they lie side by side.
    """
    fetch_a, keep_a = fetching(real, load_a, deep_a)
    fetch_b, keep_b = fetching(real, load_b, deep_b)

    @inline
    def multiply(a, b, sums, top, left, rows, columns, depth, first, last):
        tile_a = cuda.shared.array(SHARED, real, alignment=16)
        tile_b = cuda.shared.array(SHARED, real, alignment=16)
        share_a, share_b = cuda.local.array(EACH, real), cuda.local.array(EACH, real)
        down, across = cuda.local.array(DOWN, real), cuda.local.array(ACROSS, real)
        t = uint32(cuda.threadIdx.x)
        my_row, my_column = uint32(t // (TILE // ACROSS) * DOWN), uint32(t % (TILE // ACROSS) * ACROSS)
        for i in range(SUMS):
            sums[i] = real(0)
        fetch_a(a, share_a, t, top, rows, depth, first, last)
        fetch_b(b, share_b, t, left, columns, depth, first, last)
        k = uint32(first)
        while k < last:
            keep_a(share_a, tile_a, t)
            keep_b(share_b, tile_b, t)
            cuda.syncthreads()
            k = uint32(k + STEP)
            fetch_a(a, share_a, t, top, rows, depth, k, last)
            fetch_b(b, share_b, t, left, columns, depth, k, last)
            for step in range(uint32(STEP)):
                line = uint32(step * PITCH)
                for i in range(DOWN):
                    down[i] = tile_a[uint32(line + my_row + uint32(i))]
                for j in range(ACROSS):
                    across[j] = tile_b[uint32(line + my_column + uint32(j))]
                for i in range(DOWN):
                    for j in range(ACROSS):
                        sums[i * ACROSS + j] += down[i] * across[j]
            cuda.syncthreads()

    return multiply


@inline
def load_deep(matrix, line, k, lines, depth):
    """From a matrix (lines, depth)."""
    return matrix[uint32(line * depth + k)]


@inline
def load_flat(matrix, line, k, lines, depth):
    """From a matrix (depth, lines)."""
    return matrix[uint32(k * lines + line)]


@inline
def row_of(i):
    """Which row of c sum i of a thread belongs to, from the block's first; and the column."""
    return uint32(cuda.threadIdx.x // (TILE // ACROSS) * DOWN + i // ACROSS)


@inline
def column_of(i):
    return uint32(cuda.threadIdx.x % (TILE // ACROSS) * ACROSS + i % ACROSS)


@kernel(threads=THREADS)
def matmul(real, transpose_a, transpose_b):
    """c[part] = the product over a part of the depth; grid (tiles across, tiles down, parts)."""
    multiply = multiplying(
        real,
        load_flat if transpose_a else load_deep,
        not transpose_a,
        load_deep if transpose_b else load_flat,
        bool(transpose_b),
    )

    def body(
        a: pointer(real),
        b: pointer(real),
        c: pointer(real),
        rows: uint32,
        columns: uint32,
        depth: uint32,
        part: uint32,  # of the depth, for a block
    ):
        sums = cuda.local.array(SUMS, real)
        top, left = uint32(cuda.blockIdx.y * TILE), uint32(cuda.blockIdx.x * TILE)
        z = uint32(cuda.blockIdx.z)
        first = uint32(z * part)
        last = uint32(min(depth, uint32(first + part)))
        multiply(a, b, sums, top, left, rows, columns, depth, first, last)
        for i in range(SUMS):
            row, column = uint32(top + row_of(i)), uint32(left + column_of(i))
            if row < rows and column < columns:
                c[uint32((z * rows + row) * columns + column)] = sums[i]

    return body
