"""--layers MODULE:CLASS: a model with a layer of one's own, on the command lines of predict and evaluate."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from classifiers import SAMPLE

import fastcnn as fc
from fastcnn import evaluate, predict
from fastcnn.data import write_idx

MODULE = """
import fastcnn as fc

print("imported")

class Double(fc.Layer):
    def forward(self, x, training):
        return 2 * x, lambda dy: 2 * dy

class Outer:
    class Negative(fc.Layer):
        def forward(self, x, training):
            return -x, lambda dy: -dy

number = 3
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder with a module of layers, a model that has two of them, and images; the current one."""
    monkeypatch.chdir(tmp_path)
    Path("mylayers.py").write_text(MODULE)
    namespace = {}
    exec(MODULE, namespace)
    layers = [fc.Flatten(), namespace["Double"](), namespace["Outer"].Negative(), fc.Linear(784, 10)]
    fc.save(fc.Sequential(layers, input_shape=(1, 28, 28)), "model.safetensors", {"scaling": "unit"})
    write_idx("images", SAMPLE.test_images[:3, 0])
    yield tmp_path
    for name in (path.stem for path in tmp_path.glob("*.py")):  # another test has others of these names
        sys.modules.pop(name, None)


LAYERS = ("--layers", "mylayers:Double", "--layers", "mylayers:Outer.Negative")


def test_predict_and_evaluate_take_a_model_with_layers_from_the_current_folder(elsewhere, capsys):
    capsys.readouterr()
    path = list(sys.path)
    assert predict.main(["model.safetensors", "images", "--json", *LAYERS]) == 0
    output, error = capsys.readouterr()
    assert error == "imported\n"  # the module's own words don't mix with the answers
    assert sys.path == path
    module = sys.modules["mylayers"]
    model = fc.load("model.safetensors", layers={"Double": module.Double, "Negative": module.Outer.Negative})
    logits = model(fc.data.scale_pixels(SAMPLE.test_images[:3], "unit", "float32"))
    shown = [json.loads(line)["prediction"] for line in output.splitlines()]
    assert shown == logits.argmax(axis=1).tolist()
    assert evaluate.main(["model.safetensors", "--dataset", "sample", "--json", *LAYERS]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 1000


def test_a_command_of_its_own_process_finds_the_module_too(elsewhere):
    command = [sys.executable, "-P", "-m", "fastcnn.predict", "model.safetensors", "images", *LAYERS]
    done = subprocess.run(command, capture_output=True, text=True)
    if "No module named" in done.stderr and "fastcnn" in done.stderr:
        pytest.skip("fastcnn is in the current folder alone, which -P leaves out")
    assert (done.returncode, done.stderr) == (0, "imported\n")
    assert done.stdout.count("images[") == 3


def test_without_the_option_nothing_is_imported_and_the_message_names_it(elsewhere, capsys):
    assert predict.main(["model.safetensors", "images"]) == 2
    error = capsys.readouterr().err
    assert "layer of type 'Double', which is not fastcnn's own" in error and error.count("\n") == 1
    assert error.endswith("to a command --layers MODULE:CLASS\n")
    assert "mylayers" not in sys.modules


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["mylayers"], "--layers: expected MODULE:CLASS, such as mylayers:Scale, got 'mylayers'"),
        (["mylayers.py:Double"], "got 'mylayers.py:Double'; name the module, without .py"),
        (["./mylayers:Double"], "got './mylayers:Double'; name the module, without .py"),
        (["mylayers:"], "expected MODULE:CLASS"),
        ([":Double"], "expected MODULE:CLASS"),
        (["mylayer:Double"], "there is no module 'mylayer', neither in the current folder '"),
        (["mylayers.inner:Double"], "there is no module 'mylayers.inner'"),
        (["needs:Double"], "importing 'needs' failed: ModuleNotFoundError: No module named 'surely_missing'"),
        (["broken:Double"], "importing 'broken' failed: ZeroDivisionError: division by zero"),
        (["wrong:Double"], "importing 'wrong' failed: SyntaxError: "),
        (["ends:Double"], "importing 'ends' failed: SystemExit: 3"),
        (["mylayers:Duoble"], "there is no 'Duoble' in module 'mylayers'; its layers are Double"),
        (["empty:Double"], "there is no 'Double' in module 'empty'; it has no layers"),
        (["mylayers:Outer"], "mylayers:Outer must be a class of layers, a subclass of fastcnn.Layer, got Outer"),
        (["mylayers:number"], "mylayers:number must be a class of layers, a subclass of fastcnn.Layer, got int"),
        (["mylayers:Double", "twin:Double"], "two classes are called Double"),
        (["mylayers:Double"], "layer of type 'Negative', which is not fastcnn's own"),
        (["ours:Linear", *LAYERS[1::2]], "'Linear' is the name of a layer of fastcnn's own; rename the class"),
    ],
)
@pytest.mark.parametrize("command", [predict.main, evaluate.main])
def test_what_will_not_do_is_said_in_a_line(elsewhere, capsys, command, given, says):
    others = {"needs": "import surely_missing", "broken": "1 / 0", "wrong": "class", "empty": "", "twin": MODULE}
    others |= {"ends": "raise SystemExit(3)", "ours": "import fastcnn\nclass Linear(fastcnn.Layer): pass"}
    for name, code in others.items():
        Path(f"{name}.py").write_text(code)
    images = ["images"] if command is predict.main else ["--dataset", "sample"]
    capsys.readouterr()
    assert command(["model.safetensors", *images, *(word for name in given for word in ("--layers", name))]) == 2
    output, error = capsys.readouterr()
    error = error.replace("imported\n", "")
    assert error.startswith("error: ") and error.count("\n") == 1 and output == ""
    assert says in error, error


def test_the_model_has_the_layers_that_the_command_line_named(elsewhere):
    from fastcnn.layer_classes import layer_classes

    classes = layer_classes(["mylayers:Double"])
    assert list(classes) == ["Double"] and issubclass(classes["Double"], fc.Layer)
    np.testing.assert_array_equal(classes["Double"]()(np.ones((1, 2), np.float32)), [[2, 2]])
