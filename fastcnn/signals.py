"""Signals at the right moment: a Ctrl-C that waits until work that must stay whole is through.

`held_signals` and `deferred` hold every signal that Python code handles (Ctrl-C, in most programs; SIGTERM or a batch
system's SIGUSR1 where somebody set a handler) and call that handler later. Signals that the system handles, such as a
SIGTERM that nobody set a handler for, and SIGKILL, wait for no one. In a thread other than the main one both do
nothing: Python handles signals in the main thread alone. `ENDING` are those that end the command lines.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], object]

# What ends a command early: Ctrl-C, those who look after processes, a terminal that goes away, and what batch systems
# send some time before they kill. Not all systems have all of them.
ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
    if hasattr(signal, name)
)
REPEATED = getattr(signal, "SIGXCPU", None)  # the kernel sends it every second from the limit of CPU time on
IMPATIENCE = 0.2  # seconds; a keypress may arrive twice, once by way of a parent process, but not that far apart


def handle_ending(handler: Handler) -> None:
    """Let a handler take all signals of `ENDING`, but those that this process was started to ignore (by nohup, say)."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def end_at_once(number: int, frame: FrameType | None = None) -> Any:
    """A handler for a process with nothing to lose, one that is still importing: end it, with a word."""
    with suppress(Exception):
        print("interrupted", file=sys.stderr, flush=True)
    os._exit(128 + number)


class Deferral:
    """Signals that came and are yet to be handled; see `deferred`."""

    def __init__(self, patient: bool) -> None:
        self.handlers: dict[int, Handler] = {}
        self._patient = patient
        self._held: dict[int, FrameType | None] = {}
        self._first = 0.0  # when the oldest of those held came
        self._open = False

    def land(self) -> None:
        """Call the handlers of the signals that came, here and now.

        If one raises, as that of Ctrl-C does, those after it are not called any more.
        """
        held, self._held = self._held, {}
        for number, frame in held.items():
            self.handlers[number](number, frame)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler that stands in for all others: keep the signal, or pass it on at once."""
        now = time.monotonic()
        if not self._held:
            self._first = now
        impatient = not self._patient and now - self._first > IMPATIENCE and number != REPEATED
        self._held[number] = frame
        if self._open or impatient:
            self.land()

    def start(self) -> None:
        """Stand in for the handlers there are."""
        for number in {*signal.valid_signals()}:
            handler = signal.getsignal(number)
            if callable(handler):
                self.handlers[int(number)] = handler
                signal.signal(number, self.receive)

    def end(self) -> None:
        """Give the signals back to their handlers, then land what came.

        A handler may raise before all are back. The others stay behind `receive`, which holds nothing from now on.
        """
        self._open = True
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.land()


@contextmanager
def held_signals() -> Iterator[None]:
    """Let signals take effect only when the block is through; for short ones, such as the writing of a file.

    >>> with held_signals():
    ...     pass                            # a Ctrl-C that comes here is raised after this line
    """
    with _deferred(patient=True):
        yield


@contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Let signals take effect only where the block says so, by calling the function that it gets.

    That function does what the handlers would have done at once: it raises KeyboardInterrupt after a Ctrl-C, and
    returns if nothing came. For long blocks: whoever sends a second signal while the first still waits, more than
    0.2 seconds after it, means *now*, and both are handled at once. What still waits at the end is handled there.

    >>> with deferred() as land:
    ...     for step in range(3):
    ...         land()                      # a Ctrl-C is raised here, never in the middle of a step
    """
    with _deferred(patient=False) as deferral:
        yield deferral.land


@contextmanager
def _deferred(patient: bool) -> Iterator[Deferral]:
    deferral = Deferral(patient)
    if threading.current_thread() is not threading.main_thread():
        yield deferral
        return
    try:
        deferral.start()
        yield deferral
    finally:
        deferral.end()
