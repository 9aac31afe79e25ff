"""What a benchmark ran on: the head of every report."""

import os
import platform
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
