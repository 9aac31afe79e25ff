"""Max- and average-pooling, forward and backward.

    max   y[n,c,i,j]      = max over (r,s) of x[n, c, i*stride + r - padding, j*stride + s - padding]
          argmax[n,c,i,j] = r*kernel_width + s of the cell that won
          dx[cell]        = sum of dy[n,c,i,j] over the windows that the cell won
    mean  y[n,c,i,j]      = sum over (r,s) of the same x / cells
          dx[cell]        = sum of dy[n,c,i,j] / cells over the windows that hold the cell

Layout     NCHW, arrays as many planes of (height, width). Forward thread i takes output i, backward input i.
Method     Places are counted in the padded plane, where nothing is below zero. Backward gathers: a thread walks over
           the windows that may hold its cell, so that nothing is added by two threads, and nothing zeroed before.
Ties       The first cell in row-major order wins. A NaN wins over numbers, the first NaN over later ones; the scan
           starts from the window's first cell inside the plane, so argmax always names a cell.
Padding    Never wins. It counts among the cells of a mean, as zeros; or, without `count_padding`, it doesn't.
Order      Sums go in row-major order, backward over windows: the same bits each time.
Cost       kernel_height * kernel_width reads an output; backward ceil(kernel / stride) squared reads of each array an
           input. Planes are small, so that all but the first read of a cell hit the cache.
"""

from fastcnn.backends.cuda.language import cuda, inline, kernel, pointer, uint8, uint32

THREADS = 256


def outputs(size, kernel_size, stride, padding):
    """Height and width of the output."""
    sizes = zip(size, kernel_size, stride, padding, strict=True)
    return tuple((length + 2 * pad - window) // step + 1 for length, window, step, pad in sizes)


def insider(size, padding):
    """Whether a place of the padded plane lies in the plane; a window without padding never leaves it."""
    (height, width), (above, before) = size, padding
    if padding == (0, 0):
        return inline(lambda row, column: True)
    return inline(lambda row, column: above <= row < height + above and before <= column < width + before)


@kernel(threads=THREADS)
def max_pool(real, size, kernel_size, stride, padding):
    """The winner of each window, and which cell it is."""
    (_, width), (rows, columns), (down, across), (above, before) = size, kernel_size, stride, padding
    out_height, out_width = outputs(size, kernel_size, stride, padding)
    inside, cells, windows = insider(size, padding), size[0] * size[1], out_height * out_width

    def body(x: pointer(real), y: pointer(real), argmax: pointer(uint8), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            window = uint32(i % uint32(windows))
            plane = uint32(i // uint32(windows) * uint32(cells))
            top = uint32(window // uint32(out_width) * uint32(down))
            left = uint32(window % uint32(out_width) * uint32(across))
            row = top if top > uint32(above) else uint32(above)
            column = left if left > uint32(before) else uint32(before)
            best = x[uint32(plane + (row - above) * width + (column - before))]
            winner = uint32((row - top) * columns + (column - left))
            for r in range(rows):
                for s in range(columns):
                    row, column = uint32(top + r), uint32(left + s)
                    if inside(row, column):
                        value = x[uint32(plane + (row - above) * width + (column - before))]
                        if value > best or (value != value and best == best):
                            best = value
                            winner = uint32(r * columns + s)
            y[i] = best
            argmax[i] = uint8(winner)

    return body


@kernel(threads=THREADS)
def max_pool_backward(real, size, kernel_size, stride, padding):
    """The gradients of the windows that each cell won. An argmax that is no cell of its window is never followed."""
    (height, width), (rows, columns), (down, across), (above, before) = size, kernel_size, stride, padding
    out_height, out_width = outputs(size, kernel_size, stride, padding)
    most_down, most_across = -(-rows // down), -(-columns // across)  # windows that may hold a cell

    def body(dy: pointer(real), argmax: pointer(uint8), dx: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            cell = uint32(i % uint32(height * width))
            plane = uint32(i // uint32(height * width) * uint32(out_height * out_width))
            row = uint32(cell // uint32(width) + uint32(above))
            column = uint32(cell % uint32(width) + uint32(before))
            total = real(0)
            for a in range(most_down - 1, -1, -1):
                for b in range(most_across - 1, -1, -1):
                    if uint32(row // uint32(down)) >= uint32(a) and uint32(column // uint32(across)) >= uint32(b):
                        p, q = uint32(row // uint32(down) - a), uint32(column // uint32(across) - b)
                        r, s = uint32(row - p * down), uint32(column - q * across)
                        if r < rows and s < columns and p < out_height and q < out_width:
                            window = uint32(plane + p * out_width + q)
                            if argmax[window] == r * columns + s:
                                total += dy[window]
            dx[i] = total

    return body


@kernel(threads=THREADS)
def find_bad_argmax(size, kernel_size, stride, padding):
    """Sets `bad[0]` if an argmax is not a cell of its window inside the plane."""
    (rows, columns), (down, across) = kernel_size, stride
    out_height, out_width = outputs(size, kernel_size, stride, padding)
    inside, windows = insider(size, padding), out_height * out_width

    def body(argmax: pointer(uint8), bad: pointer(uint8), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            window, winner = uint32(i % uint32(windows)), uint32(argmax[i])
            row = uint32(window // uint32(out_width) * uint32(down) + winner // uint32(columns))
            column = uint32(window % uint32(out_width) * uint32(across) + winner % uint32(columns))
            if winner >= uint32(rows * columns) or not inside(row, column):
                bad[0] = uint8(1)  # whoever else writes, writes the same

    return body


def divisor_of(real, size, kernel_size, padding, count_padding):
    """What the sum of a window is divided by, given its corner in the padded plane."""
    (height, width), (rows, columns), (above, before) = size, kernel_size, padding
    if count_padding or padding == (0, 0):
        return inline(lambda top, left: real(rows * columns))

    def divisor(top, left):
        bottom = top + rows if top + rows < height + above else height + above
        right = left + columns if left + columns < width + before else width + before
        return real(
            uint32(bottom - (top if top > above else above)) * uint32(right - (left if left > before else before))
        )

    return inline(divisor)


@kernel(threads=THREADS)
def avg_pool(real, size, kernel_size, stride, padding, count_padding):
    """The mean of each window."""
    (_, width), (rows, columns), (down, across), (above, before) = size, kernel_size, stride, padding
    out_height, out_width = outputs(size, kernel_size, stride, padding)
    inside, cells, windows = insider(size, padding), size[0] * size[1], out_height * out_width
    divisor = divisor_of(real, size, kernel_size, padding, count_padding)

    def body(x: pointer(real), y: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            window = uint32(i % uint32(windows))
            plane = uint32(i // uint32(windows) * uint32(cells))
            top = uint32(window // uint32(out_width) * uint32(down))
            left = uint32(window % uint32(out_width) * uint32(across))
            total = real(0)
            for r in range(rows):
                for s in range(columns):
                    row, column = uint32(top + r), uint32(left + s)
                    if inside(row, column):
                        total += x[uint32(plane + (row - above) * width + (column - before))]
            y[i] = total / divisor(top, left)

    return body


@kernel(threads=THREADS)
def avg_pool_backward(real, size, kernel_size, stride, padding, count_padding):
    """The shares that the windows give each of their cells."""
    (height, width), (rows, columns), (down, across), (above, before) = size, kernel_size, stride, padding
    out_height, out_width = outputs(size, kernel_size, stride, padding)
    most_down, most_across = -(-rows // down), -(-columns // across)  # windows that may hold a cell
    divisor = divisor_of(real, size, kernel_size, padding, count_padding)

    def body(dy: pointer(real), dx: pointer(real), count: uint32):
        i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
        if i < count:
            cell = uint32(i % uint32(height * width))
            plane = uint32(i // uint32(height * width) * uint32(out_height * out_width))
            row = uint32(cell // uint32(width) + uint32(above))
            column = uint32(cell % uint32(width) + uint32(before))
            total = real(0)
            for a in range(most_down - 1, -1, -1):
                for b in range(most_across - 1, -1, -1):
                    if uint32(row // uint32(down)) >= uint32(a) and uint32(column // uint32(across)) >= uint32(b):
                        p, q = uint32(row // uint32(down) - a), uint32(column // uint32(across) - b)
                        top, left = uint32(p * down), uint32(q * across)
                        if row < top + rows and column < left + columns and p < out_height and q < out_width:
                            total += dy[uint32(plane + p * out_width + q)] / divisor(top, left)
            dx[i] = total

    return body
