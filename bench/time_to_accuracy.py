"""Seconds from the start of a process to 99 % of MNIST's test digits, fastcnn's beside PyTorch's.

    pip install ".[bench]" && python bench/time_to_accuracy.py [--seeds 5] [--recipes gorgonia fast] [--json FILE]

Both train the Gorgonia network by the same recipe: `gorgonia` is the tutorial's, judged after every epoch, and counts
up to the first epoch that reaches the goal; `fast` is fastcnn's own, counts to the end of its last epoch and must be at
the goal then. Ours is the command line, ``python -m fastcnn.train``, with all that it keeps on the disk; theirs is
torch_mnist.py. Each run is a fresh process with a seed of its own; libraries take turns. The clock starts before the
process does, and stops when the line with the epoch's accuracy arrives. The files lie unpacked in a temporary folder.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import fastcnn as fc
from fastcnn.atomic import write
from fastcnn.recipes import RECIPES, Settings, recipe

MOST_EPOCHS = 20  # of a recipe that is judged after every epoch
LIBRARIES = ("fastcnn", "torch")


def command(library: str, name: str, settings: Settings, data: Path, run: Path, threads: int) -> list[str]:
    if library == "torch":
        script = str(Path(__file__).with_name("torch_mnist.py"))
        return [sys.executable, script, str(data), json.dumps(asdict(settings)), str(threads)]
    options = {"recipe": name, "seed": settings.seed, "epochs": settings.epochs, "threads": threads}
    options |= {"data-dir": data, "run-dir": run}
    typed = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    return [sys.executable, "-m", "fastcnn.train", "--json", *typed]


def seconds_to(goal: float, typed: list[str], settings: Settings) -> dict:
    """Run a command until the goal: how long, how many epochs, how far it came. No seconds if it never got there."""
    started = time.perf_counter()
    result = {"seconds": None, "epochs": 0, "accuracy": 0.0}
    with subprocess.Popen(typed, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            row = json.loads(line)
            if row["event"] != "epoch":
                continue
            now = time.perf_counter() - started
            result |= {"epochs": row["epoch"], "accuracy": row["test_accuracy"]}
            planned = settings.schedule != "constant"  # it is at its best at its end, and is judged there
            if row["test_accuracy"] >= goal and (row["epoch"] == settings.epochs or not planned):
                result["seconds"] = now
                process.kill()
                break
    if result["seconds"] is None and process.returncode:
        raise SystemExit(f"{' '.join(typed)} ended with {process.returncode}")
    return result


def write_files(data_dir: str | None, folder: Path) -> None:
    digits = fc.data.load_dataset("mnist", data_dir)
    for part, images, labels in (
        ("train", digits.train_images, digits.train_labels),
        ("t10k", digits.test_images, digits.test_labels),
    ):
        fc.data.write_idx(folder / f"{part}-images-idx3-ubyte", images[:, 0])
        fc.data.write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def table(report: dict) -> str:
    """A line a recipe and library, and how many times as long as ours it took."""
    lines = [
        f"- fastcnn {report['fastcnn']}, {report['isa']} kernels, threads: {report['threads']}",
        f"- {report['goal']:.0%} of MNIST's test digits, seeds {min(report['seeds'])} to {max(report['seeds'])}",
        "",
        "| recipe | library | got there | mean, s | worst, s | epochs | accuracy, worst | mean by ours |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    means: dict[tuple[str, str], float] = {}
    for name, library in dict.fromkeys((run["recipe"], run["library"]) for run in report["runs"]):
        runs = [run for run in report["runs"] if (run["recipe"], run["library"]) == (name, library)]
        times = [run["seconds"] for run in runs if run["seconds"] is not None]
        cells = [name, library, f"{len(times)} of {len(runs)}", "-", "-"]
        if times:
            means[name, library] = statistics.mean(times)
            cells[3:] = [f"{means[name, library]:.1f}", f"{max(times):.1f}"]
        epochs = [run["epochs"] for run in runs]
        cells += [f"{min(epochs)}-{max(epochs)}", f"{min(run['accuracy'] for run in runs):.2%}"]
        ours, theirs = means.get((name, "fastcnn")), means.get((name, library))
        cells.append(f"{theirs / ours:.1f}x" if ours and theirs else "-")
        lines.append(f"| {' | '.join(cells)} |")
    plain, fast = means.get(("gorgonia", "torch")), means.get(("fast", "fastcnn"))
    if plain and fast:
        lines += ["", f"fastcnn by its fast recipe against PyTorch by the tutorial's: {plain / fast:.1f}x"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="+", default=["gorgonia", "fast"], choices=sorted(RECIPES))
    parser.add_argument("--libraries", nargs="+", default=list(LIBRARIES), choices=LIBRARIES)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0")
    parser.add_argument("--goal", type=float, default=0.99)
    parser.add_argument("--threads", type=int, default=fc.get_num_threads())
    parser.add_argument("--data-dir", default=os.environ.get("FASTCNN_DATA_DIR"), help="where the files of MNIST are")
    parser.add_argument("--json", type=Path, help="keep all figures in that file")
    options = parser.parse_args()
    report = {"fastcnn": fc.__version__, "isa": fc._core.get_isa(), "threads": options.threads, "goal": options.goal}
    report |= {"seeds": list(range(options.seeds)), "runs": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "mnist")
        data.mkdir()
        write_files(options.data_dir, data)
        for name in options.recipes:
            for seed in report["seeds"]:
                settings = recipe(name, seed=seed)
                if settings.schedule == "constant":
                    settings = replace(settings, epochs=MOST_EPOCHS)
                for library in options.libraries:
                    run = Path(folder, f"{name}-{seed}")
                    typed = command(library, name, settings, data, run, options.threads)
                    row = {
                        "recipe": name,
                        "seed": seed,
                        "library": library,
                        **seconds_to(options.goal, typed, settings),
                    }
                    report["runs"].append(row)
                    print(" ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
    print(table(report))
    if options.json:
        write(options.json, json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
