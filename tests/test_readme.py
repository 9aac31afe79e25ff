"""The README: its Python runs as it stands, and what it names is there."""

import itertools
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fastcnn as fc
from fastcnn import evaluate, predict, train

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A new user's machine: an empty folder, no MNIST, nothing set."""
    for variable in ("FASTCNN_DATA_DIR", "FASTCNN_MNIST_MIRRORS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_its_python_runs_from_top_to_bottom(elsewhere, capsys):
    names = {}
    assert len(BLOCKS) == 6
    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)
    assert names["history"].best.test_accuracy > 0.9
    weights = [member.arena.data for member in names["members"]]
    assert all((one != other).any() for one, other in itertools.combinations(weights, 2))
    assert (names["together"].argmax(axis=1) == names["test_y"]).mean() > 0.8
    assert (names["digit"].argmax(axis=1) == names["test_y"]).mean() > 0.8
    printed = capsys.readouterr().out
    assert "Wrong: the gradient of the input is off at 150 of 150 entries, most at " in printed


def test_its_python_passes_a_strict_type_checker(tmp_path):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    (tmp_path / "examples.py").write_text("".join(BLOCKS), encoding="utf-8")
    options = ["--strict", "--cache-dir", str(ROOT / ".mypy_cache"), "--config-file", str(ROOT / "pyproject.toml")]
    printed, complaints, _ = api.run([*options, str(tmp_path / "examples.py")])
    assert printed.startswith("Success: "), printed + complaints


def test_its_layer_of_ones_own_has_ten_lines():
    lines = next(block for block in BLOCKS if "class Scale" in block).partition("fc.gradcheck")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 10


def test_the_names_that_it_gives_exist():
    for name in set(re.findall(r"\bfc\.(\w+(?:\.\w+)*)", README)):
        value = fc
        for part in name.split("."):
            value = getattr(value, part)


def test_the_options_that_it_gives_exist():
    pages = [
        CliRunner().invoke(module.app, ["--help"], env={"COLUMNS": "200"}).output
        for module in (train, predict, evaluate)
    ]
    pages += [path.read_text() for path in (ROOT / "bench").glob("*.py")]  # each names its own
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", README)):
        assert any(option in page for page in pages), option


def test_the_files_that_it_names_exist():
    names = set(re.findall(r"[\w/.]+\.(?:py|pyx|txt|md|c|h)\b", README))
    for name in names:
        assert any((folder / name).exists() for folder in (ROOT, ROOT / "fastcnn")), name
    assert len(names) > 20


def test_its_limits_name_every_layer():
    listed = re.search(r"- Layers: `(.*?)`", README, re.DOTALL)[1]
    layers = {name for name in fc.layers.__all__ if name not in ("Layer", "Parameter", "Training")}
    assert set(re.split(r",\s*", listed)) == layers


def test_its_table_of_variables_names_all_that_the_package_reads():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fastcnn").rglob("*.py"))
    assert set(re.findall(r"FASTCNN_[A-Z_]+", code)) == set(re.findall(r"`(FASTCNN_[A-Z_]+)`", README))
