"""A single operation on one shape of bench/shapes; all that a contestant of kernels.py has to know.

Every contestant draws the arrays itself, from the same seed. `peers/ours_operations.py` says how they are used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

SHAPES = Path(__file__).parents[1] / "shapes"
COLUMNS = {  # of each file of shapes, after the name
    "conv2d": ("n", "c", "h", "w", "o", "kh", "kw", "stride", "padding", "dilation"),
    "matmul": ("m", "n", "k", "a", "b"),
    "pool": ("n", "c", "h", "w", "kernel", "stride", "padding"),
    "flat": ("count",),
    "rows": ("count", "classes"),
}
DIRECTIONS = {  # of each, and how many arrays of the first one's size it reads and writes, if memory bounds it
    "conv2d": dict.fromkeys(("forward", "dinput", "dweight"), 0),
    "matmul": {"": 0},
    "pool": dict.fromkeys(("max forward", "max backward", "avg forward", "avg backward"), 1),
    "flat": {"relu": 2, "sigmoid": 2, "tanh": 2}
    | {"relu backward": 3, "sigmoid backward": 3, "tanh backward": 3, "add": 3}
    | {"sgd": 3, "momentum": 5, "rmsprop": 5, "adam": 7},
    "rows": {"softmax": 2, "softmax backward": 3, "log_softmax": 2, "log_softmax backward": 3, "cross_entropy": 1},
}
COPY = "copy"  # a direction of "flat" that bounds the others; no row of its own


class Operation(NamedTuple):
    """What to compute: `kind` is a file of shapes, `sizes` a line of it by the names of COLUMNS."""

    kind: str
    direction: str
    sizes: dict[str, int | str]

    def arrays(self) -> dict[str, np.ndarray]:
        """Its operands by name, in float32: those of a way back are what the way forth would have left."""
        return ARRAYS[self.kind](**self.sizes)

    def cost(self) -> tuple[float, float]:
        """How many floating-point operations it takes, 0 if memory bounds it; how many bytes it reads and writes."""
        arrays = self.arrays()
        match self.kind:
            case "conv2d":
                per_output = arrays["weight"][0].size
                return 2.0 * arrays["dy"].size * per_output, 4.0 * sum(array.size for array in arrays.values())
            case "matmul":
                m, n, k = (int(self.sizes[name]) for name in "mnk")
                return 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n)
            case "pool":
                return 0.0, 4.0 * (arrays["x"].size + arrays["dy"].size)
        return 0.0, 4.0 * DIRECTIONS[self.kind][self.direction] * arrays["x"].size


def operations(pattern: str) -> Iterator[tuple[str, Operation]]:
    """Those with `pattern` in "FILE/SHAPE DIRECTION", each with its "FILE/SHAPE"."""
    for kind, columns in COLUMNS.items():
        for line in (SHAPES / f"{kind}.txt").read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                shape, *cells = line.split()
                sizes = {
                    name: int(cell) if cell.isdecimal() else cell for name, cell in zip(columns, cells, strict=True)
                }
                for direction in DIRECTIONS[kind]:
                    if pattern in f"{kind}/{shape} {direction}":
                        yield f"{kind}/{shape}", Operation(kind, direction, sizes)


def _draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def _conv2d(n, c, h, w, o, kh, kw, stride, padding, dilation) -> dict[str, np.ndarray]:
    out = [(size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1 for size, kernel in ((h, kh), (w, kw))]
    weight = _draw(o, c, kh, kw) / np.float32(np.sqrt(c * kh * kw))
    return {"x": _draw(n, c, h, w), "weight": weight, "dy": _draw(n, o, *out)}


def _matmul(m, n, k, a, b) -> dict[str, np.ndarray]:
    return {"a": _draw(k, m) if a == "t" else _draw(m, k), "b": _draw(n, k) if b == "t" else _draw(k, n)}


def _pool(n, c, h, w, kernel, stride, padding) -> dict[str, np.ndarray]:
    out = [(size + 2 * padding - kernel) // stride + 1 for size in (h, w)]
    return {"x": _draw(n, c, h, w), "dy": _draw(n, c, *out)}


def _flat(count) -> dict[str, np.ndarray]:
    x = _draw(count)
    return {"x": x, "dy": _draw(count + 1)[1:].copy(), "relu": np.maximum(x, 0), "half": 1 / (1 + np.exp(-x))}


def _rows(count, classes) -> dict[str, np.ndarray]:
    x, labels = _draw(count, classes), np.arange(count) % classes
    log_y = x - np.log(np.exp(x).sum(1, keepdims=True))
    return {"x": x, "dy": _draw(count, classes + 1)[:, 1:].copy(), "y": np.exp(log_y), "log_y": log_y, "labels": labels}


ARRAYS = {"conv2d": _conv2d, "matmul": _matmul, "pool": _pool, "flat": _flat, "rows": _rows}
