"""What changes from one training step to the next, where kernels find it when a recorded step is repeated.

A record repeats launches with the arguments they had. So whatever differs between steps lies in the memory of the
device: kernels that draw random numbers, update parameters or fetch a batch are given a clock and, where they need
numbers, a table with a row for each step. The clock has two counts: the steps since the record was made, which a
dropout adds to the step it was recorded in; and the row of the tables that this step reads.

Outside a record the clock stands at (0, 0), and each table has one row, made when it is asked for.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from fastcnn.backends.cuda import device
from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import DeviceArray, empty, to_device
from fastcnn.backends.cuda.kernels import steps as kernels
from fastcnn.backends.cuda.language import Kernel
from fastcnn.errors import ConfigError

AT_ONCE = 10  # steps whose numbers go to the device together

_standing: WeakKeyDictionary[device.Device, DeviceArray] = WeakKeyDictionary()  # a clock at (0, 0) for each
_records: list["Record"] = []  # the one that is being made, or whose rows are being counted out


def clock() -> DeviceArray:
    """The clock for a kernel that is launched now."""
    if _records:
        return _records[-1].clock
    here = device.current()
    if here not in _standing:
        _standing[here] = to_device(np.zeros(2, np.uint32))
    return _standing[here]


def numbers(values: Sequence[float], dtype: Any) -> DeviceArray:
    """A table for a kernel that is launched now, whose row for this step is `values`."""
    if _records:
        return _records[-1].table(values, dtype)
    return to_device(np.array([values], dtype))


class Record:
    """Work on the device that is done once a step, recorded, to be repeated with other numbers.

    Args:
        work: What to record. It must have run once before, and exchange nothing with the host.
        rows: How many steps a call of `repeat` may have.
    """

    def __init__(self, work: Callable[[], None], rows: int) -> None:
        self.rows = rows
        self.clock = to_device(np.zeros(2, np.uint32))
        self._tables: list[tuple[DeviceArray, list[Sequence[float]]]] = []
        self._next = 0  # which table is asked for next, while rows are counted out
        self._making = True

        def whole_step() -> None:
            work()
            launch(kernels.tick(), (1,), (32,), self.clock)

        launch(kernels.tick(), (1,), (32,), self.clock)  # as all that is recorded, it must have run before
        with _current(self):
            self._launch = device.current().record(whole_step)
        self._making = False

    def table(self, values: Sequence[float], dtype: Any) -> DeviceArray:
        """See `numbers`."""
        if self._making:
            table = empty((self.rows, len(values)), dtype)
            self._tables.append((table, []))
            return table
        table, rows = self._tables[self._next]
        self._next = (self._next + 1) % len(self._tables)
        rows.append(values)
        return table

    def repeat(self, steps: int, count_out: Callable[[int], None], since: int = 0) -> None:
        """Do the work of `steps` steps: while the device is at some, the host counts out the numbers of the next.

        Args:
            steps: How many.
            count_out: ``count_out(i)`` must ask for all numbers of step i, in the recorded order. What it launches is
                not run.
            since: How many steps after the recorded one the first of these is.
        """
        if steps > self.rows:
            raise ConfigError(f"Record: {steps} steps asked for, there is room for {self.rows}")
        self.clock.write([since % 2**32, 0])
        for first in range(0, steps, AT_ONCE):
            those = range(first, min(first + AT_ONCE, steps))
            with _current(self), device.use(Unmoved(device.current())):
                for step in those:
                    count_out(step)
            for table, rows in self._tables:
                table[first : those.stop].write(rows)
                rows.clear()
            for _ in those:
                self._launch()


def kernels_of(work: Callable[[], None]) -> list[Kernel]:
    """What a record of `work` launches. It is done once without launching anything: what it computes is not so."""
    unmoved = Unmoved(device.current())
    with device.use(unmoved):
        work()
    return list(dict.fromkeys([*unmoved.asked, kernels.tick()]))


class Unmoved:
    """A device that runs no kernel, copies nothing in its memory, and is the given one in all else.

    Attributes:
        asked: The kernels that it didn't run.
    """

    def __init__(self, beneath: device.Device) -> None:
        self._beneath = beneath
        self.asked: list[Kernel] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._beneath, name)

    def launch(self, kernel: Kernel, *_: Any) -> None:
        """Does not."""
        self.asked.append(kernel)

    def copy(self, *_: Any) -> None:
        """Does not, either: what it would copy has not been computed."""


@contextmanager
def _current(record: Record) -> Any:
    _records.append(record)
    try:
        yield
    finally:
        _records.remove(record)
