"""One contestant of a benchmark, in a process of its own: a request a line comes in, an answer a line goes out.

    python worker.py MODULE VARIANT THREADS

A process each, so that no library's threads, allocator or instruction set is in another's way, and one that needs
another Python can have it. It may use THREADS CPUs and no more. compare.py sends jobs, kernels.py single operations.
"""

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from peers.job import Job
from peers.operation import Operation

FIRST_COSTS = 5
BLOCKS = 8  # of calls in a turn; the times of two blocks are compared to see whether they have settled
SETTLED = 0.95  # a block that takes a larger part of the fastest one's time isn't faster
LONGEST_WARM_UP = 10  # turns
REST = (
    0.1  # seconds after a turn, until this process's threads have gone to sleep: OpenMP's and OpenBLAS's spin so long
)


def main() -> None:
    module, variant, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    timed: Timed | None = None

    def answer(request: dict) -> dict:
        nonlocal timed
        match request:
            case {"start": _}:
                return {"version": importlib.import_module(f"peers.{module}").start(variant, threads)}
            case {"job": folder}:
                timed = None  # its memory goes before the next one's comes
                timed = Contestant(sys.modules[f"peers.{module}"], variant, Job.load(Path(folder)))
                return {"first": timed.first}
            case {"operation": operation, "answer": file}:
                timed = None
                work = sys.modules[f"peers.{module}"].work(variant, Operation(*operation))
                if work is not None:
                    np.save(file, np.asarray(work()))
                    timed = Timed(lambda _: work())
                return {"takes_part": work is not None}
            case {"turn": seconds}:
                return {"seconds": timed.turn(seconds)}
        raise ValueError(f"unknown request {request}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(reply), file=answers)


class Timed:
    """Work that is called again and again, each time with the number of one of its batches.

    Args:
        steps: Of a call, which takes as many batches.
    """

    def __init__(self, work: Callable[[int], object], batches: int = 1, steps: int = 1) -> None:
        self.work, self.batches, self.steps = work, batches, steps
        self.index = 0

    def turn(self, seconds: float) -> float:
        """Median seconds of a step, when its times have settled; then this process rests."""
        self._warm_up(seconds)
        times = self._block(seconds, least=3)
        time.sleep(REST)
        return statistics.median(times) / self.steps

    def _warm_up(self, seconds: float) -> None:
        """Untimed calls: for a quarter of a turn at least, and on while they become faster."""
        begin = time.perf_counter()
        fastest = statistics.median(self._block(seconds / BLOCKS))
        settled = False
        while not settled and time.perf_counter() - begin < LONGEST_WARM_UP * seconds:
            latest = statistics.median(self._block(seconds / BLOCKS))
            settled = latest > SETTLED * fastest
            fastest = min(latest, fastest)

    def _block(self, seconds: float, least: int = 1) -> list[float]:
        """Seconds of each call."""
        times: list[float] = []
        begin = time.perf_counter()
        while len(times) < least or time.perf_counter() - begin < seconds:
            times.append(self._call())
        return times

    def _call(self) -> float:
        start = time.perf_counter()
        self.work(self.index)
        elapsed = time.perf_counter() - start
        self.index = (self.index + self.steps) % self.batches
        return elapsed


class Contestant(Timed):
    """A library with a job.

    A module whose calls take several steps each says so by its STEPS.

    Attributes:
        first: What is compared before anything is timed: the outputs for the first batch; or of five steps of
            training, without dropout, the costs.
    """

    def __init__(self, peer, variant: str, job: Job) -> None:
        steps = getattr(peer, "STEPS", 1)
        if job.training:
            plain = peer.train(variant, job, dropout=False)
            calls = [plain(index % len(job.images)) for index in range(0, FIRST_COSTS, steps)]
            self.first = np.ravel(calls)[:FIRST_COSTS].tolist()
            work = peer.train(variant, job, dropout=True)
            work(0)  # whatever a library compiles, it compiles now
        else:
            work = peer.infer(variant, job)
            self.first = np.asarray(work(0), np.float64).ravel().tolist()
        super().__init__(work, len(job.images), steps)


if __name__ == "__main__":
    main()
