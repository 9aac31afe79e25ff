"""A job: a network, its first weights, batches of data, how it learns; all that a contestant has to know.

Jobs go through a folder, as JSON and plain arrays, so that a library in a Python of its own can read them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Job(NamedTuple):
    """What to compute.

    Attributes:
        layers: Name and arguments of each, as in fastcnn (which are those of PyTorch).
        weights: In the order of the layers, in PyTorch's shapes: ``(O, C, KH, KW)``, ``(outputs, inputs)``, biases.
        images: ``(batches, N, C, H, W)``, float32.
        targets: ``(batches, N, classes)``, float32.
        reduction: Of the cross-entropy: "sum", "mean", or "mean_elements", see `fastcnn.losses`.
        optimizer: "RMSprop" with its eps inside the root, "SGD" or "Adam", see `fastcnn.optim`.
        settings: Its arguments.
        training: Whether a step is timed, or a forward alone.
    """

    layers: list[tuple[str, dict[str, Any]]]
    weights: list[np.ndarray]
    images: np.ndarray
    targets: np.ndarray
    reduction: str
    optimizer: str
    settings: dict[str, Any]
    training: bool

    @property
    def batch(self) -> int:
        return self.images.shape[1]

    @property
    def divisor(self) -> int:
        """What the sum of the cross-entropies is divided by."""
        return {"sum": 1, "mean": self.batch, "mean_elements": self.targets[0].size}[self.reduction]

    def parts(self, dropout: bool) -> Iterator[tuple[str, dict[str, Any], list[np.ndarray]]]:
        """Name, arguments and weights of each layer, with the dropout layers or without."""
        weights = iter(self.weights)
        for name, arguments in self.layers:
            if name != "Dropout" or dropout:
                count = 1 + arguments["bias"] if "bias" in arguments else 0
                yield name, arguments, [next(weights) for _ in range(count)]

    def save(self, folder: Path) -> None:
        values = self._asdict()
        arrays = {name: values.pop(name) for name in ("images", "targets")}
        arrays |= {f"weight{index:02}": array for index, array in enumerate(values.pop("weights"))}
        np.savez(folder / "arrays.npz", **arrays)
        (folder / "job.json").write_text(json.dumps(values))

    @classmethod
    def load(cls, folder: Path) -> "Job":
        values = json.loads((folder / "job.json").read_text())
        with np.load(folder / "arrays.npz") as arrays:
            weights = [arrays[name] for name in sorted(arrays.files) if name.startswith("weight")]
            return cls(**values, weights=weights, images=arrays["images"], targets=arrays["targets"])
