"""A model for inference alone: everything is done once that doesn't depend on the input."""

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple, NoReturn

from fastcnn.backends.arrays import plain
from fastcnn.backends.cpu.prepared import Packs, packs_of
from fastcnn.config import release_memory
from fastcnn.errors import ConfigError
from fastcnn.layers.layer import Shape
from fastcnn.layers.parameter import Array, set_apart
from fastcnn.locks import ForkedAnew

MOST_SHAPES = 8  # whose preparations are kept,
MOST_WEIGHTS = 4  # as long as they take no more than so many times the memory of the weights,
LEAST_BUDGET = 16 << 20  # or no more than so many bytes


class Prepared(NamedTuple):
    """What a model does with inputs of one shape, and the memory that it keeps for that."""

    run: Callable[[Array], Any]
    packs: Packs


class Frozen:
    """What ``model.freeze()`` returns: a function from inputs to outputs, as the model was at that moment.

    It gives the bits that ``model(x)`` gave then. Changes to the model come too late: train it, then freeze it anew.
    The first call with a shape prepares it; later ones find weights packed or transformed as their kernels want them,
    arguments checked, and memory at hand. That pays most for small batches, where such work takes longer than the sums.
    Threads may share a frozen model; they take turns. It can be copied, pickled and sent to other processes.

    Preparations for the last eight shapes are kept, batch included, as long as they take no more than four times the
    memory of the weights, or 16 MiB; at least the last one. Beside that a frozen model holds a copy of the weights.

    Watches (`fastcnn.watch`) are told nothing of it.

    >>> model = fc.Sequential(fc.Conv2d(1, 4, 3), fc.ReLU(), fc.Flatten(), fc.Linear(144, 10), input_shape=(1, 8, 8))
    >>> frozen = model.freeze()
    >>> x = np.ones((1, 1, 8, 8), np.float32)
    >>> bool((frozen(x) == model(x)).all())
    True
    """

    def __init__(self, model: Any):
        """`model`: a copy that nobody else has."""
        self.who = f"frozen {model.who}"
        self._model = model
        self._prepared: dict[Shape, Prepared] = {}
        self._turn = ForkedAnew(Lock)
        set_apart(model.parameters())
        self._budget = max(LEAST_BUDGET, MOST_WEIGHTS * sum(weight.data.nbytes for weight in model.parameters()))

    def __call__(self, x: Any) -> Any:
        """The outputs for a batch of any size, new arrays.

        Raises:
            ShapeError: for inputs that the model doesn't take.
            DTypeError: for another dtype than the model's.
            MemoryError: if there isn't enough even when all that is kept for other shapes has been let go.
        """
        x = plain(self._model._checked(x))
        with self._turn.lock:
            try:
                return self._run(x)
            except MemoryError:
                self._prepared.clear()
            release_memory()  # only now, when the error no longer holds what the attempt had made
            return self._run(x)

    def _run(self, x: Array) -> Any:
        prepared = self._prepared.get(x.shape)
        if prepared is not None:
            return prepared.run(x)
        while len(self._prepared) >= MOST_SHAPES:
            self._forget_oldest()
        prepared = self._prepare(x.shape)
        y = prepared.run(x)  # only then it is known how much memory it takes
        self._prepared[x.shape] = prepared
        while len(self._prepared) > 1 and self._kept_bytes() > self._budget:
            self._forget_oldest()
        return y

    def _prepare(self, shape: Shape) -> Prepared:
        with packs_of() as packs:
            return Prepared(self._model.prepared(shape), packs)

    def _forget_oldest(self) -> None:
        del self._prepared[next(iter(self._prepared))]

    def _kept_bytes(self) -> int:
        return sum(pack.nbytes for prepared in self._prepared.values() for pack in prepared.packs)

    def __reduce__(self) -> Any:
        return Frozen, (self._model,)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ConfigError(f"{self.who}: has no way back and doesn't learn; use the model that it was made of")

    forward = parameters = holds = _refuse

    def __repr__(self) -> str:
        return f"<{self.who}>"
