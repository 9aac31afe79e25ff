"""Which images Winograd's method has where the algorithm is "auto": its limits, from both sides."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_isa, reals, results_on_threads, use_isa

from fastcnn import ops

STRIPS = (2, 40, 33, 33)  # whose images are cut


def signs(shape):
    """Pixels of 1 and -1: all peaks are 1."""
    return np.random.default_rng(5).choice([-1, 1], shape).astype(np.float32)


def one_pixel(value):
    def change(x):
        x[0, 3, 4, 5] = value

    return change


def pixels(value, count):
    def change(x):
        x[0, 3].reshape(-1)[:count] = value

    return change


def scaled(value, channels=slice(None), rows=slice(None)):
    def change(x):
        x[:, channels, rows] *= np.float32(value)

    return change


def nothing_but(value):
    def change(x):
        x[...] = 0
        x[0, 3, 4, 5] = value

    return change


def both(first, second):
    def change(x):
        first(x)
        second(x)

    return change


def frame(value, rows=slice(None), columns=slice(None)):
    def change(x):
        x[:, :, rows, columns] *= np.float32(value)

    return change


half = slice(0, 5)
edges = ({"rows": slice(0, 1)}, {"rows": slice(-1, None)}, {"columns": slice(0, 1)}, {"columns": slice(-1, None)})
inside = {"rows": slice(1, -1), "columns": slice(1, -1)}


@every_isa
@pytest.mark.parametrize(
    ("change", "fit"),
    [
        (lambda x: None, True),
        (one_pixel(31), True),
        (one_pixel(33), False),
        (pixels(32, 9), False),  # of 150 places
        (pixels(32, 10), True),
        (pixels(100, 10), False),
        (scaled(31, rows=half), True),
        (scaled(33, rows=half), False),
        (both(scaled(1 / 31, rows=half), scaled(1000)), True),
        (both(scaled(1 / 33, rows=half), scaled(1000)), False),
        (scaled(1e-6, rows=half), True),  # as where a bias has just left zero, or beside the faint edge of a digit
        (scaled(1e6, channels=3), True),  # of all outputs: none is small
        (scaled(0, rows=half), True),
        (both(scaled(0, rows=half), scaled(255)), True),
        (both(scaled(0, rows=half), scaled(260)), False),
        (scaled(260), True),
        (nothing_but(1), True),
        (nothing_but(-9999), False),
        (scaled(2.0**95), True),
        (scaled(2.0**97), False),
        (scaled(2.0**-95), True),
        (scaled(2.0**-97), False),
    ],
)
def test_limits_forwards_and_for_the_input_gradient(isa, change, fit):
    x, weight = signs((1, 20, 10, 15)), reals(np.random.default_rng(1), (20, 20, 3, 3), np.float32)
    change(x)
    for run in (
        lambda algorithm: ops.conv2d(x, weight, padding=1, algorithm=algorithm),
        lambda algorithm: ops.conv2d_backward_input(x, weight, x.shape, padding=1, algorithm=algorithm),
    ):
        with use_isa(isa):
            auto, winograd, direct = (run(algorithm).tobytes() for algorithm in ("auto", "winograd", "direct"))
        assert winograd != direct
        assert auto == (winograd if fit else direct)


@every_isa
@pytest.mark.parametrize(
    ("change", "fit"),
    [
        (one_pixel(31), True),
        (one_pixel(33), False),
        (scaled(1000, rows=half), True),
        (scaled(0, rows=half), True),
        (nothing_but(1e4), True),
        (scaled(2.0**97), False),
        (one_pixel(np.nan), False),
        *((frame(31, **edge), True) for edge in edges),
        *((frame(33, **edge), False) for edge in edges),  # some weights read all but this
        (both(scaled(1000), frame(1 / 31, **inside)), True),
        (both(scaled(1000), frame(1 / 33, **inside)), False),
        (frame(1000, columns=slice(0, 3)), True),  # whose second and third every weight reads
        (frame(1000, columns=slice(-3, None)), True),
        (both(scaled(200), frame(0, **inside)), True),
        (both(scaled(300), frame(0, **inside)), False),
    ],
)
@pytest.mark.parametrize("of", ("x", "dy"))
@pytest.mark.parametrize("size", ((10, 15), STRIPS[2:]), ids=str)
def test_limits_of_the_weight_gradient(isa, size, change, fit, of):
    x, dy = signs((2, 20, *size)), reals(np.random.default_rng(1), (2, 70, *size), np.float32)
    change(x)
    if of == "dy":
        x, dy = dy, x
    weight = (dy.shape[1], x.shape[1], 3, 3)
    with use_isa(isa):
        auto, winograd, direct = (
            ops.conv2d_backward_weight(dy, x, weight, padding=1, algorithm=algorithm).tobytes()
            for algorithm in ("auto", "winograd", "direct")
        )
    assert winograd != direct
    assert auto == (winograd if fit else direct)


def test_the_corner_that_alone_reads_small_pixels_counts():
    x, weight = signs((1, 20, 10, 15)), reals(np.random.default_rng(1), (20, 20, 3, 3), np.float32)
    x *= 100
    x[:, :, :2, :2] = 1  # what the first output reads, and no other reads nothing else
    y, direct = (ops.conv2d(x, weight, padding=1, algorithm=algorithm) for algorithm in ("auto", "direct"))
    assert_array_equal(y, direct)


@every_isa
def test_verdicts_do_not_depend_on_strips(isa):
    weight = reals(np.random.default_rng(1), (48, 40, 3, 3), np.float32)
    for level in range(16):
        x = signs((1, *STRIPS[1:]))
        x[:, :, 18:] *= 2 ** (1 + level / 16)
        x[:, :, :16] *= 2 ** (-level / 8)
        x[0, 3, 17, : 24 + 4 * (level % 4)] *= 20 * 2.0 ** (level / 8)
        many = np.concatenate([x] * 3)
        with use_isa(isa):
            results = results_on_threads(lambda x=x: ops.conv2d(x, weight, padding=1))
            assert results[0] == results[1] == results[2]
            assert ops.conv2d(many, weight, padding=1)[2].tobytes() == results[0][0]


def test_by_name_winograd_keeps_its_limits():
    x, weight = signs((1, 20, 10, 15)), reals(np.random.default_rng(1), (20, 20, 3, 3), np.float32)
    x[0, 3, 4, 5] = np.nan
    y = ops.conv2d(x, weight, padding=1, algorithm="winograd")
    assert np.isnan(y).sum() > 20 * 9


@every_isa
def test_small_pixels_in_the_first_strip_count(isa):
    x, weight = signs((1, *STRIPS[1:])), reals(np.random.default_rng(1), (48, 40, 3, 3), np.float32)
    x[:, :, 16:] *= 300
    with use_isa(isa):
        y, direct = (ops.conv2d(x, weight, padding=1, algorithm=algorithm) for algorithm in ("auto", "direct"))
    assert_array_equal(y, direct)
