"""load_dataset looks in the right places in order, says what it took, and refuses what does not fit."""

import numpy as np
import pytest

from fastcnn.data import load_dataset
from fastcnn.errors import ConfigError, DataError

SPELLINGS = [("", "-"), (".gz", "-"), ("", "."), (".gz", ".")]


def assert_is_toy(dataset, toy_arrays):
    train_images, train_labels, test_images, test_labels = toy_arrays.values()
    np.testing.assert_array_equal(dataset.train_images, train_images[:, None])
    np.testing.assert_array_equal(dataset.train_labels, train_labels)
    np.testing.assert_array_equal(dataset.test_images, test_images[:, None])
    np.testing.assert_array_equal(dataset.test_labels, test_labels)
    assert "\n" not in dataset.origin


@pytest.mark.parametrize(("suffix", "separator"), SPELLINGS)
@pytest.mark.parametrize("subfolder", ["", "mnist"])
def test_a_folder_is_read_in_any_spelling(tmp_path, write_folder, toy_arrays, suffix, separator, subfolder):
    write_folder(tmp_path / subfolder, suffix, separator)
    dataset = load_dataset(data_dir=tmp_path)
    assert_is_toy(dataset, toy_arrays)
    assert dataset.train_images.flags.c_contiguous


def test_the_dataset_is_named_after_its_folder(tmp_path, write_folder):
    dataset = load_dataset("mnist", data_dir=str(write_folder(tmp_path / "fashion")))
    assert dataset.name == "fashion"
    assert dataset.origin == f"fashion: 30 training and 20 test images from {str(tmp_path / 'fashion')!r} (data_dir)"


def test_data_dir_comes_before_the_environment_and_that_before_the_cache(tmp_path, write_folder, no_data, monkeypatch):
    ours, shared, cached = (write_folder(path) for path in (tmp_path / "a", tmp_path / "b", no_data / "mnist"))
    assert str(cached) in load_dataset().origin and "(user cache)" in load_dataset().origin
    monkeypatch.setenv("FASTCNN_DATA_DIR", str(shared))
    for dataset in ("auto", "mnist"):
        assert f"{str(shared)!r} (FASTCNN_DATA_DIR)" in load_dataset(dataset).origin
        assert f"{str(ours)!r} (data_dir)" in load_dataset(dataset, data_dir=ours).origin


def test_auto_without_mnist_takes_the_sample_and_says_why(no_data, monkeypatch):
    dataset = load_dataset()
    assert dataset.name == "sample" and len(dataset.train_labels) == 4000
    assert "FASTCNN_DATA_DIR is not set" in dataset.origin and str(no_data) in dataset.origin
    assert dataset.origin.endswith("pass --dataset mnist to download the full set (11.6 MB)")
    monkeypatch.setenv("FASTCNN_DATA_DIR", "/nowhere")
    assert "FASTCNN_DATA_DIR='/nowhere' holds none" in load_dataset().origin


def test_without_download_the_sample_stands_in_for_mnist(no_data, write_folder):
    dataset = load_dataset("mnist", download=False)
    assert dataset.name == "sample" and "yet to be downloaded (11.6 MB)" in dataset.origin
    assert not no_data.exists()
    write_folder(no_data / "mnist")
    assert load_dataset("mnist", download=False).name == "mnist"


def test_mnist_that_cannot_be_had_names_all_that_was_tried(no_data, monkeypatch):
    monkeypatch.setenv("FASTCNN_DATA_DIR", "/nowhere")
    with pytest.raises(DataError) as caught:
        load_dataset("mnist")
    message = str(caught.value)
    for tried in (
        "'/nowhere'",
        str(no_data / "mnist"),
        "http://127.0.0.1:9/a/ failed",
        "http://127.0.0.1:9/b failed",
    ):
        assert tried in message
    assert "\n" not in message
    assert not list((no_data / "mnist").iterdir())


def test_a_data_dir_without_the_files_names_what_is_missing(tmp_path, write_folder):
    with pytest.raises(DataError, match="got no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images"):
        load_dataset(data_dir=tmp_path)
    (write_folder(tmp_path / "mnist") / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="got no t10k-labels-idx1-ubyte; "):
        load_dataset(data_dir=tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        load_dataset(data_dir=tmp_path / "absent")


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"train_labels_idx1_ubyte": np.array([0, 1, 100, 111], np.uint8)}, "got 100 at index 2 (2 of 4"),
        ({"t10k_labels_idx1_ubyte": np.zeros(19, np.uint8)}, "expected 19 images"),
        ({"t10k_labels_idx1_ubyte": np.zeros((20, 2), np.uint8)}, "expected labels (N,), got shape (20, 2)"),
        ({"train_images_idx3_ubyte": np.zeros((30, 20), np.uint8)}, "got shape (30, 20)"),
        ({"train_images_idx3_ubyte": np.zeros((0, 5, 4), np.uint8)}, "at least one image"),
        ({"train_images_idx3_ubyte": np.zeros((30, 0, 4), np.uint8)}, "at least one image"),
        ({"t10k_images_idx3_ubyte": np.zeros((20, 4, 5), np.uint8)}, "images of one size, got (5, 4)"),
    ],
)
def test_files_that_do_not_fit_each_other_are_refused(tmp_path, write_folder, replaced, says):
    write_folder(tmp_path, **replaced)
    with pytest.raises(DataError) as caught:
        load_dataset(data_dir=tmp_path)
    assert says in str(caught.value) and str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ConfigError, match="dataset must be one of auto, mnist, sample, got 'cifar'"):
        load_dataset("cifar")
    with pytest.raises(ConfigError, match=r"data_dir .* has no use for the sample"):
        load_dataset("sample", data_dir=tmp_path)


def test_the_real_mnist_is_read(data_dir):
    dataset = load_dataset("mnist", data_dir=data_dir)
    assert dataset.train_images.shape == (60000, 1, 28, 28) and dataset.test_images.shape == (
        10000,
        1,
        28,
        28,
    )
    assert dataset.train_labels[0] == 5 and dataset.test_labels[0] == 7
    assert np.bincount(dataset.train_labels)[[0, 9]].tolist() == [5923, 5949]
