"""A device for tests: runs GPU kernels on the CPU, one block after another, the threads of a block as greenlets.

Each thread runs until it waits, at a barrier or in a shuffle, or ends; then the next one does. Whoever reads what
another thread writes without a barrier between reads too early, in one of the two orders that threads can take here,
and finds what stood there before: NaN in floats, an absurd number in integers. Indices outside an array, numbers below
zero that should be unsigned, and barriers that only part of a block reaches are errors here; a GPU would say nothing.
"""

import ctypes
import dis
import sys
from contextvars import copy_context
from itertools import product

import numpy as np
import pytest

from fastcnn.backends.cuda import language

pytest.importorskip("greenlet", reason="kernels run on the CPU as greenlets")
from greenlet import getcurrent, greenlet

ABSURD = 0x5A
WARP = 32


class KernelFault(Exception):
    """A kernel did what no kernel may."""


class Integer:
    """An integer type, as a function that converts to it and as the type of an array's elements."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)
        self.bounds = np.iinfo(dtype)

    def __call__(self, value):
        value = int(value)
        if value < self.bounds.min or (self.bounds.min < 0 and value > self.bounds.max):
            raise KernelFault(f"takes {value} for {self.dtype}")
        return value & self.bounds.max if self.bounds.min == 0 else value


class Memory:
    """An array as a kernel sees it: flat, and no index leaves it."""

    __slots__ = ("array", "floating")

    def __init__(self, array):
        self.array = array
        self.floating = array.dtype.kind == "f"

    @classmethod
    def poisoned(cls, size, element):
        array = np.empty(size, element.dtype if isinstance(element, Integer) else element)
        array.view(np.uint8)[...] = ABSURD
        if array.dtype.kind == "f":
            array[...] = np.nan
        return cls(array)

    def __getitem__(self, i):
        if not 0 <= i < self.array.size:
            raise KernelFault(f"reads element {i} of {self.array.size}")
        value = self.array[i]
        return value if self.floating else int(value)

    def __setitem__(self, i, value):
        if not 0 <= i < self.array.size:
            raise KernelFault(f"writes element {i} of {self.array.size}")
        self.array[i] = value


class Three:
    """Sizes or positions along three axes."""

    __slots__ = ("x", "y", "z")

    def __init__(self, x=1, y=1, z=1):
        self.x, self.y, self.z = x, y, z


class Shared:
    """`cuda.shared`: an array for each place in the code that asks, the same for all threads of the block."""

    def __init__(self):
        self.arrays = {}

    def array(self, size, element, alignment=None):
        frame = sys._getframe(1)
        place = (frame.f_code, frame.f_lasti)
        if place not in self.arrays:
            self.arrays[place] = Memory.poisoned(size, element)
        return self.arrays[place]


class Local:
    """`cuda.local`: an array for each thread."""

    @staticmethod
    def array(size, element, alignment=None):
        return Memory.poisoned(size, element)


class Thread(greenlet):
    """A thread of a block, with its place there."""

    def __init__(self, body, place, number):
        super().__init__(body)
        self.gr_context = copy_context()  # NumPy's settings for errors are found there
        self.place = place
        self.lane, self.warp = number % WARP, number // WARP


class Words:
    """`cuda`, as the threads of one block see it."""

    def __init__(self, grid, block, position, without=None):
        self.without = without
        self.gridDim, self.blockDim, self.blockIdx = grid, block, position
        self.shared, self.local = Shared(), Local()
        self.hub = getcurrent()

    @property
    def threadIdx(self):
        return getcurrent().place

    @property
    def laneid(self):
        return getcurrent().lane

    def syncthreads(self):
        caller = sys._getframe(1)
        if (caller.f_code, caller.f_lineno) != self.without:
            self.hub.switch("block", None)

    def syncwarp(self, mask=0xFFFFFFFF):
        self.hub.switch("warp", (mask, None))

    def shfl_sync(self, mask, value, lane):
        return self._exchanged(mask, value, lane % WARP)

    def shfl_xor_sync(self, mask, value, lanes):
        return self._exchanged(mask, value, getcurrent().lane ^ lanes)

    def shfl_down_sync(self, mask, value, lanes):
        lane = getcurrent().lane
        return self._exchanged(mask, value, lane + lanes if lane + lanes < WARP else lane)

    def _exchanged(self, mask, value, lane):
        values = self.hub.switch("warp", (mask, value))
        if lane not in values:
            raise KernelFault(f"takes the value of lane {lane}, which has none")
        return values[lane][1]


def run_block(body, arguments, words, order):
    """Run one block to its end."""
    size = words.blockDim
    places = [Three(x, y, z) for z, y, x in product(range(size.z), range(size.y), range(size.x))]
    threads = [Thread(body, place, number) for number, place in enumerate(places)][::order]
    waits = {thread: thread.switch(*arguments) for thread in threads}
    while waits := {thread: wait for thread, wait in waits.items() if not thread.dead}:
        warps = {}
        for thread, (where, value) in waits.items():
            if where == "warp":
                warps.setdefault(thread.warp, {})[thread.lane] = value
        if warps:
            for warp, values in warps.items():
                here = {thread: wait for thread, wait in waits.items() if thread.warp == warp}
                if any(where == "block" for where, _ in here.values()):
                    raise KernelFault("part of a warp waits for the block, the rest in a shuffle")
                lanes = range(min(WARP, len(threads) - warp * WARP))
                for lane in (lane for lane in lanes if any(mask >> lane & 1 for mask, _ in values.values())):
                    if lane not in values:
                        raise KernelFault(f"lane {lane} takes no part in what its warp waits for")
            waits = {
                thread: thread.switch(warps[thread.warp]) if wait[0] == "warp" else wait
                for thread, wait in waits.items()
            }
        elif len(waits) < len(threads):
            raise KernelFault(f"only {len(waits)} of the block's {len(threads)} threads reach a barrier")
        else:
            waits = {thread: thread.switch() for thread in threads}


def barriers(function):
    """Where the function, or what is put in the place of its calls, waits for the block: code and line of each."""
    code, called = function.__code__, [cell.cell_contents for cell in function.__closure__ or ()]
    called += [function.__globals__.get(name) for name in code.co_names]
    found = {(code, one.positions.lineno) for one in dis.get_instructions(code) if one.argval == "syncthreads"}
    return found.union(*(barriers(one.function) for one in called if isinstance(one, language.Inline)))


class Borrowed(np.ndarray):
    """Memory with an owner."""


class SimtDevice:
    """The device; threads take turns from the first to the last, or with `order` -1 from the last to the first.

    One barrier, `without`, of those that `barriers` finds, can be left out, to see whether a test sees it.
    """

    name = "a GPU played by the CPU"
    place = (1, 0)  # DLPack's CPU

    def __init__(self, order=1, without=None):
        self.order = order
        self.without = without
        self.launched = []  # names of kernels
        self.finished = []  # streams that were waited for
        self.recording = None  # a list while launches and copies are recorded

    def allocate(self, size):
        return np.full(size, 0xFF, np.uint8)  # NaN, as float32 and float64

    def borrow(self, address, size, owner):
        memory = np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8).view(Borrowed)
        memory.owner = owner
        return memory

    def address(self, memory):
        return memory.ctypes.data

    def finish(self, stream=None):
        self.finished.append(stream)

    def at(self, memory, start, dtype, size):
        return Memory(memory[start : start + size * dtype.itemsize].view(dtype))

    def write(self, memory, start, values):
        self._not_recording()
        memory[start : start + values.nbytes] = values.reshape(-1).view(np.uint8)

    def read(self, memory, start, into):
        self._not_recording()
        into.reshape(-1).view(np.uint8)[...] = memory[start : start + into.nbytes]

    def copy(self, source, start, target, to, size):
        self._do(lambda: target.__setitem__(slice(to, to + size), source[start : start + size]))

    def launch(self, kernel, grid, block, arguments):
        self._do(lambda: self._run(kernel, grid, block, arguments))

    def prepare(self, kernels, told, processes):
        pass

    def record(self, work):
        self.recording = done = []
        try:
            work()
        finally:
            self.recording = None
        return lambda: [one() for one in done]

    def _not_recording(self):
        if self.recording is not None:
            raise KernelFault("exchanges something with the host while work is recorded")

    def _do(self, one):
        one() if self.recording is None else self.recording.append(one)

    def _run(self, kernel, grid, block, arguments):
        grid, block = Three(*grid), Three(*block)
        threads = block.x * block.y * block.z
        if not 1 <= threads <= kernel.threads <= 1024 or grid.y > 65535 or grid.z > 65535:
            raise KernelFault(f"{kernel.name}: {threads} threads of {kernel.threads}, grid y {grid.y}, z {grid.z}")
        if grid.x * grid.y * grid.z == 0:
            raise KernelFault(f"{kernel.name}: an empty grid")
        if len(arguments) != len(kernel.arguments):
            raise KernelFault(f"{kernel.name}: {len(arguments)} arguments for {len(kernel.arguments)}")
        self.launched.append(kernel.name)
        with np.errstate(all="ignore"):
            taken = [self._taken(kernel, *pair) for pair in zip(kernel.arguments, arguments, strict=True)]
            for z, y, x in product(range(grid.z), range(grid.y), range(grid.x)):
                words = Words(grid, block, Three(x, y, z), self.without)
                body = language.spoken(kernel.body, {**TYPES, language.cuda: words}, lambda function: function)
                try:
                    run_block(body, taken, words, self.order)
                except KernelFault as fault:
                    raise KernelFault(f"{kernel.name}, block ({x}, {y}, {z}): {fault}") from None

    @staticmethod
    def _taken(kernel, declared, given):
        pointer = isinstance(declared, language.Pointer)
        meaning = TYPES[declared.element if pointer else declared]
        expected = np.dtype(meaning.dtype if isinstance(meaning, Integer) else meaning)
        if pointer != isinstance(given, Memory) or (pointer and given.array.dtype != expected):
            raise KernelFault(f"{kernel.name}: {given!r} given for {'a pointer to ' * pointer}{expected}")
        return given if pointer else meaning(given)


TYPES = {
    language.float32: np.float32,
    language.float64: np.float64,
    **{word: Integer(word.name) for word in language.TYPES if "int" in word.name},
    language.exp: np.exp,
    language.log: np.log,
    language.sqrt: np.sqrt,
    language.tanh: np.tanh,
}
