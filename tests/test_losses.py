"""Losses: formulas, gradients, reductions, what they refuse."""

import numpy as np
import pytest
from gradcheck import assert_matches_differences

import fastcnn as fc

N, CLASSES = 4, 5
LOSSES = {
    "CrossEntropyLoss": fc.CrossEntropyLoss,
    "ProductLoss": fc.ProductLoss,
    "LogProductLoss": fc.LogProductLoss,
}
every_loss = pytest.mark.parametrize("make", LOSSES.values(), ids=LOSSES)
learning_losses = pytest.mark.parametrize("make", [fc.CrossEntropyLoss, fc.ProductLoss])
every_reduction = pytest.mark.parametrize("reduction", ["mean", "mean_elements", "sum"])
every_mean = pytest.mark.parametrize("reduction", ["mean", "mean_elements"])


@pytest.fixture
def logits():
    return np.random.default_rng(0).standard_normal((N, CLASSES)) * 3


@pytest.fixture
def soft():
    return np.random.default_rng(1).uniform(0.1, 0.9, (N, CLASSES))  # rows don't sum to one


@pytest.fixture
def labels():
    return np.array([4, 0, 2, 2])


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def entries(make, logits, soft):
    """The (N, classes) numbers whose sums and means the losses are, by the book."""
    p = softmax(logits)
    return {
        fc.CrossEntropyLoss: -soft * np.log(p),
        fc.ProductLoss: -p * soft,
        fc.LogProductLoss: -np.log(p * soft),
    }[make]


@every_loss
def test_each_reduction_sums_what_it_says(make, logits, soft):
    table = entries(make, logits, soft)
    expected = {
        "mean": table.sum() / N,
        "mean_elements": table.mean(),
        "sum": table.sum(),
        "none": table.sum(axis=1),
    }
    for reduction, value in expected.items():
        np.testing.assert_allclose(make(reduction)(logits, soft), value, rtol=1e-13)


@every_loss
@every_reduction
def test_gradients_match_central_differences(make, reduction, logits, soft):
    loss = make(reduction)
    _, backward = loss.forward(logits, soft)
    assert_matches_differences("logits", backward(), lambda: loss(logits, soft), logits)


@learning_losses
def test_gradients_for_class_indices_match_central_differences(make, logits, labels):
    loss = make()
    _, backward = loss.forward(logits, labels)
    assert_matches_differences("logits", backward(), lambda: loss(logits, labels), logits)


@every_loss
def test_without_reduction_each_sample_has_its_own_factor(make, logits, soft):
    weights = np.array([1.0, 0.0, -2.0, 0.5])
    loss = make("none")
    _, backward = loss.forward(logits, soft)
    assert_matches_differences("logits", backward(weights), lambda: loss(logits, soft) @ weights, logits)


@every_loss
@pytest.mark.parametrize(
    ("dvalue", "error"),
    [(np.ones(1), fc.ShapeError), (np.ones(()), fc.ShapeError), (np.ones(N, np.float32), fc.DTypeError)],
    ids=["one", "scalar", "float32"],
)
def test_without_reduction_dvalue_must_be_one_number_a_sample(make, dvalue, error, logits, soft):
    _, backward = make("none").forward(logits, soft)
    with pytest.raises(error, match=rf"{make.__name__}: expected dvalue \(4,\) of dtype float64"):
        backward(dvalue=dvalue)


@learning_losses
@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_class_indices_are_one_hot_targets(make, dtype, logits, labels):
    one_hot = np.eye(CLASSES)[labels]
    np.testing.assert_allclose(make()(logits, labels.astype(dtype)), make()(logits, one_hot), rtol=1e-14)


@every_loss
def test_huge_logits_give_no_nan(make, soft):
    logits = np.zeros((N, CLASSES))
    logits[:, 0] = 1e4
    value, backward = make().forward(logits, soft)
    assert np.isfinite(value)
    assert np.isfinite(backward()).all()


@every_loss
def test_float32_stays_float32(make, logits, soft):
    value, backward = make().forward(logits.astype(np.float32), soft.astype(np.float32))
    assert isinstance(value, float)
    assert backward().dtype == np.float32


def test_the_log_product_gradient_does_not_depend_on_the_targets(logits, soft):
    gradients = [fc.LogProductLoss().forward(logits, y)[1]() for y in (soft, soft[::-1])]
    np.testing.assert_array_equal(*gradients)


def test_log_product_refuses_targets_whose_logarithm_does_not_exist(logits, labels, soft):
    soft[0, 0] = 0
    for target in (labels, soft):
        with pytest.raises(fc.ConfigError, match="every target must be positive"):
            fc.LogProductLoss()(logits, target)


@every_loss
@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (
            np.zeros((N, CLASSES + 1)),
            fc.ShapeError,
            r"expected soft targets \(4, 5\) as the logits, got \(4, 6\)",
        ),
        (np.zeros(N), fc.ShapeError, "expected soft targets"),
        (np.zeros(N + 1, int), fc.ShapeError, r"expected class indices \(4,\), one per sample, got \(5,\)"),
        (np.zeros((N, 1), int), fc.ShapeError, "expected class indices"),
        (np.full(N, CLASSES), fc.ShapeError, "class indices must be from 0 to 4, got 5"),
        (np.full(N, -1), fc.ShapeError, "class indices must be from 0 to 4, got -1"),
        (np.zeros((N, CLASSES), np.float32), fc.DTypeError, "soft targets of dtype float64, got float32"),
        (np.zeros(N, bool), fc.DTypeError, "got bool"),
    ],
    ids=lambda value: str(value.shape) + value.dtype.name if isinstance(value, np.ndarray) else "",
)
def test_targets_that_do_not_fit_are_refused(make, target, error, message, logits):
    with pytest.raises(error, match=f"{make.__name__}: .*{message}"):
        make()(logits, target)


@every_loss
def test_logits_that_are_no_matrix_are_refused(make):
    with pytest.raises(fc.ShapeError, match=r"expected logits \(N, classes\), got \(5,\)"):
        make()(np.zeros(5), np.zeros(5))


@every_mean
def test_an_empty_batch_has_no_mean(reduction):
    with pytest.raises(fc.ShapeError, match="mean of an empty batch"):
        fc.CrossEntropyLoss(reduction)(np.zeros((0, 3)), np.zeros(0, int))


def test_an_empty_batch_sums_to_zero():
    value, backward = fc.CrossEntropyLoss("sum").forward(np.zeros((0, 3)), np.zeros(0, int))
    assert value == 0
    assert backward().shape == (0, 3)


def test_an_unknown_reduction_is_refused():
    with pytest.raises(fc.ConfigError, match="reduction must be one of mean, mean_elements, sum, none"):
        fc.CrossEntropyLoss("avg")
