"""Products of matrices against the oracle, around every tail of the register tile."""

import numpy as np
import pytest
from cases import matmul_cases
from hypothesis import given
from numpy.testing import assert_array_equal
from support import (
    assert_within_bound,
    every_dtype,
    every_isa,
    every_layout,
    integers,
    poisoned_memory,
    reals,
    results_on_threads,
    use_isa,
)

from fastcnn import ops
from fastcnn.backends import reference


@every_isa
@every_dtype
@given(case=matmul_cases())
def test_product_is_exact_on_integers(isa, dtype, case):
    a, b = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        product = ops.matmul(a, b, *case.transposes)
    assert_array_equal(product, reference.matmul(a, b, *case.transposes))


@every_isa
@every_dtype
@given(case=matmul_cases())
def test_product_rounds_within_the_bound(isa, dtype, case):
    a, b = case.arrays(reals, dtype)
    with use_isa(isa):
        product = ops.matmul(a, b, *case.transposes)
    expected = reference.matmul(a, b, *case.transposes)
    magnitude = reference.matmul(abs(a), abs(b), *case.transposes)
    assert_within_bound(product, expected, magnitude, terms=case.depth)


@every_isa
@every_dtype
def test_every_small_size_is_exact_on_integers(isa, dtype):
    rng = np.random.default_rng(0)
    with use_isa(isa), poisoned_memory():
        for rows, depth, columns in np.ndindex(19, 4, 35):
            a = integers(rng, (rows + 1, depth + 1), dtype)
            b = integers(rng, (depth + 1, columns + 1), dtype)
            assert_array_equal(ops.matmul(a, b), a @ b)


@every_isa
@pytest.mark.parametrize("shape", [(300, 1200, 625), (1, 4096, 10), (625, 7, 300)], ids=str)
def test_large_product_is_exact_on_integers(isa, shape):
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    a, b = integers(rng, (rows, depth), np.float32), integers(rng, (depth, columns), np.float32)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.matmul(a, b), a @ b)


@every_isa
@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True), (True, True)], ids=str)
@pytest.mark.parametrize("shape", [(100, 1152, 625), (625, 100, 1152), (3, 500, 10)], ids=str)
def test_product_has_the_same_bits_on_any_number_of_threads(isa, transposes, shape):
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    a, b = reals(rng, (rows, depth), np.float32), reals(rng, (depth, columns), np.float32)
    a, b = (array.T.copy() if flip else array for array, flip in zip((a, b), transposes, strict=True))
    with use_isa(isa):
        one, two, three = results_on_threads(lambda: ops.matmul(a, b, *transposes))
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    rng = np.random.default_rng(0)
    a, b = reals(rng, (33, 70), np.float32), reals(rng, (70, 41), np.float32)
    assert_array_equal(ops.matmul(lay_out(a), lay_out(b)), ops.matmul(a, b))


def test_nan_reaches_its_row_and_column_only():
    a, b = np.eye(20, dtype=np.float32), np.ones((20, 20), np.float32)
    a[7, 0] = np.nan
    assert_array_equal(np.isnan(ops.matmul(a, b)).all(axis=1), np.arange(20) == 7)


def test_denormals_of_the_caller_survive_a_call():
    a = np.full((64, 64), 1e-30, np.float32)
    ops.matmul(a, a)
    assert np.float32(1e-40) * np.float32(0.5) > 0
