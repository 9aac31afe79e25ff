"""Hold what people write, layers and losses, to its promises: the first time that it runs, with a word on the mistake.

What fastcnn has itself is trusted. Of a layer of somebody's own, every forward must give a pair; the rest is looked at
once for each shape of a sample, in training and in evaluation. Later calls are held to their shapes, at no cost.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from fastcnn.errors import ConfigError, ShapeError

SEEN = "_fastcnn_seen"  # attribute of a layer: in which mode it was looked at, and with samples of which shapes
FORWARD = "forward must return a pair (y, backward), where backward(dy) gives dx, the gradient of the input"

COPY = "work on a copy: x = x + 1 and not x += 1"
COPY_WEIGHT = "that is for the optimizer; work on a copy: w = self.w.data / 2 and not w /= 2"
OTHERS = "which others read, too"

Shape = tuple[int, ...]
Forward = tuple[Any, Callable[..., Any]]


def is_custom(part: Any, method: str = "forward") -> bool:
    """Whether somebody else wrote this method of a layer or a loss."""
    kind: Any = type(part)
    return _is_custom(kind, method)


@lru_cache(maxsize=1024)  # asked for each layer in each step
def _is_custom(kind: Any, method: str) -> bool:
    module = getattr(getattr(kind, method), "__module__", None)  # None of what was run by exec
    return not (module or "").startswith("fastcnn.")


class Untouched:
    """Arrays that a call has no business to change, as they were before it."""

    def __init__(self, arrays: Iterable[Any]) -> None:
        writable = (array for array in arrays if isinstance(array, np.ndarray) and array.flags.writeable)
        self.kept = [(array, array.copy()) for array in writable]

    def check(self, who: str, what: str, remedy: str = COPY) -> None:
        """Raise a ConfigError if one has changed, with all of them put back."""
        if self.changed():
            self.put_back()
            raise ConfigError(f"{who}: {what}; {remedy}")

    def changed(self) -> list[Any]:
        """Those that are another than they were."""
        return [
            array for array, before in self.kept if not np.array_equal(array, before, equal_nan=array.dtype.kind == "f")
        ]

    def put_back(self) -> None:
        """Make all of them what they were."""
        for array, before in self.kept:
            array[...] = before


def look_at(call: Callable[[Any], Any], given: Any, who: str, what: str) -> Any:
    """``call(given)`` with arrays that can't be written into: even a change to what was there already is noticed.

    Raises:
        ConfigError: if it does write into them.
    """
    views = tuple(map(_read_only, given)) if isinstance(given, tuple) else _read_only(given)
    try:
        return call(views)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise ConfigError(f"{who}: {what}, or another array that is read-only; {COPY}") from error


def _read_only(array: Any) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    view = array.view()
    view.flags.writeable = False
    return view


def _returned(result: Any, given: Any) -> Any:
    """What a look gave: a view of what was given may be written into again, if that may."""
    for array in result if isinstance(result, tuple) else (result,):
        for whole in given if isinstance(given, tuple) else (given,):
            both = isinstance(array, np.ndarray) and isinstance(whole, np.ndarray)
            if both and not array.flags.writeable and whole.flags.writeable and np.may_share_memory(array, whole):
                with suppress(ValueError):  # of a view that is made of others
                    array.flags.writeable = True
    return result


def check_takes(function: Callable[..., Any], arguments: Sequence[str], who: str) -> None:
    """Raise a ConfigError if a function of somebody's own can't be called with these arguments, by position."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # it says nothing of its arguments
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ConfigError(f"{who} is called with ({', '.join(arguments)}), but takes {signature}") from None


def check_signature(layer: Any) -> None:
    """Raise a ConfigError if a layer's forward can't be called with an input and a training step."""
    if not is_custom(layer):
        return
    signature = inspect.signature(layer.forward)
    try:
        signature.bind("x", None)
    except TypeError:
        raise ConfigError(
            f"{layer.who}: expected forward(self, x, training), got one that takes {signature}; add the argument "
            "training, which is None in evaluation"
        ) from None


def run_forward(layer: Any, x: Any, training: Any) -> Forward:
    """``layer.forward``, held to what `fastcnn.Layer.forward` promises.

    Raises:
        ConfigError: for another result than a pair, another signature, an input or a dy that it changes.
        ShapeError: if `output_shape` says something else.
    """
    if not is_custom(layer):
        result: Forward = layer.forward(x, training)
        return result
    inputs = x if layer.takes_many else (x,)
    case = (training is None, *(part.shape[1:] for part in inputs))
    seen: dict[Any, Shape | None] = vars(layer).setdefault(SEEN, {})
    if case in seen:
        y, backward = checked_pair(layer.forward(x, training), layer.who, FORWARD, training is None)
        if (sample := seen[case]) is not None:
            _check_shape(layer, y, (*inputs[0].shape[:1], *sample))
        return y, backward
    check_signature(layer)
    untouched = Untouched(inputs)
    parameters = [] if any(before[0] == case[0] for before in seen) else layer.parameters()
    weights = Untouched(parameter.data for parameter in parameters)
    result = look_at(lambda given: layer.forward(given, training), x, layer.who, f"forward changed its input, {OTHERS}")
    y, backward = checked_pair(result, layer.who, FORWARD, training is None)
    untouched.check(layer.who, f"forward changed its input, {OTHERS}")
    _returned(y, x)
    changed = weights.changed()
    if training is None:
        weights.check(layer.who, "forward changed the values of a parameter in evaluation", COPY_WEIGHT)
    shapes = tuple(part.shape for part in inputs)
    promised = tuple(layer.output_shape(shapes if layer.takes_many else shapes[0]))
    _check_shape(layer, y, promised)
    if backward is not None:
        check_takes(backward, ("dy",), f"{layer.who}: the backward that forward returns")
    sample = promised[1:] if promised[:1] == shapes[0][:1] else None
    if training is None:
        seen[case] = sample
        return y, backward

    def watched_backward(dy: Any) -> Any:
        untouched_dy = Untouched(dy if isinstance(dy, tuple) else (dy,))
        dx = look_at(backward, dy, layer.who, f"backward changed its dy or the input of forward, {OTHERS}")
        untouched_dy.check(layer.who, f"backward changed its dy, {OTHERS}")
        untouched.check(layer.who, f"backward changed the input of forward, {OTHERS}")
        if any(np.any(one.grad) for one in parameters if any(one.data is values for values in changed)):
            weights.check(layer.who, "forward changed the values of a parameter that is trained", COPY_WEIGHT)
        seen[case] = sample
        return _returned(_returned(dx, dy), x)

    return y, watched_backward


def _check_shape(layer: Any, y: Any, promised: Shape) -> None:
    got = getattr(y, "shape", promised)  # models complain themselves of what is no array of their dtype
    if got != promised:
        raise ShapeError(
            f"{layer.who}: its output_shape says {promised}, but its forward gave {got}; "
            "write output_shape(self, input_shape), or mend forward"
        )


def checked_pair(result: Any, who: str, expected: str, may_lack_backward: bool = False) -> Forward:
    """What a method returned, if it is a result and a function; `expected` says so for messages."""
    if isinstance(result, tuple | list) and len(result) == 2:
        y, backward = result
        if callable(backward) or (backward is None and may_lack_backward):
            return y, backward
        got = f"{_kind(backward)} in place of backward"
    else:
        got = f"{len(result)} things" if isinstance(result, tuple | list) else f"{_kind(result)} alone"
    raise ConfigError(f"{who}: {expected}, got {got}")


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"an array of shape {shape}"
