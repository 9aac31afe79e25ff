"""Checkpoints: all that training needs to go on in another process, in one file, written whole or not at all.

A checkpoint is a model file, see `fastcnn.serialize`: `fastcnn.load` takes the model out of it. Beside the weights it
has the state of the optimizer and, in its metadata under ``progress``, how far training has come.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fastcnn.architecture import Classes, one_line
from fastcnn.errors import ConfigError, DataError
from fastcnn.layers.parameter import Array
from fastcnn.metrics import Progress
from fastcnn.model import Model
from fastcnn.serialize import MEMORY_LIMIT, read_model_file, write_model_file
from fastcnn.trainer import Trainer

PROGRESS = "progress"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Training as it was between two steps.

    Attributes:
        model: With its weights.
        optimizer_state: What ``optimizer.state_dict()`` gave.
        progress: How far it had come.
        metadata: What else was said of it, in terms of JSON.
    """

    model: Model
    optimizer_state: dict[str, Array]
    progress: Progress
    metadata: dict[str, Any]

    def restore(self, trainer: Trainer) -> None:
        """Let a trainer with an equal model and optimizer go on from here.

        Raises:
            ShapeError: if the model or the optimizer is another one. The trainer is of no use then.
            DataError: if the optimizer's state holds infinite numbers or NaN. Likewise.
        """
        trainer.model.load_state_dict(self.model.state_dict())
        trainer.optimizer.load_state_dict(self.optimizer_state)
        trainer.progress = self.progress


def save_checkpoint(path: str | os.PathLike[str], trainer: Trainer, metadata: Mapping[str, Any] | None = None) -> None:
    """Write down where a trainer stands; until that is safe on the disk, what was at `path` stays.

    Equal states are equal files. In a callback and after `Trainer.fit` the state is whole; but see there what a second
    Ctrl-C does.

    Args:
        path: The file to write.
        trainer: Between two steps.
        metadata: What else there is to say, in terms of JSON; for one, the ``scaling`` of the pixels, for
            ``python -m fastcnn.predict``. The entry ``progress`` is the trainer's.

    Raises:
        ConfigError: if the model can't be kept in a file, see `fastcnn.save`, or the metadata not in JSON.
        OSError: if the file can't be written.

    >>> model = fc.Sequential(fc.Linear(4, 2), input_shape=(4,))
    >>> trainer = Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()))
    >>> save_checkpoint("last.safetensors", trainer)                        # doctest: +SKIP
    >>> load_checkpoint("last.safetensors").restore(trainer)                # doctest: +SKIP
    """
    entries = {**(metadata or {}), PROGRESS: asdict(trainer.progress)}
    write_model_file(path, trainer.model, trainer.optimizer.state_dict(), entries)


def load_checkpoint(
    path: str | os.PathLike[str], layers: Classes | None = None, memory_limit: int | None = MEMORY_LIMIT
) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: The file.
        layers: The classes of the layers of your own that its model has, by name, see `fastcnn.load`.
        memory_limit: Bytes that a sample may take on its way through the model, see there.

    Raises:
        DataError: if the file is missing, damaged, no model file, or one of a model that is not in training.
        ConfigError: if `layers` holds something else than classes of layers.
    """
    file = read_model_file(path, layers, memory_limit)
    who = f"load_checkpoint {str(path)!r}"
    entries = file.metadata.pop(PROGRESS, None)
    if not isinstance(entries, dict) or "steps" not in file.arrays:
        raise DataError(
            f"{who}: expected a checkpoint, with a progress and an optimizer's state, got a model alone; "
            "use fastcnn.load for that"
        )
    try:
        progress = Progress.of(entries)
    except ConfigError as error:
        raise DataError(f"{who}: damaged ({one_line(error)}); use another checkpoint") from error
    return Checkpoint(file.model, file.arrays, progress, file.metadata)
