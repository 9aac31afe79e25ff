"""The command line ``python -m fastcnn.evaluate``: how good a trained model is, and what it takes for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from fastcnn.classifier import load_classifier
from fastcnn.console import downloads_shown, exit_code_of, options_of, run_program
from fastcnn.data import Dataset, contact_sheet, load_dataset, save_png
from fastcnn.data.transforms import check_labels
from fastcnn.errors import ConfigError
from fastcnn.layer_classes import layer_classes
from fastcnn.options import Command, OwnLayers, RunOrFile, Scaling, png_file, whole_number
from fastcnn.tables import table
from fastcnn.terminal import Terminal, say, say_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Options:
    """The command line, understood."""

    model: str
    dataset: str
    data_dir: str | None
    transpose: bool | None
    mistakes: int
    sheet: Path | None
    scaling: str | None
    layers: list[str]
    json: bool


@dataclass(frozen=True)
class Mistake:
    """A test image that the model takes for something else.

    Attributes:
        index: Its place in the data set.
        label: What it is.
        prediction: What it was taken for.
        probability: Of the prediction, in the model's view: how sure it is, see `Classifier.sureness`.
    """

    index: int
    label: int
    prediction: int
    probability: float


@dataclass(frozen=True, eq=False)
class Verdict:
    """How a model did.

    Attributes:
        confusion: ``(classes, classes)``: how many images of each label, row by row, were taken for which class.
        mistakes: All of them, first those in which the model was surest.
    """

    confusion: NDArray[np.intp]
    mistakes: list[Mistake]

    @property
    def images(self) -> int:
        """How many were judged."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share of those that were right."""
        return float(self.confusion.trace() / self.images)

    @property
    def class_accuracy(self) -> list[float | None]:
        """The same for the images of each label; None where there are none."""
        return [
            float(right / count) if count else None
            for right, count in zip(self.confusion.diagonal(), self.confusion.sum(axis=1), strict=True)
        ]


def main(arguments: Sequence[str] | None = None, program: str = "python -m fastcnn.evaluate") -> int:
    """Evaluate as the arguments (or else those of the process) say, and return the exit code."""

    def command() -> int:
        options = options_of(app, arguments, program)
        return evaluate(options) if options else 0

    return exit_code_of(command)


@app.command(cls=Command)
def parse(
    model: RunOrFile,
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Whose test images. mnist: the full set, downloaded if need be. sample: the 5,000 digits that ship "
            "with fastcnn. auto: the full set if it is on this machine, or else the sample.",
        ),
    ] = "auto",
    data_dir: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the four IDX files of MNIST are, or of another set.")
    ] = None,
    transpose: Annotated[
        bool | None,
        typer.Option(
            "--transpose/--no-transpose",
            metavar="",
            help="Swap rows and columns of the images; if not given, of those whose files are named as EMNIST's.",
        ),
    ] = None,
    mistakes: Annotated[
        int, typer.Option(parser=whole_number(0), metavar="N", help="How many of the worst mistakes to show.")
    ] = 10,
    sheet: Annotated[
        Path | None, typer.Option(parser=png_file, metavar="FILE.png", help="Draw these mistakes into a picture.")
    ] = None,
    scaling: Scaling = None,
    layers: OwnLayers = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all as one JSON object.")] = False,
) -> Options:
    """Tell how many test images a model gets right, what it takes for what, and its worst mistakes."""
    return Options(model, dataset, data_dir, transpose, mistakes, sheet, scaling, layers or [], as_json)


def evaluate(options: Options) -> int:
    """Judge the model and print what came of it."""
    classifier = load_classifier(options.model, options.scaling, layer_classes(options.layers))
    if options.data_dir == "":
        raise ConfigError("--data-dir: expected the path of a folder, got ''; see --help")
    with downloads_shown(Terminal(stderr=options.json)) as progress:
        data = load_dataset(options.dataset, options.data_dir, progress, transpose=options.transpose)
    check_labels(data.test_labels, classifier.classes, f"evaluate {str(classifier.path)!r}")
    verdict = judge(classifier.sureness(classifier.probabilities(data.test_images)), data.test_labels)
    worst = verdict.mistakes[: options.mistakes]
    if options.sheet and worst:
        save_png(options.sheet, _sheet(worst, data))
    if options.json:
        say_json(_as_json(str(classifier.path), data, verdict, worst))
        return 0
    say(
        f"model  {str(classifier.path)!r}\ndata   {data.origin}\n\n{_confusion(verdict)}\n\n{_mistakes(verdict, worst)}"
    )
    if classifier.scale and worst:
        say(f"\n{classifier.scale}")
    if options.sheet:
        drawn = f"these are drawn in {str(options.sheet)!r}" if worst else "so there is no sheet of mistakes"
        say(f"\n{drawn}")
    return 0


def judge(probabilities: NDArray[np.float64], labels: NDArray[np.integer[Any]]) -> Verdict:
    """Hold probabilities ``(N, classes)`` to labels ``(N,)``.

    >>> verdict = judge(np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), np.array([0, 1, 1]))
    >>> verdict.confusion
    array([[1, 0],
           [1, 1]])
    >>> verdict.mistakes
    [Mistake(index=2, label=1, prediction=0, probability=0.6)]
    """
    classes = probabilities.shape[1]
    predictions = probabilities.argmax(axis=1)
    confusion = np.bincount(labels.astype(np.intp) * classes + predictions, minlength=classes * classes)
    sureness = probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    wrong = wrong[np.argsort(-sureness[wrong], kind="stable")]
    mistakes = [Mistake(int(i), int(labels[i]), int(predictions[i]), float(sureness[i])) for i in wrong]
    return Verdict(confusion.reshape(classes, classes), mistakes)


def _as_json(model: str, data: Dataset, verdict: Verdict, worst: Sequence[Mistake]) -> dict[str, Any]:
    return {
        "model": model,
        "dataset": data.name,
        "images": verdict.images,
        "accuracy": verdict.accuracy,
        "class_accuracy": verdict.class_accuracy,
        "confusion": verdict.confusion.tolist(),
        "mistakes": [vars(mistake) for mistake in worst],
    }


def _confusion(verdict: Verdict) -> str:
    """The matrix as a table: labels downwards, predictions across."""
    classes = range(len(verdict.confusion))
    rows = [["label", *(f"as {label}" for label in classes), "right"]]
    for label, counts in enumerate(verdict.confusion.tolist()):
        share = verdict.class_accuracy[label]
        rows.append([str(label), *(str(count or ".") for count in counts), "" if share is None else f"{share:.2%}"])
    rows.append(["all", *map(str, verdict.confusion.sum(axis=0).tolist()), f"{verdict.accuracy:.2%}"])
    return table(rows, right=range(1, len(classes) + 2))


def _mistakes(verdict: Verdict, worst: Sequence[Mistake]) -> str:
    head = f"{verdict.images - len(verdict.mistakes):,} of {verdict.images:,} test images right"
    if not worst:
        return head
    lines = [f"  {m.index:7}  {m.label:5}  {m.prediction:9}  {m.probability:11.1%}" for m in worst]
    return "\n".join([f"{head}; the worst mistakes:", "    image  label  taken for  probability", *lines])


def _sheet(worst: Sequence[Mistake], data: Dataset) -> NDArray[np.uint8]:
    return contact_sheet(
        data.test_images[[mistake.index for mistake in worst]],
        labels=[mistake.label for mistake in worst],
        predictions=[mistake.prediction for mistake in worst],
        notes=[f"image {mistake.index}: {mistake.probability:.0%}" for mistake in worst],
    )


if __name__ == "__main__":
    run_program(main)
