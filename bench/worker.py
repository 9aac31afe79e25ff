"""One contestant of compare.py, in a process of its own: a request a line comes in, an answer a line goes out.

    python worker.py MODULE VARIANT THREADS

A process each, so that no library's threads, allocator or instruction set is in another's way, and one that needs
another Python can have it. It may use THREADS CPUs and no more.
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

FIRST_COSTS = 5


def main() -> None:
    module, variant, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    contestant = None

    def answer(request: dict) -> dict:
        nonlocal contestant
        match request:
            case {"start": _}:
                return {"version": importlib.import_module(f"peers.{module}").start(variant, threads)}
            case {"job": folder}:
                contestant = None
                contestant = Contestant(sys.modules[f"peers.{module}"], variant, Job.load(Path(folder)))
                return {"first": contestant.first}
            case {"turn": seconds}:
                return {"seconds": contestant.turn(seconds)}
        raise ValueError(f"unknown request {request}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(reply), file=answers)


class Contestant:
    """A library with a job.

    A module whose calls take several steps each says so by its STEPS.

    Attributes:
        first: What is compared before anything is timed: the outputs for the first batch; or of five steps of
            training, without dropout, the costs.
    """

    def __init__(self, peer, variant: str, job: Job) -> None:
        self.batches = len(job.images)
        self.steps = getattr(peer, "STEPS", 1)  # of a call
        self.index = 0
        if not job.training:
            self.work: Callable[[int], object] = peer.infer(variant, job)
            self.first = np.asarray(self.work(0), np.float64).ravel().tolist()
        else:
            plain = peer.train(variant, job, dropout=False)
            calls = [plain(index % self.batches) for index in range(0, FIRST_COSTS, self.steps)]
            self.first = np.ravel(calls)[:FIRST_COSTS].tolist()
            self.work = peer.train(variant, job, dropout=True)
            self.work(0)  # whatever a library compiles, it compiles now

    def turn(self, seconds: float) -> float:
        """Median seconds of a step. A quarter of the time is spent first on getting warm again, untimed."""
        times: list[float] = []
        begin = time.perf_counter()
        calls = 0
        while calls < 2 or time.perf_counter() - begin < seconds / 4:
            self._call()
            calls += 1
        while len(times) < 3 or time.perf_counter() - begin < seconds:
            times.append(self._call())
        return statistics.median(times) / self.steps

    def _call(self) -> float:
        start = time.perf_counter()
        self.work(self.index)
        elapsed = time.perf_counter() - start
        self.index = (self.index + self.steps) % self.batches
        return elapsed


if __name__ == "__main__":
    main()
