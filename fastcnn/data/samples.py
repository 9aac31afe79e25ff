"""Samples: what a model is trained on and judged by, as inputs and targets of any selection of them.

`ArraySamples` holds arrays as a model takes them. `ImageSamples` holds labelled images as bytes and turns them into
numbers a batch at a time. Whatever has the four members of `Samples` does as well.
"""

from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.arrays import array_of
from fastcnn.backends.cpu.pixels import look_up
from fastcnn.data.transforms import SCALINGS, check_labels, pixel_table, soft_targets
from fastcnn.errors import ConfigError, DataError, DTypeError
from fastcnn.layers.arguments import choice, float_dtype, whole

Array = NDArray[Any]
Which = slice | NDArray[Any]  # a selection of samples: a slice, or an array of indices
Targets = Array | tuple[Array, ...]  # a tuple where the model has several outputs
Batches = Iterable[Any]  # pairs (x, y), the same each time that it is iterated

FORMS = ("soft", "one-hot", "smooth", "index")


@runtime_checkable
class Samples(Protocol):
    """What `fastcnn.Trainer` asks of samples.

    Selections are a slice or an array of indices; equal ones give equal arrays, always, or training can't be
    repeated. A class of your own need not inherit from this one:

    >>> class Sums:
    ...     labels = None
    ...
    ...     def __len__(self):
    ...         return 10_000
    ...
    ...     def inputs(self, which):
    ...         i = np.arange(10_000)[which]
    ...         return np.stack([i // 100, i % 100], axis=1).astype(np.float32)
    ...
    ...     def targets(self, which):
    ...         return self.inputs(which).sum(axis=1, keepdims=True)
    >>> isinstance(Sums(), Samples)
    True
    """

    @property
    def labels(self) -> Array | None:
        """The right classes, integers ``(N,)``, for the accuracy; None where there is no such thing."""

    def __len__(self) -> int:
        """How many there are."""

    def inputs(self, which: Which) -> Array:
        """The inputs of a selection as the model takes them, ``(n, ...)``."""

    def targets(self, which: Which) -> Targets:
        """Their targets as the loss takes them, ``(n, ...)``, or a tuple of such."""


class ArraySamples:
    """Arrays that hold the inputs and the targets of all samples.

    Args:
        x: Inputs ``(N, ...)`` of the model's dtype.
        y: Targets as the loss takes them: class indices, integers ``(N,)``; or ``(N, ...)`` of the model's dtype; or,
            for a model with several outputs, a tuple or a list of such arrays.

    Attributes:
        labels: See `labels_of`.

    Raises:
        DataError: if there are not as many targets as inputs.

    >>> samples = ArraySamples(np.eye(4), np.array([0, 1, 1, 0]))
    >>> len(samples), samples.inputs(slice(2)).shape, samples.targets(np.array([3, 1]))
    (4, (2, 4), array([0, 1]))
    """

    def __init__(self, x: Any, y: Any) -> None:
        self.x = array_of(x, "ArraySamples", "x")
        self.y = _as_targets(y, "ArraySamples")
        for part in self.y if isinstance(self.y, tuple) else (self.y,):
            if self.x.ndim == 0 or part.ndim == 0 or len(part) != len(self.x):
                raise DataError(
                    f"ArraySamples: expected a target for each input, got inputs {self.x.shape} and targets "
                    f"{part.shape}; the first sizes must be equal"
                )
        self.labels = labels_of(self.y)

    def __len__(self) -> int:
        return len(self.x)

    def inputs(self, which: Which) -> Array:
        return self.x[which]

    def targets(self, which: Which) -> Targets:
        return tuple(part[which] for part in self.y) if isinstance(self.y, tuple) else self.y[which]


class ImageSamples:
    """Labelled images, kept as bytes and turned into numbers a batch at a time.

    MNIST's 60,000 take 47 MB that way instead of 188 or 376.

    Args:
        images: uint8 ``(N, C, H, W)``.
        labels: Integers ``(N,)``, 0 to ``classes - 1``.
        dtype: What the numbers are to be, float32 or float64.
        scaling: Of the pixels, see `fastcnn.data.pixel_table`.
        targets: ``"soft"``, 0.9 at the label and 0.1 elsewhere, as in Gorgonia's tutorial; ``"one-hot"``, 1 and 0, as
            in MXNet's; ``"smooth"``, 0.91 and 0.01, which is PyTorch's ``label_smoothing=0.1``; ``"index"``, the labels
            themselves.
        classes: How many there are.

    Attributes:
        images: As given.
        labels: As given.
        numbers: What each of the 256 values of a byte becomes.
        rows: The target of each class, ``(classes, classes)``; in the form "index" 1 and 0.

    Raises:
        DataError: if there is not one label for each image, or one is out of range.
        DTypeError: if the images are not uint8, the labels no integers, or `dtype` is another one.
        ConfigError: for another scaling or form of targets.

    >>> digits = fc.data.load_dataset("sample")
    >>> samples = ImageSamples(digits.test_images, digits.test_labels, targets="one-hot")
    >>> samples.inputs(slice(5)).shape, samples.targets(slice(5)).shape
    ((5, 1, 28, 28), (5, 10))
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Array,
        dtype: str = "float32",
        scaling: str = "gorgonia",
        targets: str = "soft",
        classes: int = 10,
    ) -> None:
        self.images = array_of(images, "ImageSamples", "images")
        self.labels = array_of(labels, "ImageSamples", "labels")
        self.dtype = float_dtype(dtype, "ImageSamples: dtype").name
        self.scaling = choice(scaling, SCALINGS, "ImageSamples: scaling")
        self.form = choice(targets, FORMS, "ImageSamples: targets")
        self.classes = whole(classes, "ImageSamples: classes")
        self.numbers = pixel_table(self.scaling, self.dtype)
        self.rows = target_rows(self.form, self.classes, self.dtype)
        if self.images.dtype != np.uint8:
            raise DTypeError(f"ImageSamples: expected uint8 images, got {self.images.dtype}; pass the unscaled bytes")
        if self.images.ndim != 4:
            raise DataError(f"ImageSamples: expected images (N, C, H, W), got shape {self.images.shape}; reshape them")
        if self.labels.dtype.kind not in "iu":
            raise DTypeError(f"ImageSamples: expected integer labels, got {self.labels.dtype}; use labels.astype(int)")
        if self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"ImageSamples: expected a label for each image, got {len(self.images)} images and labels "
                f"{self.labels.shape}; check that they belong together"
            )
        check_labels(self.labels, self.classes, "ImageSamples")

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, which: Which) -> Array:
        """The images `which` as a model takes them, ``(n, C, H, W)``."""
        return look_up(self.numbers, self.images, which)

    def targets(self, which: Which) -> Array:
        """Their targets, ``(n, classes)``, or ``(n,)`` in the form "index"."""
        labels = self.labels[which]
        return labels if self.form == "index" else self.rows[labels]


def target_rows(form: str, classes: int, dtype: str, labels: Array | None = None) -> Array:
    """The targets of some labels, ``(N, classes)``; of each class, if not given."""
    labels = np.arange(classes) if labels is None else labels
    if form == "soft":
        return soft_targets(labels, dtype, classes)
    rows = np.equal.outer(labels, np.arange(classes)).astype(dtype)
    return rows * 0.9 + 0.1 / classes if form == "smooth" else rows


def labels_of(targets: Targets) -> Array | None:
    """The classes that targets stand for, if they do: integers ``(N,)`` themselves; of ``(N, classes)`` the largest.

    None for several outputs, a single column (the largest of one says nothing) and other shapes; and for rows that
    can't be shares of classes, as some number is not in [0, 1] or all are 0.

    >>> labels_of(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if isinstance(targets, tuple):
        return None
    if targets.ndim == 1 and targets.dtype.kind in "iu":
        return targets
    if targets.ndim == 2 and targets.shape[1] > 1 and targets.dtype.kind == "f":
        shares = ((targets >= 0) & (targets <= 1)).all() and targets.any(axis=1).all()
        labels: Array | None = targets.argmax(axis=1) if shares else None
        return labels
    return None


def samples_of(x: Any, y: Any, who: str) -> Samples | Batches:
    """What somebody passed to be trained on, in one of two forms: arrays become samples, all else stays as it is.

    Raises:
        ConfigError: if `x` is an array without a `y`, a `y` comes with anything else, or `x` can't be iterated.
    """
    if isinstance(x, np.ndarray) and y is None:
        raise ConfigError(f"{who}: expected the targets y of the array x, got None; pass both")
    lacks = [name for name in ("labels", "inputs", "targets", "__len__") if not hasattr(x, name)]
    if hasattr(x, "inputs") and hasattr(x, "targets") and lacks:
        remedy = "add labels = None, if there are no classes" if lacks == ["labels"] else "write it"
        raise ConfigError(f"{who}: {type(x).__name__} has no {lacks[0]}, as samples must; {remedy}")
    if isinstance(x, Samples):
        if y is not None:
            raise ConfigError(f"{who}: expected no y beside samples, which hold their targets; leave it out")
        return x
    if y is not None:
        return ArraySamples(x, y)
    if hasattr(x, "train_images"):
        raise ConfigError(
            f"{who}: expected samples, got a data set with two parts; pass "
            "fastcnn.data.ImageSamples(data.train_images, data.train_labels)"
        )
    if not isinstance(x, Iterable):
        raise ConfigError(
            f"{who}: expected arrays x and y, samples, or an iterable of batches (x, y), got {type(x).__name__}"
        )
    return x


def validation_of(given: Any, who: str = "Trainer.fit: validation") -> Samples | Batches:
    """What somebody passed to judge a model by, in one of two forms.

    A pair whose first is an array is a pair of arrays; any other is an iterable of two batches. A list of batches is
    looked through here and now: after an epoch is late for an error.
    """
    if isinstance(given, tuple | list):
        if len(given) == 2 and isinstance(given[0], np.ndarray):
            return samples_of(given[0], given[1], who)
        for _ in checked_batches(given, "validation"):
            pass
    return samples_of(given, None, who)


def checked_batches(batches: Batches, when: str) -> Iterator[tuple[Array, Targets]]:
    """The batches of an iterable, as arrays.

    Raises:
        DataError: if there is none, one is no pair, or one is empty.
    """
    number = 0
    for number, batch in enumerate(batches, start=1):
        who = f"batch {number} of {when}"
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            what = f"{len(batch)} items" if isinstance(batch, tuple | list) else type(batch).__name__
            raise DataError(f"{who}: expected a pair (x, y), got {what}")
        x, y = array_of(batch[0], who, "x"), _as_targets(batch[1], who)
        if x.ndim == 0 or not len(x):
            raise DataError(f"{who}: expected samples, got an x of shape {x.shape}")
        yield x, y
    if not number:
        raise DataError(
            f"{when}: expected batches (x, y), got none; pass an iterable that starts anew each time, such as a list "
            "(a generator can be gone through once only)"
        )


def _as_targets(y: Any, who: str) -> Targets:
    """A tuple for several outputs, which may come as a list of arrays; else an array, also of numbers in a sequence."""
    several = isinstance(y, list) and y and all(isinstance(part, np.ndarray) and part.ndim for part in y)
    if several or (isinstance(y, tuple) and not all(isinstance(part, Number) for part in y)):
        return tuple(array_of(part, who, f"y[{index}]") for index, part in enumerate(y))
    return array_of(y, who, "y")
