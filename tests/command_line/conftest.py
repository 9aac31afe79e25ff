"""An empty place for every run, and a small data set."""

import pytest
from runs import NAMES

import fastcnn as fc
from fastcnn.data import write_idx


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run in an empty folder, on a machine without MNIST, and give the threads back."""
    threads = fc.get_num_threads()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("FASTCNN_DATA_DIR", raising=False)
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("FASTCNN_MNIST_MIRRORS", "http://127.0.0.1:9/")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # of child processes; the machine may be busy
    yield
    fc.set_num_threads(threads)


@pytest.fixture
def digits(tmp_path):
    """A folder with 60 training and 20 test digits."""
    sample = fc.data.load_dataset("sample")
    folder = tmp_path / "digits"
    folder.mkdir()
    arrays = (
        sample.train_images[:60, 0], sample.train_labels[:60], sample.test_images[:20, 0], sample.test_labels[:20]
    )  # fmt: skip
    for name, array in zip(NAMES, arrays, strict=True):
        write_idx(folder / name, array)
    return folder
