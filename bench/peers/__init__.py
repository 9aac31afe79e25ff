"""What the benchmarks share: interleaved timing and ratios with their spread; and a module for each library compared.

Imports nothing but the standard library: MXNet's Python, where fastcnn isn't installed, comes through here, too.
"""

import statistics
import time
from collections.abc import Callable


def use_threads(count: int, batch: int | None = None) -> None:
    """Give both sides `count` threads, and print what is compared."""
    import torch

    import fastcnn as fc

    torch.set_num_threads(count)
    fc.set_num_threads(count)
    fc.show_config()
    size = "" if batch is None else f", batch {batch}"
    print(f"  PyTorch      {torch.__version__}, {torch.get_num_threads()} threads{size}\n")


def best_of(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of `repeats` runs."""
    fastest = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def interleave(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int, repeats: int
) -> tuple[float, float, list[float]]:
    """Median seconds of both over `rounds` rounds, and the ratio theirs/ours of each round.

    Both are timed in every round, in alternating order, so that whatever else the machine does hits both.
    """
    ours()
    theirs()
    our_times, their_times = [], []
    for turn in range(rounds):
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        a, b = best_of(first, repeats), best_of(second, repeats)
        our_times.append(a if turn % 2 == 0 else b)
        their_times.append(b if turn % 2 == 0 else a)
    ratios = [their / our for our, their in zip(our_times, their_times, strict=True)]
    return statistics.median(our_times), statistics.median(their_times), ratios


def spread(ratios: list[float]) -> str:
    """The median ratio and the range of all rounds: ``1.23x (1.10-1.31, 9 rounds)``."""
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f}, {len(ratios)} rounds)"
