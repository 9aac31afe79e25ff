"""fastcnn against other libraries: both tutorials' networks and LeNet-5, training and inference.

    python bench/compare.py                                   # the defaults, about ten minutes
    python bench/compare.py --quick                           # Gorgonia's network, half a minute
    python bench/compare.py --network gorgonia --mode train --batch 1 16 100 512 --peers torch jax
    python bench/compare.py --isa avx2                        # all held to AVX2
    python bench/compare.py --json run.json --plot run.png
    python bench/compare.py --from run.json other.json --markdown --plot both.png      # time nothing

What is there is compared, what is missing is said in a line. MXNet 1.9.1 needs numpy < 1.24, so a Python of its own:
`python -m venv mxnet && mxnet/bin/pip install mxnet==1.9.1 "numpy<1.24"`, then `--mxnet-python mxnet/bin/python`.

How it is kept fair:
  Same work      Same weights, same digits, float32 unless the name says bf16. A training step is forward with dropout,
                 loss, backward, the recipe's optimizer, and the cost as a Python float. It takes another batch each
                 time. Inference ends with the outputs in memory. Reading and scaling data is in neither.
  Same answers   First all compute the outputs for one batch, or five steps without dropout. Whoever differs from
                 fastcnn by more than TOLERANCE is not timed.
  Same moment    In each round every library has a turn, a part of a second, in changing order, which begins with
                 calls that don't count until the times have settled; a ratio is formed of two turns of one round.
                 Given are medians over the rounds, and the smallest and largest ratio.
  Same machine   A process each, pinned to as many CPUs as there are threads, told to use as many threads. A line tells
                 if anything else kept the machine busy.

A ratio above 1 means that fastcnn is faster.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import machine
import numpy as np
from contestants import MOST_BUSY, Failed, Worker, environment, positive, timed
from networks import NETWORKS, default_batch, make_job
from report import draw, joined, row_line, table

from fastcnn.atomic import write
from fastcnn.cpus import available_cpus

OURS = "fastcnn"
MODULES = {  # by the name of a contestant, the module of bench/peers that runs it
    OURS: "ours",
    "torch": "pytorch",
    "torch-channels-last": "pytorch",
    "torch-bf16": "pytorch",
    "torch-compile": "pytorch",
    "onnxruntime": "onnxruntime",
    "jax": "jax",
    "mxnet": "mxnet",
}
INFERENCE_ONLY = {"onnxruntime"}
UNHELD = {"onnxruntime"}  # has no switch that holds it to an instruction set
NOT_BY_DEFAULT = {"torch-compile"}  # half a minute of compiling for each row
TOLERANCE = {  # relative to the largest entry; bfloat16 has 8 bits, TF32, of bench/gpu.py, 11
    "torch-bf16": 5e-2,
    "torch-tf32": 1e-2,
    "torch-compile-tf32": 1e-2,
    "torch-graph-tf32": 1e-2,
}
USUAL_TOLERANCE = 1e-4


def started(names: list[str], threads: int, options: argparse.Namespace, missing: dict[str, str]) -> list[Worker]:
    """A worker for each contestant that is there; for the others a line in `missing`."""
    workers = []
    for name in names:
        if name == "mxnet" and not options.mxnet_python:
            missing[name] = "not asked: it needs --mxnet-python"
            continue
        if options.isa and name in UNHELD:
            missing[name] = "has no switch that holds it to an instruction set"
            continue
        python = options.mxnet_python if name == "mxnet" else sys.executable
        worker = Worker(name, MODULES[name], python, threads, environment(threads, options.isa))
        if worker.starts(missing):
            workers.append(worker)
    return workers


def difference(ours: list[float], theirs: list[float], training: bool) -> float:
    """Of costs the largest relative one; of outputs the largest one, relative to the largest output."""
    a, b = np.array(ours), np.array(theirs)
    scale = np.abs(b) if training else np.abs(b).max()
    return float(np.max(np.abs(a - b) / scale))


def agreeing(workers: list[Worker], folder: str, training: bool, place: str) -> dict[Worker, float]:
    """Those that have an answer and the right one, with how far they are from fastcnn's; a line for each other."""
    first: dict[Worker, list[float]] = {}
    for worker in workers:
        if training and worker.name in INFERENCE_ONLY:
            continue
        try:
            first[worker] = worker.ask(job=folder)["first"]
        except Failed as error:
            print(f"  {worker.name:<20} left out: {error}", flush=True)
    ours = next((answer for worker, answer in first.items() if worker.name == OURS), None)
    if ours is None:
        raise SystemExit(f"{place}: fastcnn gave no answer: nothing to compare")
    agreed = {}
    for worker, answer in first.items():
        error, limit = difference(ours, answer, training), TOLERANCE.get(worker.name, USUAL_TOLERANCE)
        if error <= limit:
            agreed[worker] = error
        else:
            print(f"  {worker.name:<20} left out: its first answers differ by {error:.1e}, more than {limit:.0e}")
    return agreed


def compare(workers: list[Worker], case: dict, options: argparse.Namespace) -> list[dict]:
    """Rows for one network, mode, batch size and number of threads; fastcnn's is the first."""
    training = case["mode"] == "train"
    place = "{network}, {mode}, batch {batch}, threads: {threads}".format(**case)
    print(f"\n{place}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_job(case["network"], training, case["batch"]).save(Path(folder))
        errors = agreeing(workers, folder, training, place)
    seconds, busy = timed(list(errors), options.rounds, options.turn)
    if busy > MOST_BUSY:
        print(f"  Beware: others kept {busy:.1f} CPUs busy meanwhile.")
    ours = next(times for worker, times in seconds.items() if worker.name == OURS)
    rows = []
    for worker, times in seconds.items():
        ratios = [theirs / own for theirs, own in zip(times, ours, strict=True)]
        row = case | {
            "peer": worker.name,
            "milliseconds": statistics.median(times) * 1e3,
            "images_per_second": case["batch"] / statistics.median(times),
            "ratio": statistics.median(ratios),
            "ratio_low": min(ratios),
            "ratio_high": max(ratios),
            "rounds": len(ratios),
            "difference": errors[worker],
            "busy": busy,
        }
        rows.append(row)
        print(row_line(row), flush=True)
    return rows


def measure(options: argparse.Namespace) -> dict:
    """All that was asked for, as it goes into the JSON file."""
    networks = options.network or (["gorgonia"] if options.quick else list(NETWORKS))
    everything = available_cpus()
    threads = list(dict.fromkeys(everything if count == "all" else count for count in options.threads))
    names = [OURS, *(name for name in options.peers if name != OURS)]
    report: dict = {"machine": machine.describe(), "isa": options.isa or "best", "versions": {}, "missing": {}}
    report["rows"] = []
    for key, value in report["machine"].items():
        print(f"{key}: {value}")
    for count in threads:
        workers = started(names, count, options, report["missing"])
        report["versions"] |= {worker.name: worker.version for worker in workers}
        if count == threads[0]:
            for name in names:
                print(f"  {name:<20} {report['versions'].get(name) or 'left out: ' + report['missing'][name]}")
        try:
            for network in networks:
                for mode in options.mode:
                    for batch in options.batch or dict.fromkeys((1, default_batch(network))):
                        case = {"network": network, "mode": mode, "batch": batch, "threads": count}
                        report["rows"] += compare(workers, case | {"isa": report["isa"]}, options)
        finally:
            for worker in workers:
                worker.close()
    return report


def positive_or_all(text: str) -> int | str:
    return text if text == "all" else positive(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    usual = [name for name in MODULES if name != OURS and name not in NOT_BY_DEFAULT]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=NETWORKS, help="default: all")
    parser.add_argument("--mode", nargs="+", choices=("train", "infer"), default=["train", "infer"])
    parser.add_argument("--batch", nargs="+", type=positive, help="default: 1 and that of the network's tutorial")
    parser.add_argument("--threads", nargs="+", type=positive_or_all, default=["all", 1], help="numbers, or 'all'")
    parser.add_argument("--peers", nargs="*", choices=list(MODULES), default=usual, help=f"default: {' '.join(usual)}")
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--turn", type=float, default=0.2, help="seconds that are timed of a library in a round")
    parser.add_argument("--isa", choices=("avx2",), help="hold every library to this instruction set")
    parser.add_argument("--mxnet-python", metavar="PATH", help="a Python that has MXNet 1.9.1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios into a PNG file")
    parser.add_argument("--markdown", action="store_true", help="print the last table as Markdown")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, one network, all threads")
    parser.add_argument("--from", dest="files", nargs="+", type=Path, metavar="FILE", help="show earlier --json files")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.turn, options.threads = 3, 0.05, ["all"]
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    try:
        report = joined([json.loads(file.read_text()) for file in options.files]) if options.files else measure(options)
    except Failed as error:
        raise SystemExit(f"error: {error.name}: {error}") from None
    print(f"\n{table(report, options.markdown)}")
    if options.json:
        write(options.json, json.dumps(report, indent=1) + "\n")
    if options.plot:
        draw(report, options.plot)


if __name__ == "__main__":
    main()
