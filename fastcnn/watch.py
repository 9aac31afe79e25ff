"""Looking on while models compute: the shape of every layer's output, where the time goes, where a NaN began.

A watch is a context manager. Models of the same thread tell it of each of their layers, those of inner models
by dotted names, and know nothing else of it:

>>> model = fc.Sequential(fc.Conv2d(1, 4, 3), fc.ReLU(), fc.Flatten(), fc.Linear(144, 10), input_shape=(1, 8, 8))
>>> with fc.watch.ShapePrinter():
...     y = model(np.ones((2, 1, 8, 8), np.float32))
conv1         Conv2d        (2, 4, 6, 6)
relu1         ReLU          (2, 4, 6, 6)
flatten1      Flatten       (2, 144)
linear1       Linear        (2, 10)
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from time import perf_counter
from typing import Any, ClassVar, Self

import numpy as np

from fastcnn.backends.choice import host
from fastcnn.errors import ConfigError
from fastcnn.layers.contract import run_forward
from fastcnn.layers.layer import Backward, Layer, Training
from fastcnn.layers.parameter import Array
from fastcnn.printable import printable
from fastcnn.tables import table

_watching: ContextVar["Watch | None"] = ContextVar("watch", default=None)


def current() -> "Watch | None":
    """The watch that was entered last in this thread, if any."""
    return _watching.get()


def part(name: str) -> AbstractContextManager[None]:
    """Tell the watch, if there is one, how long the block took: a part of a training step that is no layer."""
    watch = current()
    return UNWATCHED if watch is None else _timed(watch, name)


UNWATCHED = nullcontext()


@contextmanager
def _timed(watch: "Watch", name: str) -> Iterator[None]:
    started = perf_counter()
    yield
    watch.on_part(name, perf_counter() - started)


class Watch:
    """Base of the watches. Override what you want to know; names are as in summaries: ``block1.conv2``."""

    def on_output(self, name: str, layer: Layer, y: Array, training: bool, seconds: float) -> None:
        """After the forward of a layer; `training` is False in evaluation."""

    def on_gradient(self, name: str, layer: Layer, dx: Any, seconds: float) -> None:
        """After the backward of a layer; `dx` is what it returned."""

    def on_part(self, name: str, seconds: float) -> None:
        """After another part of a training step: "loss" or "optimizer"."""

    takes_stages: ClassVar[bool] = False  # whether it is told of stages (fastcnn.fuse) as models run them, or of layers
    input_shape: Any = ()  # of the layer that on_output tells of; a tuple of shapes where it takes several arrays
    _before: "Token[Watch | None] | None" = None  # while it is entered

    def __enter__(self) -> Self:
        if self._before is not None:
            raise ConfigError(f"{type(self).__name__}: is entered already; make a second one")
        self._path: list[str] = []
        self._before = _watching.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._before is not None
        _watching.reset(self._before)
        self._before = None

    def forward(self, layer: Layer, x: Any, training: Training | None, inner: bool) -> tuple[Any, Backward]:
        """``layer.forward``, watched; called by models. Of an inner model, its layers are told instead of itself."""
        self._path.append(str(layer.name))
        name = ".".join(self._path)
        started = perf_counter()
        try:
            y, backward = run_forward(layer, x, training)
        finally:
            self._path.pop()
        if inner:
            return y, backward
        self.input_shape = tuple(part.shape for part in x) if layer.takes_many else x.shape
        self.on_output(name, layer, y, training is not None, perf_counter() - started)

        def watched_backward(dy: Array) -> Any:
            started = perf_counter()
            dx = backward(dy)
            self.on_gradient(name, layer, dx, perf_counter() - started)
            return dx

        return y, watched_backward


class ShapePrinter(Watch):
    """Prints name, type and output shape of each layer as it runs, as the debug flag of MXNet's tutorial does.

    Args:
        write: Takes a line; `print` if not given.
    """

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self.write = write

    def on_output(self, name: str, layer: Layer, y: Array, training: bool, seconds: float) -> None:
        self.write(f"{printable(name, keep=''):<12}  {type(layer).__name__:<12}  {y.shape}")


class FirstNonFinite(Watch):
    """Finds the layer where infinities or NaN began: the first with one in its parameters or its output.

    Attributes:
        layer: That layer; None if there is none.
        name: Its name.
        where: For people: ``"the output of Linear 'fc1'"``.

    >>> model = fc.Sequential(fc.Linear(2, 2), fc.ReLU(), fc.Linear(2, 2))
    >>> model.layers[2].bias.data = [np.inf, 0]
    >>> with fc.watch.FirstNonFinite() as watch:
    ...     y = model(np.ones((1, 2), np.float32))
    >>> watch.where
    "bias of Linear 'linear2'"
    """

    def __init__(self) -> None:
        self.layer: Layer | None = None
        self.name: str | None = None
        self.where = ""

    def on_output(self, name: str, layer: Layer, y: Array, training: bool, seconds: float) -> None:
        if self.name is not None:
            return
        who = f"{type(layer).__name__} {name!r}"
        for parameter_name, parameter in layer.named_parameters():
            if not np.isfinite(host(parameter.data)).all():
                self.layer, self.name, self.where = layer, name, f"{parameter_name} of {who}"
                return
        if not np.isfinite(host(y)).all():
            self.layer, self.name, self.where = layer, name, f"the output of {who}"


class FirstNonFiniteGradient(Watch):
    """Finds the layer, on the way back, whose gradients were the first with infinities or NaN.

    Attributes:
        layer: That layer; None if there is none.
        name: Its name.
        where: For people: ``"the gradient of weight in Linear 'fc1'"``.
    """

    def __init__(self) -> None:
        self.layer: Layer | None = None
        self.name: str | None = None
        self.where = ""

    def on_gradient(self, name: str, layer: Layer, dx: Any, seconds: float) -> None:
        gradients = [(own, parameter.grad) for own, parameter in layer.named_parameters()]
        gradients += [("the input", part) for part in (dx if isinstance(dx, tuple) else (dx,)) if part is not None]
        for what, gradient in gradients:
            if self.layer is None and not np.isfinite(host(gradient)).all():
                self.layer, self.name = layer, name
                self.where = f"the gradient of {what} in {type(layer).__name__} {name!r}"


class Profiler(Watch):
    """Adds up the time of each layer, forward and backward, of loss and optimizer, and of all the rest.

    What a layer leaves to threads counts as long as it keeps the calling thread waiting. Evaluation is counted apart.

    GF/s are the multiplications and additions that a layer comes to, in 10^9 a second, every one counted: forward, and
    on the way back once for the weights and once for the input where its gradient is wanted. Kernels that leave out
    zeros, or get by with fewer multiplications, may so show more than the machine can do.

    Args:
        peak: Floating-point operations a second that the machine can do, `fastcnn.config.fma_peak` for one: adds each
            layer's share of it.

    >>> model = fc.Sequential(fc.Linear(2, 2), name="tiny")
    >>> with fc.watch.Profiler() as profile:
    ...     y = model(np.ones((1, 2), np.float32))
    >>> [row["layer"] for row in profile.rows()]
    ['linear1', '(rest)']
    """

    takes_stages = True

    def __init__(self, peak: float | None = None) -> None:
        self.peak = peak
        self.seconds = 0.0  # between entering and leaving
        self._layers: dict[str, tuple[str, dict[str, float]]] = {}
        self._operations: Counter[str] = Counter()  # by layer
        self._forward_operations: dict[str, int] = {}  # of the last forward in training
        self._parts: dict[str, float] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        self._entered = perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self.seconds += perf_counter() - self._entered

    def on_output(self, name: str, layer: Layer, y: Array, training: bool, seconds: float) -> None:
        self._add(name, layer, "forward" if training else "evaluation", seconds)
        operations = 2 * layer.multiply_adds(self.input_shape)
        self._operations[name] += operations
        if training:
            self._forward_operations[name] = operations

    def on_gradient(self, name: str, layer: Layer, dx: Any, seconds: float) -> None:
        self._add(name, layer, "backward", seconds)
        self._operations[name] += self._forward_operations[name] * (bool(layer.parameters()) + (dx is not None))

    def on_part(self, name: str, seconds: float) -> None:
        self._parts[name] = self._parts.get(name, 0.0) + seconds

    def _add(self, name: str, layer: Layer, direction: str, seconds: float) -> None:
        kind = type(layer).__name__
        times = self._layers.setdefault(name, (kind, dict.fromkeys(("forward", "backward", "evaluation"), 0.0)))[1]
        times[direction] += seconds

    def rows(self) -> list[dict[str, Any]]:
        """A dict per layer, other part, and the rest.

        Its keys: layer, type; seconds forward, backward, evaluation, total; gflops, 10^9 operations a second, 0 where
        there are none. The layers of a model that a layer of your own holds have rows, and their time is not its own.
        """
        rows: list[dict[str, Any]] = [
            {"layer": name, "type": kind, **times, "total": total, "gflops": 1e-9 * self._operations[name] / total}
            for name, (kind, all_times) in self._layers.items()
            for times in [self._own(name, all_times)]
            for total in [max(sum(times.values()), 1e-9)]
        ]
        rest = self.seconds - sum(row["total"] for row in rows) - sum(self._parts.values())
        for name, seconds in (*self._parts.items(), ("rest", rest)):
            nothing = dict.fromkeys(("forward", "backward", "evaluation"), 0)
            rows.append({"layer": f"({name})", "type": "", **nothing, "total": seconds, "gflops": 0})
        return rows

    def _own(self, name: str, times: dict[str, float]) -> dict[str, float]:
        """The times of a layer without those of layers inside it."""
        inside = [key for key in self._layers if key.startswith(f"{name}.")]
        top = [key for key in inside if not any(key.startswith(f"{other}.") for other in inside)]
        return {way: seconds - sum(self._layers[key][1][way] for key in top) for way, seconds in times.items()}

    def table(self) -> str:
        """The rows as text, in seconds, % of the whole, 10^9 operations a second, and these in % of the peak."""
        columns = ("forward", "backward", "evaluation", "total")
        speeds = ("GF/s",) if self.peak is None else ("GF/s", "% of peak")
        lines: list[tuple[str, ...]] = [("layer", "type", *columns, "%", *speeds)]
        for row in self.rows():
            times = (f"{row[column]:.3f}" if row[column] else "" for column in columns)
            share = 100 * row["total"] / self.seconds if self.seconds else 0.0
            lines.append((row["layer"], row["type"], *times, f"{share:.1f}", *self._speeds(row["gflops"])))
        blank = ("" for _ in columns[1:])
        lines.append(("total", "seconds", *blank, f"{self.seconds:.3f}", "100.0", *("" for _ in speeds)))
        return table(lines, right=range(2, len(lines[0])))

    def _speeds(self, gflops: float) -> tuple[str, ...]:
        """The cells of a speed."""
        shown = f"{gflops:.1f}" if gflops else ""
        if self.peak is None:
            return (shown,)
        return shown, f"{1e11 * gflops / self.peak:.0f}" if gflops else ""


def best_times(run: Callable[[], object], times: int) -> dict[str, float]:
    """The shortest of so many times that each layer took in a run, in seconds; a stage's stands at its first layer."""
    best: dict[str, float] = {}
    for _ in range(times):
        with Profiler() as profile:
            run()
        for row in profile.rows():
            prefix, dot, stage = row["layer"].rpartition(".")
            first, *others = (f"{prefix}{dot}{name}" for name in stage.split("+"))
            best |= {first: min(row["total"], best.get(first, row["total"])), **dict.fromkeys(others, 0.0)}
    return best
