"""python -m fastcnn.train: data that it refuses, follows, or has something to say about before the training."""

import gzip
import json
import struct
from functools import partial

import numpy as np
import pytest
from runs import NAMES, assert_refused, result_of, train

import fastcnn as fc
from fastcnn.data import write_idx

zipped = partial(gzip.compress, mtime=0)  # the same bytes at any time: some name a test


def idx(*shape, kind=8):
    return struct.pack(f">4B{len(shape)}I", 0, 0, kind, len(shape), *shape)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        (0, None, "got no train-images"),
        (0, b"", "an empty file"),
        (0, idx(60, 28, 28) + bytes(1000), "truncated"),
        (0, idx(60, 28, 28)[:9], "truncated"),
        (0, b"\x89PNG" + bytes(5000), "expected an IDX file"),
        (0, idx(60, 28, 28, kind=0x0D) + b"\x3f" * (4 * 60 * 784), "float32"),
        (0, idx(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(99), "expected at most"),
        (0, zipped(idx(2**31, 28, 28) + bytes(200 << 20), compresslevel=1), "expected at most"),
        (0, zipped(idx(60, 28, 28) + bytes(60 * 784))[:-20], "cannot be read|truncated"),
        (0, idx(0, 28, 28), "at least one image"),
        (0, idx(59, 28, 28) + bytes(59 * 784), "expected 60 images"),
        (1, idx(60) + bytes([100] * 60), "expected labels 0 to 99, got 100"),
        (2, idx(20, 14, 14) + bytes(20 * 196), "images of one size"),
    ],
    ids=range(13),
)
def test_bad_data_is_refused_and_leaves_nothing(digits, capsys, file, content, says):
    path = digits / NAMES[file]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert_refused(capsys, "--data-dir", digits, "--run-dir", "run", says=says)


def test_the_model_follows_the_images_and_classes_and_a_resumed_run_keeps_them(digits, tmp_path, capsys):
    for name, count in ((NAMES[0], 60), (NAMES[2], 20)):
        write_idx(digits / name, np.pad(fc.data.read_idx(digits / name), ((0, 0), (2, 2), (2, 2))))
        write_idx(digits / name.replace("images-idx3", "labels-idx1"), np.arange(count, dtype=np.uint8) % 26 + 1)
    run = tmp_path / "run"
    options = ("--data-dir", digits, "--model", "lenet5")
    assert train(*options, "--epochs", 1, "--run-dir", run) == 0
    assert "27 classes, as the largest label is 26" in capsys.readouterr().out
    assert train("--resume", run, "--epochs", 2, "--quiet") == 0
    assert train(*options, "--epochs", 2, "--run-dir", tmp_path / "other", "--quiet") == 0
    assert result_of(run) == result_of(tmp_path / "other")
    kept = fc.load(run / "last.safetensors")
    assert kept.output_shape((1, *kept.input_shape)) == (1, 27) and kept.input_shape == (1, 32, 32)


def test_images_that_are_too_small_are_refused(digits, capsys):
    for name, count in ((NAMES[0], 60), (NAMES[2], 20)):
        write_idx(digits / name, np.zeros((count, 7, 9), np.uint8))
    assert_refused(capsys, "--data-dir", digits, says="gorgonia: expected images of 8x8 or more, got 7x9; enlarge them")


def rewrite(folder, change):
    """Change the images of a data set."""
    for name in (NAMES[0], NAMES[2]):
        write_idx(folder / name, change(fc.data.read_idx(folder / name)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda images: images // 255, "the brightest pixel is 1 of 255: scaled twice?"),
        (lambda images: 255 - images, "the images are dark on a light ground"),
        (lambda images: images.swapaxes(1, 2), "the digits lie transposed, as in EMNIST's files: pass --transpose"),
    ],
    ids=["scaled", "dark", "transposed"],
)
def test_what_can_not_be_right_about_the_data_is_said_before_the_training(digits, capsys, change, says):
    rewrite(digits, change)
    assert train("--data-dir", digits, "--dry-run") == 0
    [note] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note ")]
    assert note.startswith(f"note   {says}")
    assert train("--data-dir", digits, "--dry-run", "--json") == 0
    [note] = json.loads(capsys.readouterr().out.splitlines()[0])["notes"]
    assert note.startswith(says)


def test_data_that_is_fine_and_its_test_part_are_told_apart(digits, capsys):
    assert train("--data-dir", digits, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["notes"] == []
    write_idx(digits / NAMES[2], fc.data.read_idx(digits / NAMES[2]) // 255)
    assert train("--data-dir", digits, "--dry-run") == 0
    assert "note   of the test: the brightest pixel is 1 of 255" in capsys.readouterr().out
