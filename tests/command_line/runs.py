"""What the tests of `python -m fastcnn.train` share: ways to start a run and to look at it."""

import json
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec

import fastcnn as fc
from fastcnn.data import write_idx
from fastcnn.train import main

CURVES = ["curves.png"] if find_spec("matplotlib") else []
FILES = ["best.safetensors", "config.json", *CURVES, "last.safetensors", "metrics.jsonl"]
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def train(*arguments):
    return main([str(argument) for argument in arguments])


def assert_refused(capsys, *arguments, says):
    """Exit code 2, one line on stderr that says why, nothing new on the disk."""
    assert train(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and error.endswith("\n")
    assert re.search(says, error), error
    assert os.listdir() == []


def finish(folder, *options):
    assert train("--resume", folder, "--quiet", *options) == 0
    assert sorted(os.listdir(folder)) == FILES


def process(*arguments, interpreter=("-m", "fastcnn.train"), **options):
    command = [sys.executable, *interpreter, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def write_digits(folder, training, test):
    """Make a data set of so many of the sample's digits."""
    sample = fc.data.load_dataset("sample")
    folder.mkdir()
    arrays = (
        sample.train_images[:training, 0], sample.train_labels[:training],
        sample.test_images[:test, 0], sample.test_labels[:test],
    )  # fmt: skip
    for name, array in zip(NAMES, arrays, strict=True):
        write_idx(folder / name, array)
    return folder


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def result_of(folder):
    """All that a run computes, to the bit; what it took of time is left out."""
    rows = metrics_of(folder)
    for row in rows:
        del row["seconds"], row["images_per_second"]
    return (folder / "last.safetensors").read_bytes(), (folder / "best.safetensors").read_bytes(), rows


def wait_for(path, run):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
