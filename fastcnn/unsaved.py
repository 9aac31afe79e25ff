"""What a layer has become that a file would lose: running averages, counters, random generators that have drawn.

A file keeps parameters, and the arguments of constructors. Whether that is all shows when the model is made anew from
them: its layers must then have the attributes of those that are to be saved. So constants that a constructor works out
may be arrays, what a forward has changed since may not.
"""

import random
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from fastcnn.backends.choice import host, on_device
from fastcnn.graph import Sequential
from fastcnn.layers import ReLU
from fastcnn.layers.contract import SEEN
from fastcnn.layers.layer import Layer
from fastcnn.layers.parameter import Parameter
from fastcnn.model import Model

MISSING = object()


class Lost(NamedTuple):
    """An attribute that a file would lose.

    Attributes:
        layer: Whose.
        name: Its name, with that of what is off inside it: ``stats.mean``.
    """

    layer: Layer
    name: str


def first_lost(model: Model, again: Model) -> Lost | None:
    """The first attribute that is another in a model made anew from what a file keeps of it; None if all are equal."""
    waiting: list[tuple[Layer, Layer]] = [(model, again)]
    while waiting:
        layer, other = waiting.pop()
        comparison = _Comparison()
        mine, others = _attributes(layer), _attributes(other)
        for name, value in mine.items():
            for place in comparison.differences(name, value, others.get(name, MISSING)):
                return Lost(layer, place)
        if isinstance(layer, Model) and isinstance(other, Model):
            comparison.layers += zip(layer.layers, other.layers, strict=False)
        waiting += reversed(comparison.layers)
    return None


def _attributes(layer: Layer) -> dict[str, Any]:
    """Those that say how a layer computes, but for weights and for what a model is wired of."""
    transient = (layer.transient,) if isinstance(layer.transient, str) else layer.transient
    ignored = {"name", SEEN, *transient, *(MODEL if isinstance(layer, Model) else ())}
    return {name: value for name, value in vars(layer).items() if name not in ignored and not name.endswith("_init")}


MODEL = set(vars(Sequential(ReLU())))
GENERATORS: dict[type[Any], Callable[[Any], Any]] = {
    np.random.Generator: lambda generator: generator.bit_generator.state,
    np.random.RandomState: lambda generator: generator.get_state(legacy=False),
    np.random.SeedSequence: lambda sequence: sequence.state,
    random.Random: lambda generator: generator.getstate(),
}


class _Comparison:
    """Of two values of an attribute, however deep.

    Attributes:
        layers: The pairs of layers that were met, which are compared by themselves.
    """

    def __init__(self) -> None:
        self.layers: list[tuple[Layer, Layer]] = []
        self._met: list[tuple[Any, Any]] = []  # held, for the ids of what is gone are given away again
        self._ids: set[tuple[int, int]] = set()

    def differences(self, place: str, value: Any, other: Any) -> Iterator[str]:
        """The places where the value isn't like the other; None, and what says nothing of itself, is like anything."""
        if value is other or value is None or isinstance(value, Parameter):
            return
        if isinstance(value, Layer):
            self.layers += [(value, other)] if isinstance(other, Layer) else []
        elif isinstance(value, np.ndarray) or on_device(value):
            if other is MISSING or not _equal(host(value), np.asarray(host(other))):
                yield place
        elif isinstance(value, bool | int | float | complex | str | bytes | np.generic | set | frozenset):
            if not (value == other or (value != value and other != other)):  # NaN is as NaN
                yield place
        elif (id(value), id(other)) not in self._ids and not _calls_itself_equal(value, other):
            self._ids.add((id(value), id(other)))
            self._met.append((value, other))
            mine, others = _items(value), _items(other)
            if len(mine) < len(others):
                yield place
            for key, item in mine.items():
                yield from self.differences(f"{place}.{key}", item, others.get(key, MISSING))


def _items(value: Any) -> dict[Any, Any]:
    """What is in a value, by keys, indices or the names of attributes."""
    for kind, state_of in GENERATORS.items():
        if isinstance(value, kind):
            return {"state": state_of(value)}
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple | deque) or (isinstance(value, np.ndarray) and value.ndim):
        return dict(enumerate(value))
    if isinstance(value, bytearray | memoryview | array):
        return {"bytes": bytes(value)}
    if isinstance(value, type | ModuleType | FunctionType | MethodType) or hasattr(value, "__wrapped__"):
        return {}  # what computes, compiled or with a cache, not what was computed
    slots = {
        name: getattr(value, name) for kind in type(value).__mro__ for name in _slots(kind) if hasattr(value, name)
    }
    return slots | getattr(value, "__dict__", {})


def _slots(kind: type[Any]) -> tuple[str, ...]:
    """The names of the attributes for which a class of somebody's own keeps places."""
    if type(vars(kind).get("__slots__", ())) is str:
        return (vars(kind)["__slots__"],)
    return tuple(vars(kind).get("__slots__", ()))


def _calls_itself_equal(value: Any, other: Any) -> bool:
    """Whether a class that can tell says so, whatever else its objects keep, as a path its text."""
    with suppress(Exception):  # of arrays inside, and of anything that somebody else wrote
        return bool(value == other)
    return False


def _equal(array: Any, other: Any) -> bool:
    are_numbers = {array.dtype.kind, other.dtype.kind} <= set("fc")
    return bool(np.array_equal(array, other, equal_nan=are_numbers))
