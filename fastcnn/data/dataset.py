"""A data set in memory: from its four files to images and labels that fit each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.idx import as_bytes, read_elements, read_idx
from fastcnn.data.transforms import check_labels
from fastcnn.errors import DataError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

    File = Path | Traversable

LEAST_CLASSES, MOST_CLASSES = 10, 100
HELD_BACK = 6  # one of so many training images, as 10,000 of MNIST's 60,000
QMNIST_COLUMNS = 8
CHECK = "check that it is the right file"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into a training and a test part.

    Attributes:
        train_images: uint8 ``(N, 1, H, W)``, C-contiguous, 0 is background.
        train_labels: uint8 ``(N,)``, 0 to ``classes - 1``.
        test_images: uint8 ``(M, 1, H, W)``, the same H and W.
        test_labels: uint8 ``(M,)``, 0 to ``classes - 1``.
        name: ``"sample"``, or the name of the folder that holds the files (``"mnist"``).
        origin: One line for people: which data this is, why, and what was done to it.
        transposed: Whether rows and columns of the images in the files were swapped.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    name: str
    origin: str
    transposed: bool = False

    @property
    def classes(self) -> int:
        """How many outputs a model for it needs: up to the largest label, 10 at least."""
        return max(LEAST_CLASSES, *(int(labels.max(initial=0)) + 1 for labels in (self.train_labels, self.test_labels)))


def assemble(files: "Sequence[File]", name: str, source: str, transpose: bool = False) -> Dataset:
    """Read training images and labels and, if there are four files, test images and labels.

    Of two files a share of the images is held back as the test, the same one each time.

    Raises:
        DataError: if a file is none of these, or they don't fit each other.
    """
    train_images, train_labels, qmnist = _read_part(*files[:2])
    notes = ["column 0 of QMNIST's labels is the class"] if qmnist else []
    if len(files) == 2:
        test = _held_back(len(train_labels), str(files[0]))
        test_images, test_labels = train_images[test], train_labels[test]
        train_images, train_labels = train_images[~test], train_labels[~test]
        notes.append(f"no test files: a fixed share of the training images, 1 of {HELD_BACK}, is held back as the test")
    else:
        test_images, test_labels, _ = _read_part(*files[2:])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"load_dataset: expected images of one size, got {train_images.shape[2:]} in {str(files[0])!r} "
            f"and {test_images.shape[2:]} in {str(files[2])!r}; check that the files belong together"
        )
    if transpose:
        train_images, test_images = (np.ascontiguousarray(x.swapaxes(2, 3)) for x in (train_images, test_images))
        notes.append("rows and columns of the images were swapped, as EMNIST's need it")
    data = Dataset(train_images, train_labels, test_images, test_labels, name, "", transpose)
    if data.classes > LEAST_CLASSES:
        notes.append(f"{data.classes} classes, as the largest label is {data.classes - 1}")
    counts = f"{len(train_labels):,} training and {len(test_labels):,} test"
    return replace(data, origin=f"{name}: {counts} {'; '.join([source, *notes])}")


def _held_back(count: int, file: str) -> NDArray[np.bool_]:
    """Which of so many samples are for the test. Drawn from a stream that NumPy keeps as it is for good."""
    if count < HELD_BACK:
        raise DataError(
            f"load_dataset {file!r}: expected at least {HELD_BACK} images, to hold some back for want of test files, "
            f"got {count}; add t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte"
        )
    chosen = np.zeros(count, np.bool_)
    chosen[np.random.RandomState(0).permutation(count)[: count // HELD_BACK]] = True
    return chosen


def _read_part(image_file: "File", label_file: "File") -> tuple[NDArray[np.uint8], NDArray[np.uint8], bool]:
    """Return images ``(N, 1, H, W)`` and their labels ``(N,)``, and whether these were QMNIST's."""
    labels, qmnist = _read_labels(label_file)
    images = _read_images(image_file)
    if len(images) != len(labels):
        raise DataError(
            f"load_dataset {str(image_file)!r}: expected {len(labels)} images, one for each label of "
            f"{str(label_file)!r}, got {len(images)}; check that the files belong together"
        )
    return images, labels, qmnist


def _read_labels(file: "File") -> tuple[NDArray[np.uint8], bool]:
    """Labels ``(N,)`` from ``(N,)``, ``(N, 1)``, or QMNIST's ``(N, 8)`` of int32, in which the first is the class."""
    who = f"load_dataset {str(file)!r}"
    labels = read_elements(file)
    shape = labels.shape
    qmnist = shape[1:] == (QMNIST_COLUMNS,) and labels.dtype == np.int32
    if qmnist:
        labels = labels[:, 0]
    elif shape[1:] == (1,):
        labels = labels.reshape(-1)
    if labels.ndim != 1:
        remedy = CHECK
        if labels.ndim >= 3:
            remedy = "these are images: check that they are not in the place of the labels"
        elif labels.size and shape[1] > 1 and ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all():
            remedy = "they are one-hot: write labels.argmax(axis=1).astype('uint8') by fastcnn.data.write_idx"
        raise DataError(f"{who}: expected labels (N,), got shape {shape}; {remedy}")
    labels = as_bytes(labels, who, f"from 0 to {MOST_CLASSES - 1} as labels", CHECK)
    check_labels(labels, MOST_CLASSES, who)
    return np.ascontiguousarray(labels), qmnist


def _read_images(file: "File") -> NDArray[np.uint8]:
    """Images ``(N, 1, H, W)`` from ``(N, H, W)``, ``(N, 1, H, W)`` or ``(N, H, W, 1)``."""
    images = read_idx(file)
    shape = images.shape
    if images.ndim == 3:
        images = images[:, np.newaxis]
    elif images.ndim == 4 and shape[1] != 1 and shape[3] == 1:
        images = images.reshape(shape[0], 1, *shape[1:3])
    if images.ndim == 4 and images.shape[1] == 1 and images.size:
        return images
    remedy = CHECK
    if images.ndim == 4 and images.size:
        axis = next((axis for axis in (3, 1) if shape[axis] in (2, 3, 4)), None)
        if axis is not None:
            remedy = (
                "images in colour are not supported: make them grey, "
                f"images.mean(axis={axis}).round().astype('uint8'), and write them by fastcnn.data.write_idx"
            )
    elif images.ndim == 2 and images.size:
        remedy = "rows of pixels? write images.reshape(-1, height, width) by fastcnn.data.write_idx"
    elif images.ndim == 1:
        remedy = "these are labels: check that they are not in the place of the images"
    raise DataError(f"load_dataset {str(file)!r}: expected at least one image (N, H, W), got shape {shape}; {remedy}")
