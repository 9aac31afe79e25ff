"""Softmax and cross-entropy on the GPU, against the oracle, from plain rows to extreme ones."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_dtype, reals
from there import there

from fastcnn.backends import cpu, reference
from fastcnn.backends.cuda.array import empty
from fastcnn.errors import DTypeError, ShapeError

SHAPES = ((1, 1), (9, 3), (5, 10), (2, 15), (1, 17), (2, 32), (3, 33), (1, 300))
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_scale = pytest.mark.parametrize("scale", [0.1, 50.0])


def assert_close(got, expected, magnitude, classes):
    """|got - expected| <= (classes + 8) * eps * magnitude: the sum over a row, and a few roundings."""
    number = np.finfo(got.dtype)
    np.testing.assert_array_less(abs(got - expected), (classes + 8) * number.eps * magnitude + 16 * number.tiny)


def logits_of(shape, scale, dtype, seed=0):
    return (reals(np.random.default_rng(seed), shape, np.float64) * scale).astype(dtype)


def spread(logits):
    """1 + how far each logit lies below its row's largest: rounding in exp and log grows with it."""
    logits = logits.astype(np.float64)
    return 1 + logits.max(axis=-1, keepdims=True) - logits


@every_dtype
@every_shape
@every_scale
def test_softmax_and_its_logarithm_agree_with_the_oracle(device, dtype, shape, scale):
    x = logits_of(shape, scale, dtype)
    expected = reference.softmax(x)
    assert_close(there("softmax", x), expected, spread(x) * expected, shape[1])
    assert_close(there("log_softmax", x), reference.log_softmax(x), spread(x), shape[1])


@every_dtype
@every_shape
@every_scale
def test_their_backwards_agree_with_the_oracle(device, dtype, shape, scale):
    x, dy = logits_of(shape, scale, dtype), logits_of(shape, 1.0, dtype, seed=1)
    y = reference.softmax(x).astype(dtype)
    magnitude = y * (abs(dy) + np.sum(abs(dy) * y, axis=1, keepdims=True))
    assert_close(there("softmax_backward", dy, y), reference.softmax_backward(dy, y), magnitude, shape[1])
    y = reference.log_softmax(x).astype(dtype)
    magnitude = abs(dy) + np.exp(y) * (1 - y) * np.sum(abs(dy), axis=1, keepdims=True)
    assert_close(there("log_softmax_backward", dy, y), reference.log_softmax_backward(dy, y), magnitude, shape[1])


def class_indices(shape, dtype):
    return np.random.default_rng(1).integers(0, shape[1], shape[0])


def soft_weights(shape, dtype):
    """Weights that do not sum to 1, as Gorgonia's 0.9 and 0.1 do not."""
    return np.random.default_rng(1).random(shape).astype(dtype)


every_target = pytest.mark.parametrize("target_of", [class_indices, soft_weights], ids=lambda f: f.__name__)


@every_dtype
@every_shape
@every_scale
@every_target
def test_cross_entropy_and_its_backward_agree_with_the_oracle(device, dtype, shape, scale, target_of):
    x, target, dy = logits_of(shape, scale, dtype), target_of(shape, dtype), logits_of(shape[0], 1.0, dtype, seed=1)
    weights = np.eye(shape[1])[target] if target.ndim == 1 else target.astype(np.float64)
    loss = there("cross_entropy", x, target)
    assert_close(loss, reference.cross_entropy(x, target), np.sum(spread(x) * weights, axis=1), shape[1])
    probability = reference.softmax(x) * spread(x)
    magnitude = abs(dy)[:, None] * (probability * weights.sum(axis=1, keepdims=True) + weights)
    dx = there("cross_entropy_backward", dy, x, target)
    assert_close(dx, reference.cross_entropy_backward(dy, x, target), magnitude, shape[1])


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_class_indices_of_any_integer_type_work(device, kind):
    x, target = logits_of((6, 10), 1.0, np.float32), np.array([0, 9, 5, 1, 1, 8])
    loss, dy = there("cross_entropy", x, target), np.ones(6, np.float32)
    assert_array_equal(there("cross_entropy", x, target.astype(kind)), loss)
    dx = there("cross_entropy_backward", dy, x, target)
    assert_array_equal(there("cross_entropy_backward", dy, x, target.astype(kind)), dx)


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "uint64"])
@pytest.mark.parametrize("wrong", [-1, 10, 127, "largest"])
def test_a_class_index_that_is_no_class_is_refused(device, kind, wrong):
    x, target = logits_of((6, 10), 1.0, np.float32), np.array([0, 9, 5, 1, 1, 8])
    target = target.astype(kind)
    target[3] = np.iinfo(kind).max if wrong == "largest" or (wrong == -1 and kind[0] == "u") else wrong
    for name, arguments in (("cross_entropy", (x, target)), ("cross_entropy_backward", (x[:, 0], x, target))):
        assert_same_error(ShapeError, name, *arguments)


def test_more_classes_than_a_byte_counts(device):
    x, target = logits_of((2, 300), 1.0, np.float32), np.array([200, 44], np.uint8)
    assert_close(there("cross_entropy", x, target), reference.cross_entropy(x, target), 10, 300)


def assert_same_error(error, name, *arguments):
    with pytest.raises(error) as here:
        getattr(cpu, name)(*arguments)
    with pytest.raises(error) as on_device:
        there(name, *arguments)
    assert str(on_device.value) == str(here.value)


X, Y = np.zeros((2, 3), np.float32), np.zeros((3, 2), np.float32)
REFUSED = [
    ("softmax", (X[0],), ShapeError),
    ("log_softmax", (X[:, :0],), ShapeError),
    ("softmax_backward", (X, Y), ShapeError),
    ("log_softmax_backward", (X, Y), ShapeError),
    ("cross_entropy", (X, Y), ShapeError),
    ("cross_entropy", (X, np.zeros(3, np.int64)), ShapeError),
    ("cross_entropy_backward", (X, X, np.zeros(2, np.int64)), ShapeError),
]


@pytest.mark.parametrize(("name", "arguments", "error"), REFUSED)
def test_errors_are_those_of_the_cpu(device, name, arguments, error):
    assert_same_error(error, name, *arguments)


def test_soft_targets_of_another_type_are_refused(device):
    with pytest.raises(DTypeError, match="target is float64 but its partner is float32"):
        there("cross_entropy", X, X.astype(np.float64))
    with pytest.raises(DTypeError, match="target must be float32 or float64, got bool"):
        there("cross_entropy", X, empty(X.shape, bool))


# ---- extreme rows ----------------------------------------------------------------------------------------------------


@every_dtype
def test_a_nan_or_infinity_fills_its_row_and_no_other(device, dtype):
    for strange in (np.nan, np.inf):
        for column in (0, 4, 39):
            x = np.ones((3, 40), dtype)
            x[1, column] = strange
            for name in ("softmax", "log_softmax"):
                assert_array_equal(np.isnan(there(name, x)).mean(axis=1), [0, 1, 0])
            assert_array_equal(np.isnan(there("cross_entropy", x, np.array([3, 5, 9]))), [False, True, False])
    nothing = np.full((1, 3), -np.inf, dtype)
    assert np.isnan(there("softmax", nothing)).all()


@every_dtype
def test_logits_far_apart_are_certain_and_have_finite_logarithms(device, dtype):
    x = np.array([[1000.0, -1000.0, 0.0]], dtype)
    assert_array_equal(there("softmax", x), [[1, 0, 0]])
    assert_array_equal(there("log_softmax", x), [[0, -2000, -1000]])


@every_dtype
def test_minus_infinity_is_a_class_without_probability(device, dtype):
    x = np.array([[0.0, -np.inf, 0.0]], dtype)
    assert_array_equal(there("softmax", x), [[0.5, 0, 0.5]])
    x = np.array([[0.0, -np.inf]], dtype)
    assert_array_equal(there("log_softmax", x), x)
    assert_array_equal(there("cross_entropy", x, np.array([0])), [0])
    assert_array_equal(there("cross_entropy", x, np.array([[1.0, 0.0]], dtype)), [0])
    assert_array_equal(there("cross_entropy", x, np.array([1])), [np.inf])


def test_matrices_of_no_rows_work(device):
    nothing = np.zeros((0, 10), np.float32)
    for name in ("softmax", "log_softmax"):
        assert there(name, nothing).shape == (0, 10)
        assert there(name + "_backward", nothing, nothing).shape == (0, 10)
    for target in (np.zeros(0, np.int64), nothing):
        assert there("cross_entropy", nothing, target).shape == (0,)
        assert there("cross_entropy_backward", nothing[:, 0], nothing, target).shape == (0, 10)


@every_dtype
@pytest.mark.parametrize("name", ["product_loss", "log_product_loss"])
def test_the_costs_of_gorgonia_agree_with_the_oracle(device, dtype, name):
    generator = np.random.default_rng(0)
    for shape in SHAPES:
        p, target = (generator.uniform(0.1, 1, shape).astype(dtype) for _ in range(2))
        expected = getattr(reference, name)(p, target)
        assert_close(there(name, p, target), expected, shape[1] * 3.0, shape[1])
        dy = reals(generator, shape[:1], dtype)
        expected = getattr(reference, f"{name}_backward")(dy, target)
        assert_close(there(f"{name}_backward", dy, target), expected, 1.0, 1)
