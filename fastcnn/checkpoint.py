"""Checkpoints: the weights of a model in a safetensors file, written whole or not at all.

The arrays are those of ``model.state_dict()``, under the same names, so any reader of safetensors finds them.
What else there is to know stands in the metadata under ``fastcnn``, as one JSON object: equal checkpoints are
equal files, and the object can grow.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fastcnn.atomic import replacing
from fastcnn.errors import DataError
from fastcnn.layers.parameter import Array

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model as it was after an epoch.

    Attributes:
        state: Arrays by name, for ``model.load_state_dict``.
        architecture: Name of the model, ``"gorgonia"``.
        dtype: float32 or float64.
        epoch: How many epochs it was trained.
        step: How many batches that took.
    """

    state: Mapping[str, Array]
    architecture: str
    dtype: str
    epoch: int
    step: int


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint; until it is safe on the disk, what was at `path` stays.

    Raises:
        OSError: if it cannot be written.
    """
    description = {
        "format": FORMAT,
        "architecture": checkpoint.architecture,
        "dtype": checkpoint.dtype,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in checkpoint.state.items()}
    with replacing(path) as file:
        file.write(save(arrays, {"fastcnn": json.dumps(description)}))


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        DataError: if the file is missing, damaged, no safetensors file, or none that fastcnn wrote.

    >>> model = fc.models.gorgonia()
    >>> model.load_state_dict(load_checkpoint("run/last.safetensors").state)  # doctest: +SKIP
    """
    who = f"load_checkpoint {str(path)!r}"
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "nothing of that name"
        raise DataError(f"{who}: expected a safetensors file, got {found}; check the path")
    try:
        with safe_open(path, framework="numpy") as file:
            description = _description((file.metadata() or {}).get("fastcnn", ""), who)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:  # the last two for odd dtypes
        raise DataError(f"{who}: cannot be read ({error}); it is damaged or no safetensors file") from error
    return Checkpoint(state, **description)


def _description(text: str, who: str) -> dict[str, str | int]:
    """The entries of `text`, each of its type, without the format."""
    try:
        entries = json.loads(text)
        version = entries["format"]
        kinds = {"architecture": str, "dtype": str, "epoch": int, "step": int}
        description = {name: kind(entries[name]) for name, kind in kinds.items()}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{who}: it has no description of fastcnn's; use one that it wrote") from error
    if version != FORMAT:
        raise DataError(f"{who}: expected format {FORMAT}, got {version!r}; use the fastcnn that wrote it")
    return description
