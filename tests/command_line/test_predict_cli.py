"""python -m fastcnn.predict: right about digits however they are drawn, clear about what it can't use."""

import json
import os
import re
import subprocess
import sys

import drawings
import numpy as np
import pytest
from classifiers import SAMPLE, linear_model, probabilities_of, save_linear
from PIL import Image
from runs import train

import fastcnn as fc
from fastcnn.data import mnist_style, save_png, write_idx
from fastcnn.predict import main


def predict(*arguments):
    return main([str(argument) for argument in arguments])


def answers(capsys, *arguments):
    """The objects of a run that ends well."""
    assert predict(*arguments, "--json") == 0
    output, error = capsys.readouterr()
    assert error == ""
    return [json.loads(line) for line in output.splitlines()]


def assert_refused(capsys, *arguments, says):
    """Exit code 2, one line on stderr that says why, nothing on stdout."""
    assert predict(*arguments) == 2
    output, error = capsys.readouterr()
    assert error.startswith("error: ") and error.count("\n") == 1 and error.endswith("\n") and output == ""
    assert re.search(says, error), error


@pytest.fixture
def model(tmp_path):
    return save_linear(tmp_path / "model.safetensors")


@pytest.fixture
def seven(tmp_path):
    (tmp_path / "seven.png").write_bytes(drawings.encoded(7, drawings.coloured)[1])
    return tmp_path / "seven.png"


@pytest.mark.timeout(600)
def test_a_model_trained_on_the_sample_is_right_about_digits_in_every_style(tmp_path, capsys):
    assert train("--dataset", "sample", "--epochs", 3, "--run-dir", tmp_path / "run", "--quiet") == 0
    files = []
    for style in drawings.STYLES:
        for digit in range(10):
            name, content = drawings.encoded(digit, style)
            (tmp_path / name).write_bytes(content)
            files.append(tmp_path / name)
    right = [
        answer["prediction"] == index % 10 for index, answer in enumerate(answers(capsys, tmp_path / "run", *files))
    ]
    by_style = {style.__name__: sum(right[10 * row :][:10]) for row, style in enumerate(drawings.STYLES)}
    assert min(by_style.values()) >= 9, by_style


def test_a_line_names_the_image_and_the_likeliest_classes(model, seven, capsys):
    (expected,) = probabilities_of([mnist_style(np.asarray(Image.open(seven)))])
    best = np.argsort(-expected)
    assert predict(model, seven) == 0
    shown = ", ".join(f"{label} ({expected[label]:.1%})" for label in best[:3])
    assert capsys.readouterr() == (f"{seven}: {shown}\n", "")
    assert predict(model, seven, "--top", 99) == 0
    assert re.findall(r"(\d) \(", capsys.readouterr().out) == [str(label) for label in best]
    assert predict(model, seven, "--top", 1) == 0
    assert capsys.readouterr().out == f"{seven}: {best[0]} ({expected[best[0]]:.1%})\n"


def test_json_has_all_probabilities(model, seven, capsys):
    first, second = answers(capsys, model, seven, seven, "--top", 2)
    assert first == second and first["image"] == str(seven) and first["index"] is None
    (expected,) = probabilities_of([mnist_style(np.asarray(Image.open(seven)))])
    np.testing.assert_allclose(first["probabilities"], expected, rtol=1e-5)
    assert first["prediction"] == expected.argmax() and first["top"] == np.argsort(-expected)[:2].tolist()


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_images_of_an_idx_file_are_taken_as_they_are(model, tmp_path, capsys, name):
    images = SAMPLE.test_images[:600, 0].copy()
    images[3] = 0  # blank: no business of a data set's reader
    write_idx(tmp_path / name, images)
    found = answers(capsys, model, tmp_path / name)
    assert [answer["index"] for answer in found] == list(range(600))
    np.testing.assert_allclose([answer["probabilities"] for answer in found], probabilities_of(images), rtol=1e-4)
    assert predict(model, tmp_path / name) == 0
    assert capsys.readouterr().out.splitlines()[7].startswith(f"{tmp_path / name}[7]: ")


def test_images_of_an_idx_file_of_another_size_are_made_to_fit(model, tmp_path, capsys):
    large = np.stack([np.asarray(drawings.inverted(digit)) for digit in (1, 8, 0)])
    large[1] = 0
    write_idx(tmp_path / "large", large)
    assert predict(model, tmp_path / "large") == 2
    output, error = capsys.readouterr()
    assert [line.split(":")[0].rpartition("/")[2] for line in output.splitlines()] == ["large[0]", "large[2]"]
    assert error.count("\n") == 1 and re.search(r"large\[1\]: expected a digit .* got no ink that stands out", error)


def test_digits_of_mnist_saved_as_png_are_predicted_like_the_digits_themselves(model, tmp_path, capsys):
    images = SAMPLE.test_images[:100, 0]
    for index, image in enumerate(images):
        save_png(tmp_path / f"{index}.png", image if index % 2 else 255 - image)
    found = answers(capsys, model, *(tmp_path / f"{index}.png" for index in range(100)))
    direct = probabilities_of(images).argmax(axis=1)
    assert np.mean([answer["prediction"] for answer in found] == direct) >= 0.97


def test_a_folder_of_a_run_stands_for_its_best_model_or_else_its_last(tmp_path, seven, capsys):
    run = tmp_path / "run"
    run.mkdir()
    assert_refused(capsys, run, seven, says="expected the folder of a run, with best.safetensors or last.safetensors")
    with_last = fc.Sequential(fc.Flatten(), fc.Linear(784, 3), input_shape=(1, 28, 28))
    fc.save(with_last, run / "last.safetensors", {"scaling": "gorgonia"})
    assert len(answers(capsys, run, seven)[0]["probabilities"]) == 3
    save_linear(run / "best.safetensors")
    assert len(answers(capsys, run, seven)[0]["probabilities"]) == 10


def test_a_file_that_does_not_tell_the_scaling_needs_to_be_told(tmp_path, seven, capsys):
    fc.save(linear_model(), tmp_path / "bare")
    assert_refused(capsys, tmp_path / "bare", seven, says="expected 'scaling' in .* got None; say by --scaling")
    fc.save(linear_model(), tmp_path / "odd", {"scaling": "percent"})
    assert_refused(capsys, tmp_path / "odd", seven, says="got 'percent'")
    told = answers(capsys, tmp_path / "bare", seven, "--scaling", "unit")
    assert told == answers(capsys, save_linear(tmp_path / "m"), seven)
    assert told != answers(capsys, tmp_path / "m", seven, "--scaling", "gorgonia")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("end", [fc.Softmax, fc.LogSoftmax])
def test_a_model_that_gives_probabilities_itself_means_them(tmp_path, seven, capsys, end, dtype):
    def save(name, *last):
        layers = [fc.Flatten(), fc.Linear(784, 4), *last]
        fc.save(fc.Sequential(*layers, input_shape=(1, 28, 28), dtype=dtype), tmp_path / name, {"scaling": "unit"})
        return answers(capsys, tmp_path / name, seven)[0]["probabilities"]

    logits = save("logits")
    assert sum(logits) == pytest.approx(1)
    assert save("end", end()) == pytest.approx(logits, rel=1e-5)
    assert save("inside", fc.Sequential(end())) == pytest.approx(logits, rel=1e-5)


def test_a_graph_is_a_model_too(tmp_path, seven, capsys):
    x = fc.Input(1, 28, 28)
    graph = fc.Graph(x, fc.Linear(784, 5)(fc.Flatten()(x)))
    fc.save(graph, tmp_path / "graph", {"scaling": "unit"})
    assert len(answers(capsys, tmp_path / "graph", seven)[0]["probabilities"]) == 5


def several_outputs():
    x = fc.Input(1, 28, 28)
    flat = fc.Flatten()(x)
    return fc.Graph(x, [fc.Linear(784, 5)(flat), fc.Linear(784, 2)(flat)])


MODELS = {
    "colour": (fc.Sequential(fc.Flatten(), fc.Linear(3072, 10), input_shape=(3, 32, 32)),
               r"expected a model of images \(1, 28, 28\), got one of \(3, 32, 32\)"),
    "vectors": (fc.Sequential(fc.Linear(784, 10), input_shape=(784,)), r"made with input_shape=\(channels, "),
    "unknown input": (fc.Sequential(fc.Flatten(), fc.Linear(784, 10)), r"input_shape=.*, got None"),
    "one class": (fc.Sequential(fc.Flatten(), fc.Linear(784, 1), input_shape=(1, 28, 28)), r"got \(1, 1\)"),
    "images out": (fc.Sequential(fc.ReLU(), input_shape=(1, 28, 28)), r"got \(1, 1, 28, 28\)"),
    "several outputs": (several_outputs(), r"with one output"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_does_not_classify_such_images_is_refused(tmp_path, seven, capsys, kind):
    model, says = MODELS[kind]
    fc.save(model, tmp_path / "other", {"scaling": "unit"})
    assert_refused(capsys, tmp_path / "other", seven, says=says)


def test_a_model_whose_outputs_are_no_numbers_is_refused(tmp_path, seven, capsys):
    model = fc.Sequential(fc.Flatten(), fc.Linear(784, 10), input_shape=(1, 28, 28))
    model.parameters()[0].data = np.full((10, 784), np.nan)
    fc.save(model, tmp_path / "other", {"scaling": "unit"})
    assert_refused(capsys, tmp_path / "other", seven, says="outputs are infinite or NaN")


def test_a_model_of_another_size_takes_an_idx_file_of_that_size(tmp_path, seven, capsys):
    model = fc.Sequential(fc.Flatten(), fc.Linear(20, 2), input_shape=(1, 5, 4))
    fc.save(model, tmp_path / "small", {"scaling": "unit"})
    write_idx(tmp_path / "images", np.zeros((3, 5, 4), np.uint8))
    assert len(answers(capsys, tmp_path / "small", tmp_path / "images")) == 3
    write_idx(tmp_path / "images", np.zeros((3, 5, 5), np.uint8))
    assert_refused(capsys, tmp_path / "small", tmp_path / "images", says=r"images\[0\]: expected a model of images")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "got nothing of that name"),
        ("/dev/zero", "got a device"),
        (b"text", "expected a PNG, JPEG or IDX file"),
        (drawings.encoded(3, drawings.paper)[1][:5000], "damaged or truncated"),
        (drawings.encoded(3, drawings.jpeg)[1][:900], "damaged or truncated"),
        (b"\0\0\x08\x01\0\0\0\x03abc", "got labels"),
    ],
    ids=["missing", "endless", "text", "half a png", "half a jpeg", "labels"],
)
def test_a_file_without_a_picture_is_refused(model, tmp_path, capsys, content, says):
    if isinstance(content, str):
        (tmp_path / "picture").symlink_to(content)
    elif content is not None:
        (tmp_path / "picture").write_bytes(content)
    assert_refused(capsys, model, tmp_path / "picture", says=says)


def test_a_blank_picture_is_refused_and_the_others_are_classified(model, seven, tmp_path, capsys):
    save_png(tmp_path / "blank.png", np.full((50, 40, 3), 255, np.uint8))
    assert_refused(capsys, model, tmp_path / "blank.png", says=r"predict .*blank.png: expected a digit on a plain")
    assert predict(model, tmp_path / "absent", seven, tmp_path / "blank.png", seven) == 2
    output, error = capsys.readouterr()
    assert output.count(f"{seven}: 7 (") == 2 and error.count("\n") == 2


def test_what_sureness_means_is_said_where_there_is_some(seven, tmp_path, capsys):
    fc.save(linear_model(), tmp_path / "soft", {"scaling": "unit", "targets": "soft"})
    assert_refused(capsys, tmp_path / "soft", tmp_path / "absent", says="got nothing of that name")
    assert predict(tmp_path / "soft", seven) == 0
    assert capsys.readouterr().err.startswith("note: sureness: 100 % is what the model was taught")


def test_a_missing_model_and_missing_arguments_are_refused(tmp_path, seven, capsys):
    assert_refused(capsys, tmp_path / "absent", seven, says="expected a safetensors file, got nothing of that name")
    assert_refused(capsys, "/dev/zero", seven, says="expected a safetensors file, got a device")
    assert_refused(capsys, seven, seven, says="damaged or no safetensors file")
    assert_refused(capsys, says="Missing argument 'RUN_OR_FILE'")
    assert_refused(capsys, tmp_path, says="Missing argument 'IMAGE'")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--top", "0", "'--top': expected a whole number >= 1, got '0'"),
        ("--top", "many", "'--top': expected a whole number >= 1, got 'many'"),
        ("--scaling", "percent", "'--scaling': .* one of gorgonia, unit, standard, got 'percent'"),
        ("--nonsense", "1", "--nonsense"),
    ],
)
def test_options_that_will_not_do_are_refused(model, seven, capsys, option, value, says):
    assert_refused(capsys, model, seven, option, value, says=says)


def test_a_name_that_is_not_fit_to_print_is_written_as_python_would(model, seven, tmp_path, capsys):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/two\nlines\xff.png")
    with open(odd, "wb") as file:
        file.write(seven.read_bytes())
    assert predict(model, odd) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1 and r"two\nlines\udcff.png': 7 (" in output
    assert answers(capsys, model, odd)[0]["image"] == odd


def test_the_module_is_a_program(model, seven):
    command = [sys.executable, "-m", "fastcnn.predict", model, seven]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.startswith(f"{seven}: 7 (")
    assert subprocess.run([*command[:-1], "absent"], capture_output=True).returncode == 2


def test_a_reader_that_goes_away_is_no_error_to_talk_about(model, tmp_path):
    write_idx(tmp_path / "images", np.tile(SAMPLE.test_images[:50, 0], (40, 1, 1)))
    for options in ((), ("--json",)):  # more output than a pipe holds
        command = [sys.executable, "-m", "fastcnn.predict", model, tmp_path / "images", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            run.stdout.readline()
            run.stdout.close()
            assert (run.stderr.read(), run.wait()) == (b"", 1)


def test_help_names_every_option(capsys):
    assert predict("--help") == 0
    output = capsys.readouterr().out
    for part in ("RUN_OR_FILE", "IMAGE", "--top", "--scaling", "--json"):
        assert part in output
