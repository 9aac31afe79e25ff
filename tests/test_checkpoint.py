"""Checkpoints: read back to the bit, replaced whole, and refused in one line when they are not right."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load, save

import fastcnn as fc
from fastcnn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

STATE = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([np.nan, -0.0, np.inf], np.float32),
}
CHECKPOINT = Checkpoint(STATE, "gorgonia", "float32", epoch=3, step=120)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.safetensors"


def described(**changes):
    description = {"format": 1, "architecture": "gorgonia", "dtype": "float32", "epoch": 3, "step": 120} | changes
    return save(STATE, {"fastcnn": json.dumps(description)})


def test_reads_back_to_the_bit_what_was_saved(path):
    save_checkpoint(path, CHECKPOINT)
    again = load_checkpoint(str(path))
    assert {name: array.tobytes() for name, array in again.state.items()} == {
        name: array.tobytes() for name, array in STATE.items()
    }
    assert (again.architecture, again.dtype, again.epoch, again.step) == ("gorgonia", "float32", 3, 120)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_is_restored(path, dtype):
    model, other = fc.models.gorgonia(dtype, seed=1), fc.models.gorgonia(dtype, seed=2)
    save_checkpoint(path, Checkpoint(model.state_dict(), "gorgonia", dtype, 1, 1))
    other.load_state_dict(load_checkpoint(path).state)
    assert other.arena.data.tobytes() == model.arena.data.tobytes()


def test_equal_checkpoints_are_equal_files(path, tmp_path):
    for _ in range(5):
        save_checkpoint(tmp_path / "other", CHECKPOINT)
        save_checkpoint(path, CHECKPOINT)
        assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_any_reader_of_safetensors_finds_the_arrays(path):
    save_checkpoint(path, CHECKPOINT)
    assert set(load(path.read_bytes())) == set(STATE)


def test_arrays_in_any_layout_are_saved(path):
    array = np.arange(12.0).reshape(3, 4).T
    save_checkpoint(path, Checkpoint({"a": array}, "gorgonia", "float64", 0, 0))
    np.testing.assert_array_equal(load_checkpoint(path).state["a"], array)


def test_a_failed_save_keeps_the_old_file_and_leaves_no_other(path, monkeypatch):
    save_checkpoint(path, CHECKPOINT)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, Checkpoint({}, "gorgonia", "float32", 4, 160))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


GOOD = described()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "damaged or no safetensors file"),
        (b"\0\0\x08\x03 images, not weights", "damaged or no safetensors file"),
        (GOOD[:7], "damaged"),
        (GOOD[:100], "damaged"),
        (GOOD[:-1], "damaged"),
        (GOOD + b"\0", "damaged"),
        (struct.pack("<Q", 2**63) + GOOD[8:], "damaged"),
        (struct.pack("<Q", 99_000_000) + GOOD[8:], "damaged"),
        (GOOD.replace(b"F32", b"F31"), "damaged"),
        (save(STATE), "expected fastcnn's description in the metadata, got ''"),
        (save(STATE, {"fastcnn": "{"}), "expected fastcnn's description"),
        (save(STATE, {"fastcnn": "[" * 100_000}), "expected fastcnn's description"),
        (save(STATE, {"fastcnn": "3"}), "expected fastcnn's description"),
        (save(STATE, {"fastcnn": '{"format": 1}'}), "expected fastcnn's description"),
        (described(epoch="many"), "expected fastcnn's description"),
        (described(format=2), "expected format 1, got 2; use a newer fastcnn"),
    ],
    ids=range(16),
)
def test_what_is_no_checkpoint_is_refused_in_one_line(path, content, says):
    path.write_bytes(content)
    with pytest.raises(fc.DataError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert says in message and str(path) in message and "\n" not in message


def test_a_path_with_no_file_is_refused(tmp_path):
    with pytest.raises(fc.DataError, match="got nothing of that name"):
        load_checkpoint(tmp_path / "none")
    with pytest.raises(fc.DataError, match="got a folder"):
        load_checkpoint(tmp_path)
