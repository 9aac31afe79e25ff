"""Convolution and its three backwards against the oracle, in every exact algorithm, dtype and instruction set."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cases import ConvCase, conv_cases
from hypothesis import example, given
from numpy.testing import assert_array_equal
from support import (
    assert_within_bound,
    every_algorithm,
    every_dtype,
    every_exact_algorithm,
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

# Large enough for several threads and cache blocks; the batch is no multiple of anything.
LARGE = ConvCase((13, 5, 20, 19), (24, 5, 3, 3), (1, 1), (1, 1), (1, 1), seed=0)
LARGE_CASES = [
    LARGE,
    ConvCase((1, 3, 40, 40), (17, 3, 5, 5), (2, 2), (2, 2), (1, 1), seed=1),
    ConvCase((35, 40, 5, 5), (33, 40, 3, 3), (1, 1), (0, 1), (2, 1), seed=2),
    ConvCase((100, 8, 9, 9), (16, 8, 1, 1), (1, 1), (0, 0), (1, 1), seed=3),
    ConvCase((2, 130, 6, 6), (70, 130, 3, 3), (1, 1), (1, 1), (1, 1), seed=4),
    ConvCase((11, 60, 41, 41), (3, 60, 1, 3), (1, 1), (0, 1), (1, 1), seed=5),
    ConvCase((9, 3, 20, 18), (7, 3, 3, 3), (1, 1), (1, 1), (1, 1), seed=6),
    ConvCase((3, 18, 11, 13), (33, 18, 1, 1), (1, 1), (0, 0), (1, 1), seed=7),
    ConvCase((3, 20, 9, 35), (40, 20, 1, 1), (3, 2), (0, 0), (1, 1), seed=11),
    # Where direct convolution has channels as lanes: in place; strided; only some rows follow each other in dx.
    ConvCase((9, 6, 14, 14), (16, 6, 5, 5), (1, 1), (0, 0), (1, 1), seed=8),
    ConvCase((8, 31, 9, 11), (47, 31, 3, 3), (2, 2), (1, 2), (1, 1), seed=9),
    ConvCase((9, 15, 7, 9), (17, 15, 3, 3), (2, 1), (1, 1), (1, 1), seed=10),
]


def every_case(test):
    """The cases above, and drawn ones."""
    for case in LARGE_CASES:
        test = example(case=case)(test)
    return given(case=conv_cases())(test)


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_forward_is_exact_on_integers(isa, algorithm, dtype, case):
    x, weight, bias, _ = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.conv2d(x, weight, bias, *case.geometry, algorithm)
    assert_array_equal(y, reference.conv2d(x, weight, bias, *case.geometry))


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_backward_input_is_exact_on_integers(isa, algorithm, dtype, case):
    x, weight, _, dy = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        dx = ops.conv2d_backward_input(dy, weight, x.shape, *case.geometry, algorithm)
    assert_array_equal(dx, reference.conv2d_backward_input(dy, weight, x.shape, *case.geometry))


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_backward_weight_is_exact_on_integers(isa, algorithm, dtype, case):
    x, weight, _, dy = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        dweight = ops.conv2d_backward_weight(dy, x, weight.shape, *case.geometry, algorithm)
    assert_array_equal(dweight, reference.conv2d_backward_weight(dy, x, weight.shape, *case.geometry))


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_forward_rounds_within_the_bound(isa, algorithm, dtype, case):
    x, weight, bias, _ = case.arrays(reals, dtype)
    with use_isa(isa):
        y = ops.conv2d(x, weight, bias, *case.geometry, algorithm)
    expected = reference.conv2d(x, weight, bias, *case.geometry)
    magnitude = reference.conv2d(abs(x), abs(weight), abs(bias), *case.geometry)
    assert_within_bound(y, expected, magnitude, terms=weight[0].size + 1)


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_backward_input_rounds_within_the_bound(isa, algorithm, dtype, case):
    x, weight, _, dy = case.arrays(reals, dtype)
    with use_isa(isa):
        dx = ops.conv2d_backward_input(dy, weight, x.shape, *case.geometry, algorithm)
    expected = reference.conv2d_backward_input(dy, weight, x.shape, *case.geometry)
    magnitude = reference.conv2d_backward_input(abs(dy), abs(weight), x.shape, *case.geometry)
    assert_within_bound(dx, expected, magnitude, terms=weight[:, 0].size)


@every_isa
@every_exact_algorithm
@every_dtype
@every_case
def test_backward_weight_rounds_within_the_bound(isa, algorithm, dtype, case):
    x, weight, _, dy = case.arrays(reals, dtype)
    with use_isa(isa):
        dweight = ops.conv2d_backward_weight(dy, x, weight.shape, *case.geometry, algorithm)
    expected = reference.conv2d_backward_weight(dy, x, weight.shape, *case.geometry)
    magnitude = reference.conv2d_backward_weight(abs(dy), abs(x), weight.shape, *case.geometry)
    assert_within_bound(dweight, expected, magnitude, terms=dy[:, 0].size)


@every_isa
@every_dtype
@every_case
def test_backward_bias_is_exact_on_integers(isa, dtype, case):
    *_, dy = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        dbias = ops.conv2d_backward_bias(dy)
    assert_array_equal(dbias, reference.conv2d_backward_bias(dy))


@every_isa
@every_dtype
@every_case
def test_backward_bias_rounds_within_the_bound(isa, dtype, case):
    *_, dy = case.arrays(reals, dtype)
    with use_isa(isa):
        dbias = ops.conv2d_backward_bias(dy)
    expected, magnitude = (reference.conv2d_backward_bias(values) for values in (dy, abs(dy)))
    assert_within_bound(dbias, expected, magnitude, terms=dy[:, 0].size)


@every_isa
def test_backward_bias_of_a_matrix_sums_its_columns(isa):
    dy = integers(np.random.default_rng(0), (37, 19), np.float32)
    with use_isa(isa), poisoned_memory():
        assert_array_equal(ops.conv2d_backward_bias(dy), dy.sum(axis=0))


@every_isa
@every_dtype
@every_case
def test_im2col_copies_the_cells_under_each_tap(isa, dtype, case):
    x, *_ = case.arrays(reals, dtype)
    with use_isa(isa), poisoned_memory():
        columns = ops.im2col(x, case.kernel_size, *case.geometry)
    assert_array_equal(columns, reference.im2col(x, case.kernel_size, *case.geometry))


@every_isa
@every_dtype
@every_case
def test_col2im_is_exact_on_integers(isa, dtype, case):
    x, *_ = case.arrays(integers, dtype)
    geometry = (case.kernel_size, *case.geometry)
    shape = reference.im2col(x, *geometry).shape
    columns = integers(np.random.default_rng(case.seed), shape, dtype)
    with use_isa(isa), poisoned_memory():
        restored = ops.col2im(columns, x.shape, *geometry)
    assert_array_equal(restored, reference.col2im(columns, x.shape, *geometry))


@every_isa
@every_algorithm
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_forward_has_the_same_bits_on_any_number_of_threads(isa, algorithm, case):
    x, weight, bias, _ = case.arrays(reals, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(lambda: ops.conv2d(x, weight, bias, *case.geometry, algorithm))
    assert one == two == three


@every_isa
@every_algorithm
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_backward_input_has_the_same_bits_on_any_number_of_threads(isa, algorithm, case):
    x, weight, _, dy = case.arrays(reals, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: ops.conv2d_backward_input(dy, weight, x.shape, *case.geometry, algorithm)
        )
    assert one == two == three


@every_isa
@every_algorithm
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_backward_weight_has_the_same_bits_on_any_number_of_threads(isa, algorithm, case):
    x, weight, _, dy = case.arrays(reals, np.float32)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: ops.conv2d_backward_weight(dy, x, weight.shape, *case.geometry, algorithm)
        )
    assert one == two == three


@every_isa
@pytest.mark.parametrize("case", LARGE_CASES, ids=lambda case: str(case.input_shape))
def test_backward_bias_and_columns_have_the_same_bits_on_any_number_of_threads(isa, case):
    x, _, _, dy = case.arrays(reals, np.float32)
    geometry = (case.kernel_size, *case.geometry)

    def operations():
        columns = ops.im2col(x, *geometry)
        return ops.conv2d_backward_bias(dy), columns, ops.col2im(columns, x.shape, *geometry)

    with use_isa(isa):
        one, two, three = results_on_threads(operations)
    assert one == two == three


@every_layout
@every_algorithm
def test_any_memory_layout_gives_the_same_bits(lay_out, algorithm):
    x, weight, bias, dy = LARGE.arrays(reals, np.float32)

    def operations(x, weight, bias, dy):
        geometry = (*LARGE.geometry, algorithm)
        return (
            ops.conv2d(x, weight, bias, *geometry),
            ops.conv2d_backward_input(dy, weight, x.shape, *geometry),
            ops.conv2d_backward_weight(dy, x, weight.shape, *geometry),
            ops.conv2d_backward_bias(dy),
            ops.im2col(x, LARGE.kernel_size, *LARGE.geometry),
        )

    strided = operations(*(lay_out(array) for array in (x, weight, bias, dy)))
    for got, expected in zip(strided, operations(x, weight, bias, dy), strict=True):
        assert_array_equal(got, expected)


@every_layout
def test_col2im_takes_any_memory_layout(lay_out):
    geometry = (LARGE.kernel_size, *LARGE.geometry)
    columns = ops.im2col(LARGE.arrays(reals, np.float64)[0], *geometry)
    restored = ops.col2im(columns, LARGE.input_shape, *geometry)
    assert_array_equal(ops.col2im(lay_out(columns), LARGE.input_shape, *geometry), restored)


@every_algorithm
def test_results_are_contiguous_and_of_the_dtype_that_came_in(algorithm):
    x, weight, bias, _ = LARGE.arrays(reals, np.float32)
    y = ops.conv2d(np.asfortranarray(x), weight, bias, padding=1, algorithm=algorithm)
    assert (y.dtype, y.flags.c_contiguous) == (x.dtype, True)


@every_algorithm
def test_no_bias_is_a_bias_of_zero(algorithm):
    x, weight, bias, _ = LARGE.arrays(reals, np.float32)
    without = ops.conv2d(x, weight, algorithm=algorithm)
    assert_array_equal(without, ops.conv2d(x, weight, np.zeros_like(bias), algorithm=algorithm))


@every_algorithm
def test_nan_and_infinity_reach_every_output_they_touch(algorithm):
    x, weight = np.zeros((1, 1, 5, 5), np.float32), np.ones((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0], x[0, 0, 4, 4] = np.nan, np.inf
    expected = [[np.nan, 0, 0], [0, 0, 0], [0, 0, np.inf]]
    assert_array_equal(ops.conv2d(x, weight, algorithm=algorithm)[0, 0], expected)


@every_algorithm
def test_eight_python_threads_do_not_disturb_each_other(algorithm):
    x, weight, bias, dy = LARGE.arrays(reals, np.float32)

    def step(_):
        y = ops.conv2d(x, weight, bias, *LARGE.geometry, algorithm)
        dx = ops.conv2d_backward_input(dy, weight, x.shape, *LARGE.geometry, algorithm)
        return y.tobytes() + dx.tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(step, range(32)))) == 1


def test_backward_weight_of_many_weights_takes_batches_in_parts():
    x = integers(np.random.default_rng(0), (10, 512, 16, 16), np.float32)
    dy = integers(np.random.default_rng(1), (10, 64, 14, 14), np.float32)
    how = {"weight_shape": (64, 512, 3, 3), "algorithm": "direct"}
    parts = [ops.conv2d_backward_weight(dy[some], x[some], **how) for some in (slice(5), slice(5, 10))]
    assert_array_equal(ops.conv2d_backward_weight(dy, x, **how), parts[0] + parts[1])
