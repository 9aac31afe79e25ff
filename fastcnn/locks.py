"""Locks that a forked child finds open.

A thread that holds a lock while another one forks is not in the child: there nobody would ever open that lock again.
So each is made anew in a child. Whatever it guards must be whole whenever Python code may run.
"""

import os
from typing import Any
from weakref import WeakSet

_all: "WeakSet[ForkedAnew]" = WeakSet()


class ForkedAnew:
    """Holds a lock: ``with held.lock:`` opens the one that it closed, even where the block has forked.

    Args:
        make: `threading.Lock` or `threading.RLock`.
    """

    def __init__(self, make: Any) -> None:
        self._make = make
        self.lock = make()
        _all.add(self)

    def renew(self) -> None:
        self.lock = self._make()


def _renew_all() -> None:
    for held in list(_all):
        held.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
