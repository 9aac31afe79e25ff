"""Whom a trainer tells how training goes: the base of callbacks, and what is asked of them before."""

import inspect
import re
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastcnn.errors import ConfigError
from fastcnn.metrics import BatchMetrics, EpochMetrics
from fastcnn.model import Model

if TYPE_CHECKING:
    from fastcnn.trainer import Trainer

ELSEWHERE = re.compile(  # on_train_batch_end, on_epoch_begin: as Keras, Lightning and others call their methods
    r"on_(?P<what>(train(ing)?|fit|test|val(id(ation)?)?|evaluat(e|ion)|predict(ion)?|sanity_check)_?)?"
    r"(?P<each>(epoch|batch|step|iteration|minibatch)s?_?)?(?P<when>begin|start|started|end|ended|complete|completed)"
)
OTHERS = re.compile(r"on_(before|after|save_checkpoint|load_checkpoint|exception)(_.*)?")


class Callback:
    """Is told how training goes. Override what you want to know; what you raise ends the training.

    Set ``trainer.should_stop = True`` to end it in good order, before the next step. One that is used for several
    models, one after the other, gets `begin_anew` before each but the first.

    >>> class Patience(Callback):
    ...     def on_epoch(self, trainer, metrics):
    ...         trainer.should_stop = metrics.cost < 0.1
    """

    _model: Any = None  # a weak reference to that of the last fit

    def begin_anew(self) -> None:
        """Forget what was: `Trainer.fit` is to begin with another model than the last that this callback heard of."""

    def on_start(self, trainer: "Trainer") -> None:
        """When `Trainer.fit` begins."""

    def on_compile(self, trainer: "Trainer", done: int, total: int) -> None:
        """While kernels are compiled for the GPU, which is done once: at first, and after each of them."""

    def on_batch(self, trainer: "Trainer", metrics: BatchMetrics) -> None:
        """After each step."""

    def on_epoch(self, trainer: "Trainer", metrics: EpochMetrics) -> None:
        """After each epoch and its evaluation."""

    def on_end(self, trainer: "Trainer") -> None:
        """When `Trainer.fit` ends, also by an error or a Ctrl-C; the last callback first."""

    def __getstate__(self) -> dict[str, Any]:
        """All but the weak reference, which no pickle takes."""
        return {name: value for name, value in vars(self).items() if name != "_model"}


def introduce(callbacks: Iterable[Callback], model: Model) -> None:
    """Have those begin anew that were told of another model before."""
    for callback in callbacks:
        if callback._model is not None and callback._model() is not model:
            callback.begin_anew()
        callback._model = weakref.ref(model)


def checked_callbacks(given: Any) -> list[Callback]:
    """The callbacks as a list, if that is what all are; a single one, or None, has no place there."""
    what, remedy = "Trainer: callbacks must be a list of instances of", "write callbacks=[...]"
    if not isinstance(given, Iterable):
        got = given.__name__ if isinstance(given, type) else type(given).__name__
        raise ConfigError(f"{what} Callback, got {got} alone; {remedy}")
    callbacks = list(given)
    for callback in callbacks:
        check_kind(callback, Callback, what, remedy)
        _check_methods(callback)
    return callbacks


def check_kind(value: Any, kind: type[Any], what: str, remedy: str) -> None:
    """Raise a ConfigError unless the value is an instance of the kind."""
    if isinstance(value, type):
        raise ConfigError(f"{what} {kind.__name__}, got the class {value.__name__}; make an instance of it")
    if not isinstance(value, kind):
        raise ConfigError(f"{what} {kind.__name__}, got {type(value).__name__}; {remedy}")


def _check_methods(callback: Callback) -> None:
    """Raise a ConfigError for a method that nobody would call, or that can't be called as it would be."""
    known = {name for name in vars(Callback) if name.startswith("on_")}
    who = f"Trainer: the callback {type(callback).__name__}"
    for name in dir(callback):
        if name in known:
            method = getattr(callback, name)
            expected = list(inspect.signature(getattr(Callback, name)).parameters)
            try:
                inspect.signature(method).bind(*expected[1:])
            except TypeError:
                raise ConfigError(
                    f"{who}: {name} is called with ({', '.join(expected[1:])}); write def {name}({', '.join(expected)})"
                ) from None
            except ValueError:  # it says nothing of its arguments
                continue
        elif name.startswith("on_") and (remedy := _remedy(name, known)):
            raise ConfigError(f"{who} has a method {name}, which is never called; {remedy}")


def _remedy(name: str, known: set[str]) -> str:
    """What to do about a method of this name; nothing for one that may be the callback's own affair."""
    if found := ELSEWHERE.fullmatch(name):
        each, what = found["each"] or "", found["what"] or ""
        moment = "on_epoch" if each.startswith("epoch") else "on_batch" if each else ""
        if found["when"].startswith(("begin", "start")):
            if moment or what.startswith(("test", "val", "eval", "pred", "sanity")):
                return "none is, before an epoch or a batch: on_start comes first, on_batch and on_epoch after each"
            return "call it on_start(self, trainer)"
        if what.startswith(("test", "val", "eval", "pred", "sanity")):
            moment = "on_epoch"
        return f"call it {moment}(self, trainer, metrics)" if moment else "call it on_end(self, trainer)"
    if OTHERS.fullmatch(name):
        return f"there are {', '.join(sorted(known))}"
    from difflib import get_close_matches  # here, for few need it

    close = get_close_matches(name, sorted(known), 1, 0.8)
    return f"call it {close[0]}" if close else ""
