"""The images of files as a classifier takes them: in the style that it learnt, with what there is to say of each.

mnist   a picture is made to look like MNIST, see `fastcnn.data.mnist_style`; an image of an IDX file that has the
        model's size already only if its ground is light: then it is turned into light on dark
as-is   nothing is done but to fit the size
auto    as the model's file says; where it doesn't, as mnist for models of 28x28 images
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastcnn.classifier import Classifier
from fastcnn.data.digits import FIELD, mnist_row, mnist_style
from fastcnn.data.images import is_idx, read_images
from fastcnn.data.style import as_it_is, is_light
from fastcnn.errors import DataError

Bytes = NDArray[np.uint8]

LONGEST = 2000  # pixels of the longer side that are enough to find a digit


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture, and what the model is shown of it.

    Attributes:
        path: Of its file.
        index: Its number in an IDX file, or None.
        picture: As it was read.
        images: ``(N, C, H, W)``: of a row of digits each, or else one.
        styled: Whether they were made to look like MNIST.
        turned: Whether light and dark were exchanged, and nothing else done.
    """

    path: str
    index: int | None
    picture: Bytes
    images: Bytes
    styled: bool
    turned: bool = False

    @property
    def name(self) -> str:
        """How it is called in messages."""
        return name_of(self.path, self.index)


def name_of(path: str, index: int | None) -> str:
    """How an image is called: its path, as Python would write it where it is not fit to print, and its number."""
    name = path if path.isprintable() else repr(path)
    return name if index is None else f"{name}[{index}]"


def seen_in(path: str, classifier: Classifier, style: str, row: bool) -> Iterator[Seen | DataError]:
    """The pictures of a file as the classifier takes them, or why there are none."""
    try:
        pictures = read_images(path, LONGEST)
        many = is_idx(path)
    except DataError as error:
        yield error
        return
    shape = classifier.input_shape
    by_default = "mnist" if shape == (1, FIELD, FIELD) else None
    wanted = style if style != "auto" else classifier.style or by_default
    for index, picture in enumerate(pictures):
        number = index if many else None
        try:
            if many and not row and (1, *picture.shape) == shape:
                turned = wanted == "mnist" and is_light(picture)
                yield Seen(path, number, picture, (255 - picture if turned else picture)[None, None], False, turned)
            elif wanted == "as-is" and not row:
                yield Seen(path, number, picture, as_it_is(picture, shape)[np.newaxis], False)
            elif shape != (1, FIELD, FIELD):
                yield DataError(
                    f"predict {name_of(path, number)}: expected a model of images (1, {FIELD}, {FIELD}), "
                    f"got one of {shape} in {str(classifier.path)!r}; use another model, or --style as-is"
                )
                return
            else:
                digits = mnist_row(picture) if row else mnist_style(picture)[np.newaxis]
                yield Seen(path, number, picture, digits[:, np.newaxis], True)
        except DataError as error:
            yield DataError(f"predict {name_of(path, number)}: {str(error).partition(': ')[2]}")
