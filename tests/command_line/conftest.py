"""An empty place for every run, and a small data set."""

import pytest
from runs import write_digits

import fastcnn as fc


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
    yield
    fc.set_num_threads(threads)


@pytest.fixture
def digits(tmp_path):
    """A folder with 60 training and 20 test digits."""
    return write_digits(tmp_path / "digits", 60, 20)
