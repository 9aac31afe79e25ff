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


@every_loss
@pytest.mark.parametrize("sizes", [(N, N), (N, 2)], ids=["alike", "of two sizes"])
@pytest.mark.parametrize("kind", [tuple, list])
def test_several_outputs_and_targets_are_for_multi_loss(make, sizes, kind, logits, labels):
    several = kind(logits[:size] for size in sizes)
    message = f"{make.__name__}: expected one array of .*, got a {kind.__name__} of 2; .* use MultiLoss"
    with pytest.raises(fc.ShapeError, match=message.replace(".*", "outputs", 1)):
        make()(several, kind(labels[:size] for size in sizes))
    with pytest.raises(fc.ShapeError, match=message.replace(".*", "targets", 1)):
        make()(logits, kind(labels[:size] for size in sizes))


def test_plain_lists_of_numbers_are_one_array(logits, labels):
    assert fc.CrossEntropyLoss()(logits.tolist(), labels.tolist()) == fc.CrossEntropyLoss()(logits, labels)
    with pytest.raises(fc.ShapeError, match="expected one array of outputs, got a list of 2"):
        fc.CrossEntropyLoss()([[1.0, 2.0], [3.0]], [0, 1])


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


# ---- several outputs -------------------------------------------------------------------------------------------------


def two_losses(**settings):
    return fc.MultiLoss([fc.CrossEntropyLoss(), fc.ProductLoss()], **settings)


@pytest.mark.parametrize(
    ("weights", "expected"), [(None, (1.0, 1.0)), ([0.25, -3], (0.25, -3.0)), (np.ones(2), (1.0, 1.0))]
)
def test_several_losses_sum_up_by_weight(weights, expected, logits, soft, labels):
    value, backward = two_losses(weights=weights).forward((logits, logits[:2]), (labels, soft[:2]))
    parts = [
        fc.CrossEntropyLoss().forward(logits, labels),
        fc.ProductLoss().forward(logits[:2], soft[:2]),
    ]
    assert value == expected[0] * parts[0][0] + expected[1] * parts[1][0]
    for gradient, weight, (_, backward_alone) in zip(backward(2.0), expected, parts, strict=True):
        np.testing.assert_allclose(gradient, 2 * weight * backward_alone(), rtol=1e-14)


def test_gradients_of_several_losses_match_central_differences(logits, soft, labels):
    loss = two_losses(weights=[0.5, 2.0])
    outputs, targets = (logits, logits[::-1].copy()), (labels, soft)
    gradients = loss.forward(outputs, targets)[1]()
    assert isinstance(gradients, tuple)
    for index, gradient in enumerate(gradients):
        assert_matches_differences(f"output {index}", gradient, lambda: loss(outputs, targets), outputs[index])


def test_a_model_with_two_heads_trains():
    x = fc.Input(4)
    stem = fc.ReLU()(fc.Linear(4, 16)(x))
    model = fc.Graph(x, [fc.Linear(16, 4)(stem), fc.Linear(16, 2)(stem)], seed=1)
    loss = fc.MultiLoss([fc.CrossEntropyLoss(), fc.CrossEntropyLoss()], weights=[1.0, 0.5])
    optimizer = fc.Adam(model.parameters(), lr=0.05)
    images, which, odd = np.eye(4, dtype=np.float32), np.arange(4), np.arange(4) % 2
    costs = [fc.train_step(model, loss, optimizer, images, (which, odd)) for _ in range(60)]
    assert costs[-1] < 0.05 < costs[0]
    assert [list(output.argmax(axis=1)) for output in model(images)] == [[0, 1, 2, 3], [0, 1, 0, 1]]


def test_several_losses_have_the_reduction_of_their_parts():
    assert two_losses().reduction == "mean"
    assert fc.MultiLoss([fc.CrossEntropyLoss("sum")]).reduction == "sum"


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (np.zeros((2, 3)), (0, 0), "expected a tuple of 2 outputs, one a loss, got ndarray"),
        ((np.zeros((2, 3)),), (0, 0), "expected a tuple of 2 outputs, one a loss, got 1"),
        ((np.zeros((2, 3)),) * 2, np.zeros(2, int), "expected a tuple of 2 targets, one a loss, got ndarray"),
        ((np.zeros((2, 3)),) * 2, (np.zeros(2, int),) * 3, "expected a tuple of 2 targets, one a loss, got 3"),
        ((np.zeros((2, 3)),) * 2, (np.zeros(2, int), np.zeros(3, int)), r"ProductLoss: expected class indices \(2,\)"),
    ],
    ids=["an array", "too few", "one target", "too many targets", "a wrong target"],
)
def test_outputs_and_targets_that_do_not_fit_several_losses_are_refused(outputs, targets, message):
    with pytest.raises(fc.ShapeError, match=message):
        two_losses()(outputs, targets)


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        ([], None, "losses must be a list of losses"),
        (fc.CrossEntropyLoss(), None, "losses must be a list of losses"),
        ([fc.CrossEntropyLoss], None, "losses must be a list of losses"),
        ([fc.CrossEntropyLoss()], [1, 2], "weights must be 1 numbers, one a loss"),
        ([fc.CrossEntropyLoss()], 0.5, "weights must be 1 numbers, one a loss"),
        ([fc.CrossEntropyLoss()], np.array(0.5), "weights must be 1 numbers, one a loss"),
        ([fc.CrossEntropyLoss()], np.ones((1, 1)), r"weights\[0\] must be a finite number"),
        ([fc.CrossEntropyLoss()], [np.nan], r"weights\[0\] must be a finite number"),
        ([fc.CrossEntropyLoss(), fc.CrossEntropyLoss("sum")], None, "one reduction, and not 'none', got mean, sum"),
        ([fc.CrossEntropyLoss("none")], None, "one reduction, and not 'none', got none"),
    ],
    ids=[
        "none",
        "no list",
        "a class",
        "too many weights",
        "no weights",
        "a lone array",
        "a matrix",
        "nan",
        "two reductions",
        "no reduction",
    ],
)
def test_impossible_settings_of_several_losses_are_refused(losses, weights, message):
    with pytest.raises(fc.ConfigError, match=f"MultiLoss: .*{message}"):
        fc.MultiLoss(losses, weights)


@pytest.mark.parametrize("loss", [fc.CrossEntropyLoss, fc.losses.ProductLoss, fc.losses.LogProductLoss])
@pytest.mark.parametrize("target", [np.zeros(3, int), np.ones((3, 1))], ids=["indices", "soft"])
def test_a_softmax_of_one_class_is_refused(loss, target):
    """Its probability is 1 whatever the logits: cost 0, gradient 0, nothing learnt."""
    with pytest.raises(fc.ShapeError, match=r"^\w+Loss: expected logits of two classes or more, got \(3, 1\)"):
        loss()(np.ones((3, 1)), target)
    with pytest.raises(fc.ShapeError, match=r"two classes or more"):
        fc.MultiLoss([loss()])((np.ones((3, 1)),), (target,))
