"""What a person must change about arrays that don't fit: the ends of error messages, as far as shape and dtype tell."""

import math
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def for_dtype(got: np.dtype[Any], dimensions: int, wanted: np.dtype[Any]) -> str:
    """Of a model's input."""
    if got == np.uint8 and dimensions > 2:
        return (
            f"scale the pixels, as by fastcnn.data.scale_pixels(x, 'unit', {wanted.name!r}), or train on "
            "fastcnn.data.ImageSamples(x, labels)"
        )
    return f"use x.astype({wanted.name!r})"


def for_shape(got: Shape, wanted: Shape) -> str:
    """Of a model's input, the batch included in what came, but not in what the model wants of a sample."""
    sample = got[1:]
    if len(wanted) == 3 and sample == wanted[1:] and wanted[0] == 1:
        return "use x[:, None], which adds the channel"
    if len(wanted) == 3 and got == wanted[1:] and wanted[0] == 1:
        return "use x[None, None], a batch of one image with one channel"
    if got == wanted:
        return "use x[None], a batch of one"
    if len(wanted) == 3 and sample == (*wanted[1:], wanted[0]):
        return "use x.transpose(0, 3, 1, 2), which brings the channels forward"
    if got and math.prod(sample) == math.prod(wanted) and 1 in (len(sample), len(wanted)):
        return f"use x.reshape({', '.join(map(str, (-1, *wanted)))})"
    return "use another data set, or another model"


def for_targets(target: np.ndarray[Any, Any], logits: Shape, dtype: np.dtype[Any]) -> str:
    """Of a loss of logits ``(N, classes)``; `target` is as somebody passed it."""
    kind, column = target.dtype.kind, target.shape == (logits[0], 1) != logits
    if kind not in "biuf":
        return "number the classes from 0, as np.unique(y, return_inverse=True)[1] does"
    if target.shape == logits:
        return f"use y.astype({dtype.name!r})"
    if column or target.shape == logits[:1]:
        indices = "y[:, 0]" if column else "y"
        return f"use {indices}" if kind in "iu" else f"class indices are integers: use {indices}.astype(int)"
    if target.ndim == 2 and target.shape[0] == logits[0]:
        return f"a model for these has {target.shape[1]} outputs"
    return "give each sample one target"


def for_indices(least: int, most: int, classes: int) -> str:
    """Of class indices from `least` to `most` that are not all below `classes`."""
    if least < 0:
        return "leave out the samples that have no class"
    if least == 1 and most == classes:
        return "these count from 1: use y - 1"
    return f"a model for these has {most + 1} outputs"
