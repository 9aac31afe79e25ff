"""A small stand-in for MNIST, and an environment in which no data set can be found by accident."""

import numpy as np
import pytest

from fastcnn.data import write_idx

NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@pytest.fixture
def toy_arrays():
    """Four arrays in the form of MNIST: 30 training and 20 test images of 5x4, digits 0 to 9 in turn."""
    rng = np.random.default_rng(0)
    arrays = []
    for count in (30, 20):
        arrays += [rng.integers(0, 256, (count, 5, 4), np.uint8), (np.arange(count) % 10).astype(np.uint8)]
    return dict(zip(NAMES, arrays, strict=True))


@pytest.fixture
def write_folder(toy_arrays):
    """Function that writes the toy arrays, some replaced, into a folder in the given spelling."""

    def write(folder, suffix="", separator="-", **replaced):
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in toy_arrays.items():
            array = replaced.get(name.replace("-", "_"), array)
            write_idx(folder / (name.replace("-idx", f"{separator}idx") + suffix), array)
        return folder

    return write


@pytest.fixture
def no_data(monkeypatch, tmp_path):
    """No folder named in the environment, an empty cache (its path is returned), no mirror that answers."""
    monkeypatch.delenv("FASTCNN_DATA_DIR", raising=False)
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("FASTCNN_MNIST_MIRRORS", "http://127.0.0.1:9/a/ http://127.0.0.1:9/b")
    return tmp_path / "cache"
