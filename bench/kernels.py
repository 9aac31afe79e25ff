"""Every operation over the shapes of bench/shapes, beside PyTorch (oneDNN) and NumPy (OpenBLAS).

    pip install ".[bench]" && python bench/kernels.py [--threads 2] [--only conv2d/] [--json FILE]

Kept fair as in compare.py: a process each, pinned and held to the threads; every answer is compared with ours before
anything is timed; in each round everyone has a turn, in changing order, which begins with calls that don't count until
the times have settled; a ratio is formed of two turns of one round. Convolution and pooling run in PyTorch both
contiguous ("PyTorch") and channels_last; the faster counts. A ratio above 1 means that fastcnn is faster. "peak" is how
much of the multiply-add peak an operation reaches, or, for those that compute little, of the speed at which this
machine copies as many bytes.
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
from peers.operation import COPY, Operation, operations

import fastcnn as fc
from fastcnn.atomic import write
from fastcnn.config import fma_peak

OURS = "fastcnn"
MODULES = {  # by the name of a contestant, the module of bench/peers that runs it
    OURS: "ours_operations",
    "PyTorch": "pytorch_operations",
    "channels_last": "pytorch_operations",
    "OpenBLAS": "openblas_operations",
}
TOLERANCE = 1e-4  # of the largest entry


def taking_part(workers: list[Worker], operation: Operation, name: str) -> list[Worker]:
    """Those that have this operation and the right answer, fastcnn first; a line for each whose answer is wrong."""
    answers: dict[Worker, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answer.npy")
        for worker in workers:
            if worker.ask(operation=operation, answer=str(file))["takes_part"]:
                answers[worker] = np.load(file)
    ours = answers[workers[0]]
    agreed = []
    for worker, answer in answers.items():
        error = float(np.abs(ours - answer).max() / np.abs(ours).max())
        if error <= TOLERANCE:
            agreed.append(worker)
        else:
            print(f"  {name}: {worker.name} left out: its answer differs by {error:.1e} of the largest entry")
    return agreed


class Peaks:
    """Bounds of this machine on these threads; copying is measured once per size, in powers of two."""

    def __init__(self, workers: list[Worker], threads: int, options: argparse.Namespace):
        self.flops = fma_peak("float32", threads)
        self._workers, self._options = workers, options
        self._copies: dict[int, float] = {}

    def copy(self, moved: float) -> float:
        """Bytes read and written a second while as many bytes as `moved` are copied by whoever is fastest at it."""
        exponent = max(14, round(np.log2(moved)))
        if exponent not in self._copies:
            copying = Operation("flat", COPY, {"count": 2 ** (exponent - 3)})  # 4 bytes, read and written
            seconds, _ = timed(taking_part(self._workers, copying, COPY), 2, self._options.turn)
            self._copies[exponent] = 2.0**exponent / min(min(times) for times in seconds.values())
        return self._copies[exponent]


def measure(name: str, operation: Operation, workers: list[Worker], peaks: Peaks, options: argparse.Namespace) -> dict:
    flops, moved = operation.cost()
    bound = flops / peaks.flops if flops else moved / peaks.copy(moved)
    seconds, busy = timed(taking_part(workers, operation, name), options.rounds, options.turn)
    ours, *theirs = seconds.values()
    ratios = [min(their) / our for our, *their in zip(ours, *theirs, strict=True)] if theirs else []
    return {
        "name": name,
        "direction": operation.direction,
        "seconds": statistics.median(ours),
        "peak": bound / statistics.median(ours),
        "peers": {worker.name: statistics.median(times) for worker, times in list(seconds.items())[1:]},
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
        "busy": busy,
    }


def line_of(result: dict) -> str:
    row = f"{result['name']:<32}{result['direction']:<21}{result['seconds'] * 1e3:8.3f} ms"
    parts = [f"{row} ({result['peak']:4.0%} of peak)"]
    parts += [f"{peer} {seconds * 1e3:8.3f}" for peer, seconds in result["peers"].items()]
    if result["ratios"]:
        parts.append(f"{result['ratio']:5.2f}x ({min(result['ratios']):.2f}-{max(result['ratios']):.2f})")
    if result["busy"] > MOST_BUSY:
        parts.append(f"beware: others kept {result['busy']:.1f} CPUs busy")
    return " · ".join(parts)


def summarise(results: list[dict]) -> None:
    kinds: dict[str, list[dict]] = {}
    for result in results:
        if result["ratios"]:
            kinds.setdefault(f"{result['name'].split('/')[0]} {result['direction']}", []).append(result)
    print("\ngeometric means over the shapes, and the worst of each:")
    for kind, group in kinds.items():
        worst = min(group, key=lambda result: result["ratio"])
        mean = statistics.geometric_mean(result["ratio"] for result in group)
        print(f"{kind:<28}{mean:6.2f}x   worst {worst['ratio']:.2f}x {worst['name']}")


def measure_all(chosen: list[tuple[str, Operation]], options: argparse.Namespace) -> dict:
    """All that was asked for, as it goes into the JSON file."""
    report: dict = {"machine": machine.describe(), "threads": options.threads, "isa": fc.config.describe_config()}
    report |= {"versions": {}, "missing": {}, "results": []}
    workers = []
    for name, module in MODULES.items():
        worker = Worker(name, module, sys.executable, options.threads, environment(options.threads, None))
        if worker.starts(report["missing"]):
            workers.append(worker)
            report["versions"][name] = worker.version
    try:
        if OURS in report["missing"]:
            raise Failed(OURS, report["missing"][OURS])
        for key, value in report["machine"].items():
            print(f"{key}: {value}")
        for name in MODULES:
            print(f"  {name:<20} {report['versions'].get(name) or 'left out: ' + report['missing'][name]}")
        peaks = Peaks(workers, options.threads, options)
        print(f"multiply-add peak {peaks.flops / 1e9:.0f} GF/s, copying 64 MB {peaks.copy(2**26) / 1e9:.0f} GB/s")
        print(f"{options.rounds} rounds, threads: {options.threads}\n", flush=True)
        for name, operation in chosen:
            report["results"].append(measure(name, operation, workers, peaks, options))
            print(line_of(report["results"][-1]), flush=True)
    finally:
        for worker in workers:
            worker.close()
    return report


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--rounds", type=positive, default=7)
    parser.add_argument("--turn", type=float, default=0.1, help="seconds that are timed of a contestant in a round")
    parser.add_argument("--only", default="", metavar="PATTERN", help="those with this in FILE/SHAPE DIRECTION")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args(arguments)
    chosen = list(operations(options.only))
    if not chosen:
        parser.error(f"argument --only: no shape has {options.only!r} in its name")
    try:
        report = measure_all(chosen, options)
    except Failed as error:
        raise SystemExit(f"error: {error.name}: {error}") from None
    summarise(report["results"])
    if options.json:
        write(options.json, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
