"""python -m fastcnn and the program fastcnn: what they say there is, and the help of every command."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import fastcnn as fc
from fastcnn import __main__, evaluate, predict, train

MAINS = {"": __main__.main, "train": train.main, "predict": predict.main, "evaluate": evaluate.main}
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_it_lists_the_commands_in_a_line_each_whoever_asks(capsys):
    pages = []
    for arguments in ([], ["-h"], ["--help"]):
        assert __main__.main(arguments) == 0
        pages.append(capsys.readouterr())
    assert len({*pages}) == 1 and pages[0].err == ""
    for command in ("train", "predict", "evaluate"):
        assert re.search(rf"^  {command} +[A-Z].*\.$", pages[0].out, re.MULTILINE)


def test_a_command_gets_the_arguments_after_its_name_and_its_exit_code_counts(capsys):
    assert __main__.main(["train", "--dry-run", "--dataset", "sample", "--lr", "0.5"]) == 0
    assert "lr            0.5" in capsys.readouterr().out
    assert __main__.main(["predict", "-h"]) == 0
    assert capsys.readouterr().out.startswith("Usage: python -m fastcnn predict ")
    assert __main__.main(["evaluate", "absent"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert __main__.main(["--version"]) == 0
    assert capsys.readouterr().out == f"fastcnn {fc.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["trian"], "expected a command first, train, predict, evaluate, got 'trian'; see --help"),
        (["--epochs", "3"], "expected a command first, train, predict, evaluate, got '--epochs'; see --help"),
        ([""], "got ''; see --help"),
        (["\x1b[31m"], r"got '\x1b[31m'; see --help"),
        (["train", "--epoch-count", "3"], "No such option: --epoch-count"),
        (["predict"], "Missing argument 'RUN_OR_FILE'; see --help"),
        (
            ["predict", "", "x.png"],
            "'RUN_OR_FILE': expected the folder of a run or the file of a model, got ''; see --help",
        ),
        (["evaluate", ""], "'RUN_OR_FILE': expected the folder of a run or the file of a model, got ''; see --help"),
    ],
)
def test_what_is_no_command_or_option_is_refused_in_a_line(capsys, arguments, says):
    assert __main__.main(arguments) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("error: ") and error.count("\n") == 1 and says in error


def test_too_little_memory_is_said_with_what_helps_there(monkeypatch, capsys):
    def hungry(*_):
        raise MemoryError("9 PiB")

    for module in (predict, evaluate):
        monkeypatch.setattr(module, "load_classifier", hungry)
    for arguments in (["predict", "model", "x.png"], ["evaluate", "model"]):
        assert __main__.main(arguments) == 2
        assert capsys.readouterr().err == "error: not enough memory (9 PiB); use a smaller model, or less data\n"


@pytest.mark.parametrize("columns", [40, 80, 300])
@pytest.mark.parametrize("command", MAINS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_fits_the_terminal_and_breaks_no_option(monkeypatch, capsys, command, columns, option):
    monkeypatch.setenv("COLUMNS", "200")
    assert MAINS[command](["--help"]) == 0
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", str(columns))
    assert MAINS[command]([option]) == 0
    page = capsys.readouterr().out
    assert max(map(len, page.splitlines())) <= min(columns, 80)
    names = [set(re.findall(r"--[a-z][\w-]+", text)) for text in (wide, page)]
    assert names[0] == names[1] != set()
    assert page.split() == wide.split()


def test_the_program_of_an_installation_is_the_same(tmp_path):
    """As pip writes it: a script of that name that calls the entry point."""
    module, _, function = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]["fastcnn"].partition(":")
    assert callable(getattr(import_module(module), function))
    script = tmp_path / "fastcnn"
    script.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, script, "train", "-h"], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.startswith("Usage: fastcnn train ")
    environment["FASTCNN_ISA"] = "x"
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
