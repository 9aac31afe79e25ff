"""What an epoch costs beyond its steps: the command line on all of MNIST, beside 600 bare training steps.

    python bench/epoch.py [--epochs 4] [--threads 2] [--recipe gorgonia]

The epoch is that of ``python -m fastcnn.train``: batches made from bytes, steps, judging by training and test digits,
metrics and checkpoints on the disk, from the end of one epoch's last callback to the end of the next's. A bare step is
`fastcnn.train_step` on a batch that lies ready. The two take turns, an epoch each, in one process: what else the
machine does meets both.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import fastcnn as fc
from fastcnn.data import ImageSamples
from fastcnn.recipes import RECIPES, build, recipe
from fastcnn.run import Options, Run
from fastcnn.run_folder import RunFolder


class BareEpochs(fc.Callback):
    """After each epoch of a run, and outside of its time, one of bare steps.

    Attributes:
        rows: Of each epoch but the first: seconds of all of it, of its training, of its judging, of its bare steps.
    """

    def __init__(self, settings, place: dict) -> None:
        digits = fc.data.load_dataset(**place)
        form = (settings.dtype, settings.scaling, settings.targets)
        samples = ImageSamples(digits.train_images, digits.train_labels, *form)
        parts = [slice(first, first + settings.batch_size) for first in range(0, len(samples), settings.batch_size)]
        self.batches = [(samples.inputs(part), samples.targets(part)) for part in parts]
        self.parts = build(settings)
        self.rows: list[tuple[float, float, float, float]] = []
        self.ended: float | None = None

    def on_epoch(self, trainer, metrics) -> None:
        now = time.perf_counter()
        bare = self.seconds()
        if self.ended is not None:
            training = len(self.batches) * trainer.batch_size / metrics.images_per_second
            self.rows.append((now - self.ended, training, metrics.seconds - training, bare))
        self.ended = time.perf_counter()

    def seconds(self) -> float:
        started = time.perf_counter()
        for x, y in self.batches:
            fc.train_step(*self.parts, x, y)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="gorgonia", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, default=4, help="of which the first is not counted")
    parser.add_argument("--threads", type=int, default=fc.get_num_threads())
    parser.add_argument("--data-dir", type=Path, help="where the files of MNIST are")
    options = parser.parse_args()
    fc.set_num_threads(options.threads)
    settings = replace(recipe(options.recipe), epochs=options.epochs)
    place = {"dataset": "mnist"} if options.data_dir is None else {"dataset": "auto", "data_dir": options.data_dir}
    bare = BareEpochs(settings, place)
    shown = {"quiet": True, "json": False, "debug": False, "profile": False, "dry_run": False, "device": "cpu"}
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "run")
        taken = {"settings": settings, "resume": None, "epochs": None, "threads": None, "run_dir": folder}
        with RunFolder(folder, settings.model) as kept:
            run = Run(Options(**taken, **{"data_dir": None} | place, **shown), kept, settings)
            run.trainer.callbacks.append(bare)
            run.go()
    epoch, training, judging, steps = (statistics.median(column) for column in zip(*bare.rows, strict=True))
    ratios = [whole / bare for whole, _, _, bare in bare.rows]
    print(
        f"{options.recipe}: an epoch {epoch:.2f} s (training {training:.2f}, judging {judging:.2f}, the rest "
        f"{epoch - training - judging:.2f}), its bare steps {steps:.2f} s: {statistics.median(ratios):.3f}x "
        f"({min(ratios):.3f}-{max(ratios):.3f})"
    )


if __name__ == "__main__":
    main()
