"""Memory of a training run, fastcnn's beside PyTorch's: the Gorgonia network, the same digits, the same steps.

    python bench/memory.py [--steps 300] [--batch 100] [--threads N] [--json FILE] [--markdown]

Each library runs in a fresh process of its own, which holds the same 32-bit images. What is told:

  peak resident memory    VmHWM as Linux keeps it: of Python with NumPy, after importing the library, after the steps.
  new blocks a step       of steps after the third. fastcnn: memory that its core had to ask of malloc because its cache
                          of freed blocks had none of that size. PyTorch: what its tensors asked of malloc, by its
                          profiler; on the CPU it has no cache of its own, glibc is its cache.
  largest Python objects  tracemalloc's peak during such a step, above what was there before: Python's objects and the
                          arrays of NumPy. fastcnn's results are in the blocks above, PyTorch's tensors likewise.
  page faults a step      fresh pages that the system had to map, the mean of 50 such steps.
  growth a step           of what malloc has given out and not got back, the mean of the same 50 steps.

Not counted: single calls of malloc that are met from its free lists, say by the interpreter for small objects.
"""

import argparse
import ctypes
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from peers.job import Job  # nothing of fastcnn: what importing it takes is measured

PEERS = {"fastcnn": "ours", "torch": "pytorch"}
STEADY_STEPS = 50
ROWS = {
    "start": "peak, Python and NumPy alone, MiB",
    "imported": "peak, library imported, MiB",
    "trained": "peak, training, MiB",
    "added": "of it above Python, NumPy and the images, MiB",
    "blocks": "new blocks a step",
    "objects": "largest Python objects of a step, bytes",
    "faults": "page faults a step",
    "growth": "growth a step, bytes",
}


class Mallinfo2(ctypes.Structure):
    """glibc's struct mallinfo2."""

    names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = tuple((name, ctypes.c_size_t) for name in names)


def given_out() -> int:
    """Bytes that malloc has given out; 0 where it is not glibc's (2.33 or newer)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def peak() -> float:
    """Largest resident size of this process so far, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measure(name: str, folder: Path, steps: int, threads: int) -> dict[str, float]:
    """All figures of one library; in a process that has imported nothing else yet."""
    found = {"start": peak()}
    module = importlib.import_module(f"peers.{PEERS[name]}")
    module.start(name, threads)
    found["imported"] = peak()
    job = Job.load(folder)
    work = module.train(name, job, dropout=True)
    number = 0

    def step() -> None:
        nonlocal number
        work(number % len(job.images))
        number += 1

    for _ in range(steps):
        step()
    found["trained"] = peak()
    found["added"] = found["trained"] - found["start"] - (job.images.nbytes + job.targets.nbytes) / 2**20
    return found | steady(step, module.allocations)


def steady(step: Callable[[], None], allocations: Callable[[Callable[[], None]], dict[str, int]]) -> dict[str, float]:
    """What a step does to memory when all before it have been like it."""
    gc.collect()
    gc.disable()
    usage, bytes_before = resource.getrusage(resource.RUSAGE_SELF), given_out()
    for _ in range(STEADY_STEPS):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - usage.ru_minflt
    found = {"faults": faults / STEADY_STEPS, "growth": (given_out() - bytes_before) / STEADY_STEPS}
    found |= allocations(step)
    tracemalloc.start()
    step()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    step()
    found["objects"] = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    gc.enable()
    return found


def run(name: str, folder: str, options: argparse.Namespace) -> dict[str, float] | None:
    """`measure` in a fresh process; None, and a line, if the library is not there."""
    arguments = [sys.executable, __file__, "--measure", name, folder]
    arguments += ["--steps", str(options.steps), "--threads", str(options.threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"{name}: left out: {(done.stderr.strip().splitlines() or ['its process failed'])[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def table(found: dict[str, dict[str, float]], markdown: bool) -> str:
    names = list(found)
    rows = [["", *names, *(["ratio"] if len(names) > 1 else [])]]
    for key, label in ROWS.items():
        values = [found[name][key] for name in names]
        cells = [
            label,
            *(
                f"{value:,.1f}" if key in ("start", "imported", "trained", "added") else f"{value:,.0f}"
                for value in values
            ),
        ]
        if len(names) > 1:
            cells.append(f"{values[1] / values[0]:.1f}x" if values[0] > 0 and key not in ("growth", "start") else "")
        rows.append(cells)
    if markdown:
        rows.insert(1, ["---"] + ["---:"] * (len(rows[0]) - 1))
        return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return "\n".join(f"{cells[0]:<48}" + "".join(f"{cell:>12}" for cell in cells[1:]) for cells in rows)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    if sys.platform != "linux":
        raise SystemExit("error: peak memory is read from /proc, which only Linux has")
    options = parse(arguments)
    if options.measure:
        name, folder = options.measure
        print(json.dumps(measure(name, Path(folder), options.steps, options.threads)))
        return
    import machine
    from networks import make_job

    with tempfile.TemporaryDirectory() as folder:
        make_job("gorgonia", True, options.batch).save(Path(folder))
        results = {name: run(name, folder, options) for name in options.peers}
    facts = machine.describe()
    found = {name: result for name, result in results.items() if result}
    for key, value in facts.items():
        print(f"{key}: {value}")
    print(f"gorgonia, {options.steps} steps, batch {options.batch}, threads: {options.threads}\n")
    print(table(found, options.markdown))
    if options.json:
        from fastcnn.atomic import write  # only now, when all is measured

        write(options.json, json.dumps({"machine": facts, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
