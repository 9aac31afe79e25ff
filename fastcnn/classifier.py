"""A trained model as predict and evaluate use it: from a run's folder or a model's file to probabilities of classes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn import ops
from fastcnn.architecture import Classes
from fastcnn.data import scale_pixels
from fastcnn.data.samples import FORMS, target_rows
from fastcnn.data.style import STYLES
from fastcnn.data.transforms import SCALINGS
from fastcnn.errors import DataError
from fastcnn.footprint import sample_memory
from fastcnn.layers import Layer, Softmax
from fastcnn.model import Model
from fastcnn.serialize import read_model_file

FILES_OF_A_RUN = ("best.safetensors", "last.safetensors")  # the first that is there
BATCH = 500  # images at a time,
MEMORY = 2**28  # or as many as take no more bytes than that: a file of a few kilobytes can need 1 GiB for each


@dataclass(frozen=True, eq=False)
class Classifier:
    """A model that tells classes of images apart.

    Attributes:
        path: Its file.
        model: With one output ``(N, classes)``: logits, or what a Softmax or LogSoftmax makes of them.
        scaling: Of the pixels, see `fastcnn.data.pixel_table`.
        input_shape: Channels, height and width of the images.
        classes: How many there are.
        style: Of the images that it learnt, see `fastcnn.data.style_of`; None if its file doesn't tell.
        taught: What it was taught to give the right class, and each of the others, as shares: (1, 0), or less sure.
    """

    path: Path
    model: Model
    scaling: str
    input_shape: tuple[int, ...]
    classes: int
    style: str | None = None
    taught: tuple[float, float] = (1.0, 0.0)

    @property
    def scale(self) -> str:
        """What sureness means here, in words; empty if it is the probability itself."""
        top, floor = self.taught
        if (top, floor) == (1.0, 0.0):
            return ""
        taught = f"100 % is what the model was taught to give the right class, {top:.1%}"
        return f"sureness: {taught}; 0 % stands for {floor:.1%}"

    def sureness(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities ``(N, classes)`` on the scale of what was taught: 1 is as sure as it learnt to be.

        A network that learns the shares top and floor of `taught` gives no class much more than top: with Gorgonia's
        targets 0.9 and 0.1 that is 0.9 / 1.8 = 50 %. So each becomes ``(p - floor) / (top - floor)``, from 0 to 1.
        Where the targets were 1 and 0 that is the probability itself.
        """
        top, floor = self.taught
        scaled: NDArray[np.float64] = ((probabilities - floor) / (top - floor)).clip(0, 1)
        return scaled

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """What the model makes of images ``(N, C, H, W)``: ``(N, classes)``, each row adds up to 1.

        Raises:
            DataError: if the images have another size than the model takes, or its outputs are not finite.
        """
        if images.shape[1:] != self.input_shape:
            raise DataError(
                f"{str(self.path)!r}: the model takes images {self.input_shape}, channels, height, width, "
                f"but these are {images.shape[1:]}; use another model, or other images"
            )
        batch = min(BATCH, max(1, MEMORY // max(1, sample_memory(self.model))))
        batches = (images[first : first + batch] for first in range(0, len(images), batch))
        return np.concatenate([np.empty((0, self.classes)), *map(self._of_batch, batches)])

    def _of_batch(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        x = scale_pixels(images, self.scaling, self.model.dtype)
        outputs: NDArray[np.float64] = self.model(x).astype(np.float64)
        if not np.isfinite(outputs).all():
            raise DataError(f"{str(self.path)!r}: the model's outputs are infinite or NaN; train it anew")
        if isinstance(_last_layer(self.model), Softmax):
            return outputs
        probabilities: NDArray[np.float64] = ops.softmax(outputs)  # which undoes the log of a LogSoftmax
        return probabilities


def load_classifier(
    run_or_file: str | os.PathLike[str], scaling: str | None = None, layers: Classes | None = None
) -> Classifier:
    """Read the model of a run, its best if that is there and else its last, or the model in a file.

    Args:
        run_or_file: A folder that ``python -m fastcnn.train`` wrote, or a file of `fastcnn.save`.
        scaling: Of the pixels; None takes what the file's metadata has under ``"scaling"``.
        layers: The classes of the layers of your own, by name.

    Raises:
        DataError: if there is no model, it is damaged, it doesn't classify images, or nothing says the scaling.

    >>> load_classifier("runs/gorgonia").classes  # doctest: +SKIP
    10
    """
    path = _file_of(Path(run_or_file))
    file = read_model_file(path, layers)
    model, who = file.model, repr(str(path))
    scaling = scaling or file.metadata.get("scaling")
    if scaling not in SCALINGS:
        raise DataError(
            f"{who}: expected 'scaling' in the file's metadata to be one of {', '.join(SCALINGS)}, "
            f"got {scaling!r:.40}; say by --scaling how the model's pixels are scaled"
        )
    if model.input_shape is None or len(model.input_shape) != 3:
        raise DataError(
            f"{who}: expected a model made with input_shape=(channels, height, width), got {model.input_shape}; "
            "save it again, made so"
        )
    shape = model.output_shape((1, *model.input_shape))
    if model.several or len(shape) != 2 or shape[1] < 2:
        raise DataError(f"{who}: expected a model with one output (N, classes), got {shape}; use another model")
    style = file.metadata.get("style")
    taught = _taught(file.metadata, shape[1])
    return Classifier(path, model, scaling, model.input_shape, shape[1], style if style in STYLES else None, taught)


def _taught(metadata: dict[str, Any], classes: int) -> tuple[float, float]:
    """The shares of the right class and of each other that the targets in a file's metadata come to.

    A run has them in its recipe; in other files they may stand by themselves, as ``"targets"``. Gorgonia's cost, the
    product, has no such balance: it is the lower, the surer a network is.
    """
    recipe = metadata.get("recipe")
    entries = {**(recipe if isinstance(recipe, dict) else {}), **metadata}
    targets = entries.get("targets")
    if targets not in FORMS or entries.get("loss") == "product":
        return 1.0, 0.0
    right, *others = target_rows(targets, classes, "float64", np.zeros(1, int))[0].tolist()
    return right / (right + sum(others)), others[0] / (right + sum(others))


def _file_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES_OF_A_RUN:
        if (path / name).is_file():
            return path / name
    raise DataError(
        f"{str(path)!r}: expected the folder of a run, with {' or '.join(FILES_OF_A_RUN)}, got one with neither; "
        "check the path, or wait for the run's first epoch"
    )


def _last_layer(model: Model) -> Layer:
    """The layer that makes the output."""
    last = model.layers[model.outputs[0] - 1]
    return _last_layer(last) if isinstance(last, Model) else last
