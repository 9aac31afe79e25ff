"""Samples: inputs and targets of any selection, and what they refuse."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.data.samples import ArraySamples, ImageSamples, Samples, checked_batches, labels_of, samples_of

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 1, 4, 5), np.uint8)
LABELS = np.array([3, 0, 9, 9, 1, 7], np.uint8)
SELECTIONS = pytest.mark.parametrize("which", [slice(None), slice(1, 4), np.array([5, 0, 5])], ids=str)


@SELECTIONS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scaling", ["gorgonia", "unit"])
def test_images_become_numbers(which, dtype, scaling):
    samples = ImageSamples(IMAGES, LABELS, dtype, scaling)
    inputs = samples.inputs(which)
    np.testing.assert_array_equal(inputs, fc.data.scale_pixels(IMAGES[which], scaling, dtype))
    assert inputs.dtype == dtype and inputs.flags.c_contiguous
    assert len(samples) == 6


@SELECTIONS
@pytest.mark.parametrize(
    ("form", "on", "off"), [("soft", 0.9, 0.1), ("one-hot", 1.0, 0.0), ("smooth", 0.9 + 0.1 / 11, 0.1 / 11)]
)
def test_labels_become_targets(which, form, on, off):
    targets = ImageSamples(IMAGES, LABELS, "float64", targets=form, classes=11).targets(which)
    expected = np.where(np.arange(11) == LABELS[which][:, None], on, off)
    np.testing.assert_array_equal(targets, expected)
    assert ImageSamples(IMAGES, LABELS, targets=form).targets(which).dtype == np.float32


@pytest.mark.parametrize("number", [6, -7])
def test_an_image_that_is_not_there_is_an_error(number):
    with pytest.raises(IndexError, match=f"index {number} is out of bounds"):
        ImageSamples(IMAGES, LABELS).inputs(np.array([0, number]))


def test_labels_may_stay_as_they_are():
    np.testing.assert_array_equal(ImageSamples(IMAGES, LABELS, targets="index").targets(slice(2, 5)), LABELS[2:5])


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"labels": LABELS[:3]}, fc.DataError, r"a label for each image, got 6 images and labels \(3,\)"),
        ({"labels": LABELS[:, None]}, fc.DataError, r"got 6 images and labels \(6, 1\)"),
        ({"labels": LABELS / 2}, fc.DTypeError, "expected integer labels, got float64"),
        ({"classes": 9}, fc.DataError, "expected labels 0 to 8, got 9 at index 2"),
        ({"labels": LABELS.astype(int) - 1}, fc.DataError, "got -1 at index 1"),
        ({"images": IMAGES / 255}, fc.DTypeError, "expected uint8 images, got float64"),
        ({"images": IMAGES[:, 0]}, fc.DataError, r"expected images \(N, C, H, W\), got shape \(6, 4, 5\)"),
        ({"dtype": "int8"}, fc.DTypeError, "ImageSamples: dtype must be float32 or float64"),
        ({"scaling": "z"}, fc.ConfigError, "ImageSamples: scaling must be one of gorgonia, unit, standard"),
        ({"targets": "hot"}, fc.ConfigError, "ImageSamples: targets must be one of soft, one-hot, smooth, index"),
        ({"classes": 0}, fc.ConfigError, "ImageSamples: classes must be"),
    ],
    ids=range(11),
)
def test_images_and_labels_that_will_not_do_are_refused(changes, error, says):
    with pytest.raises(error, match=says):
        ImageSamples(**({"images": IMAGES, "labels": LABELS} | changes))


@SELECTIONS
def test_arrays_are_given_as_they_are(which):
    x, y = IMAGES.astype(np.float32), LABELS
    samples = ArraySamples(x, y)
    np.testing.assert_array_equal(samples.inputs(which), x[which])
    np.testing.assert_array_equal(samples.targets(which), y[which])
    several = ArraySamples(x, (y, x)).targets(which)
    assert isinstance(several, tuple)
    np.testing.assert_array_equal(several[0], y[which])
    np.testing.assert_array_equal(several[1], x[which])
    assert len(samples) == 6


def test_a_list_of_arrays_is_several_outputs_and_one_of_numbers_an_array():
    x, y = IMAGES.astype(np.float32), LABELS
    assert isinstance(ArraySamples(x, [y, x]).targets(slice(2)), tuple)
    [(_, targets)] = checked_batches([(x, [y, x])], "here")
    assert isinstance(targets, tuple) and targets[0] is y
    for numbers in (y.tolist(), list(y), [np.array(label) for label in y]):
        np.testing.assert_array_equal(ArraySamples(x, numbers).y, y)


def test_arrays_of_different_lengths_are_refused():
    for x, y in ((IMAGES, LABELS[:5]), (IMAGES, (LABELS, LABELS[:5])), (np.float32(1), LABELS), (IMAGES, 3)):
        with pytest.raises(fc.DataError, match="ArraySamples: expected a target for each input"):
            ArraySamples(x, y)


@pytest.mark.parametrize(
    ("targets", "labels"),
    [
        (LABELS, LABELS),
        (np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 0]),
        (np.ones((3, 1)), None),
        (np.ones((3, 2), int), None),
        (np.ones((3, 2, 2)), None),
        (np.ones(3), None),
        ((LABELS, LABELS), None),
        (np.array([[0.1, 0.9], [0.8, 1.2]]), None),
        (np.array([[0.1, 0.9], [-0.8, 0.2]]), None),
        (np.array([[0.1, 0.9], [np.nan, 0.2]]), None),
        (np.array([[0.0, 1.0], [0.0, 0.0]]), None),
        (np.ones((0, 2)), []),
    ],
    ids=range(12),
)
def test_which_targets_are_classes(targets, labels):
    if labels is None:
        assert labels_of(targets) is None
    else:
        np.testing.assert_array_equal(labels_of(targets), labels)


def test_what_has_the_four_members_is_samples():
    class Mine:
        labels = None

        def __len__(self):
            return 5

        def inputs(self, which):
            return np.arange(5.0)[which]

        targets = inputs

    mine = Mine()
    assert isinstance(mine, Samples) and samples_of(mine, None, "fit") is mine
    assert isinstance(samples_of([[1.0], [2.0]], [0, 1], "fit"), ArraySamples)
    batches = [(IMAGES, LABELS)]
    assert samples_of(batches, None, "fit") is batches


def test_batches_are_arrays():
    [(x, y)] = checked_batches([[[[1.0], [2.0]], ([0, 1], [2, 3])]], "here")
    assert isinstance(x, np.ndarray) and x.shape == (2, 1)
    assert isinstance(y, tuple) and all(isinstance(part, np.ndarray) for part in y)
