"""Parameters, and the arenas they live in.

All parameters of a model lie one after another in two flat arrays, one of values and one of gradients: an
optimizer updates them in one call, a checkpoint is one write. ``Parameter.data`` and ``.grad`` are views
into the two. A parameter keeps them, but not for its copies: all that these are given is their arena and their
place there, so a model may be copied and pickled.

Nothing is allocated or drawn until somebody looks. Until then a parameter may move into another arena (a
layer into a model, a model into a larger one) and is drawn with that one's dtype and seed; values that exist
already move along. Several threads may be the first to look; moving is for one thread alone.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastcnn.backends.choice import as_array, backend_of, beside, host, on_device
from fastcnn.errors import ConfigError, DTypeError, ShapeError
from fastcnn.init import Initialiser, zeros
from fastcnn.layers.arguments import whole
from fastcnn.locks import ForkedAnew

Array = NDArray[Any]

LINE = 64  # bytes that a cache moves at once, and the longest vector of any CPU

_settling = ForkedAnew(RLock)  # held while parameters get a place or values; one for all, so arenas can be copied


class Parameter:
    """A learnable array and its gradient.

    Args:
        shape: Sizes, each at least 1.
        init: What it starts with, see `fastcnn.init`; zeros if not given.
        name: For messages and state dicts; the model that holds it sets it (``conv1.weight``).

    Raises:
        ConfigError: for a shape that is no tuple of such sizes, or an initialiser that is no function.
        ShapeError: for more entries than memory can hold.

    A parameter outside any model is float32 and drawn with seed 0. Views taken from ``data`` before the
    parameter joins a model stay behind: take them afterwards.

    >>> scale = fc.Parameter((2, 3))
    >>> scale.data[...] = 1                    # in place
    >>> scale.data = np.ones((2, 3))           # copies in, after a check of the shape
    >>> scale.grad
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """

    def __init__(self, shape: Iterable[int], init: Initialiser = zeros, name: str = "parameter") -> None:
        try:
            sizes = tuple(shape)
        except TypeError:
            raise ConfigError(f"{name}: shape must be a tuple, such as (3,) for three values, got {shape!r}") from None
        if isinstance(init, type) or not callable(init):
            raise ConfigError(f"{name}: init must be a function such as fastcnn.init.he_normal(), got {init!r}")
        self.shape = tuple(whole(size, f"{name}: each size of the shape") for size in sizes)
        self.size = math.prod(self.shape)
        if self.size >= 2**60:
            raise ShapeError(f"{name}: shape {self.shape} has more entries than memory can hold")
        self.init = init
        self.name = name
        self.arena: Arena | None = None
        self.start = 0  # where in the arena
        self.luggage: Array | None = None  # values from an earlier arena, until somebody looks into this one
        self._views: tuple[Any, Array, Array] | None = None  # the arena's two arrays, and the parts that are its own

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values, its arena's; asking for it draws none."""
        return np.dtype(np.float32) if self.arena is None else self.arena.dtype

    @property
    def backend(self) -> Any:
        """What computes with it: the CPU's backend or the GPU's; asking for it draws no values."""
        flat = None if self.arena is None else self.arena.flat
        return backend_of(None if flat is None else flat[0])

    @property
    def data(self) -> Array:
        """The values, an array to read and write in place."""
        return self._both()[1]

    @data.setter
    def data(self, values: Any) -> None:
        self._copy(values, self.data, "data")

    @property
    def grad(self) -> Array:
        """The gradient that the last backward pass wrote; zeros before the first."""
        return self._both()[2]

    @grad.setter
    def grad(self, values: Any) -> None:
        self._copy(values, self.grad, "grad")

    def move(self, arena: "Arena", start: int) -> None:
        """Take a place in another arena, with the values, if they exist."""
        if self.arena is not None and self.arena.flat is not None:
            self.luggage = self.data
        self.start, self.arena = start, arena

    def _both(self) -> tuple[Any, Array, Array]:
        arena = self.arena or self._arena_of_its_own()
        flat = arena.flat or arena.allocate()
        views = self._views
        if views is None or views[0] is not flat:
            place = slice(self.start, self.start + self.size)
            data, grad = (array[place].reshape(self.shape) for array in flat)
            views = self._views = flat, data, grad
        return views

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_views": None}

    def _arena_of_its_own(self) -> "Arena":
        with _settling.lock:
            return self.arena or Arena([self])

    def _copy(self, values: Any, target: Array, which: str) -> None:
        values = as_array(values, self.name, which)
        if values.shape != self.shape:
            raise ShapeError(f"{self.name}.{which}: expected shape {self.shape}, got {values.shape}")
        if values.dtype.kind not in "fiub":
            raise DTypeError(f"{self.name}.{which}: expected real numbers, got {values.dtype}; cast them")
        target[...] = values

    def __repr__(self) -> str:
        return f"Parameter({self.shape}, name={self.name!r})"


class Arena:
    """One flat array of values and one of gradients, for the parameters given, in their order.

    Parameter number ``i`` is drawn from its own counter-based generator ``Philox(key=[seed, i])``: its
    values don't depend on how many numbers the others took.
    """

    def __init__(self, parameters: Iterable[Parameter], dtype: DTypeLike = np.float32, seed: int = 0) -> None:
        self.parameters = list(parameters)
        self.dtype = np.dtype(dtype)
        self.seed = seed
        self.size = 0
        self.flat: tuple[Array, Array] | None = None  # data and grad; None until somebody looks
        if (twice := first_repeated(self.parameters)) is not None:
            raise ConfigError(
                f"{twice.name} is used twice in one model, but a backward pass overwrites gradients; "
                "make a second layer"
            )
        with _settling.lock:
            for parameter in self.parameters:
                parameter.move(self, self.size)
                self.size += parameter.size

    @property
    def data(self) -> Array:
        """All values."""
        return (self.flat or self.allocate())[0]

    @property
    def grad(self) -> Array:
        """All gradients."""
        return (self.flat or self.allocate())[1]

    def allocate(self) -> tuple[Array, Array]:
        """Data and grad; the first time, make them and let the parameters move in.

        Existing values are kept, the others are drawn. A parameter that has moved on into another model
        leaves its place empty.
        """
        with _settling.lock:
            if self.flat is None:
                data, grad = flat_zeros(2, self.size, self.dtype)
                residents = [(i, parameter) for i, parameter in enumerate(self.parameters) if parameter.arena is self]
                for index, parameter in residents:
                    values = self._drawn(index) if parameter.luggage is None else parameter.luggage
                    place = data[parameter.start : parameter.start + parameter.size]
                    parameter._copy(values, place.reshape(parameter.shape), "data")
                self.flat = data, grad  # only now, for other threads look without the lock
                for _, parameter in residents:
                    parameter.luggage = None
            return self.flat

    def to(self, like: Any) -> None:
        """Move both arrays to where `like` lies, an array of the host or of the GPU."""
        flat = self.allocate()
        if on_device(flat[0]) == on_device(like):
            return
        with _settling.lock:
            if on_device(like):
                self.flat = (beside(flat[0], like), beside(flat[1], like))
            else:
                data, grad = flat_zeros(2, self.size, self.dtype)
                data[...], grad[...] = map(host, flat)
                self.flat = data, grad

    def _drawn(self, index: int) -> Array:
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, index], np.uint64)))
        parameter = self.parameters[index]
        return parameter.init(parameter.shape, generator, self.dtype)


def flat_zeros(count: int, size: int, dtype: np.dtype[Any]) -> list[Array]:
    """Arrays of zeros for an optimizer to go through side by side: one behind the other, each where a vector may begin.

    NumPy's own begin 16 bytes behind that, all at one place of a page: every vector crosses a line, stores seem to
    overlap loads of other arrays, and an update of Adam takes twice the time.
    """
    pitch = -(-size * dtype.itemsize // LINE) * LINE
    memory = np.zeros(count * pitch + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    places = range(start, start + count * pitch, pitch)
    return [memory[place : place + size * dtype.itemsize].view(dtype) for place in places]


def set_apart(parameters: Iterable[Parameter]) -> None:
    """Move each into an arena of its own, where it begins where a vector may; those that they leave are given up."""
    parameters = list(parameters)
    left = []
    for parameter in parameters:
        _ = parameter.data  # drawn as the arena that it leaves would have it
        left.append(parameter.arena)
    for parameter in parameters:
        Arena([parameter], parameter.dtype).allocate()
    for arena in left:
        if arena is not None:
            arena.flat = None


def first_repeated(parameters: Iterable[Parameter]) -> Parameter | None:
    """The first parameter that comes more than once."""
    return next((parameter for parameter, times in Counter(parameters).items() if times > 1), None)


def flat_runs(parameters: Sequence[Parameter]) -> Iterator[tuple[Array, Array]]:
    """Values and gradients of the parameters as flat arrays, as few as possible: one for a whole model.

    Neighbours in the list that are also neighbours in an arena come as one. The arrays are views, in the
    order of the list.
    """
    first = 0
    for end in range(1, len(parameters) + 1):
        if end < len(parameters) and _adjacent(parameters[end - 1], parameters[end]):
            continue
        begin, last = parameters[first], parameters[end - 1]
        values, gradient = begin.data, begin.grad
        if begin is not last:
            assert begin.arena is not None
            span = slice(begin.start, last.start + last.size)
            values, gradient = begin.arena.data[span], begin.arena.grad[span]
        yield values.reshape(-1), gradient.reshape(-1)
        first = end


def _adjacent(left: Parameter, right: Parameter) -> bool:
    return left.arena is not None and left.arena is right.arena and left.start + left.size == right.start
