"""Outliers where the algorithm is "auto": what doesn't read them is as exact as "direct" has it, in every direction."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import assert_within_bound, every_isa, poisoned_memory, reals, results_on_threads, use_isa

import fastcnn as fc
from fastcnn import _core, ops
from fastcnn.backends import reference
from fastcnn.backends.shapes import conv_shape

BAD = (-9999.0, 1e8, -3.4e38, 3.4e38, np.inf, -np.inf, np.nan)
every_bad = pytest.mark.parametrize("bad", BAD)

STRIPS = (2, 40, 33, 33)  # whose images are cut

# input, number of filters, their side, padding: every level takes Winograd's method in all directions, with tiles
# of several sizes, as the adjoint and turned, one image in strips
CASES = [
    ((3, 18, 10, 15), 20, 3, 1),
    ((3, 20, 13, 13), 50, 5, 0),
    ((3, 33, 12, 6), 17, 3, 1),
    (STRIPS, 48, 3, 1),
]
every_case = pytest.mark.parametrize(("shape", "filters", "kernel", "padding"), CASES, ids=str)
POSITIONS = ("first", "middle", "last row", "last")
SPOILERS = [(bad, POSITIONS[i % 4]) for i, bad in enumerate((*BAD, -9999.0))]
every_spoiler = pytest.mark.parametrize(("bad", "position"), SPOILERS)


def place(name, shape):
    """Channel, row and column."""
    _, channels, height, width = shape
    return {
        "first": (0, 0, 0),
        "middle": (channels // 2, height // 2, width // 2 + 1),
        "last row": (1, height - 1, width // 2),
        "last": (channels - 1, height - 1, width - 1),
    }[name]


def arrays(shape, filters, kernel, padding):
    rng = np.random.default_rng(sum(shape))
    weight = reals(rng, (filters, shape[1], kernel, kernel), np.float32)
    x = reals(rng, shape, np.float32)
    dy = reals(rng, ops.conv_output_shape(shape, weight.shape, padding=padding), np.float32)
    return x, weight, reals(rng, (filters,), np.float32), dy


def without(array, n, where):
    """A copy with a zero there."""
    array = array.copy()
    array[(n, *where)] = 0
    return array


def with_bad(array, n, where, bad):
    array = array.copy()
    array[(n, *where)] = bad
    return array


def test_auto_takes_winograd_in_all_cases():
    for isa in _core.isa_levels():
        with use_isa(isa):
            for shape, filters, kernel, padding in CASES:
                sizes = conv_shape(shape, (filters, shape[1], kernel, kernel), 1, padding, 1)
                for direction in _core.DIRECTIONS.values():
                    assert _core.winograd_tile(sizes, False, direction, 0, _core.ALGORITHMS["auto"]) > 0
                assert _core.winograd_tile(sizes, False, _core.DIRECTIONS["forward"], 2, _core.ALGORITHMS["auto"]) > 0


@every_isa
@every_case
@every_spoiler
def test_forward_spoils_only_what_reads_the_outlier(isa, shape, filters, kernel, padding, bad, position):
    x, weight, bias, _ = arrays(shape, filters, kernel, padding)
    where, how = place(position, shape), {"padding": padding}
    spoilt = with_bad(x, 1, where, bad)
    with use_isa(isa), poisoned_memory():
        y = ops.conv2d(spoilt, weight, bias, **how)
        direct = ops.conv2d(spoilt[1:2], weight, bias, **how, algorithm="direct")[0]
        clean = ops.conv2d(x, weight, bias, **how)
    assert_array_equal(y[1], direct)
    assert_array_equal(y[[0, *range(2, len(x))]], clean[[0, *range(2, len(x))]])
    touched = reference.conv2d(np.abs(spoilt[1:2] != without(spoilt, 1, where)[1:2]), np.ones_like(weight), **how) > 0
    expected = reference.conv2d(without(spoilt, 1, where)[1:2], weight, bias, **how)
    magnitude = reference.conv2d(abs(without(spoilt, 1, where)[1:2]), abs(weight), abs(bias), **how)
    unread = ~touched[0]
    assert_within_bound(y[1][unread], expected[0][unread], magnitude[0][unread], shape[1] * kernel**2)
    if not np.isfinite(bad):
        assert not np.isfinite(y[1][touched[0]]).any()


@every_isa
@every_case
@every_spoiler
def test_the_input_gradient_spoils_only_what_reads_the_outlier(isa, shape, filters, kernel, padding, bad, position):
    x, weight, _, dy = arrays(shape, filters, kernel, padding)
    where, how = place(position, dy.shape), {"padding": padding}
    spoilt = with_bad(dy, 1, where, bad)
    one = (1, *shape[1:])
    with use_isa(isa), poisoned_memory():
        dx = ops.conv2d_backward_input(spoilt, weight, shape, **how)
        direct = ops.conv2d_backward_input(spoilt[1:2], weight, one, **how, algorithm="direct")[0]
        clean = ops.conv2d_backward_input(dy, weight, shape, **how)
    assert_array_equal(dx[1], direct)
    assert_array_equal(dx[[0, *range(2, len(x))]], clean[[0, *range(2, len(x))]])
    rest = without(spoilt, 1, where)[1:2]
    touched = reference.conv2d_backward_input(np.abs(spoilt[1:2] != rest), np.ones_like(weight), one, **how) > 0
    expected = reference.conv2d_backward_input(rest, weight, one, **how)
    magnitude = reference.conv2d_backward_input(abs(rest), abs(weight), one, **how)
    assert_within_bound(dx[1][~touched[0]], expected[~touched], magnitude[~touched], filters * kernel**2)


@every_isa
@every_case
@every_bad
@pytest.mark.parametrize("of", ("x", "dy"))
def test_the_weight_gradient_of_a_batch_with_an_outlier_is_direct(isa, shape, filters, kernel, padding, bad, of):
    x, weight, _, dy = arrays(shape, filters, kernel, padding)
    if of == "x":
        x = with_bad(x, 1, place("middle", shape), bad)
    else:
        dy = with_bad(dy, 1, place("last", dy.shape), bad)
    with use_isa(isa), poisoned_memory():
        got, direct = (
            ops.conv2d_backward_weight(dy, x, weight.shape, padding=padding, algorithm=algorithm)
            for algorithm in ("auto", "direct")
        )
    assert_array_equal(got, direct)
    if not np.isfinite(bad):
        unread = np.arange(shape[1]) != shape[1] // 2 if of == "x" else np.arange(filters) != filters - 1
        assert np.isfinite(got[:, unread] if of == "x" else got[unread]).all()


@every_isa
@every_bad
@pytest.mark.parametrize("average", (False, True), ids=("max", "average"))
@every_case
def test_a_stage_does_an_image_with_an_outlier_directly(isa, shape, filters, kernel, padding, bad, average):
    x, weight, bias, _ = arrays(shape, filters, kernel, padding)
    spoilt = with_bad(x, 1, place("middle", shape), bad)

    def stage(images, algorithm):
        if average:
            return ops.conv2d_relu_avg_pool2d(images, weight, bias, padding=padding, algorithm=algorithm)
        return ops.conv2d_relu_max_pool2d(images, weight, bias, padding=padding, algorithm=algorithm)

    with use_isa(isa), poisoned_memory():
        for got, direct, clean in zip(stage(spoilt, "auto"), stage(spoilt, "direct"), stage(x, "auto"), strict=True):
            assert_array_equal(got[1], direct[1])
            assert_array_equal(got[0], clean[0])


@every_isa
def test_dropout_of_an_image_that_is_done_directly_draws_as_ever(isa):
    x, weight, bias, _ = arrays(*CASES[0])
    spoilt = with_bad(x, 1, (3, 4, 5), -9999.0)
    drop = {"padding": 1, "p": 0.5, "seed": 3, "offset": 7}
    with use_isa(isa), poisoned_memory():
        got, _ = ops.conv2d_relu_max_pool2d(spoilt, weight, bias, **drop)
        direct, _ = ops.conv2d_relu_max_pool2d(spoilt, weight, bias, **drop, algorithm="direct")
    assert_array_equal(got[1], direct[1])
    assert (got[1] == 0).mean() > 0.3


@every_isa
@every_bad
def test_the_tanh_stage_and_its_gradients_spoil_only_what_reads_the_outlier(isa, bad):
    x, weight, bias, _ = arrays(*CASES[1])
    spoilt = with_bad(x, 1, (3, 12, 12), bad)
    how = {"padding": 0}
    with use_isa(isa), poisoned_memory():
        y, z = ops.conv2d_tanh_avg_pool2d(spoilt, weight, bias, **how)
        exact, _ = ops.conv2d_tanh_avg_pool2d(spoilt, weight, bias, **how, algorithm="direct")
        clean, _ = ops.conv2d_tanh_avg_pool2d(x, weight, bias, **how)
        gradients = [
            ops.conv2d_tanh_avg_pool2d_backward(np.ones_like(y), z, spoilt, weight, **how, algorithm=algorithm)
            for algorithm in ("auto", "direct")
        ]
    assert_array_equal(y[[0, 2]], clean[[0, 2]])
    assert_array_equal(y[1], exact[1])
    for got, direct in zip(*gradients, strict=True):
        assert_array_equal(np.isfinite(got), np.isfinite(direct))
        finite = np.isfinite(direct)
        np.testing.assert_allclose(got[finite], direct[finite], rtol=0, atol=1e-5 * abs(direct[finite]).max(initial=0))


@every_isa
@pytest.mark.parametrize("fused", (True, False), ids=("stages", "layers"))
def test_a_frozen_model_gives_the_bits_of_the_model(isa, fused):
    layers = [fc.Conv2d(18, 20, 3, padding=1), fc.ReLU(), fc.MaxPool2d(2), fc.Conv2d(20, 17, 5, padding=2)]
    model = fc.Sequential(layers, input_shape=(18, 10, 15))
    model.fused = fused
    x = arrays(*CASES[0])[0]
    spoilt = with_bad(x, 1, (2, 9, 14), -9999.0)
    with use_isa(isa):
        frozen = model.freeze()
        for images in (x, spoilt, x, with_bad(x, 0, (2, 9, 14), np.nan), spoilt):
            assert_array_equal(frozen(images), model(images))


@every_isa
@every_case
def test_the_bits_of_an_image_depend_neither_on_threads_nor_on_its_batch(isa, shape, filters, kernel, padding):
    x, weight, bias, dy = arrays(shape, filters, kernel, padding)
    bad = [with_bad(x, 0, place("last", shape), value)[:1] for value in (-9999.0, np.nan)]
    many = np.concatenate([bad[0], x, bad[1], x[:1], bad[0]])
    bad_dy = with_bad(dy, 0, place("first", dy.shape), 1e8)[:1]
    many_dy = np.concatenate([dy, bad_dy, dy[:1]])
    with use_isa(isa):
        for run, images in (
            (lambda part: ops.conv2d(part, weight, bias, padding=padding), many),
            (lambda part: ops.conv2d_relu_max_pool2d(part, weight, bias, padding=padding)[0], many),
            (
                lambda part: ops.conv2d_backward_input(part, weight, (len(part), *shape[1:]), padding=padding),
                many_dy,
            ),
        ):
            one, two, three = results_on_threads(lambda run=run, images=images: run(images))
            assert one == two == three
            together = run(images)
            for n in range(len(images)):
                alone = results_on_threads(lambda run=run, images=images, n=n: run(images[n : n + 1]))
                assert alone == [[together[n].tobytes()]] * 3
        one, two, three = results_on_threads(
            lambda: ops.conv2d_backward_weight(dy, many[: len(dy)], weight.shape, padding=padding)
        )
        assert one == two == three


@every_isa
@every_bad
def test_a_filter_s_outlier_keeps_to_its_channel(isa, bad):
    x, weight, bias, dy = arrays(*CASES[0])
    spoilt = weight.copy()
    spoilt[3, 5, 1, 2] = bad
    with use_isa(isa):
        y, clean = (ops.conv2d(x, filters, bias, padding=1) for filters in (spoilt, weight))
        dx, clean_dx = (ops.conv2d_backward_input(dy, filters, x.shape, padding=1) for filters in (spoilt, weight))
    assert_array_equal(np.delete(y, 3, axis=1), np.delete(clean, 3, axis=1))
    assert_array_equal(np.delete(dx, 5, axis=1), np.delete(clean_dx, 5, axis=1))


EDGES = ((..., 0, slice(None)), (..., -1, slice(None)), (..., 0), (..., -1))


@every_isa
@pytest.mark.parametrize("edge", range(4), ids=("top", "bottom", "left", "right"))
@pytest.mark.parametrize("of", ("x", "dy"))
def test_weights_that_do_not_read_an_edge_are_exact_beside_it(isa, of, edge):
    x, weight, _, dy = arrays(*CASES[0])
    spoilt, kept = ((x if of == "x" else dy).copy() for _ in range(2))
    spoilt[EDGES[edge]] = -9999
    kept[EDGES[edge]] = 0
    unread = 2 if (edge % 2 == 0) == (of == "x") else 0  # the last taps don't reach x's first row, nor the first dy's
    taps = (..., unread, slice(None)) if edge < 2 else (..., unread)
    with use_isa(isa):
        got = ops.conv2d_backward_weight(*((dy, spoilt) if of == "x" else (spoilt, x)), weight.shape, padding=1)
    sides = [a.astype(np.float64) for a in ((dy, kept) if of == "x" else (kept, x))]
    expected = reference.conv2d_backward_weight(*sides, weight.shape, padding=1)
    magnitude = reference.conv2d_backward_weight(*map(abs, sides), weight.shape, padding=1)
    assert_within_bound(got[taps], expected[taps], magnitude[taps], 3 * 150)
