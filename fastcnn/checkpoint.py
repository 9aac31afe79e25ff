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
            description = (file.metadata() or {}).get("fastcnn", "")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
    except (SafetensorError, OSError, TypeError, AttributeError) as error:  # the last two: odd dtypes
        raise DataError(f"{who}: damaged or no safetensors file ({error}); check the path") from error
    try:
        entries = json.loads(description)
        version = entries["format"]
        if version == FORMAT:
            architecture, dtype = str(entries["architecture"]), str(entries["dtype"])
            return Checkpoint(state, architecture, dtype, int(entries["epoch"]), int(entries["step"]))
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise DataError(
            f"{who}: expected fastcnn's description in the metadata, got {description[:40]!r}; check the path"
        ) from error
    raise DataError(f"{who}: expected format {FORMAT}, got {version!r}; use a newer fastcnn")
