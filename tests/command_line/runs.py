"""What the tests of `python -m fastcnn.train` share: ways to start a run and to look at it."""

import json
import subprocess
import sys
import time

from fastcnn.train import main

FILES = ["config.json", "last.safetensors", "metrics.jsonl"]
NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def train(*arguments):
    return main([str(argument) for argument in arguments])


def process(*arguments, interpreter=("-m", "fastcnn.train"), **options):
    command = [sys.executable, *interpreter, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def metrics_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def wait_for(path, run):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
