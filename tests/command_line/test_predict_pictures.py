"""python -m fastcnn.predict on pictures that people take: each is read right, or refused, or doubted in words."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

import fastcnn as fc
from fastcnn.classifier import load_classifier
from fastcnn.data import read_images, save_png, write_idx
from fastcnn.predict import main

FOLDER = Path(__file__).parent.parent / "pictures"
RIGHT = sorted(path.name for path in FOLDER.glob("[0-9]_*.*"))
WORDS = {
    "42_two_digits.png": "expected one digit, got 2 that stand side by side; read them by --row",
    "blank_lined.png": "got no ink that stands out",
    "blank_shadow_edge.jpg": "got no ink that stands out",
    "IMG_0003.HEIC": "got HEIC; save it as PNG or JPEG",
}
FASHION = sorted((FOLDER / "fashion").glob("*.png"))


def predict(*arguments):
    return main([str(argument) for argument in arguments])


def answer_of(capsys, *arguments):
    assert predict(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", RIGHT)
def test_a_picture_of_a_digit_is_read_right_or_called_unsure(trained_file, capsys, name):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    answer = answer_of(capsys, trained_file, FOLDER / name)
    assert answer["prediction"] == int(name[0]) or answer["doubt"], answer


@pytest.mark.parametrize("name", WORDS)
def test_a_picture_without_one_digit_is_refused_in_words(trained_file, capsys, name):
    assert predict(trained_file, FOLDER / name) == 2
    output, error = capsys.readouterr()
    assert output == "" and re.search(WORDS[name], error), error


def test_a_letter_is_called_unsure(trained_file, capsys):
    assert "unsure" in answer_of(capsys, trained_file, FOLDER / "letter_A.png")["doubt"]
    assert predict(trained_file, FOLDER / "letter_A.png") == 0
    assert "; unsure: " in capsys.readouterr().out


def test_a_row_is_one_line_with_its_digits_and_how_sure_each_is(trained_file, capsys):
    assert predict(trained_file, FOLDER / "42_two_digits.png", "--row") == 0
    assert re.fullmatch(r".*42_two_digits.png: 42; 4 \(\d+\.\d%\), 2 \(\d+\.\d%\)\n", capsys.readouterr().out)
    answer = answer_of(capsys, trained_file, FOLDER / "42_two_digits.png", "--row")
    assert answer["row"] == "42" and [digit["prediction"] for digit in answer["digits"]] == [4, 2]


def untaught(path, **metadata):
    model = fc.Sequential(fc.Flatten(), fc.Linear(784, 10), input_shape=(1, 28, 28), seed=1)
    fc.save(model, path, {"scaling": "unit", **metadata})
    return path


@pytest.mark.parametrize("path", FASHION, ids=lambda path: path.stem)
def test_a_model_of_other_images_takes_pictures_as_they_are(tmp_path, capsys, path):
    model = untaught(tmp_path / "model", style="as-is")
    write_idx(tmp_path / "images", np.asarray(Image.open(path))[np.newaxis])
    by_picture, by_idx = (answer_of(capsys, model, source) for source in (path, tmp_path / "images"))
    assert by_picture["probabilities"] == by_idx["probabilities"]


def test_a_style_may_be_named(tmp_path, capsys):
    model = untaught(tmp_path / "model", style="mnist")
    expected = load_classifier(model).probabilities(np.asarray(Image.open(FASHION[0]))[np.newaxis, np.newaxis])
    found = answer_of(capsys, model, FASHION[0], "--style", "as-is")
    np.testing.assert_allclose(found["probabilities"], expected[0])
    assert answer_of(capsys, model, FASHION[0])["probabilities"] != found["probabilities"]
    assert predict(model, FASHION[0], "--style", "other") == 2
    assert "one of auto, mnist, as-is" in capsys.readouterr().err


def test_dark_digits_of_an_idx_file_are_turned_and_that_is_said(trained_file, tmp_path, capsys):
    digits = fc.data.load_dataset("sample").test_images[:5, 0]
    for name, images in (("light", digits), ("dark", 255 - digits)):
        write_idx(tmp_path / name, images)
    answers = []
    for name in ("light", "dark"):
        assert predict(trained_file, tmp_path / name) == 0
        answers.append([line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()])
    assert [f"{line}; taken as light on dark" for line in answers[0]] == answers[1]


def test_sureness_is_on_the_scale_of_what_was_taught(tmp_path, capsys):
    picture = FOLDER / "3_webp.webp"
    plain = answer_of(capsys, untaught(tmp_path / "plain"), picture)
    assert plain["sureness"] == max(plain["probabilities"])
    for targets, top, floor in (("soft", 0.5, 1 / 18), ("smooth", 0.91, 0.01)):
        model = untaught(tmp_path / targets, targets=targets)
        classifier = load_classifier(model)
        np.testing.assert_allclose(classifier.sureness(np.array([[top, floor, 1, 0]])), [[1, 0, 1, 0]], atol=1e-12)
        found = answer_of(capsys, model, picture)
        assert found["probabilities"] == plain["probabilities"]
        scaled = (max(plain["probabilities"]) - floor) / (top - floor)
        assert found["sureness"] == pytest.approx(min(scaled, 1))
        assert predict(model, picture) == 0
        assert f"100 % is what the model was taught to give the right class, {top:.1%}" in capsys.readouterr().err


def test_a_picture_of_what_the_model_saw_is_drawn(trained_file, tmp_path, capsys):
    names = ["3_gif.gif", "3_exif6_16bit.png"]
    assert predict(trained_file, *(FOLDER / name for name in names), "--show", tmp_path / "show.png") == 0
    (sheet,) = read_images(tmp_path / "show.png")
    (picture,) = read_images(FOLDER / names[1])
    seen = fc.data.mnist_style(picture).repeat(4, axis=0).repeat(4, axis=1)
    places = [
        (row, column)
        for row in range(sheet.shape[0] - 111)
        for column in range(sheet.shape[1] - 111)
        if (sheet[row, column : column + 112, 0] == seen[0]).all()
        and (sheet[row : row + 112, column : column + 112, 0] == seen).all()
    ]
    assert len(places) == 1
    assert predict(trained_file, FOLDER / names[0], "--show", tmp_path / "show.txt") == 2
    assert "ends in .png" in capsys.readouterr().err


def test_the_style_of_a_run_is_in_its_file(tmp_path):
    from fastcnn.data.style import style_of

    digits = fc.data.load_dataset("sample").test_images
    assert style_of(digits) == "mnist" and style_of(255 - digits) == "as-is" and style_of(digits[:, :, 1:]) == "as-is"
    full = np.array([np.asarray(Image.open(path)) for path in FASHION])[:, np.newaxis]
    assert style_of(full) == "as-is"


def test_pictures_of_another_size_are_fitted_to_a_model_that_takes_them_as_they_are(tmp_path, capsys):
    model = untaught(tmp_path / "model", style="as-is")
    save_png(tmp_path / "large.png", np.asarray(Image.open(FASHION[0])).repeat(5, axis=0).repeat(5, axis=1))
    found, same = (answer_of(capsys, model, path)["probabilities"] for path in (tmp_path / "large.png", FASHION[0]))
    np.testing.assert_allclose(found, same, atol=0.02)
