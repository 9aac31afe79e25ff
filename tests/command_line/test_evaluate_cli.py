"""python -m fastcnn.evaluate: accuracy, confusions and mistakes, as counted here once more."""

import json
import os
import re

import numpy as np
import pytest
from classifiers import SAMPLE, probabilities_of, save_linear
from runs import NAMES, train, write_digits

import fastcnn as fc
from fastcnn.data import contact_sheet, read_images, write_idx
from fastcnn.evaluate import judge, main


def evaluate(*arguments):
    return main([str(argument) for argument in arguments])


def assert_refused(capsys, *arguments, says):
    """Exit code 2, one line on stderr that says why, nothing on stdout."""
    assert evaluate(*arguments) == 2
    output, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1 and error.endswith("\n") and output == ""
    assert re.search(says, error), error


@pytest.fixture
def model(tmp_path):
    return save_linear(tmp_path / "model.safetensors")


@pytest.fixture(scope="module")
def expected():
    """What the model makes of the sample: probabilities, predictions, and mistakes, the surest first."""
    probabilities = probabilities_of(SAMPLE.test_images)
    predictions = probabilities.argmax(axis=1)
    wrong = [index for index in range(1000) if predictions[index] != SAMPLE.test_labels[index]]
    wrong.sort(key=lambda index: -probabilities[index].max())
    return probabilities, predictions, wrong


def test_json_has_accuracy_confusion_and_mistakes(model, capsys, expected):
    assert evaluate(model, "--dataset", "sample", "--json", "--mistakes", 25) == 0
    output, error = capsys.readouterr()
    found = json.loads(output)
    assert error == "" and output.count("\n") == 1

    probabilities, predictions, wrong = expected
    assert found["model"] == str(model) and found["dataset"] == "sample" and found["images"] == 1000
    assert found["accuracy"] == np.mean(predictions == SAMPLE.test_labels) > 0.85
    confusion = [
        [int(((SAMPLE.test_labels == label) & (predictions == taken)).sum()) for taken in range(10)]
        for label in range(10)
    ]
    assert found["confusion"] == confusion
    assert found["class_accuracy"] == [confusion[label][label] / 100 for label in range(10)]
    assert len(wrong) > 25 and [mistake["index"] for mistake in found["mistakes"]] == wrong[:25]
    for mistake in found["mistakes"]:
        index = mistake["index"]
        assert mistake["label"] == SAMPLE.test_labels[index] and mistake["prediction"] == predictions[index]
        assert mistake["probability"] == pytest.approx(probabilities[index].max(), rel=1e-4)


def test_people_get_a_table_and_a_list(model, capsys, expected):
    assert evaluate(model, "--dataset", "sample", "--mistakes", 4) == 0
    output, error = capsys.readouterr()
    probabilities, predictions, wrong = expected
    lines = output.splitlines()
    assert error == "" and "\x1b" not in output
    assert lines[0] == f"model  {str(model)!r}" and lines[1].startswith("data   sample: ")
    head, *rows = [line.split() for line in lines[3:] if re.match(r"label|\d |all", line)]
    assert head == ["label", *(part for label in range(10) for part in ("as", str(label))), "right"]
    for label, row in enumerate(rows[:10]):
        counts = np.bincount(predictions[SAMPLE.test_labels == label], minlength=10)
        assert row == [str(label), *(str(count or ".") for count in counts), f"{counts[label] / 100:.2%}"]
    accuracy = np.mean(predictions == SAMPLE.test_labels)
    assert rows[10] == ["all", *map(str, np.bincount(predictions, minlength=10)), f"{accuracy:.2%}"]
    assert f"{1000 - len(wrong):,} of 1,000 test images right; the worst mistakes:" in lines
    assert [line.split() for line in lines[-4:]] == [
        [str(i), str(SAMPLE.test_labels[i]), str(predictions[i]), f"{probabilities[i].max():.1%}"] for i in wrong[:4]
    ]


def test_a_sheet_shows_the_worst_mistakes(model, tmp_path, capsys, expected):
    probabilities, predictions, wrong = expected
    assert evaluate(model, "--dataset", "sample", "--mistakes", 3, "--sheet", tmp_path / "sheet.png") == 0
    worst = wrong[:3]
    sheet = contact_sheet(
        SAMPLE.test_images[worst],
        SAMPLE.test_labels[worst],
        predictions=predictions[worst],
        notes=[f"image {index}: {probabilities[index].max():.0%}" for index in worst],
    )
    np.testing.assert_array_equal(read_images(tmp_path / "sheet.png")[0], sheet)
    assert "sheet.png" in capsys.readouterr().out.splitlines()[-1]
    assert evaluate(model, "--dataset", "sample", "--mistakes", 0, "--sheet", tmp_path / "none.png") == 0
    assert not (tmp_path / "none.png").exists() and "no sheet" in capsys.readouterr().out
    absent = tmp_path / "absent" / "a.png"
    assert_refused(capsys, model, "--dataset", "sample", "--sheet", absent, says="in a folder that exists")


def test_the_accuracy_of_a_run_is_that_of_its_best_epoch(digits, tmp_path, capsys):
    run = tmp_path / "run"
    options = ("--epochs", 2, "--batch-size", 20, "--run-dir", run, "--quiet")
    assert train("--data-dir", digits, *options) == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert evaluate(run, "--data-dir", digits, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == max(row["test_accuracy"] for row in rows)
    assert found["images"] == 20 and found["dataset"] == "digits"


def test_a_class_without_images_has_no_accuracy(model, tmp_path, capsys):
    folder = write_digits(tmp_path / "digits", 20, 20)
    zeros = SAMPLE.test_labels == 0
    write_idx(folder / NAMES[2], SAMPLE.test_images[zeros, 0])
    write_idx(folder / NAMES[3], SAMPLE.test_labels[zeros])
    assert evaluate(model, "--data-dir", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["class_accuracy"][1:] == [None] * 9
    assert evaluate(model, "--data-dir", folder) == 0


def test_a_model_that_is_always_right_has_no_mistakes():
    verdict = judge(np.eye(3)[[2, 0, 2]], np.array([2, 0, 2], np.uint8))
    assert (verdict.accuracy, verdict.images, verdict.mistakes) == (1.0, 3, [])
    assert verdict.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 2]]
    assert verdict.class_accuracy == [1.0, None, 1.0]


def test_equally_sure_mistakes_keep_their_order():
    verdict = judge(np.tile([[0.5, 0.5], [0.6, 0.4]], (500, 1)), np.ones(1000, np.uint8))
    assert [mistake.index for mistake in verdict.mistakes] == [*range(1, 1000, 2), *range(0, 1000, 2)]


def test_a_model_of_more_classes_will_do_and_one_of_fewer_not(tmp_path, capsys):
    for classes in (3, 12):
        model = fc.Sequential(fc.Flatten(), fc.Linear(784, classes), input_shape=(1, 28, 28))
        fc.save(model, tmp_path / f"{classes}", {"scaling": "unit"})
    assert evaluate(tmp_path / "12", "--dataset", "sample", "--json") == 0
    assert np.shape(json.loads(capsys.readouterr().out)["confusion"]) == (12, 12)
    assert_refused(capsys, tmp_path / "3", "--dataset", "sample", says="expected labels 0 to 2, got")


def test_what_can_not_be_evaluated_is_refused(model, digits, tmp_path, capsys):
    assert_refused(capsys, tmp_path / "absent", says="expected a safetensors file, got nothing of that name")
    assert_refused(capsys, tmp_path, says="expected the folder of a run")
    assert_refused(capsys, model, "--dataset", "letters", says="must be one of auto, mnist, sample")
    (tmp_path / "empty").mkdir()
    assert_refused(capsys, model, "--data-dir", tmp_path / "empty", says="must hold the four IDX files")
    assert_refused(capsys, model, "--data-dir", "", says="expected the path of a folder")
    assert_refused(capsys, model, "--mistakes", "-1", says="expected a whole number >= 0, got '-1'")
    assert_refused(capsys, says="Missing argument 'RUN_OR_FILE'")
    small = fc.Sequential(fc.Flatten(), fc.Linear(784, 10), input_shape=(1, 14, 56))
    fc.save(small, tmp_path / "small", {"scaling": "unit"})
    assert_refused(capsys, tmp_path / "small", "--data-dir", digits, says=r"takes images \(1, 14, 56\).*\(1, 28, 28\)")


def test_help_names_every_option(capsys):
    assert evaluate("--help") == 0
    output = capsys.readouterr().out
    for part in ("RUN_OR_FILE", "--dataset", "--data-dir", "--mistakes", "--sheet", "--scaling", "--json"):
        assert part in output


@pytest.mark.parametrize("sheet", ["last.safetensors", "m.jpg", ".", "", "nowhere/m.png"])
def test_a_sheet_that_can_t_be_is_refused_before_the_work(sheet, capsys):
    assert main(["no such model", "--sheet", sheet]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: Invalid value for '--sheet': expected a ") and error.count("\n") == 1


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkdir, "Is a directory"),
        (os.mkfifo, "is a named pipe (FIFO), expected a regular file"),
        (lambda path: path.touch(0o400), "is write-protected"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
    ids=["folder", "pipe", "write-protected", "loop"],
)
def test_what_a_sheet_can_t_replace_is_refused_before_the_work(tmp_path, capsys, make, why):
    make(tmp_path / "m.png")
    assert main(["no such model", "--sheet", str(tmp_path / "m.png")]) == 2
    error = capsys.readouterr().err
    assert f"'--sheet': expected a file that can be written, got {str(tmp_path / 'm.png')!r} ({why})" in error
