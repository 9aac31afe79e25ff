"""The command line ``python -m fastcnn.predict``: which classes images belong to, by a trained model.

Pictures are brought into the style that the model learnt, see `fastcnn.inputs`. An image that can't be read, or is
blank, or shows several digits, gets its line on stderr and makes the exit code 2; the others are classified all the
same. Where an answer is doubtful, its line says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from fastcnn.classifier import Classifier, load_classifier
from fastcnn.console import REFUSED, exit_code_of, options_of, run_program
from fastcnn.data import save_png
from fastcnn.data.pictures.likeness import is_like, reads_otherwise_turned
from fastcnn.data.style import STYLES
from fastcnn.errors import ConfigError, DataError
from fastcnn.inputs import Seen, seen_in
from fastcnn.layer_classes import layer_classes
from fastcnn.layers.arguments import choice
from fastcnn.options import Command, OwnLayers, RunOrFile, Scaling, png_file, whole_number
from fastcnn.terminal import complain, say, say_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

SURE = 0.6  # of 1: an answer below is called unsure
DIGITS = 10


@dataclass(frozen=True)
class Options:
    """The command line, understood."""

    model: str
    images: list[str]
    top: int
    style: str
    row: bool
    show: Path | None
    scaling: str | None
    layers: list[str]
    json: bool


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model makes of an image.

    Attributes:
        probabilities: Of all classes, as the model gives them.
        sureness: The same on the scale of what it was taught.
        doubt: Why the answer is doubtful; empty if it is not.
    """

    probabilities: NDArray[np.float64]
    sureness: NDArray[np.float64]
    doubt: str

    @property
    def best(self) -> int:
        """The likeliest class."""
        return int(self.probabilities.argmax())


def main(arguments: Sequence[str] | None = None, program: str = "python -m fastcnn.predict") -> int:
    """Classify as the arguments (or else those of the process) say, and return the exit code."""

    def command() -> int:
        options = options_of(app, arguments, program)
        return predict(options) if options else 0

    return exit_code_of(command)


def _style(text: str) -> str:
    try:
        return choice(text, ("auto", *STYLES), "it")
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


@app.command(cls=Command)
def parse(
    model: RunOrFile,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE", help="PNG, JPEG or other pictures, or IDX files.")],
    top: Annotated[
        int, typer.Option(parser=whole_number(1), metavar="N", help="How many classes to show, the likeliest first.")
    ] = 3,
    style: Annotated[
        str,
        typer.Option(
            parser=_style,
            metavar="NAME",
            help="mnist: make each picture look like one of MNIST. as-is: only fit its size. auto: as the images were "
            "that the model learnt.",
        ),
    ] = "auto",
    row: Annotated[bool, typer.Option("--row", help="Read all digits of a row, such as a house number.")] = False,
    show: Annotated[
        Path | None,
        typer.Option(
            parser=png_file, metavar="FILE.png", help="Draw each picture beside what the model saw and its answer."
        ),
    ] = None,
    scaling: Scaling = None,
    layers: OwnLayers = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object an image, with the probabilities of all classes.")
    ] = False,
) -> Options:
    """Tell which digits images show, and how sure the model is.

    A digit may have any size and colour, on a sheet, lined or not, lighter or darker, in light or shadow. Sureness is
    on the scale of what the model was taught: one that learnt 0.9 for the right digit and 0.1 for each other, as
    gorgonia does, gives no more than 50 %, which is shown as 100 %. An answer below 60 %, or that looks like no such
    digit, is called unsure.
    """
    return Options(model, images, top, style, row, show, scaling, layers or [], as_json)


def predict(options: Options) -> int:
    """Print a line for each image, and return the exit code."""
    classifier = load_classifier(options.model, options.scaling, layer_classes(options.layers))
    code, answered, shown = 0, False, []
    for path in options.images:
        found = list(seen_in(path, classifier, options.style, options.row))
        good = [each for each in found if isinstance(each, Seen)]
        answers = iter(_answers(classifier, good))
        for each in found:
            if isinstance(each, DataError):
                complain(f"error: {each}")
                code = REFUSED
                continue
            answer, answered = next(answers), True
            if options.show:
                shown.append((each, answer))
            if options.json:
                say_json(_as_json(each, answer, options))
            else:
                say(_as_row(each, answer) if options.row else _as_text(each, answer[0], options.top))
    if classifier.scale and answered and not options.json:
        complain(f"note: {classifier.scale}")
    if options.show and shown:
        save_png(options.show, _sheet(shown))
    return code


def _answers(classifier: Classifier, seen: list[Seen]) -> list[list[Answer]]:
    """Of each picture an answer for each of its images."""
    images = np.concatenate([np.empty((0, *classifier.input_shape), np.uint8), *(each.images for each in seen)])
    probabilities = classifier.probabilities(images)
    sureness = classifier.sureness(probabilities)
    best = probabilities.argmax(axis=1)
    doubts = ["unsure" if sure < SURE else "" for sure in sureness.max(axis=1, initial=0)]
    styled = np.repeat([each.styled for each in seen], [len(each.images) for each in seen]).astype(bool)
    if styled.any() and classifier.classes == DIGITS:
        which = np.flatnonzero(styled)
        like = is_like(images[which, 0], best[which])
        otherwise = reads_otherwise_turned(
            images[which, 0], sureness[which], lambda turned: classifier.sureness(classifier.probabilities(turned))
        )
        for index, is_alike, is_other in zip(which, like, otherwise, strict=True):
            if not is_alike:
                doubts[index] = f"unsure: it looks little like a {best[index]} of MNIST"
            elif is_other:
                doubts[index] = "unsure: turned a little it reads otherwise"
    answers = iter(map(Answer, probabilities, sureness, doubts))
    return [[next(answers) for _ in each.images] for each in seen]


def _as_text(seen: Seen, answer: Answer, top: int) -> str:
    order = np.argsort(-answer.probabilities, kind="stable")[:top]
    parts = [", ".join(f"{label} ({answer.sureness[label]:.1%})" for label in order)]
    parts += [answer.doubt] * bool(answer.doubt) + ["taken as light on dark"] * seen.turned
    return f"{seen.name}: {'; '.join(parts)}"


def _as_row(seen: Seen, answers: list[Answer]) -> str:
    each = [
        f"{answer.best} ({answer.sureness[answer.best]:.1%}{', unsure' if answer.doubt else ''})" for answer in answers
    ]
    return f"{seen.name}: {''.join(str(answer.best) for answer in answers)}; {', '.join(each)}"


def _as_json(seen: Seen, answers: list[Answer], options: Options) -> dict[str, Any]:
    head: dict[str, Any] = {"image": seen.path, "index": seen.index}
    found = []
    for answer in answers:
        order = np.argsort(-answer.probabilities, kind="stable")[: options.top]
        found.append(
            {
                "prediction": int(order[0]),
                "top": order.tolist(),
                "probabilities": answer.probabilities.tolist(),
                "sureness": float(answer.sureness[order[0]]),
                "doubt": answer.doubt or None,
            }
        )
    if options.row:
        return head | {"row": "".join(str(answer.best) for answer in answers), "digits": found}
    return head | found[0] | {"turned": seen.turned}


def _sheet(shown: list[tuple[Seen, list[Answer]]]) -> NDArray[np.uint8]:
    """Each picture beside each image that the model saw of it, and how sure it is of all classes."""
    from fastcnn.seen_sheet import seen_sheet

    cells = [
        (seen.name, seen.picture, image, answer.sureness, answer.doubt)
        for seen, answers in shown
        for image, answer in zip(seen.images, answers, strict=True)
    ]
    return seen_sheet(*zip(*cells, strict=True))


if __name__ == "__main__":
    run_program(main)
