"""What an epoch costs beyond its steps: the command line on all of MNIST, beside 600 bare training steps.

    python bench/epoch.py [--epochs 3] [--threads 2] [--recipe gorgonia]

The epoch is that of ``python -m fastcnn.train``: batches made from bytes, steps, judging by training and test digits,
metrics and checkpoints on the disk; the time between the lines of two epochs, so that its start does not count. A bare
step is `fastcnn.train_step` on a batch that lies ready. Bare steps are timed before and after.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import fastcnn as fc
from fastcnn.data import ImageSamples
from fastcnn.recipes import RECIPES, build, recipe


def bare_epoch(settings, data_dir: str | None) -> float:
    """Seconds of the steps of one epoch, each on a batch of its own; the second of two epochs counts."""
    digits = fc.data.load_dataset("mnist", data_dir)
    form = (settings.dtype, settings.scaling, settings.targets)
    samples = ImageSamples(digits.train_images, digits.train_labels, *form)
    firsts = range(0, len(samples), settings.batch_size)
    which = [slice(first, first + settings.batch_size) for first in firsts]
    batches = [(samples.inputs(part), samples.targets(part)) for part in which]
    model, loss, optimizer = build(settings)
    for _ in range(2):
        started = time.perf_counter()
        for x, y in batches:
            fc.train_step(model, loss, optimizer, x, y)
        seconds = time.perf_counter() - started
    return seconds


def trained_epochs(name: str, epochs: int, threads: int, data_dir: str | None) -> list[tuple[float, float, float]]:
    """Seconds of each epoch of a run but the first: all of it, its training, its judging."""
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        options = {"recipe": name, "epochs": epochs, "threads": threads, "run-dir": Path(folder, "run")}
        options |= {"dataset": "mnist"} if data_dir is None else {"data-dir": data_dir}
        typed = [text for option, value in options.items() for text in (f"--{option}", str(value))]
        command = [sys.executable, "-m", "fastcnn.train", "--json", *typed]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
            for line in run.stdout:
                ends.append((time.perf_counter(), json.loads(line)))
    ended = [(now, row) for now, row in ends if row["event"] == "epoch"]
    rows = []
    for (before, _), (now, row) in pairwise(ended):
        training = 60_000 / row["images_per_second"]
        rows.append((now - before, training, row["seconds"] - training))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="gorgonia", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, default=3, help="of which the first is not counted")
    parser.add_argument("--threads", type=int, default=fc.get_num_threads())
    parser.add_argument("--data-dir", help="where the files of MNIST are")
    options = parser.parse_args()
    fc.set_num_threads(options.threads)
    settings = recipe(options.recipe)
    bare = [bare_epoch(settings, options.data_dir)]
    trained = trained_epochs(options.recipe, options.epochs, options.threads, options.data_dir)
    bare.append(bare_epoch(settings, options.data_dir))
    ours, training, judging = (statistics.median(column) for column in zip(*trained, strict=True))
    steps = statistics.mean(bare)
    shown = ", ".join(f"{seconds:.2f}" for seconds in bare)
    print(
        f"{options.recipe}: an epoch {ours:.2f} s (training {training:.2f}, judging {judging:.2f}, the rest "
        f"{ours - training - judging:.2f}), its bare steps {steps:.2f} s ({shown}): {ours / steps:.3f}x"
    )


if __name__ == "__main__":
    main()
