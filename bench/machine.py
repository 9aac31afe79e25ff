"""What a benchmark ran on: the head of every report."""

import os
import platform
import time
from pathlib import Path

import fastcnn as fc


def describe() -> dict[str, str]:
    """CPU, system, and the build of fastcnn, by name."""
    lines = fc.config.describe_config().splitlines()
    build = dict(line.strip().split(maxsplit=1) for line in lines if line.startswith("  compiler"))
    return {
        "CPU": f"{_cpu()}, {fc.config.available_cpus()} of {os.cpu_count()} CPUs available",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "compiler of fastcnn": build["compiler"],
    }


def busy(seconds: float = 0.05) -> float:
    """How many CPUs are at work while this process sleeps, other virtual machines' included; 0 if it can't be told."""
    before = _ticks()
    time.sleep(seconds)
    after = _ticks()
    idle, everything = (after[index] - before[index] for index in (0, 1))
    return (1 - idle / everything) * (os.cpu_count() or 1) if everything else 0.0


def _ticks() -> tuple[int, int]:
    """Idle ones and all of them, of all CPUs together."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0]
    except OSError:
        return 0, 0
    counts = [int(count) for count in first.split()[1:9]]  # user, nice, system, idle, iowait, irq, softirq, steal
    return counts[3] + counts[4], sum(counts)


def _cpu() -> str:
    """The model's name, and its largest vector extension where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    vectors = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "")
    return ", ".join(part for part in (fields.get("model name", platform.machine()), vectors) if part)
