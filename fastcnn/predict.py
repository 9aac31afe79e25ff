"""The command line ``python -m fastcnn.predict``: which classes images belong to, by a trained model.

A PNG or JPEG is first made to look like MNIST, see `fastcnn.data.mnist_style`. So are the images of an IDX file, unless
they have the very size that the model takes: then they are taken as they are. An image that can't be read, or is blank,
gets its line on stderr and makes the exit code 2; the others are classified all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from fastcnn.classifier import Classifier, load_classifier
from fastcnn.console import REFUSED, exit_code_of, options_of, run_program
from fastcnn.data.digits import FIELD, mnist_style
from fastcnn.data.images import is_idx, read_images
from fastcnn.errors import DataError
from fastcnn.layer_classes import layer_classes
from fastcnn.options import Command, OwnLayers, RunOrFile, Scaling, whole_number
from fastcnn.terminal import complain, say, say_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Options:
    """The command line, understood."""

    model: str
    images: list[str]
    top: int
    scaling: str | None
    layers: list[str]
    json: bool


def main(arguments: Sequence[str] | None = None, program: str = "python -m fastcnn.predict") -> int:
    """Classify as the arguments (or else those of the process) say, and return the exit code."""

    def command() -> int:
        options = options_of(app, arguments, program)
        return predict(options) if options else 0

    return exit_code_of(command)


@app.command(cls=Command)
def parse(
    model: RunOrFile,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="PNG, JPEG or IDX files.")],
    top: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="How many classes to show, the likeliest first.")
    ] = 3,
    scaling: Scaling = None,
    layers: OwnLayers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object an image, with the probabilities of all classes.")
    ] = False,
) -> Options:
    """Tell which digits images show, and how probable that is to the model.

    A digit may have any size and colour, anywhere on a plain background, lighter or darker. A model trained on soft
    targets, as gorgonia is, gives no class much more than 50 %: it has learned to leave the rest to the others.
    """
    return Options(model, images, top, scaling, layers or [], as_json)


def predict(options: Options) -> int:
    """Print a line for each image, and return the exit code."""
    classifier = load_classifier(options.model, options.scaling, layer_classes(options.layers))
    code = 0
    for path in options.images:
        found = list(_prepared(path, classifier))
        good = [image for _, image in found if not isinstance(image, DataError)]
        rows = iter(classifier.probabilities(np.reshape(good, (-1, *classifier.input_shape)).astype(np.uint8)))
        for index, image in found:
            if isinstance(image, DataError):
                complain(f"error: {image}")
                code = REFUSED
            else:
                answer = path, index, next(rows), options.top
                say_json(_as_json(*answer)) if options.json else say(_as_text(*answer))
    return code


def _prepared(path: str, classifier: Classifier) -> Iterator[tuple[int | None, NDArray[np.uint8] | DataError]]:
    """The images of a file as the model takes them, or why there are none; with their numbers in an IDX file."""
    try:
        images = read_images(path)
        many = is_idx(path)
    except DataError as error:
        yield None, error
        return
    for index, image in enumerate(images):
        number = index if many else None
        if many and (1, *image.shape) == classifier.input_shape:
            yield number, image
        elif classifier.input_shape != (1, FIELD, FIELD):
            yield (
                number,
                DataError(
                    f"predict {_name(path, number)}: expected a model of images (1, {FIELD}, {FIELD}), "
                    f"got one of {classifier.input_shape} in {str(classifier.path)!r}; use another model"
                ),
            )
            return
        else:
            try:
                yield number, mnist_style(image)
            except DataError as error:
                yield number, DataError(f"predict {_name(path, number)}: {str(error).partition(': ')[2]}")


def _name(path: str, index: int | None) -> str:
    """How an image is called: its path, as Python would write it where it is not fit to print, and its number."""
    name = path if path.isprintable() else repr(path)
    return name if index is None else f"{name}[{index}]"


def _as_text(path: str, index: int | None, probabilities: NDArray[np.float64], top: int) -> str:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return f"{_name(path, index)}: {', '.join(f'{label} ({probabilities[label]:.1%})' for label in order)}"


def _as_json(path: str, index: int | None, probabilities: NDArray[np.float64], top: int) -> dict[str, Any]:
    order = np.argsort(-probabilities, kind="stable")[:top]
    return {
        "image": path,
        "index": index,
        "prediction": int(order[0]),
        "top": order.tolist(),
        "probabilities": probabilities.tolist(),
    }


if __name__ == "__main__":
    run_program(main)
