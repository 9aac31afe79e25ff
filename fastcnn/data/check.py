"""Images and labels that a model can learn from, but hardly what anybody wants it to: said before the training.

What is looked at: the range of the pixels, images of one colour, whether the ground is light, whether digits stand
upright (by the mean images of the sample's digits, straight against turned), and how many classes there are.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.arrays import array_of

MOST_IMAGES = 2000  # that are looked at, from all parts of the set
DIM = 64  # the brightest pixel of a set of images that nobody scaled is far above
LIGHT = 128  # the mean pixel at the edge: 0 in MNIST, 12 in Fashion-MNIST
BLANK_SHARE = 0.01
FIELD, DIGITS = 28, 10

# MNIST's digits reach 0.63 straight and 0.52 in the best other way, EMNIST's 0.70 swapped and 0.55 else, 100 images or
# more; Fashion-MNIST's images 0.40 in any.
LEAST_LIKENESS, LEAST_GAIN = 0.5, 0.1
LEAST_DIGITS = 20

Floats = NDArray[np.float64]
TRANSPOSED = "lie transposed"
TURNS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "stand upright": lambda x: x,
    TRANSPOSED: lambda x: x.swapaxes(1, 2),
    "are mirrored": lambda x: x[:, :, ::-1],
    "are upside down": lambda x: x[:, ::-1],
    "are turned by 180 degrees": lambda x: x[:, ::-1, ::-1],
    "are turned to the right": lambda x: x[:, ::-1].swapaxes(1, 2),
    "are turned to the left": lambda x: x[:, :, ::-1].swapaxes(1, 2),
    "are mirrored and turned": lambda x: x[:, ::-1, ::-1].swapaxes(1, 2),
}


def check(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]], transposed: bool = False) -> list[str]:
    """Tell what looks wrong about labelled images.

    Args:
        images: uint8 ``(N, 1, H, W)``, one at least.
        labels: Integers ``(N,)``.
        transposed: Whether rows and columns were swapped when they were loaded (`Dataset.transposed`).

    Returns:
        A line for each thing; none for MNIST, Fashion-MNIST, and most of what is fine.

    >>> digits = fc.data.load_dataset("sample")
    >>> fc.data.check(digits.train_images, digits.train_labels)
    []
    >>> fc.data.check(digits.train_images // 255, digits.train_labels)
    ['the brightest pixel is 1 of 255: scaled twice? give the bytes as they were, from 0 to 255']
    """
    images, labels = array_of(images, "check", "images"), array_of(labels, "check", "labels")
    if not len(images):
        return []
    chosen = np.unique(np.linspace(0, len(images) - 1, MOST_IMAGES).astype(np.intp))
    some, classes = images[chosen, 0], labels[chosen]
    lines = []
    brightest = int(some.max())
    blank = np.ptp(some.reshape(len(some), -1), axis=1) == 0
    light = _at_the_edge(some).mean() > LIGHT
    if blank.all():
        colour = "all black" if brightest == 0 else "each of one colour"
        lines.append(f"the images are {colour}: nothing can be learnt from them; look at what wrote them")
    else:
        if brightest < DIM:
            scaled = "scaled twice?" if brightest == 1 else "scaled?"
            lines.append(
                f"the brightest pixel is {brightest} of 255: {scaled} give the bytes as they were, from 0 to 255"
            )
        elif blank.mean() > BLANK_SHARE:
            first = int(chosen[np.flatnonzero(blank)[0]])
            lines.append(f"{blank.mean():.0%} of the images are of one colour, such as image {first}: leave them out")
        if light:
            lines.append(
                "the images are dark on a light ground, MNIST's are light on black, and so is what predict makes of a "
                "photograph: write 255 - images by fastcnn.data.write_idx"
            )
        turn = _turn(255 - some if light else some, classes)
        if turn == TRANSPOSED:
            lines.append(
                "the digits lie transposed, which the files didn't: pass --no-transpose (load_dataset: transpose=False)"
                if transposed
                else "the digits lie transposed, as in EMNIST's files: pass --transpose (load_dataset: transpose=True)"
            )
        elif turn != "stand upright":
            lines.append(f"the digits {turn}: write them upright by fastcnn.data.write_idx")
    largest, seen = int(np.max(labels)), np.unique(labels).size
    if largest >= DIGITS and seen < largest / 2:
        first = int(np.argmax(labels))
        lines.append(
            f"only {seen} of the classes 0 to {largest} have images: is the label of image {first}, {largest}, right?"
        )
    if len(images) > 1 and seen == 1:
        lines.append(f"all labels are {int(labels[0])}: there is nothing to tell apart; check the labels' file")
    return lines


def _at_the_edge(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The outermost pixels ``(N, n)`` of images ``(N, H, W)``."""
    sides = (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1])
    return np.concatenate(sides, axis=1)


def _turn(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> str:
    """Which of `TURNS` digits have undergone; the first for anything that is not plainly digits turned so."""
    upright = next(iter(TURNS))
    if images.shape[1:] != (FIELD, FIELD) or labels.max() >= DIGITS or len(labels) < LEAST_DIGITS:
        return upright
    own = _means(images, labels)
    weights = np.bincount(labels, minlength=DIGITS) / len(labels)
    likeness = {turn: float(weights @ (own * _unit(undo(_digits()))).sum(axis=1)) for turn, undo in TURNS.items()}
    best = max(likeness, key=lambda turn: likeness[turn])
    plain = likeness[best] >= LEAST_LIKENESS and likeness[best] - likeness[upright] >= LEAST_GAIN
    return best if plain else upright


def _means(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> Floats:
    """Of each digit the mean of its images, each taken as a vector of length 1 about 0: ``(10, pixels)``."""
    vectors = _unit(images)
    return np.stack([vectors[labels == digit].sum(axis=0) / max((labels == digit).sum(), 1) for digit in range(DIGITS)])


def _unit(images: NDArray[Any]) -> Floats:
    """Images ``(N, H, W)`` as vectors ``(N, H * W)`` of mean 0 and length 1; of one colour: as zeros."""
    vectors = images.reshape(len(images), -1).astype(np.float64)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


@cache
def _digits() -> Floats:
    """The mean images of the sample's digits, ``(10, 28, 28)``."""
    from fastcnn.data.mnist import load_dataset

    sample = load_dataset("sample")
    images, labels = sample.train_images[:, 0], sample.train_labels
    return np.stack([images[labels == digit].mean(axis=0) for digit in range(DIGITS)])
