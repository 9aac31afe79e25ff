"""The contestants of a benchmark: a process each, which take turns.

What a process does is in worker.py, what it runs in peers/.
"""

import argparse
import json
import os
import statistics
import subprocess
from pathlib import Path

import machine

WORKER = Path(__file__).with_name("worker.py")
MOST_BUSY = 0.2  # CPUs that others may keep busy before a line is said about it


class Failed(Exception):
    """A contestant cannot do what it was asked; the message is one line."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


class Worker:
    """A contestant's process, see worker.py."""

    def __init__(self, name: str, module: str, python: str, threads: int, environment: dict[str, str]) -> None:
        self.name = name
        self.version = ""
        arguments = [python, str(WORKER), module, name, str(threads)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            arguments, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
        )

    def starts(self, missing: dict[str, str]) -> bool:
        """Whether its library is there; if not, `missing` has a line that says why."""
        try:
            self.version = self.ask(start=self.name)["version"]
        except Failed as error:
            missing[self.name] = str(error)
            self.close()
            return False
        return True

    def ask(self, **request: object) -> dict:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            reply = json.loads(self._process.stdout.readline())
        except (OSError, ValueError):
            raise Failed(self.name, f"its process ended with {self._process.wait()}") from None
        if "error" in reply:
            raise Failed(self.name, reply["error"])
        return reply

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def environment(threads: int, isa: str | None) -> dict[str, str]:
    """The variables that hold a library to its threads and, if asked, to an instruction set."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "FASTCNN_NUM_THREADS", "NPROC")
    values = dict(os.environ) | dict.fromkeys(counts, str(threads))
    if isa == "avx2":
        values |= {"FASTCNN_ISA": "avx2", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
        values |= {"DNNL_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
        values["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_max_isa=AVX2".strip()
    return values


def timed(workers: list[Worker], rounds: int, turn: float) -> tuple[dict[Worker, list[float]], float]:
    """Seconds of a call for each contestant and round; and how many CPUs others kept busy between the rounds."""
    seconds: dict[Worker, list[float]] = {worker: [] for worker in workers}
    busy = []
    for number in range(rounds):
        start = number % len(workers)
        for worker in workers[start:] + workers[:start]:
            seconds[worker].append(worker.ask(turn=turn)["seconds"])
        busy.append(machine.busy())
    return seconds, statistics.mean(busy)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return int(text)
