"""Products and sums in parts: how many parts a shape gets, and the two launches of each."""

from fastcnn.backends.cuda.arguments import blocks, launch, real_of
from fastcnn.backends.cuda.array import DeviceArray, empty
from fastcnn.backends.cuda.kernels import gemm, reductions

ENOUGH = 264  # blocks to fill a large GPU, two for each of its 132 multiprocessors
LEAST = 4 * gemm.STEP  # of the depth, for a part to be worth its second stage
ROWS = 128  # that one thread of `sum_rows` adds up


def tiles(lines: int) -> int:
    """How many tiles of the product so many rows or columns make."""
    return blocks(lines, gemm.TILE)


def parts(tiles: int, depth: int) -> tuple[int, int]:
    """In how many parts the depth of a product with so many tiles is cut, and how long they are."""
    wanted = max(1, min(ENOUGH // max(tiles, 1), depth // LEAST))
    length = blocks(blocks(depth, wanted), gemm.STEP) * gemm.STEP
    return max(1, blocks(depth, length) if length else 1), length


def product(
    a: DeviceArray,
    b: DeviceArray,
    transpose_a: bool = False,
    transpose_b: bool = False,
    out: DeviceArray | None = None,
) -> tuple[DeviceArray, int]:
    """The parts (parts, rows, columns) of op(a) @ op(b), and how many they are; a single one in `out`, if given."""
    rows, depth = reversed(a.shape) if transpose_a else a.shape
    columns = b.shape[0] if transpose_b else b.shape[1]
    count, length = parts(tiles(rows) * tiles(columns), depth)
    c = empty((count, rows, columns), a.dtype) if out is None or count > 1 else out
    grid = (tiles(columns), tiles(rows), count)
    made = gemm.matmul(real_of(a), bool(transpose_a), bool(transpose_b))
    launch(made, grid, (gemm.THREADS,), a, b, c, rows, columns, depth, length)
    return c, count


def sum_rows(x: DeviceArray, out: DeviceArray | None = None) -> DeviceArray:
    """The sums of the columns of a matrix (rows, columns), as a new array (columns,) or in `out`, of any shape."""
    rows, columns = x.shape
    if rows == 1 and out is None:
        return x.reshape(columns)
    count = max(1, blocks(rows, ROWS))
    y = empty((count, columns), x.dtype) if out is None or count > 1 else out
    grid = (blocks(columns, reductions.THREADS), count)
    launch(reductions.sum_rows(real_of(x)), grid, (reductions.THREADS,), x, y, rows, columns, ROWS)
    return y if y is out else sum_rows(y, out)


def sum_channels(x: DeviceArray) -> DeviceArray:
    """The sums (channels,) of x (batch, channels, size)."""
    batch, channels, size = x.shape
    if size == 1:
        return sum_rows(x.reshape(batch, channels))
    count = max(1, min(ENOUGH // channels, batch))
    part = blocks(batch, count)
    count = max(1, blocks(batch, part) if part else 1)
    y = empty((count, channels), x.dtype)
    made = reductions.sum_channels(real_of(x))
    launch(made, (channels, count), (made.threads,), x, y, batch, channels, size, part)
    return sum_rows(y)
