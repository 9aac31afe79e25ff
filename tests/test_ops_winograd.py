"""Winograd's convolution against the oracle: every size of tile, forwards, for the input gradient and in a stage."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_dtype, every_isa, integers, poisoned_memory, reals, results_on_threads, use_isa

import fastcnn as fc
from fastcnn import _core, ops
from fastcnn.backends import reference
from fastcnn.backends.shapes import conv_shape


def fits(side, shape, filters, kernel, padding):
    """Whether a window of this side fits the output."""
    return all(size + 2 * pad - kernel + 1 >= side for size, pad in zip(shape[2:], padding, strict=True))


# input, number of filters, their side, padding; between them tiles of all sizes, all tails, strips of an image, many
# images a task
CASES = [
    ((3, 1, 4, 4), 1, 3, (1, 1)),
    ((2, 3, 2, 2), 3, 3, (1, 1)),
    ((2, 17, 3, 3), 33, 3, (1, 1)),
    ((1, 33, 1, 1), 15, 3, (1, 1)),
    ((5, 15, 5, 7), 17, 3, (1, 0)),
    ((2, 16, 6, 8), 64, 3, (0, 0)),
    ((9, 8, 7, 7), 70, 3, (1, 1)),
    ((7, 33, 12, 6), 17, 3, (1, 1)),
    ((3, 32, 14, 14), 31, 3, (2, 2)),
    ((9, 18, 10, 15), 20, 3, (1, 1)),
    ((2, 5, 13, 31), 7, 3, (0, 2)),
    ((1, 40, 33, 33), 48, 3, (1, 1)),
    ((2, 130, 12, 4), 20, 3, (1, 2)),
    ((2, 1, 5, 5), 1, 5, (0, 0)),
    ((3, 3, 6, 8), 33, 5, (1, 3)),
    ((1, 15, 1, 2), 17, 5, (4, 4)),
    ((9, 20, 13, 13), 50, 5, (0, 0)),
    ((2, 33, 7, 7), 3, 5, (2, 2)),
    ((2, 17, 32, 9), 15, 5, (3, 1)),
    ((1, 48, 40, 40), 34, 5, (2, 2)),
    ((2, 70, 6, 6), 68, 5, (2, 0)),
]
STAGES = [(side, *case) for side in (1, 2, 3) for case in CASES if fits(side, *case)]
every_case = pytest.mark.parametrize(("shape", "filters", "kernel", "padding"), CASES, ids=str)
ERROR = {np.float32: 5e-6, np.float64: 1e-14}  # of the largest output, as fastcnn.ops.conv2d promises


def arrays(fill, dtype, shape, filters, kernel):
    rng = np.random.default_rng(len(shape) + sum(shape))
    return [fill(rng, size, dtype) for size in (shape, (filters, shape[1], kernel, kernel), (filters,))]


def tile(shape, filters, kernel, padding, dtype=np.float32, direction="forward", algorithm="winograd", pool=0):
    sizes = conv_shape(shape, (filters, shape[1], kernel, kernel), 1, padding, 1)
    numbers = _core.DIRECTIONS[direction], pool, _core.ALGORITHMS[algorithm]
    return _core.winograd_tile(sizes, dtype is np.float64, *numbers)


def assert_close(got, expected):
    assert np.isfinite(got).all()
    assert abs(got - expected).max() <= ERROR[got.dtype.type] * abs(expected).max()


EVERY_TILE = {(3, 2), (3, 3), (3, 4), (5, 2), (5, 3)}
OBLONG_TILE = (3, 6)  # of 6 x 3 outputs, only forwards


def test_the_cases_take_tiles_of_every_size():
    assert {(case[2], tile(*case, direction="backward_input")) for case in CASES} == EVERY_TILE
    assert {(case[2], tile(*case)) for case in CASES} == EVERY_TILE | {OBLONG_TILE}
    assert {(case[3], tile(*case[1:], pool=2)) for case in STAGES if case[0] == 2} == EVERY_TILE | {OBLONG_TILE}


@every_isa
@every_dtype
@every_case
def test_forward_stays_within_the_promised_error(isa, dtype, shape, filters, kernel, padding):
    x, weight, bias = arrays(reals, dtype, shape, filters, kernel)
    with use_isa(isa), poisoned_memory():
        y = ops.conv2d(x, weight, bias, padding=padding, algorithm="winograd")
    assert_close(y, reference.conv2d(x, weight, bias, padding=padding))


@every_isa
@every_dtype
@every_case
def test_the_input_gradient_stays_within_the_promised_error(isa, dtype, shape, filters, kernel, padding):
    x, weight, _ = arrays(reals, dtype, shape, filters, kernel)
    expected = reference.conv2d(x, weight, padding=padding)
    dy = reals(np.random.default_rng(1), expected.shape, dtype)
    with use_isa(isa), poisoned_memory():
        dx = ops.conv2d_backward_input(dy, weight, shape, padding=padding, algorithm="winograd")
    assert_close(dx, reference.conv2d_backward_input(dy, weight, shape, padding=padding))


@every_isa
@every_dtype
@pytest.mark.parametrize(("side", "shape", "filters", "kernel", "padding"), STAGES, ids=str)
def test_a_stage_stays_within_the_promised_error(isa, dtype, side, shape, filters, kernel, padding):
    x, weight, bias = arrays(reals, dtype, shape, filters, kernel)
    activated = reference.relu(reference.conv2d(x, weight, bias, padding=padding))
    with use_isa(isa), poisoned_memory():
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, bias, 1, padding, 1, side, "winograd")
    expected, _ = reference.max_pool2d(activated, side)
    assert_close(y, expected)
    # Rounding may let another pixel win, but only one that is as large.
    winners = reference.max_pool2d_backward(np.ones_like(expected), argmax, activated.shape, side) * activated
    assert_close(reference.avg_pool2d(winners, side).astype(dtype) * side**2, expected)


@every_isa
@every_dtype
def test_tiles_of_two_are_exact_on_integers(isa, dtype):
    for shape, filters, kernel, padding in CASES:
        if kernel == 3 and tile(shape, filters, kernel, padding) == 2:
            x, weight, bias = arrays(integers, dtype, shape, filters, kernel)
            with use_isa(isa), poisoned_memory():
                y = ops.conv2d(x, weight, bias, padding=padding, algorithm="winograd")
            assert_array_equal(y, reference.conv2d(x, weight, bias, padding=padding))


@every_isa
@every_case
def test_bits_depend_neither_on_threads_nor_on_the_batch(isa, shape, filters, kernel, padding):
    x, weight, bias = arrays(reals, np.float32, shape, filters, kernel)
    many = np.concatenate([x] * 5)
    with use_isa(isa):
        one, two, three = results_on_threads(
            lambda: ops.conv2d(many, weight, bias, padding=padding, algorithm="winograd")
        )
        alone = results_on_threads(lambda: ops.conv2d(x[-1:], weight, bias, padding=padding, algorithm="winograd"))
    assert one == two == three
    assert alone[0] == alone[1] == alone[2]  # of one image each thread has a part
    assert one[0].endswith(alone[0][0])


@every_isa
def test_the_size_of_the_batch_does_not_choose_the_tile(isa):
    with use_isa(isa):
        for kernel, channels in itertools.product((3, 5), (4, 32, 256)):
            for side in range(kernel - 2, 17):
                one, many = (
                    tile((batch, channels, side, side), 32, kernel, (1, 1), algorithm="auto") for batch in (1, 1000)
                )
                assert one == many


@every_isa
def test_auto_gives_the_bits_of_the_algorithm_that_it_names(isa):
    named = set()
    for shape, filters, kernel, padding in CASES:
        x, weight, bias = arrays(reals, np.float32, shape, filters, kernel)
        with use_isa(isa):
            algorithm = ops.conv2d_algorithm(shape, weight.shape, padding=padding)
            by_name = ops.conv2d(x, weight, bias, padding=padding, algorithm=algorithm)
            assert_array_equal(ops.conv2d(x, weight, bias, padding=padding), by_name)
        named.add(algorithm)
    assert named == {"direct", "winograd"}


@pytest.mark.parametrize("bad", (np.nan, np.inf))
def test_nan_and_infinity_show_in_every_output_they_touch(bad):
    x, weight = np.ones((1, 4, 12, 12), np.float32), np.ones((2, 4, 3, 3), np.float32)
    x[0, 1, 5, 5] = bad
    y = ops.conv2d(x, weight, padding=1, algorithm="winograd")
    assert not np.isfinite(y[:, :, 4:7, 4:7]).any()
    assert np.isfinite(y[:, :, 8:]).all()


def test_double_precision_takes_it_only_by_name():
    for case in CASES:
        assert tile(*case, dtype=np.float64, algorithm="auto") == 0
    assert ops.conv2d_algorithm((100, 64, 14, 14), (64, 64, 3, 3), padding=1, dtype=np.float64) == "direct"


@pytest.mark.parametrize(
    ("weight", "how"),
    [
        ((2, 3, 7, 7), {}),
        ((2, 3, 3, 5), {}),
        ((2, 3, 5, 5), {"stride": 2}),
        ((2, 3, 3, 3), {"dilation": 2}),
        ((2, 3, 3, 3), {"padding": 3}),
        ((2, 3, 5, 5), {"padding": 5}),
    ],
    ids=str,
)
def test_a_shape_that_it_does_not_take_is_refused(weight, how):
    with pytest.raises(fc.ConfigError, match="algorithm 'winograd' takes 3x3 and 5x5 filters"):
        ops.conv2d(np.ones((1, 3, 9, 9)), np.ones(weight), algorithm="winograd", **how)


CHANGES = {  # signs and sizes that rounding may like least
    "none": lambda array: array,
    "positive": abs,
    "alternating": lambda array: abs(array) * (-1) ** np.indices(array.shape).sum(axis=0),
    "cancelling": lambda array: array - array.mean(axis=(2, 3), keepdims=True) + (100 if len(array) == 1 else 0),
    "of all sizes": lambda array: array * 10 ** (3 * np.cos(np.arange(array.size))).reshape(array.shape),
}


@every_isa
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
@pytest.mark.parametrize("kernel", (3, 5))
@pytest.mark.parametrize(
    "shape", [(1, 512, 9, 9), (1, 32, 9, 9), (1, 300, 4, 4), (1, 3, 12, 12), (1, 1, 3, 3)], ids=str
)
def test_the_error_is_small_beside_the_largest_pixel_times_a_filter(isa, change, kernel, shape):
    x, weight = (change(array).astype(np.float32) for array in arrays(reals, np.float64, shape, 7, kernel)[:2])
    with use_isa(isa):
        y = ops.conv2d(x, weight, padding=1, algorithm="winograd")
    largest = abs(x).max() * abs(weight).sum(axis=(1, 2, 3)).max()
    assert abs(y - reference.conv2d(x, weight, padding=1)).max() <= 1e-6 * largest


@every_isa
def test_a_nan_wins_its_windows_of_a_stage(isa):
    x, weight = np.ones((1, 4, 12, 12), np.float32), np.ones((2, 4, 3, 3), np.float32)
    x[0, 1, 5, 5] = np.nan
    with use_isa(isa):
        y, argmax = ops.conv2d_relu_max_pool2d(x, weight, padding=1, algorithm="winograd")
    assert np.isnan(y[:, :, 2:4, 2:4]).all()
    assert np.isfinite(y[:, :, 5:]).all()
    assert argmax.max() < 4
