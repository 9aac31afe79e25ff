"""What this installation is and runs on: instruction-set level, threads, and `show_config()` that tells it all.

Imported once by the package: picks the best kernels this CPU has, or those that FASTCNN_ISA names, and as many threads
as this process may use, or as FASTCNN_NUM_THREADS (or else OMP_NUM_THREADS) says.
"""

import os
import platform
import sys
import time

import numpy as np
from numpy.typing import DTypeLike

from fastcnn import _core
from fastcnn.cpus import available_cpus
from fastcnn.errors import ConfigError

__version__ = "0.7.0"


def _environment_count(name: str) -> int | None:
    """The number of threads that a variable of ours holds, None if it is unset or empty."""
    text = os.environ.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= _core.MOST_THREADS:
        most = _core.MOST_THREADS
        raise ConfigError(f"{name} must be a number of threads from 1 to {most}, got {text!r}; correct or unset it")
    return int(text)


def _openmp_count() -> int | None:
    """The number of threads that OMP_NUM_THREADS holds; it is not ours, so nonsense in it is not our business."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # may be a list, one level each
    return int(text) if text.isdecimal() and int(text) >= 1 else None


def default_threads() -> int:
    """FASTCNN_NUM_THREADS, else OMP_NUM_THREADS, else `available_cpus()`."""
    return _environment_count("FASTCNN_NUM_THREADS") or min(_openmp_count() or available_cpus(), _core.MOST_THREADS)


def set_num_threads(count: int) -> None:
    """Let kernels use `count` threads from now on. The results do not depend on it.

    Raises:
        ConfigError: below 1, or above 1024.
    """
    _core.set_num_threads(count)


def get_num_threads() -> int:
    """Number of threads that kernels use, also in a forked child."""
    return _core.get_num_threads()


def fma_peak(dtype: DTypeLike = "float32", threads: int | None = None) -> float:
    """Floating-point operations a second that the cores can do at most: multiply-adds in registers, nothing else.

    Measured now, in about a fiftieth of a second, with the instruction-set level in use.

    Args:
        dtype: float32 or float64.
        threads: On how many cores; `get_num_threads()` if not given.

    Raises:
        ConfigError: for another dtype, and a number of threads that `set_num_threads` would refuse.
    """
    workers = get_num_threads() if threads is None else threads
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ConfigError(f"fma_peak: dtype must be float32 or float64, got {dtype}")
    is_double, rounds = np.dtype(dtype) == np.float64, 100_000
    best = 0.0
    for _ in range(20):
        start = time.perf_counter()
        operations = _core.multiply_adds(is_double, rounds, workers)
        best = max(best, operations / (time.perf_counter() - start))
    return best


def release_memory() -> None:
    """Give the memory that freed results left for reuse back to the operating system.

    It is at most twice what was in use at one time lately, or 32 MiB, and never more than 1 GiB. Nobody is refused
    memory before it is given back.
    """
    _core.release_memory()


def describe_config() -> str:
    """What `show_config` prints."""
    rows = {
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()}), numpy {np.__version__}",
        "compiler": _core.compiler(),
        "ISA compiled": ", ".join(_core.isa_compiled()),
        "ISA usable": ", ".join(_core.isa_levels()),
        "ISA in use": _core.get_isa() + (" (FASTCNN_ISA)" if os.environ.get("FASTCNN_ISA") else ""),
        "threads": f"{get_num_threads()} of {available_cpus()} CPUs available",
    }
    return "\n".join([f"fastcnn {__version__}", *(f"  {name:<13}{value}" for name, value in rows.items())])


def show_config() -> None:
    """Print version, compiler, instruction-set levels (compiled, usable, in use), threads.

    >>> show_config()  # doctest: +ELLIPSIS
    fastcnn 0...
    """
    print(describe_config())


def configure_from_environment() -> None:
    """Set level and threads as the environment says; called when the package is imported.

    Raises:
        ConfigError: if FASTCNN_ISA names a level that is not to be had, or a thread count is not a positive int.
    """
    _core.set_isa(os.environ.get("FASTCNN_ISA") or _core.isa_levels()[-1])
    _core.set_num_threads(default_threads())
