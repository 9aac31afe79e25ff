"""Fully connected layers against the oracle, alone and with ReLU and dropout; backwards with few and many zeros."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import TAILS, seeds
from hypothesis import given
from hypothesis import strategies as st
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
from fastcnn.errors import ConfigError, DTypeError, ShapeError

DENSITIES = (0.0, 0.1, 0.45, 0.55, 1.0)  # the kernel changes at a half
every_density = pytest.mark.parametrize("density", DENSITIES)


@dataclass(frozen=True)
class LinearCase:
    """One layer: sizes, the share of its gradient that is not 0, and arrays by the seed."""

    batch: int
    inputs: int
    outputs: int
    density: float
    seed: int = 0

    def arrays(self, fill, dtype):
        """x, weight, bias and dy, filled by `support.integers` or `support.reals`."""
        rng = np.random.default_rng(self.seed)
        shapes = ((self.batch, self.inputs), (self.outputs, self.inputs), (self.outputs,), (self.batch, self.outputs))
        x, weight, bias, dy = (fill(rng, shape, dtype) for shape in shapes)
        dy[rng.random(dy.shape) >= self.density] = 0
        return x, weight, bias, dy


sizes = st.sampled_from((*TAILS, 63, 65, 100, 129)) | st.integers(1, 150)
cases = st.builds(LinearCase, sizes, sizes, sizes, st.sampled_from(DENSITIES), seeds)


def large(density):
    """More samples, outputs and inputs than a task takes at once."""
    return LinearCase(131, 333, 150, density).arrays(reals, np.float32)


@every_isa
@every_dtype
@given(case=cases)
def test_results_are_exact_on_integers(isa, dtype, case):
    x, weight, bias, dy = case.arrays(integers, dtype)
    with use_isa(isa), poisoned_memory():
        got = (ops.linear(x, weight, bias), *ops.linear_backward(dy, x, weight))
    expected = (reference.linear(x, weight, bias), *reference.linear_backward(dy, x, weight))
    for one, other in zip(got, expected, strict=True):
        assert_array_equal(one, other)


@every_isa
@every_dtype
@given(case=cases, p=st.sampled_from((0.0, 0.5, 0.75, 1.0)), with_bias=st.booleans())
def test_with_relu_and_dropout_results_are_exact_on_integers(isa, dtype, case, p, with_bias):
    x, weight, bias, dy = case.arrays(integers, dtype)
    bias = bias if with_bias else None
    with use_isa(isa), poisoned_memory():
        y = ops.linear_relu_dropout(x, weight, bias, p, case.seed, 7)
        gradients = ops.linear_relu_dropout_backward(dy, y, x, weight, p)
    assert_array_equal(y, reference.linear_relu_dropout(x, weight, bias, p, case.seed, 7))
    for got, expected in zip(gradients, reference.linear_relu_dropout_backward(dy, y, x, weight, p), strict=True):
        assert_array_equal(got, expected)


@every_isa
@every_dtype
@given(case=cases)
def test_reals_stay_within_the_bound(isa, dtype, case):
    x, weight, bias, dy = case.arrays(reals, dtype)
    with use_isa(isa):
        got = (ops.linear(x, weight, bias), *ops.linear_backward(dy, x, weight))
    expected = (reference.linear(x, weight, bias), *reference.linear_backward(dy, x, weight))
    absolute = [abs(array) for array in (x, weight, bias, dy)]
    magnitudes = (reference.linear(*absolute[:3]), *reference.linear_backward(absolute[3], *absolute[:2]))
    terms = (case.inputs, case.outputs, case.batch, case.batch)
    for one, other, magnitude, count in zip(got, expected, magnitudes, terms, strict=True):
        assert_within_bound(one, other, magnitude, count)


@every_isa
@every_dtype
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_the_bits_are_those_of_the_three_operations(isa, dtype, p):
    x, weight, bias, dy = LinearCase(131, 70, 150, 0.9).arrays(reals, dtype)
    with use_isa(isa), poisoned_memory():
        y = ops.linear_relu_dropout(x, weight, bias, p, 5, 9)
        gradients = ops.linear_relu_dropout_backward(dy, y, x, weight, p)
        activated = ops.relu(ops.linear(x, weight, bias))
        kept = ops.dropout(activated, p, 5, 9)
        apart = ops.linear_backward(ops.relu_backward(ops.dropout_backward(dy, p, 5, 9), activated), x, weight)
    for got, expected in zip((y, *gradients), (kept, *apart), strict=True):
        assert_array_equal(got, expected)


@every_density
def test_the_input_gradient_may_be_left_out(density):
    x, weight, _, dy = large(density)
    whole = ops.linear_backward(dy, x, weight)
    less = ops.linear_backward(dy, x, weight, input_gradient=False)
    assert less[0] is None
    assert_array_equal(less[1], whole[1])
    assert_array_equal(less[2], whole[2])


@every_isa
@every_density
def test_a_nan_of_the_gradient_is_no_zero(isa, density):
    x, weight, _, dy = LinearCase(9, 20, 17, density).arrays(integers, np.float32)
    dy[4, 16] = np.nan
    with use_isa(isa):
        dx, dweight, dbias = ops.linear_backward(dy, x, weight)
    assert_array_equal(np.isnan(dx).all(axis=1), np.arange(9) == 4)
    assert_array_equal(np.isnan(dweight).all(axis=1), np.arange(17) == 16)
    assert_array_equal(np.isnan(dbias), np.arange(17) == 16)


@every_isa
def test_a_nan_of_the_output_lets_its_gradient_through(isa):
    x, weight = np.array([[np.nan], [1]], np.float32), np.array([[1], [-1]], np.float32)
    with use_isa(isa):
        y = ops.linear_relu_dropout(x, weight)
        dx, _, dbias = ops.linear_relu_dropout_backward(np.ones((2, 2), np.float32), y, x, weight)
    assert_array_equal(y, [[np.nan, np.nan], [1, 0]])
    assert_array_equal(dx, [[0], [1]])
    assert_array_equal(dbias, [2, 1])


@every_isa
@every_density
def test_the_gradient_of_the_weight_goes_where_one_wants_it(isa, density):
    x, weight, bias, dy = large(density)
    out, again = np.full_like(weight, np.nan), np.full_like(weight, np.nan)
    with use_isa(isa):
        _, dweight, _ = ops.linear_backward(dy, x, weight, out=out)
        assert_array_equal(out, ops.linear_backward(dy, x, weight)[1])
        y = ops.linear_relu_dropout(x, weight, bias)
        ops.linear_relu_dropout_backward(dy, y, x, weight, out=again)
        assert_array_equal(again, ops.linear_relu_dropout_backward(dy, y, x, weight)[1])
    assert dweight is out


def test_a_place_for_the_gradient_is_checked():
    x, weight, dy = np.ones((2, 3)), np.ones((4, 3)), np.ones((2, 4))
    with pytest.raises(ShapeError, match=r"expected out \(4, 3\) to match weight \(4, 3\), got \(3, 4\)"):
        ops.linear_backward(dy, x, weight, out=np.ones((3, 4)))
    with pytest.raises(DTypeError, match="out is float32"):
        ops.linear_backward(dy, x, weight, out=np.ones((4, 3), np.float32))
    read_only = np.ones((4, 3))
    read_only.flags.writeable = False
    for out in (np.ones((3, 4)).T, read_only):
        with pytest.raises(ConfigError, match="out must be C-contiguous, aligned and writeable"):
            ops.linear_backward(dy, x, weight, out=out)


@pytest.mark.parametrize("name", ["dy", "y", "x", "weight"])
@pytest.mark.parametrize("shift", [0, 2])
def test_a_gradient_must_not_go_where_an_input_is_still_read(name, shift):
    memory = np.arange(30.0)
    arrays = {other: np.ones((4, 4)) for other in ("dy", "y", "x", "weight")}
    arrays[name], out = memory[:16].reshape(4, 4), memory[shift : shift + 16].reshape(4, 4)
    with pytest.raises(ConfigError, match=f"linear_relu_dropout_backward: out overlaps {name}, which is still read"):
        ops.linear_relu_dropout_backward(**arrays, out=out)
    dy, _, x, weight = arrays.values()
    if name != "y":
        with pytest.raises(ConfigError, match=f"linear_backward: out overlaps {name}, which is still read"):
            ops.linear_backward(dy, x, weight, out=out)
    assert_array_equal(memory, np.arange(30.0))
    beside = memory[-12:].reshape(3, 4)  # of the same memory, but apart
    ops.linear_backward(dy[:, :3], x, weight[:3], out=beside)


@every_isa
@every_density
def test_same_bits_on_any_number_of_threads(isa, density):
    x, weight, bias, dy = large(density)

    def operations():
        y = ops.linear_relu_dropout(x, weight, bias, 0.3, 1)
        backwards = ops.linear_backward(dy, x, weight), ops.linear_relu_dropout_backward(dy, y, x, weight, 0.3)
        return y, *backwards[0], *backwards[1]

    with use_isa(isa):
        one, two, three = results_on_threads(operations)
    assert one == two == three


@every_layout
def test_any_memory_layout_gives_the_same_bits(lay_out):
    x, weight, bias, dy = large(0.2)
    y = ops.linear_relu_dropout(x, weight, bias)
    plain = ops.linear_relu_dropout_backward(dy, y, x, weight)
    assert_array_equal(ops.linear_relu_dropout(lay_out(x), lay_out(weight), lay_out(bias)), y)
    for got, expected in zip(
        ops.linear_relu_dropout_backward(lay_out(dy), lay_out(y), lay_out(x), lay_out(weight)), plain, strict=True
    ):
        assert_array_equal(got, expected)
