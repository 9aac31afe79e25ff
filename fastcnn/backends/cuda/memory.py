"""Memory of the device, kept for the next array of about that size instead of given back.

A training step asks for the same sizes as the one before, so from the second step on nothing is allocated: asking the
driver would make the host wait for the device. All work is done in one order, so a block may be handed out again while
kernels that were launched earlier still use it.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

SMALLEST = 512  # bytes; kernels read vectors of 16, and the driver deals in such pieces anyway


class Block:
    """Some memory, which goes back to its pool when nobody holds the block any more."""

    __slots__ = ("memory", "pool", "size")

    def __init__(self, pool: "Pool", memory: Any, size: int) -> None:
        self.pool = pool
        self.memory = memory
        self.size = size

    def __del__(self) -> None:
        self.pool.put(self.memory, self.size)


class Borrowed:
    """Memory of another library, which keeps it while its owner is held."""

    __slots__ = ("memory", "owner")

    def __init__(self, memory: int, owner: Any) -> None:
        self.memory = memory
        self.owner = owner


class Pool:
    """Free memory by size.

    Args:
        make: Allocates so many bytes.
        release: Gives back what `make` gave.
    """

    def __init__(self, make: Callable[[int], Any], release: Callable[[Any], None]) -> None:
        self.make = make
        self.release = release
        self.free: defaultdict[int, list[Any]] = defaultdict(list)
        self.closed = False

    def take(self, size: int) -> Block:
        """A block of at least `size` bytes."""
        size = rounded(size)
        free = self.free[size]
        return Block(self, free.pop() if free else self.make(size), size)

    def put(self, memory: Any, size: int) -> None:
        """Take back what a block had."""
        if self.closed:
            self.release(memory)
        else:
            self.free[size].append(memory)

    def close(self) -> None:
        """Give back what is free, and later the rest, when its blocks are let go."""
        self.closed = True
        self.trim()

    def trim(self) -> bool:
        """Give back what is free; whether there was anything."""
        blocks = [memory for free in self.free.values() for memory in free]
        self.free.clear()
        for memory in blocks:
            self.release(memory)
        return bool(blocks)


def rounded(size: int) -> int:
    """The size of the block for so many bytes: at most an eighth larger, so that few sizes come up."""
    size = max(size, SMALLEST)
    step = max(1 << (size.bit_length() - 4), SMALLEST)
    return -(-size // step) * step
