"""A model for inference alone: everything is done once that doesn't depend on the input."""

from collections.abc import Callable
from threading import Lock
from typing import Any, NoReturn

from fastcnn.backends.arrays import plain
from fastcnn.errors import ConfigError
from fastcnn.layers.layer import Shape
from fastcnn.layers.parameter import Array

MOST_SHAPES = 8  # whose preparations are kept, with a copy of the weights each


class Frozen:
    """What ``model.freeze()`` returns: a function from inputs to outputs, as the model was at that moment.

    It gives the bits that ``model(x)`` gave then. Changes to the model come too late: train it, then freeze it anew.
    The first call with a shape prepares it; later ones find weights packed or transformed as their kernels want them,
    arguments checked, and memory at hand. That pays most for small batches, where such work takes longer than the sums.
    Preparations for the last eight shapes are kept, batch included. Threads may share a frozen model; they take turns.

    Watches (`fastcnn.watch`) are told nothing of it.

    >>> model = fc.Sequential(fc.Conv2d(1, 4, 3), fc.ReLU(), fc.Flatten(), fc.Linear(144, 10), input_shape=(1, 8, 8))
    >>> frozen = model.freeze()
    >>> x = np.ones((1, 1, 8, 8), np.float32)
    >>> bool((frozen(x) == model(x)).all())
    True
    """

    def __init__(self, who: str, check: Callable[[Any], Array], prepare: Callable[[Shape], Callable[[Array], Any]]):
        self.who = f"frozen {who}"
        self._check = check
        self._prepare = prepare
        self._prepared: dict[Shape, Callable[[Array], Any]] = {}
        self._turn = Lock()

    def __call__(self, x: Any) -> Any:
        """The outputs for a batch of any size, new arrays.

        Raises:
            ShapeError: for inputs that the model doesn't take.
            DTypeError: for another dtype than the model's.
        """
        x = plain(self._check(x))
        with self._turn:
            run = self._prepared.get(x.shape) or self._prepare_for(x.shape)
            return run(x)

    def _prepare_for(self, shape: Shape) -> Callable[[Array], Any]:
        while len(self._prepared) >= MOST_SHAPES:
            del self._prepared[next(iter(self._prepared))]
        run = self._prepared[shape] = self._prepare(shape)
        return run

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ConfigError(f"{self.who}: has no way back and doesn't learn; use the model that it was made of")

    forward = parameters = holds = _refuse

    def __repr__(self) -> str:
        return f"<{self.who}>"
