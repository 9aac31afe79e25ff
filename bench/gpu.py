"""fastcnn against PyTorch on a GPU: training steps of Gorgonia's network, and what each kernel of a step takes.

    python bench/gpu.py                                      # batches of 100, 512 and 4096
    python bench/gpu.py --tf32                               # PyTorch with TF32, too; fastcnn has none
    python bench/gpu.py --batch 100 --json gpu.json

Beside PyTorch as one writes it ("torch") stand torch.compile(mode="reduce-overhead") and a step that was captured by
hand as one CUDA graph. What is missing is said in a line; where there is no GPU the script says so and exits with 2.

It is kept fair as in compare.py: same weights, same digits, first costs compared before anything is timed, turns
interleaved, a process each. What differs on a GPU:
  A call      is a hundred steps, whose costs are then read at once. Given is the time of one.
  A step      of fastcnn makes its batch from bytes on the GPU; PyTorch's batches lie there ready-made, as floats.
  Precision   is printed: float32 without TF32, but for the names that end in -tf32.

The file isn't called cuda.py: that would hide NVIDIA's package of this name from all scripts beside it.
"""

import argparse
import json
import sys
from pathlib import Path

import gpu_kernels
import machine
import numpy as np
from compare import compare
from contestants import Failed, Worker, environment, positive
from networks import make_job
from peers.ours_cuda import recorded
from report import table

import fastcnn as fc
from fastcnn.atomic import write
from fastcnn.backends.cuda import device
from fastcnn.cpus import available_cpus

OURS, NETWORK = "fastcnn", "gorgonia"
WARM_UP = 10  # steps before kernels are timed, so that some outputs of ReLU are zeros
PEERS = ("torch", "torch-compile", "torch-graph")
NO_GPU = 2  # exit code, as of the command lines


def started(names: list[str], missing: dict[str, str]) -> list[Worker]:
    """A worker for each contestant that is there; for the others a line in `missing`."""
    workers, threads = [], available_cpus()
    for name in names:
        module = "ours_cuda" if name == OURS else "pytorch_cuda"
        worker = Worker(name, module, sys.executable, threads, environment(threads, None))
        if worker.starts(missing):
            workers.append(worker)
    return workers


def kernels(batch: int) -> dict:
    """What each kernel of a step takes, and what was measured of the GPU."""
    steps, batches = recorded(make_job(NETWORK, True, batch), dropout=True)
    steps.run(batches[np.arange(WARM_UP) % len(batches)], lambda: None)
    order, costs = fc.cuda.to_device(batches[:1].astype(np.uint32)), fc.cuda.to_device(np.zeros(1, np.float32))
    gpu, share = device.current(), steps.share(batch)
    launches = gpu_kernels.timed(lambda: steps.take(order, costs, share), gpu)
    peak, bandwidth = gpu_kernels.peak(gpu), gpu_kernels.bandwidth(gpu)
    rows = gpu_kernels.rows_of(launches, peak, bandwidth)
    print(
        f"\nkernels of a step, batch {batch}; measured of the GPU: {peak / 1e12:.1f} TFLOP/s in float32 by a kernel of"
    )
    print(f"nothing but multiplications with additions, {bandwidth / 1e12:.2f} TB/s by a copy, read and written")
    print(gpu_kernels.table(rows), flush=True)
    return {"batch": batch, "peak": peak, "bandwidth": bandwidth, "rows": rows}


def measure(options: argparse.Namespace) -> dict:
    """All that was asked for, as it goes into the JSON file."""
    names = [OURS, *options.peers, *(f"{name}-tf32" for name in options.peers if options.tf32)]
    report: dict = {"machine": machine.describe() | {"GPU": fc.cuda.name()}, "versions": {}, "missing": {}}
    workers = started(names, report["missing"])
    report["versions"] = {worker.name: worker.version for worker in workers}
    for key, value in report["machine"].items():
        print(f"{key}: {value}")
    for name in names:
        print(f"  {name:<20} {report['versions'].get(name) or 'left out: ' + report['missing'][name]}")
    report["rows"] = []
    try:
        for batch in options.batch:
            case = {"network": NETWORK, "mode": "train", "batch": batch, "threads": available_cpus(), "isa": "best"}
            report["rows"] += compare(workers, case, options)
    finally:
        for worker in workers:
            worker.close()
    report["kernels"] = [kernels(batch) for batch in options.batch]
    return report


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", nargs="+", type=positive, default=[100, 512, 4096])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--tf32", action="store_true", help="PyTorch with TF32, too")
    parser.add_argument("--rounds", type=positive, default=9)
    parser.add_argument("--turn", type=float, default=0.5, help="seconds that are timed of a library in a round")
    parser.add_argument("--markdown", action="store_true", help="print the last table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if missing := fc.cuda.why_not():
        print(f"error: {missing}", file=sys.stderr)
        return NO_GPU
    try:
        report = measure(options)
    except Failed as error:
        raise SystemExit(f"error: {error.name}: {error}") from None
    print(f"\n{table(report, options.markdown)}")
    if options.json:
        write(options.json, json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
