"""MNIST, and any data set that comes as four files of the same names: where to look for it, what to check.

Looked for in this order: the folder that the caller names, ``FASTCNN_DATA_DIR``, the user's cache, the
network. The sample of 5,000 real digits that ships with the package needs none of them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.download import MNIST_FILES, Progress, fetch_mnist, find_file
from fastcnn.data.idx import read_idx
from fastcnn.data.transforms import check_labels
from fastcnn.errors import ConfigError, DataError
from fastcnn.places import cache_dir, with_tilde

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DATASETS = ("auto", "mnist", "sample")
CLASSES = 10
DOWNLOAD_SIZE = "11.6 MB"
CHECK = "check that it is the right file"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, split into a training and a test part.

    Attributes:
        train_images: uint8 ``(N, 1, H, W)``, C-contiguous, 0 is background.
        train_labels: uint8 ``(N,)``, 0 to 9.
        test_images: uint8 ``(M, 1, H, W)``, the same H and W.
        test_labels: uint8 ``(M,)``, 0 to 9.
        name: ``"sample"``, or the name of the folder that holds the files (``"mnist"``).
        origin: One line for people: which data this is, and why.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]
    name: str
    origin: str


def load_dataset(
    dataset: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    download_progress: Progress | None = None,
    download: bool = True,
) -> Dataset:
    """Load MNIST, its sample, or the data set in a folder of yours.

    Args:
        dataset: ``"mnist"``: the full set, downloaded if it is nowhere on this machine; ``"sample"``: 4,000
            training and 1,000 test digits that ship with the package; ``"auto"``: the full set if it is on
            this machine, or else the sample. ``auto`` never uses the network.
        data_dir: Folder with the four files of MNIST or of a relative such as Fashion-MNIST, or with a
            subfolder ``mnist`` that has them.
        download_progress: Called as ``(URL, bytes received, bytes in all or 0)`` during a download.
        download: Whether ``"mnist"`` may be downloaded. If not, and it is not on this machine, the sample stands in
            for it, and `origin` says so.

    Returns:
        The data set; its `origin` says in one line which data was taken and why.

    Raises:
        ConfigError: if `dataset` is not one of the three, or if ``"sample"`` is combined with `data_dir`.
        DataError: if `data_dir` lacks a file, a file is damaged, or ``"mnist"`` is nowhere to be had.

    >>> load_dataset("sample").test_labels.shape
    (1000,)
    """
    if dataset not in DATASETS:
        choices = ", ".join(DATASETS)
        raise ConfigError(f"load_dataset: dataset must be one of {choices}, got {dataset!r}; choose one of them")
    if dataset == "sample":
        if data_dir is not None:
            raise ConfigError(
                f"load_dataset: data_dir {str(data_dir)!r} has no use for the sample, which ships with the package; "
                "leave it out, or choose another dataset than 'sample'"
            )
        return _read_sample("as asked")
    if data_dir is not None:
        folder = _locate(data_dir)
        if folder is None:
            raise DataError(_what_is_missing(data_dir))
        return _read_folder(folder, "data_dir")

    shared, caches = os.environ.get("FASTCNN_DATA_DIR"), cache_dir()
    cache = caches / "mnist" if caches else None
    if shared and (folder := _locate(shared)):
        return _read_folder(folder, "FASTCNN_DATA_DIR")
    passed_over = f"FASTCNN_DATA_DIR={shared!r} holds none" if shared else "FASTCNN_DATA_DIR is not set"
    if dataset == "mnist" and download:
        if cache is None:
            raise DataError(
                f"load_dataset 'mnist': {passed_over}, and no home folder is known to keep a download in; "
                "set FASTCNN_CACHE_DIR to a folder"
            )
        try:
            fetch_mnist(cache, progress=download_progress)
        except DataError as error:
            raise DataError(
                f"load_dataset 'mnist': {passed_over}; the cache {str(cache)!r} holds no intact copy; {error}"
            ) from error
    if cache and (folder := _locate(cache)):
        return _read_folder(folder, "user cache")
    place = f"nor is it in {with_tilde(cache)}" if cache else "and no home folder is known to look in"
    missing = f"no MNIST on this machine ({passed_over}, {place}); "
    if dataset == "mnist":
        return _read_sample(f"{missing}they stand in for the full set, which is yet to be downloaded ({DOWNLOAD_SIZE})")
    return _read_sample(f"{missing}pass --dataset mnist to download the full set ({DOWNLOAD_SIZE})")


def _places(data_dir: str | os.PathLike[str]) -> tuple[Path, Path]:
    folder = Path(os.path.expanduser(data_dir))
    return folder, folder / "mnist"


def _missing_from(folder: Path) -> list[str]:
    return [name for name in MNIST_FILES if find_file(folder, name) is None]


def _locate(data_dir: str | os.PathLike[str]) -> Path | None:
    """Return `data_dir` or its subfolder ``mnist``, whichever holds all four files, or None."""
    return next((folder for folder in _places(data_dir) if not _missing_from(folder)), None)


def _what_is_missing(data_dir: str | os.PathLike[str]) -> str:
    folder, subfolder = _places(data_dir)
    if not os.path.isdir(folder):
        return f"load_dataset: data_dir {str(folder)!r} is not a folder; check the path"
    missing = min(_missing_from(folder), _missing_from(subfolder), key=len)
    return (
        f"load_dataset: data_dir {str(folder)!r} must hold the four files of MNIST, plain or .gz, itself or in its "
        f"subfolder 'mnist', got no {', '.join(missing)}; put them there, or name another folder"
    )


def _read_folder(folder: Path, why: str) -> Dataset:
    """Read the four files of `folder`, which are known to be there."""
    files = [find_file(folder, name) or folder / name for name in MNIST_FILES]
    return _assemble(files, folder.resolve().name, f"images from {str(folder)!r} ({why})")


def _read_sample(why: str) -> Dataset:
    """Read the four files that ship inside the package, which may itself be in a zip file."""
    from importlib.resources import files

    folder = files("fastcnn.data") / "sample"
    return _assemble(
        [folder / f"{name}.gz" for name in MNIST_FILES],
        "sample",
        f"digits of MNIST that ship with fastcnn: {why}",
    )


def _assemble(files: "Sequence[Path | Traversable]", name: str, source: str) -> Dataset:
    """Read training images and labels, test images and labels, and see that they fit each other."""
    train_images, train_labels = _read_part(*files[:2])
    test_images, test_labels = _read_part(*files[2:])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"load_dataset: expected images of one size, got {train_images.shape[2:]} in {str(files[0])!r} "
            f"and {test_images.shape[2:]} in {str(files[2])!r}; check that the files belong together"
        )
    origin = f"{name}: {len(train_labels):,} training and {len(test_labels):,} test {source}"
    return Dataset(train_images, train_labels, test_images, test_labels, name, origin)


def _read_part(
    image_file: "Path | Traversable", label_file: "Path | Traversable"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images ``(N, 1, H, W)`` and their labels ``(N,)``."""
    who = f"load_dataset {str(label_file)!r}"
    labels = read_idx(label_file)
    if labels.ndim != 1:
        raise DataError(f"{who}: expected labels (N,), got shape {labels.shape}; {CHECK}")
    check_labels(labels, CLASSES, who)
    who = f"load_dataset {str(image_file)!r}"
    images = read_idx(image_file)
    if images.ndim != 3 or images.size == 0:
        raise DataError(f"{who}: expected at least one image (N, H, W), got shape {images.shape}; {CHECK}")
    if len(images) != len(labels):
        raise DataError(
            f"{who}: expected {len(labels)} images, one for each label of {str(label_file)!r}, "
            f"got {len(images)}; check that the files belong together"
        )
    return images[:, np.newaxis], labels
