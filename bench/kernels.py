"""Every operation over the shapes of bench/shapes, beside PyTorch (oneDNN) and numpy (OpenBLAS).

    pip install ".[bench]" && python bench/kernels.py [--threads 2] [--only conv2d/] [--json FILE]

Each shape is timed in rounds: ours and every peer once a round, in rotating order. Convolution and pooling run in
PyTorch both contiguous and channels_last; the faster counts. Every answer is compared with ours before it is timed.
A ratio above 1 means that fastcnn is faster. "peak" is how much of the multiply-add peak an operation reaches, or, for
those that compute little, of the speed at which this machine copies as many bytes.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from peers import best_of, use_threads
from torch.nn import functional

import fastcnn as fc
from fastcnn import ops
from fastcnn.config import fma_peak

SHAPES = Path(__file__).parent / "shapes"
SHORTEST = 2e-3  # seconds that one timing lasts at least
REST = 0.1  # seconds until the threads of the library before have gone to sleep: OpenBLAS's spin that long

Work = Callable[[], object]


class Case(NamedTuple):
    """One operation on one shape; `peers` by name, `flops` 0 if memory bounds it."""

    direction: str
    ours: Work
    peers: dict[str, Work]
    flops: float
    bytes: float


def read_shapes(name: str) -> Iterator[tuple[str, list[str]]]:
    for line in (SHAPES / f"{name}.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            shape, *sizes = line.split()
            yield shape, sizes


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def both_layouts(call: Callable[..., object], *arrays: np.ndarray) -> dict[str, Work]:
    """PyTorch's `call` on these 4-d arrays in either of its layouts."""
    plain = [torch.from_numpy(array) for array in arrays]
    last = [tensor.to(memory_format=torch.channels_last) for tensor in plain]
    return {"contiguous": lambda: call(*plain), "channels_last": lambda: call(*last)}


# ---- one generator of cases per file of shapes -----------------------------------------------------------------------


def conv2d(sizes: list[str]) -> Iterator[Case]:
    n, c, h, w, o, kh, kw, stride, padding, dilation = map(int, sizes)
    x, weight = draw(n, c, h, w), draw(o, c, kh, kw) / np.float32(np.sqrt(c * kh * kw))
    how = (stride, padding, dilation)
    dy = draw(*ops.conv_output_shape(x.shape, weight.shape, *how))
    flops = 2.0 * dy.size * c * kh * kw
    moved = 4.0 * (x.size + weight.size + dy.size)

    def backward(which: int) -> dict[str, Work]:
        args = (None, [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], 1, [i == which for i in range(3)])
        return both_layouts(lambda *t: torch.ops.aten.convolution_backward(*t, *args)[which], dy, x, weight)

    forward = both_layouts(lambda tx, tw: functional.conv2d(tx, tw, None, *how), x, weight)
    yield Case("forward", lambda: ops.conv2d(x, weight, None, *how), forward, flops, moved)
    yield Case("dinput", lambda: ops.conv2d_backward_input(dy, weight, x.shape, *how), backward(0), flops, moved)
    yield Case("dweight", lambda: ops.conv2d_backward_weight(dy, x, weight.shape, *how), backward(1), flops, moved)


def matmul(sizes: list[str]) -> Iterator[Case]:
    m, n, k = map(int, sizes[:3])
    turn_a, turn_b = (letter == "t" for letter in sizes[3:])
    a, b = draw(k, m) if turn_a else draw(m, k), draw(n, k) if turn_b else draw(k, n)
    left, right = a.T if turn_a else a, b.T if turn_b else b
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    t_left, t_right = ta.T if turn_a else ta, tb.T if turn_b else tb
    peers: dict[str, Work] = {"OpenBLAS": lambda: left @ right, "PyTorch": lambda: t_left @ t_right}
    yield Case("", lambda: ops.matmul(a, b, turn_a, turn_b), peers, 2.0 * m * n * k, 4.0 * (a.size + b.size + m * n))


def pool(sizes: list[str]) -> Iterator[Case]:
    n, c, h, w, kernel, stride, padding = map(int, sizes)
    x, how = draw(n, c, h, w), (kernel, stride, padding)
    dy = draw(*ops.pool_output_shape(x.shape, *how))
    moved = 4.0 * (x.size + dy.size)
    _, argmax = ops.max_pool2d(x, *how)
    aten = torch.ops.aten
    pairs = ([kernel] * 2, [stride] * 2, [padding] * 2)

    def max_backward(tdy: torch.Tensor, tx: torch.Tensor) -> Work:
        _, winners = aten.max_pool2d_with_indices(tx, *pairs)
        return lambda: aten.max_pool2d_with_indices_backward(tdy, tx, *pairs, [1, 1], False, winners)

    tdy, tx = torch.from_numpy(dy), torch.from_numpy(x)
    last = {"memory_format": torch.channels_last}
    yield Case(
        "max forward",
        lambda: ops.max_pool2d(x, *how)[0],
        both_layouts(lambda t: aten.max_pool2d_with_indices(t, *pairs)[0], x),
        0,
        moved,
    )
    yield Case(
        "max backward",
        lambda: ops.max_pool2d_backward(dy, argmax, x.shape, *how),
        {"contiguous": max_backward(tdy, tx), "channels_last": max_backward(tdy.to(**last), tx.to(**last))},
        0,
        moved,
    )
    yield Case(
        "avg forward",
        lambda: ops.avg_pool2d(x, *how),
        both_layouts(lambda t: functional.avg_pool2d(t, *how), x),
        0,
        moved,
    )
    yield Case(
        "avg backward",
        lambda: ops.avg_pool2d_backward(dy, x.shape, *how),
        both_layouts(lambda tdy, tx: aten.avg_pool2d_backward(tdy, tx, *pairs, False, True, None), dy, x),
        0,
        moved,
    )


def flat(sizes: list[str]) -> Iterator[Case]:
    count = int(sizes[0])
    x, dy = draw(count), draw(count + 1)[1:].copy()
    tx, tdy = torch.from_numpy(x), torch.from_numpy(dy)

    def both(name: str, ours: Work, theirs: Work, arrays: int) -> Case:
        return Case(name, ours, {"PyTorch": theirs}, 0, 4.0 * arrays * count)

    aten = torch.ops.aten
    y, half = ops.relu(x), ops.sigmoid(x)
    ty, thalf = torch.from_numpy(y), torch.from_numpy(half)
    backward = (
        ("relu backward", lambda: ops.relu_backward(dy, y), lambda: aten.threshold_backward(tdy, ty, 0)),
        ("sigmoid backward", lambda: ops.sigmoid_backward(dy, half), lambda: aten.sigmoid_backward(tdy, thalf)),
        ("tanh backward", lambda: ops.tanh_backward(dy, half), lambda: aten.tanh_backward(tdy, thalf)),
        ("add", lambda: ops.add(x, dy), lambda: tx + tdy),
    )
    yield both("relu", lambda: ops.relu(x), lambda: torch.relu(tx), 2)
    yield both("sigmoid", lambda: ops.sigmoid(x), lambda: torch.sigmoid(tx), 2)
    yield both("tanh", lambda: ops.tanh(x), lambda: torch.tanh(tx), 2)
    for name, ours, theirs in backward:
        yield both(name, ours, theirs, 3)
    yield from updates(x, dy)


def updates(start: np.ndarray, grad: np.ndarray) -> Iterator[Case]:
    """One step of each optimizer; both sides go on from where they are, and are compared after the first step."""
    tgrad = torch.from_numpy(grad)
    kinds = {"sgd": 3, "momentum": 5, "rmsprop": 5, "adam": 7}  # arrays read and written
    for name, arrays in kinds.items():
        data, one, two = start.copy(), np.zeros_like(start), np.zeros_like(start)
        tdata, tone, ttwo = (torch.from_numpy(array.copy()) for array in (data, one, two))
        step = torch.zeros(())

        def ours(name=name, data=data, one=one, two=two) -> np.ndarray:
            if name == "sgd":
                ops.sgd_update(data, grad, 1e-3)
            elif name == "momentum":
                ops.momentum_update(data, grad, one, 1e-3, 0.9)
            elif name == "rmsprop":
                ops.rmsprop_update(data, grad, one, 1e-3, 0.999, 1e-8)
            else:
                ops.adam_update(data, grad, one, two, 1e-3, 0.9, 0.999, 1e-8, 1)
            return data

        def theirs(name=name, data=tdata, one=tone, two=ttwo, step=step) -> torch.Tensor:
            if name == "rmsprop":  # PyTorch has no fused one, and adds eps outside of the root
                one.mul_(0.999).addcmul_(tgrad, tgrad, value=0.001)
                data.addcdiv_(tgrad, (one + 1e-8).sqrt_(), value=-1e-3)
            elif name == "adam":
                rates = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}
                flags = {"amsgrad": False, "maximize": False}
                torch._fused_adam_([data], [tgrad], [one], [two], [], [step.fill_(1)], **rates, **flags)
            else:
                rates = {"lr": 1e-3, "momentum": 0.9 if name == "momentum" else 0.0, "weight_decay": 0.0}
                flags = {"dampening": 0.0, "nesterov": False, "maximize": False, "is_first_step": False}
                torch._fused_sgd_([data], [tgrad], [one] if name == "momentum" else [], **rates, **flags)
            return data

        yield Case(name, ours, {"PyTorch": theirs}, 0, 4.0 * arrays * start.size)


def rows(sizes: list[str]) -> Iterator[Case]:
    count, classes = map(int, sizes)
    x, dy = draw(count, classes), draw(count, classes + 1)[:, 1:].copy()
    labels = np.arange(count) % classes
    tx, tdy, tlabels = map(torch.from_numpy, (x, dy, labels))
    y, log_y = ops.softmax(x), ops.log_softmax(x)
    ty, tlog_y = torch.from_numpy(y), torch.from_numpy(log_y)
    aten, size = torch.ops.aten, 4.0 * x.size
    calls = (
        ("softmax", lambda: ops.softmax(x), lambda: torch.softmax(tx, 1), 2),
        (
            "softmax backward",
            lambda: ops.softmax_backward(dy, y),
            lambda: aten._softmax_backward_data(tdy, ty, 1, torch.float32),
            3,
        ),
        ("log_softmax", lambda: ops.log_softmax(x), lambda: torch.log_softmax(tx, 1), 2),
        (
            "log_softmax backward",
            lambda: ops.log_softmax_backward(dy, log_y),
            lambda: aten._log_softmax_backward_data(tdy, tlog_y, 1, torch.float32),
            3,
        ),
        (
            "cross_entropy",
            lambda: ops.cross_entropy(x, labels),
            lambda: functional.cross_entropy(tx, tlabels, reduction="none"),
            1,
        ),
    )
    for name, ours, theirs, arrays in calls:
        yield Case(name, ours, {"PyTorch": theirs}, 0, arrays * size)


OPERATIONS = {"conv2d": conv2d, "matmul": matmul, "pool": pool, "flat": flat, "rows": rows}


# ---- measuring -------------------------------------------------------------------------------------------------------


def check(case: Case, name: str) -> None:
    """Stop if any peer's answer differs by more than 1e-4 of the largest entry."""
    ours = np.asarray(case.ours())
    scale = float(np.abs(ours).max())
    for peer, work in case.peers.items():
        error = float(np.abs(ours - np.asarray(work())).max()) / scale
        if not error <= 1e-4:
            raise SystemExit(f"{name}: {peer}'s answer differs by {error:.1e} of the largest entry: not worth timing")


def rounds_of(works: list[Work], rounds: int) -> list[list[float]]:
    """Seconds of each work in each round. Who comes first rotates, so that whatever else the machine does hits all."""
    repeats = [max(3, min(200, round(SHORTEST / best_of(work, 3)))) for work in works]
    times: list[list[float]] = [[] for _ in works]
    for turn in range(rounds):
        for i in range(len(works)):
            k = (turn + i) % len(works)
            time.sleep(REST)
            times[k].append(best_of(works[k], repeats[k]))
    return times


class Peaks:
    """Bounds of this machine on these threads; copying is measured once per size, in powers of two."""

    def __init__(self, threads: int):
        self.flops = fma_peak("float32", threads)
        self._copies: dict[int, float] = {}

    def copy(self, moved: float) -> float:
        """Bytes read and written a second while as many bytes as `moved` are copied."""
        exponent = max(14, round(np.log2(moved)))
        if exponent not in self._copies:
            source = torch.ones(2 ** (exponent - 3))  # 4 bytes, read and written
            target = torch.zeros_like(source)
            fastest = min(
                best_of(lambda: target.copy_(source), 50), best_of(lambda: ops.concat([source.numpy()], 0), 50)
            )
            self._copies[exponent] = 2.0**exponent / fastest
        return self._copies[exponent]


def measure(name: str, case: Case, peaks: Peaks, rounds: int) -> dict[str, object]:
    check(case, name)
    ours, *theirs = rounds_of([case.ours, *case.peers.values()], rounds)
    ratios = [min(their) / our for our, *their in zip(ours, *theirs, strict=True)]
    seconds = statistics.median(ours)
    bound = case.flops / peaks.flops if case.flops else case.bytes / peaks.copy(case.bytes)
    return {
        "name": name,
        "direction": case.direction,
        "seconds": seconds,
        "peak": bound / seconds,
        "peers": {peer: statistics.median(times) for peer, times in zip(case.peers, theirs, strict=True)},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


def line_of(result: dict) -> str:
    peers = " · ".join(f"{peer} {seconds * 1e3:8.3f}" for peer, seconds in result["peers"].items())
    low, high = min(result["ratios"]), max(result["ratios"])
    return (
        f"{result['name']:<32}{result['direction']:<21}{result['seconds'] * 1e3:8.3f} ms "
        f"({result['peak']:4.0%} of peak) · {peers} · {result['ratio']:5.2f}x ({low:.2f}-{high:.2f})"
    )


def summarise(results: list[dict]) -> None:
    kinds: dict[str, list[dict]] = {}
    for result in results:
        kinds.setdefault(f"{result['name'].split('/')[0]} {result['direction']}", []).append(result)
    print("\ngeometric means over the shapes, and the worst of each:")
    for kind, group in kinds.items():
        worst = min(group, key=lambda result: result["ratio"])
        mean = statistics.geometric_mean(result["ratio"] for result in group)
        print(f"{kind:<28}{mean:6.2f}x   worst {worst['ratio']:.2f}x {worst['name']}")


def hold_openblas(threads: int) -> None:
    """Begin anew with as many threads for OpenBLAS, which looks at the environment once, as NumPy loads it."""
    held = {"OPENBLAS_NUM_THREADS": str(threads)}
    if not held.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", metavar="PATTERN", help="those with this in FILE/SHAPE DIRECTION")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    options = parser.parse_args()
    hold_openblas(options.threads)
    use_threads(options.threads)
    torch.set_grad_enabled(False)
    peaks = Peaks(options.threads)
    print(f"multiply-add peak {peaks.flops / 1e9:.0f} GF/s, copying 64 MB {peaks.copy(2**26) / 1e9:.0f} GB/s\n")
    results = []
    for operation, cases in OPERATIONS.items():
        for shape, sizes in read_shapes(operation):
            for case in cases(sizes):
                if options.only in f"{operation}/{shape} {case.direction}":
                    results.append(measure(f"{operation}/{shape}", case, peaks, options.rounds))
                    print(line_of(results[-1]), flush=True)
    if not results:
        raise SystemExit(f"no shape has {options.only!r} in its name")
    summarise(results)
    if options.json:
        header = {"threads": options.threads, "isa": fc.config.describe_config(), "torch": torch.__version__}
        options.json.write_text(json.dumps({**header, "results": results}, indent=1))


if __name__ == "__main__":
    main()
