"""Hold what people write, layers and losses, to its promises: the first time that it runs, with a word on the mistake.

What fastcnn has itself is trusted. Of a layer of somebody's own, every forward must give a pair; the rest is looked at
once for each shape of a sample, in training and in evaluation. The other calls cost nothing more.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastcnn.errors import ConfigError, ShapeError

SEEN = "_fastcnn_seen"  # attribute of a layer: in which mode it was looked at, and with samples of which shapes
FORWARD = "forward must return a pair (y, backward), where backward(dy) gives dx, the gradient of the input"

Forward = tuple[Any, Callable[..., Any]]


def is_custom(part: Any, method: str = "forward") -> bool:
    """Whether somebody else wrote this method of a layer or a loss."""
    module = getattr(getattr(type(part), method), "__module__", None)  # None of what was run by exec
    return not (module or "").startswith("fastcnn.")


class Untouched:
    """Arrays that a call has no business to change, as they were before it."""

    def __init__(self, arrays: Iterable[Any]) -> None:
        writable = (array for array in arrays if isinstance(array, np.ndarray) and array.flags.writeable)
        self.kept = [(array, array.copy()) for array in writable]

    def check(self, who: str, what: str) -> None:
        """Raise a ConfigError if one has changed, with all of them put back."""
        if all(np.array_equal(array, before, equal_nan=array.dtype.kind == "f") for array, before in self.kept):
            return
        for array, before in self.kept:
            array[...] = before
        raise ConfigError(f"{who}: {what}, which others read, too; work on a copy: x = x + 1 and not x += 1")


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
    seen: set[Any] = vars(layer).setdefault(SEEN, set())
    if case in seen:
        return checked_pair(layer.forward(x, training), layer.who, FORWARD, training is None)
    check_signature(layer)
    untouched = Untouched(inputs)
    y, backward = checked_pair(layer.forward(x, training), layer.who, FORWARD, training is None)
    untouched.check(layer.who, "forward changed its input")
    shapes = tuple(part.shape for part in inputs)
    promised = tuple(layer.output_shape(shapes if layer.takes_many else shapes[0]))
    got = getattr(y, "shape", promised)  # models complain themselves of what is no array of their dtype
    if got != promised:
        raise ShapeError(
            f"{layer.who}: its output_shape says {promised}, but its forward gave {got}; "
            "write output_shape(self, input_shape), or mend forward"
        )
    if backward is None:
        seen.add(case)
        return y, backward

    def watched_backward(dy: Any) -> Any:
        untouched_dy = Untouched(dy if isinstance(dy, tuple) else (dy,))
        dx = backward(dy)
        untouched_dy.check(layer.who, "backward changed its dy")
        untouched.check(layer.who, "backward changed the input of forward")
        seen.add(case)
        return dx

    if training is None:
        seen.add(case)
    return y, watched_backward


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
