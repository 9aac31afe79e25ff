"""Winograd's weight gradient against the oracle: every size of tile, groups of images, panels of output channels."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, integers, poisoned_memory, reals, results_on_threads, use_isa

from fastcnn import _core, ops
from fastcnn.backends import reference
from fastcnn.backends.shapes import conv_shape

# input, number of filters, their side, padding; between them tiles of all sizes, all tails, strips of an image, many
# images at a time, more and fewer images than groups, several panels
CASES = [
    ((1, 1, 4, 4), 1, 3, (1, 1)),
    ((2, 3, 2, 2), 3, 3, (1, 1)),
    ((2, 17, 3, 3), 33, 3, (1, 1)),
    ((1, 33, 1, 1), 15, 3, (1, 1)),
    ((5, 15, 5, 7), 17, 3, (1, 0)),
    ((19, 8, 7, 7), 70, 3, (1, 1)),
    ((23, 3, 14, 14), 31, 3, (2, 2)),
    ((2, 5, 13, 31), 7, 3, (0, 2)),
    ((1, 40, 33, 33), 48, 3, (1, 1)),
    ((2, 130, 12, 4), 132, 3, (1, 2)),
    ((2, 1, 5, 5), 1, 5, (0, 0)),
    ((3, 3, 6, 8), 33, 5, (1, 3)),
    ((1, 15, 1, 2), 17, 5, (4, 4)),
    ((33, 20, 13, 13), 50, 5, (0, 0)),
    ((2, 33, 7, 7), 3, 5, (2, 2)),
    ((2, 17, 32, 9), 15, 5, (3, 1)),
    ((1, 48, 40, 40), 34, 5, (2, 2)),
    ((11, 20, 6, 6), 68, 5, (2, 0)),
]
every_case = pytest.mark.parametrize(("shape", "filters", "kernel", "padding"), CASES, ids=str)


def arrays(fill, dtype, shape, filters, kernel, padding):
    """dy, x and the weight's shape."""
    rng = np.random.default_rng(len(shape) + sum(shape))
    weight = (filters, shape[1], kernel, kernel)
    return fill(rng, ops.conv_output_shape(shape, weight, padding=padding), dtype), fill(rng, shape, dtype), weight


def tile(shape, filters, kernel, padding, dtype=np.float32, algorithm="winograd"):
    sizes = conv_shape(shape, (filters, shape[1], kernel, kernel), 1, padding, 1)
    numbers = _core.DIRECTIONS["backward_weight"], 0, _core.ALGORITHMS[algorithm]
    return _core.winograd_tile(sizes, dtype is np.float64, *numbers)


def test_the_cases_take_tiles_of_every_size():
    assert {(case[2], tile(*case)) for case in CASES} == {(3, 2), (3, 3), (3, 4), (5, 2), (5, 3)}


@every_isa
@every_dtype
@every_case
def test_the_error_is_small_beside_the_sum_of_absolute_products(isa, dtype, shape, filters, kernel, padding):
    dy, x, weight = arrays(reals, dtype, shape, filters, kernel, padding)
    with use_isa(isa), poisoned_memory():
        dweight = ops.conv2d_backward_weight(dy, x, weight, padding=padding, algorithm="winograd")
    error = abs(dweight - reference.conv2d_backward_weight(dy, x, weight, padding=padding)).max()
    sums = reference.conv2d_backward_weight(abs(dy), abs(x), weight, padding=padding)
    assert error <= 24 * np.finfo(dtype).eps * sums.max()


CHANGES = {  # signs and sizes that rounding may like least
    "none": lambda array: array,
    "positive": abs,
    "alternating": lambda array: abs(array) * (-1) ** np.indices(array.shape).sum(axis=0),
    "cancelling": lambda array: array - array.mean(axis=(2, 3), keepdims=True) + 100,
    "of all sizes": lambda array: array * 10 ** (3 * np.cos(np.arange(array.size))).reshape(array.shape),
}


@every_isa
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@every_case
def test_the_error_is_small_beside_the_largest_pixel_times_a_channel(isa, change, shape, filters, kernel, padding):
    dy, x, weight = arrays(reals, np.float64, shape, filters, kernel, padding)
    dy, x = change(dy).astype(np.float32), change(x).astype(np.float32)
    with use_isa(isa):
        dweight = ops.conv2d_backward_weight(dy, x, weight, padding=padding, algorithm="winograd")
    largest = abs(x).max() * abs(dy).sum(axis=(0, 2, 3)).max()
    error = abs(dweight - reference.conv2d_backward_weight(dy, x, weight, padding=padding)).max()
    assert error <= 1e-6 * largest


@every_isa
@every_dtype
def test_tiles_of_two_are_exact_on_integers(isa, dtype):
    for shape, filters, kernel, padding in CASES:
        if kernel == 3 and tile(shape, filters, kernel, padding) == 2:
            dy, x, weight = arrays(integers, dtype, shape, filters, kernel, padding)
            with use_isa(isa), poisoned_memory():
                dweight = ops.conv2d_backward_weight(dy, x, weight, padding=padding, algorithm="winograd")
            assert_array_equal(dweight, reference.conv2d_backward_weight(dy, x, weight, padding=padding))


@every_isa
@every_case
def test_bits_do_not_depend_on_threads(isa, shape, filters, kernel, padding):
    dy, x, weight = arrays(reals, np.float32, shape, filters, kernel, padding)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: ops.conv2d_backward_weight(dy, x, weight, padding=padding, algorithm="winograd")
        )
    assert one == two == three


@every_isa
def test_the_size_of_the_batch_does_not_choose_the_tile(isa):
    with use_isa(isa):
        for kernel, channels, side in ((3, 4, 9), (3, 32, 14), (3, 256, 7), (5, 4, 9), (5, 20, 13), (5, 256, 14)):
            one, many = (tile((batch, channels, side, side), 32, kernel, (1, 1), algorithm="auto") for batch in (1, 99))
            assert one == many


@every_isa
def test_auto_gives_the_bits_of_the_algorithm_that_it_names(isa):
    named = set()
    for case in CASES:
        dy, x, weight = arrays(reals, np.float32, *case)
        how = {"padding": case[3]}
        with use_isa(isa):
            algorithm = ops.conv2d_algorithm(x.shape, weight, **how, direction="backward_weight")
            by_name = ops.conv2d_backward_weight(dy, x, weight, **how, algorithm=algorithm)
            assert_array_equal(ops.conv2d_backward_weight(dy, x, weight, **how), by_name)
        named.add(algorithm)
    assert named == {"direct", "winograd"}


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_nan_and_infinity_show_in_every_weight_they_touch(bad):
    dy, x = np.ones((2, 4, 12, 12), np.float32), np.ones((2, 5, 12, 12), np.float32)
    dy[1, 2, 5, 5], x[0, 3, 6, 6] = bad, bad
    dweight = ops.conv2d_backward_weight(dy, x, (4, 5, 3, 3), padding=1, algorithm="winograd")
    assert not np.isfinite(dweight[2]).any()
    assert not np.isfinite(dweight[:, 3]).any()
    assert np.isfinite(dweight[[0, 1, 3]][:, [0, 1, 2, 4]]).all()


def test_double_precision_takes_it_only_by_name():
    for case in CASES:
        assert tile(*case, dtype=np.float64, algorithm="auto") == 0
