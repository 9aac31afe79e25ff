"""MNIST, and any data set that comes as four files of the same names: where to look for it, what to check.

Looked for in this order: the folder that the caller names, ``FASTCNN_DATA_DIR``, the user's cache, the
network. The sample of 5,000 real digits that ships with the package needs none of them.
"""

import os
from pathlib import Path

from fastcnn.data.dataset import Dataset, assemble
from fastcnn.data.download import MNIST_FILES, Progress, fetch_mnist
from fastcnn.data.folder import Found, find_mnist, find_set, what_is_missing
from fastcnn.errors import ConfigError, DataError
from fastcnn.places import cache_dir, with_tilde

DATASETS = ("auto", "mnist", "sample")
DOWNLOAD_SIZE = "11.6 MB"
TRANSPOSED = "emnist"  # files whose names begin so hold images whose rows and columns are swapped


def load_dataset(
    dataset: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
    download_progress: Progress | None = None,
    download: bool = True,
    transpose: bool | None = None,
) -> Dataset:
    """Load MNIST, its sample, or the data set in a folder of yours.

    A folder is looked through for the four files of a data set, see `fastcnn.data.folder`: MNIST's, Fashion-MNIST's,
    EMNIST's, QMNIST's, under their own names or MNIST's, as browsers and archivers spell them. Labels may be of any
    type that holds 0 to 99. Where there are no test files, a sixth of the training images is held back for them.

    Args:
        dataset: ``"mnist"``: the full set, downloaded if it is nowhere on this machine; ``"sample"``: 4,000
            training and 1,000 test digits that ship with the package; ``"auto"``: the full set if it is on
            this machine, or else the sample. ``auto`` never uses the network.
        data_dir: Folder with the four files of MNIST or of a relative such as Fashion-MNIST, itself or in a folder
            below it; of several sets in one folder, that folder and what the names of one begin with, as in
            ``"EMNIST/raw/emnist-letters"``.
        download_progress: Called as ``(URL, bytes received, bytes in all or 0)`` during a download.
        download: Whether ``"mnist"`` may be downloaded. If not, and it is not on this machine, the sample stands in
            for it, and `origin` says so.
        transpose: Whether to swap rows and columns of the images, as those of EMNIST need it; None: if the files are
            named as EMNIST's are.

    Returns:
        The data set; its `origin` says in one line which data was taken and why.

    Raises:
        ConfigError: if `dataset` is not one of the three, or if ``"sample"`` is combined with `data_dir`.
        DataError: if `data_dir` lacks a file or has several data sets, a file is damaged, or ``"mnist"`` is nowhere to
            be had.

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
        return _read_sample("as asked", transpose)
    if data_dir is not None:
        folder = Path(os.path.expanduser(data_dir))
        if (found := find_set(folder)) is None:
            raise DataError(what_is_missing(folder))
        return _read_found(found, "data_dir", transpose)

    shared, caches = os.environ.get("FASTCNN_DATA_DIR"), cache_dir()
    cache = caches / "mnist" if caches else None
    if shared and (place := Path(os.path.expanduser(shared))).is_dir() and (found := find_set(place)):
        return _read_found(found, "FASTCNN_DATA_DIR", transpose)
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
    if cache and (found := find_mnist(cache)):
        return _read_found(found, "user cache", transpose)
    where = f"nor is it in {with_tilde(cache)}" if cache else "and no home folder is known to look in"
    missing = f"no MNIST on this machine ({passed_over}, {where}); "
    if dataset == "mnist":
        missing += f"they stand in for the full set, which is yet to be downloaded ({DOWNLOAD_SIZE})"
    else:
        missing += f"pass --dataset mnist to download the full set ({DOWNLOAD_SIZE})"
    return _read_sample(missing, transpose)


def _read_found(found: Found, why: str, transpose: bool | None) -> Dataset:
    if transpose is None:
        transpose = found.prefix.startswith(TRANSPOSED)
    source = f"images from {str(found.folder)!r} ({why})"
    return assemble(found.files, found.name, source, transpose)


def _read_sample(why: str, transpose: bool | None) -> Dataset:
    """Read the four files that ship inside the package, which may itself be in a zip file."""
    from importlib.resources import files

    folder = files("fastcnn.data") / "sample"
    source = f"digits of MNIST that ship with fastcnn: {why}"
    return assemble([folder / f"{name}.gz" for name in MNIST_FILES], "sample", source, bool(transpose))
