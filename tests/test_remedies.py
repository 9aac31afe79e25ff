"""Arrays that don't fit: the message says what to change, and what it says helps."""

import numpy as np
import pytest

import fastcnn as fc
from fastcnn.data import ImageSamples, load_dataset, scale_pixels
from fastcnn.judge import evaluate
from fastcnn.trainer import Trainer

IMAGES = np.arange(6 * 9, dtype=np.uint8).reshape(6, 1, 3, 3)
X, Y = scale_pixels(IMAGES, "unit", "float32"), np.arange(6) % 3
SOFT = np.eye(3, dtype=np.float32)[Y]


def network(input_shape=(1, 3, 3)):
    return fc.Sequential(fc.Flatten(), fc.Linear(9, 3), input_shape=input_shape)


def trainer(input_shape=(1, 3, 3)):
    model = network(input_shape)
    return Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), batch_size=4)


# The wrong input, the advice, and the input when it was heeded.
INPUTS = [
    (IMAGES, r"scale the pixels, as by fastcnn.data.scale_pixels\(x, 'unit', 'float32'\), or train on "
     r"fastcnn.data.ImageSamples\(x, labels\)", lambda x: scale_pixels(x, "unit", "float32")),
    (X.astype(float), r"use x.astype\('float32'\)", lambda x: x.astype("float32")),
    (IMAGES.astype(int), r"use x.astype\('float32'\)", lambda x: x.astype("float32")),
    (X[:, 0], r"use x\[:, None\]", lambda x: x[:, None]),
    (X.transpose(0, 2, 3, 1), r"use x.transpose\(0, 3, 1, 2\)", lambda x: x.transpose(0, 3, 1, 2)),
    (X.reshape(6, 9), r"use x.reshape\(-1, 1, 3, 3\)", lambda x: x.reshape(-1, 1, 3, 3)),
    (X[:, :, :2], "use another data set, or another model", lambda x: X),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "advice", "heeded"), INPUTS)
@pytest.mark.parametrize(
    "use",
    [
        lambda x: network()(x),
        lambda x: trainer().fit(x, Y),
        lambda x: trainer().fit([(x, Y)]),
        lambda x: trainer().fit(X, Y, validation=(x, Y)),
        lambda x: evaluate(network(), (x, Y)),
    ],
    ids=["model", "fit", "fit in batches", "validation", "evaluate"],
)
def test_an_input_that_does_not_fit_is_refused_with_advice_that_helps(use, wrong, advice, heeded):
    with pytest.raises((fc.DTypeError, fc.ShapeError), match=f"{advice}[^\n]*$"):
        use(wrong)
    use(heeded(wrong))


def test_one_image_and_rows_of_pixels_have_advice_of_their_own():
    rgb = fc.Sequential(fc.Conv2d(3, 2, 2), input_shape=(3, 4, 4))
    with pytest.raises(fc.ShapeError, match=r"use x\[None\], a batch of one$"):
        rgb(np.zeros((3, 4, 4), np.float32))
    with pytest.raises(fc.ShapeError, match=r"use x.reshape\(-1, 9\)$"):
        network((9,))(X)


def test_images_of_bytes_train_as_the_message_says():
    assert len(trainer().fit(ImageSamples(IMAGES, Y, targets="index"), epochs=2)) == 2


TARGETS = [
    (Y.astype(float), r"got float64; class indices are integers: use y.astype\(int\)", lambda y: y.astype(int)),
    (Y.astype(np.float32), r"class indices are integers: use y.astype\(int\)", lambda y: y.astype(int)),
    (Y == 1, r"class indices are integers: use y.astype\(int\)", lambda y: y.astype(int)),
    (Y[:, None], r"use y\[:, 0\]", lambda y: y[:, 0]),
    (Y[:, None].astype(float), r"use y\[:, 0\].astype\(int\)", lambda y: y[:, 0].astype(int)),
    (Y[:, None].astype(np.float32), r"use y\[:, 0\].astype\(int\)", lambda y: y[:, 0].astype(int)),
    (SOFT.astype(float), r"got float64; use y.astype\('float32'\)", lambda y: y.astype("float32")),
    (SOFT.astype(int), r"got \(4, 3\); use y.astype\('float32'\)", lambda y: y.astype("float32")),
    (SOFT[:, :2], "a model for these has 2 outputs", lambda y: SOFT),
    (np.array(list("abcabc")), r"got <U1; number the classes from 0, as np.unique\(y, return_inverse=True\)\[1\] does",
     lambda y: np.unique(y, return_inverse=True)[1]),
    (Y + 1, "these count from 1: use y - 1", lambda y: y - 1),
    (Y + 5, "a model for these has 8 outputs", lambda y: Y),
    (Y - 1, "leave out the samples that have no class", lambda y: Y),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "advice", "heeded"), TARGETS)
def test_targets_that_do_not_fit_are_refused_with_advice_that_helps(wrong, advice, heeded):
    with pytest.raises((fc.DTypeError, fc.ShapeError), match=f"{advice}$"):
        trainer().fit(X, wrong)
    trainer().fit(X, heeded(wrong))


@pytest.mark.parametrize("make", [ImageSamples, lambda images, labels: fc.data.soft_targets(labels, "float32")])
def test_float_labels_of_images_are_refused_with_the_remedy(make):
    with pytest.raises(fc.DTypeError, match=r"expected integer labels, got float64; use labels.astype\(int\)$"):
        make(IMAGES, Y.astype(float))
    make(IMAGES, Y.astype(float).astype(int))


class Unlabelled:
    """Samples of one's own that lack what `Samples` asks for."""

    def __len__(self):
        return len(X)

    def inputs(self, which):
        return X[which]

    def targets(self, which):
        return Y[which]


@pytest.mark.parametrize(
    "use",
    [
        lambda data: trainer().fit(data),
        lambda data: trainer().fit(X, Y, validation=data),
        lambda data: evaluate(network(), data),
    ],
    ids=["fit", "validation", "evaluate"],
)
def test_samples_without_labels_are_told_what_to_add(use):
    with pytest.raises(fc.ConfigError, match=r"Unlabelled has no labels, as samples must; add labels = None, if .*"):
        use(Unlabelled())
    with pytest.raises(fc.ConfigError, match=r"got a data set with two parts; pass .*ImageSamples"):
        use(load_dataset("sample"))
    labelled = Unlabelled()
    labelled.labels = None
    use(labelled)


def test_evaluate_takes_the_pair_that_fit_takes():
    model = network()
    assert evaluate(model, (X, Y), fc.CrossEntropyLoss()) == evaluate(model, [(X, Y)], fc.CrossEntropyLoss())
