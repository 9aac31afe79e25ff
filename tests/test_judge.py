"""Evaluation: the share of right answers, the cost, over samples and over batches."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.data.samples import ArraySamples, ImageSamples
from fastcnn.judge import Evaluation, evaluate


def model_of_the_brightest():
    """Says which of the first ten pixels is the brightest; the dropout is not to be seen."""
    model = fc.Sequential(fc.Flatten(), fc.Dropout(0.9), fc.Linear(16, 10), input_shape=(1, 4, 4), dtype="float64")
    model.parameters()[0].data = np.eye(10, 16)
    return model


def images(count):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, count).astype(np.uint8)
    pixels = rng.integers(0, 60, (count, 1, 4, 4)).astype(np.uint8)
    pixels.reshape(count, 16)[np.arange(count), labels] = 255
    wrong = np.array([3, 700, 1199])
    labels[wrong] = (labels[wrong] + 1) % 10
    return pixels, labels


PIXELS, LABELS = images(1200)


@pytest.mark.parametrize(("at_most", "right", "count"), [(None, 1197, 1200), (700, 699, 700), (10_000, 1197, 1200)])
@pytest.mark.parametrize("form", ["soft", "one-hot", "index", "arrays", "batches"])
def test_accuracy_is_the_share_of_right_answers_in_evaluation_mode(form, at_most, right, count):
    samples = ImageSamples(PIXELS, LABELS, "float64", targets=form if form in ("soft", "one-hot", "index") else "index")
    if form == "arrays":
        samples = ArraySamples(samples.inputs(slice(None)), LABELS)
    if form == "batches":
        samples = [(samples.inputs(slice(i, i + 99)), LABELS[i : i + 99]) for i in range(0, 1200, 99)]
    assert evaluate(model_of_the_brightest(), samples, at_most=at_most) == Evaluation(count, right / count, None)


def test_no_more_batches_are_read_than_needed():
    x = np.ones((5, 1, 4, 4))
    batches = iter([(x, np.zeros(5, int)), (x, np.zeros(5, int)), "not read"])
    assert evaluate(model_of_the_brightest(), batches, at_most=10).samples == 10


@pytest.mark.parametrize("reduction", ["mean", "mean_elements", "sum", "none"])
def test_cost_is_the_mean_per_sample(reduction):
    model, samples = model_of_the_brightest(), ImageSamples(PIXELS, LABELS, "float64")
    everything = slice(None)
    expected = fc.CrossEntropyLoss()(model(samples.inputs(everything)), samples.targets(everything))
    found = evaluate(model, samples, fc.CrossEntropyLoss(reduction))
    assert found.cost == pytest.approx(expected / (10 if reduction == "mean_elements" else 1), rel=1e-13)
    batches = [(samples.inputs(slice(i, i + 7)), samples.targets(slice(i, i + 7))) for i in range(0, 1200, 7)]
    assert evaluate(model, batches, fc.CrossEntropyLoss(reduction)).cost == pytest.approx(found.cost, rel=1e-13)


def test_a_metric_of_ones_own_gives_its_mean():
    samples = ImageSamples(PIXELS, LABELS, "float64", targets="index")
    found = evaluate(model_of_the_brightest(), samples, metric=lambda outputs, targets: targets.astype(float))
    assert found.metric == pytest.approx(LABELS.mean(), rel=1e-14)
    assert found.accuracy is None


def test_an_output_that_is_no_number_is_no_right_answer():
    x = np.ones((5, 1, 4, 4))
    for which in (0, 3, slice(None)):
        model = model_of_the_brightest()
        model.parameters()[1].data[which] = np.nan
        assert evaluate(model, ArraySamples(x, np.zeros(5, int))).accuracy == 0.0


def test_a_metric_that_changes_what_it_is_given_is_refused():
    def in_place(outputs, targets):
        outputs -= targets[:, None]
        return outputs.sum(axis=1)

    samples = ImageSamples(PIXELS, LABELS, "float64", targets="index")
    with pytest.raises(fc.ConfigError, match="metric: in_place changed the outputs or the targets"):
        evaluate(model_of_the_brightest(), samples, metric=in_place)


def test_where_there_is_nothing_to_find_nothing_is_found():
    model, x = model_of_the_brightest(), np.ones((5, 1, 4, 4))
    assert evaluate(model, ArraySamples(x, np.ones((5, 1)))) == Evaluation(0, None, None)
    assert evaluate(model, ArraySamples(x, np.zeros(5, int)), metric=None) == Evaluation(0, None, None)
    assert evaluate(model, ArraySamples(x, np.full((5, 10), -1.0))) == Evaluation(0, None, None)  # of a regression
    single = fc.Sequential(fc.Flatten(), fc.Linear(16, 1), dtype="float64")
    assert evaluate(single, ArraySamples(x, np.zeros(5, int))) == Evaluation(0, None, None)
    found = evaluate(model, ArraySamples(x, np.zeros(5, int)), fc.CrossEntropyLoss(), metric=None)
    assert (found.samples, found.accuracy) == (5, None) and found.cost > 0


def test_what_will_not_do_is_refused():
    model, samples = model_of_the_brightest(), ImageSamples(PIXELS, LABELS, "float64")
    with pytest.raises(fc.ShapeError, match="metric: expected a number for each of 250 samples, got shape"):
        evaluate(model, samples, metric=lambda outputs, targets: outputs)
    with pytest.raises(fc.ConfigError, match="evaluate: metric must be"):
        evaluate(model, samples, metric="accuracy")
    with pytest.raises(fc.ConfigError, match="evaluate: at_most must be"):
        evaluate(model, samples, at_most=0)
    with pytest.raises(fc.DataError, match="evaluate: expected at least one sample"):
        evaluate(model, ArraySamples(np.ones((0, 1, 4, 4)), np.ones(0, int)))
