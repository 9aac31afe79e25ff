"""What the backend needs of a device: memory, copies, launches. One is current; the first to ask makes it.

That is the GPU, see `fastcnn.backends.cuda.nvidia`. Tests put another in its place, which runs the same kernels thread
by thread on the CPU.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from fastcnn.backends.cuda.language import Kernel


class Device(Protocol):
    """A device; all it does is done in order.

    Attributes:
        name: What it is called.
        place: What DLPack calls it: the kind of device, and its number.
    """

    name: str
    place: tuple[int, int]

    def allocate(self, size: int) -> Any:
        """Memory of `size` bytes, whatever stands there, as a thing that `at` takes; let go with the thing."""

    def borrow(self, address: int, size: int, owner: Any) -> Any:
        """The same for `size` bytes of somebody else's memory on the device; keeps the owner."""

    def address(self, memory: Any) -> int:
        """Where the memory begins."""

    def finish(self, stream: int | None = None) -> None:
        """Wait until all that was asked for is done; or all that somebody asked of another of CUDA's streams."""

    def at(self, memory: Any, start: int, dtype: np.dtype[Any], size: int) -> Any:
        """What a kernel gets for `size` elements from byte `start` of the memory."""

    def write(self, memory: Any, start: int, values: np.ndarray[Any, Any]) -> None:
        """Copy a C-contiguous array of the host to byte `start` of the memory."""

    def read(self, memory: Any, start: int, into: np.ndarray[Any, Any]) -> None:
        """Copy from byte `start` of the memory to a C-contiguous array of the host, when all before it is done."""

    def copy(self, source: Any, start: int, target: Any, to: int, size: int) -> None:
        """Copy `size` bytes from one memory of the device to another."""

    def launch(self, kernel: Kernel, grid: Sequence[int], block: Sequence[int], arguments: Sequence[Any]) -> None:
        """Run the kernel in a grid of blocks, both given as one to three sizes.

        Arguments are what `at` gave, or numbers.
        """

    def prepare(self, kernels: Iterable[Kernel], told: Callable[[int, int], None], processes: int) -> None:
        """Compile what isn't yet of kernels that will be launched, `processes` at once; else `launch` does it singly.

        ``told(done, total)`` is called at first and after each one, if there are any, and may raise to end it.
        """

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what `work` launches and copies on the device, without doing it; the result does it, again and again.

        Each kernel must have been launched before. Arrays that `work` makes belong to the record; those that it only
        uses have to live as long. It may not exchange anything with the host.
        """


_current: list[Device] = []


def current() -> Device:
    """The device in use.

    Raises:
        CudaError: if this machine has none, or no package to use it by; says which.
    """
    if not _current:
        from fastcnn.backends.cuda.nvidia import NvidiaDevice  # what it imports takes long, and may be missing

        _current.append(NvidiaDevice())
    return _current[-1]


@contextmanager
def use(device: Device) -> Iterator[Device]:
    """Let another device be the current one for a while."""
    _current.append(device)
    try:
        yield device
    finally:
        _current.remove(device)
