"""The shipped sample is what its README says: 5,000 digits, balanced, mixed, small, and unaltered."""

import gzip
import hashlib
import re
from importlib.resources import files

import numpy as np

from fastcnn.data import load_dataset

FOLDER = files("fastcnn.data") / "sample"


def test_every_digit_is_there_400_and_100_times():
    sample = load_dataset("sample")
    assert sample.name == "sample"
    assert sample.train_images.shape == (4000, 1, 28, 28) and sample.test_images.shape == (1000, 1, 28, 28)
    assert np.bincount(sample.train_labels).tolist() == [400] * 10
    assert np.bincount(sample.test_labels).tolist() == [100] * 10


def test_no_image_is_there_twice():
    sample = load_dataset("sample")
    images = np.concatenate([sample.train_images, sample.test_images])
    assert len({image.tobytes() for image in images}) == 5000


def test_the_digits_are_mixed_from_the_first_to_the_last():
    sample = load_dataset("sample")
    for labels in (sample.train_labels, sample.test_labels):
        for ordered in (labels, labels[::-1]):
            counts = np.cumsum(ordered[:, np.newaxis] == np.arange(10), axis=0)
            shares = counts / np.arange(1, len(labels) + 1)[:, np.newaxis]
            assert shares[399:].min() >= 0.05 and shares[399:].max() <= 0.15
            assert len(np.unique(ordered[:60])) == 10


def test_the_files_have_the_sums_of_the_readme():
    sums = dict(re.findall(r"^    ([0-9a-f]{64})  (\S+)$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE))
    names = {path.name.removesuffix(".gz") for path in FOLDER.iterdir() if path.name.endswith(".gz")}
    assert names == set(sums.values()) and len(names) == 4
    for expected, name in sums.items():
        content = gzip.decompress((FOLDER / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == expected


def test_it_is_small():
    assert sum(len(path.read_bytes()) for path in FOLDER.iterdir()) <= 1_200_000
