"""The tiled product of matrices on the GPU, against the float64 oracle."""

import numpy as np
import pytest
from support import assert_within_bound, every_dtype, integers, reals

from fastcnn.backends import reference
from fastcnn.backends.cuda import convolution, products
from fastcnn.backends.cuda.array import to_device
from fastcnn.errors import ShapeError

DEVICES = "first thread first", "GPU"

# rows, depth, columns, around tiles of 64 and steps of 16; and what is stored transposed
CASES = [((5, 300, 7), False, True), ((3, 15, 17), True, False), ((64, 33, 64), False, False)]
CASES += [
    (shape, *transposed)
    for shape in ((1, 1, 1), (17, 16, 3), (65, 5, 66))
    for transposed in ((False, False), (False, True), (True, False), (True, True))
]


def operands(shape, transpose_a, transpose_b, fill, dtype=np.float32):
    rows, depth, columns = shape
    rng = np.random.default_rng(5)
    a = fill(rng, (depth, rows) if transpose_a else (rows, depth), dtype)
    return a, fill(rng, (columns, depth) if transpose_b else (depth, columns), dtype)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_are_exact_on_integers(device, case):
    _, *transposed = case
    a, b = operands(*case, integers)
    got = convolution.matmul(to_device(a), to_device(b), *transposed).numpy()
    np.testing.assert_array_equal(got, reference.matmul(a, b, *transposed))


@every_dtype
def test_products_round_no_more_than_their_sums_are_long(device, dtype):
    a, b = operands((9, 400, 7), False, True, reals, dtype)
    got = convolution.matmul(to_device(a), to_device(b), False, True).numpy()
    magnitude = reference.matmul(np.abs(a), np.abs(b), False, True)
    assert_within_bound(got, reference.matmul(a, b, False, True), magnitude, 400)


def test_long_sums_are_cut_in_parts_that_the_shape_decides():
    assert products.parts(20, 1152) == (12, 96)
    assert products.parts(1, 64) == (1, 64)
    assert products.parts(1000, 10**6) == (1, 10**6)
    assert products.parts(1, 0) == (1, 0)
    for tiles, depth in ((1, 65), (7, 5000), (132, 1000)):
        count, length = products.parts(tiles, depth)
        assert (count - 1) * length < depth <= count * length


def test_a_depth_of_nothing_gives_zeros(device):
    got = convolution.matmul(to_device(np.ones((3, 0))), to_device(np.ones((0, 4))))
    np.testing.assert_array_equal(got.numpy(), np.zeros((3, 4)))


def test_nan_stays_in_its_row(device):
    a, b = np.ones((3, 20), np.float32), np.ones((20, 5), np.float32)
    a[1, 19] = np.nan
    got = convolution.matmul(to_device(a), to_device(b)).numpy()
    np.testing.assert_array_equal(got, reference.matmul(a, b))


@pytest.mark.parametrize("rows", [0, 1, 2, 127, 129, 260])
def test_sums_of_rows_are_exact_on_integers(device, rows):
    x = integers(np.random.default_rng(1), (rows, 3), np.float32)
    np.testing.assert_array_equal(products.sum_rows(to_device(x)).numpy(), x.sum(axis=0))
    out = to_device(np.full((3, 1), np.nan, np.float32))
    assert products.sum_rows(to_device(x), out) is out
    np.testing.assert_array_equal(out.numpy()[:, 0], x.sum(axis=0))


def test_inner_sizes_that_differ_are_refused(device):
    with pytest.raises(ShapeError, match="inner sizes differ"):
        convolution.matmul(to_device(np.ones((3, 4))), to_device(np.ones((3, 4))))
