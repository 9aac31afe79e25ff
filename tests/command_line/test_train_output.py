"""python -m fastcnn.train --json, --profile, --debug, and the models and optimizers that it offers."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from runs import FILES, metrics_of, process, train

from fastcnn import judge
from fastcnn.checkpoint import load_checkpoint
from fastcnn.console import JsonReport
from fastcnn.metrics import EpochMetrics


def events_of(output):
    return [json.loads(line) for line in output.splitlines()]


def test_json_is_an_object_a_line_and_nothing_else(digits, tmp_path, capsys):
    run = tmp_path / "run"
    assert train("--json", "--data-dir", digits, "--epochs", 2, "--batch-size", 20, "--run-dir", run) == 0
    output, error = capsys.readouterr()
    assert error == ""
    start, *epochs, end = events_of(output)
    assert [event.pop("event") for event in (start, *epochs, end)] == ["start", "epoch", "epoch", "end"]
    config = json.loads((run / "config.json").read_text())
    assert start == {"run": str(run), "resumed_from": None, "parameters": 818698, "notes": []} | config
    assert epochs == metrics_of(run)
    assert (end["how"], end["exit_code"], end["epoch"], end["steps"]) == ("done", 0, 2, 6)
    assert end["files"] == {"curves": None} | {name.partition(".")[0]: str(run / name) for name in FILES}


def test_json_of_a_complete_run_a_dry_run_and_an_error(digits, tmp_path, capsys):
    run = tmp_path / "run"
    options = ("--json", "--data-dir", digits, "--epochs", 1)
    assert train(*options, "--dry-run", "--run-dir", run) == 0
    assert [event.get("how") for event in events_of(capsys.readouterr().out)] == [None, "dry run"]
    assert train(*options, "--run-dir", run) == 0
    capsys.readouterr()
    assert train("--json", "--resume", run) == 0
    start, end = events_of(capsys.readouterr().out)
    assert start["resumed_from"] == {"epoch": 1, "batch": 0} and end["how"] == "complete already"
    assert train(*options, "--run-dir", run) == 2
    output, error = capsys.readouterr()
    assert output == "" and error.startswith("error: ") and error.count("\n") == 1
    assert train(*options, "--lr", 1e30, "--batch-size", 20, "--run-dir", "diverging") == 1
    output, error = capsys.readouterr()
    assert events_of(output)[-1]["how"] == "diverged" and events_of(output)[-1]["files"]["last"] is None
    assert error.count("\n") == 1


def test_json_of_an_interrupted_run_says_where_it_stands(digits, tmp_path):
    options = ("--json", "--data-dir", digits, "--epochs", 10**6, "--batch-size", 20, "--run-dir", tmp_path / "run")
    run = process(*options, stdout=subprocess.PIPE)
    while json.loads(run.stdout.readline())["event"] != "epoch":
        pass
    run.send_signal(signal.SIGTERM)
    output, error = run.communicate(timeout=30)
    end = events_of(output)[-1]
    assert run.returncode == end["exit_code"] == 143 and end["how"] == "interrupted"
    progress = load_checkpoint(end["files"]["last"]).progress
    assert (end["epoch"], end["batch"], end["steps"]) == (progress.epoch, progress.batch, progress.steps)
    assert error.count("\n") == 1


def test_json_says_null_for_what_is_no_number(capsys):
    JsonReport().on_epoch(None, EpochMetrics(1, 0.5, 0.5, 0.25, 0.25, float("nan"), 1.0, float("inf")))
    [event] = [json.loads(line, parse_constant=pytest.fail) for line in capsys.readouterr().out.splitlines()]
    assert (event["cost"], event["test_cost"], event["images_per_second"]) == (0.5, None, None)


@pytest.mark.parametrize("report", [("--json",), ()], ids=str)
def test_a_reader_that_goes_away_ends_the_run_without_a_word(digits, tmp_path, report):
    options = ("--data-dir", digits, "--epochs", 10**6, "--batch-size", 20, "--run-dir", tmp_path / "run")
    run = process(*report, *options, stdout=subprocess.PIPE)
    run.stdout.readline()
    run.stdout.close()
    assert (run.stderr.read(), run.wait(30)) == ("", 1)
    run.stderr.close()


def test_profile_shows_where_the_time_went(digits, tmp_path, capsys):
    options = ("--profile", "--data-dir", digits, "--epochs", 1)
    assert train(*options, "--run-dir", tmp_path / "run") == 0
    table = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert table[0].split() == [
        "layer", "type", "forward", "backward", "evaluation", "total", "%", "GF/s", "%", "of", "peak"
    ]  # fmt: skip
    assert table[2].split()[:2] == ["conv1+relu1+pool1+dropout1", "ConvStage"] and table[-1].startswith("total")
    assert train(*options, "--json", "--run-dir", tmp_path / "other") == 0
    rows = events_of(capsys.readouterr().out)[-1]["profile"]
    assert [row["layer"] for row in rows][-3:] == ["(loss)", "(optimizer)", "(rest)"]
    assert all(row["forward"] > 0 and row["backward"] > 0 for row in rows if row["type"] == "ConvStage")
    assert [row["type"] for row in rows].count("ConvStage") == 3


def test_debug_shows_the_shape_of_each_layer_and_changes_nothing(digits, tmp_path, capsys):
    options = ("--data-dir", digits, "--epochs", 1, "--batch-size", 20, "--model", "mxnet-scratch")
    assert train(*options, "--debug", "--run-dir", tmp_path / "debug") == 0
    output = capsys.readouterr().out
    assert re.search(r"^conv1 +Conv2d +\(20, 20, 26, 26\)$", output, re.MULTILINE)
    assert re.search(r"^linear2 +Linear +\(20, 10\)$", output, re.MULTILINE)
    assert train(*options, "--run-dir", tmp_path / "plain") == 0
    debug, plain = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("debug", "plain"))
    assert debug == plain


@pytest.mark.parametrize("model", ["mxnet-scratch", "lenet5"])
def test_the_other_models_are_trained_by_the_recipe_of_their_tutorial(digits, tmp_path, model):
    run = tmp_path / "run"
    assert train("--data-dir", digits, "--epochs", 1, "--model", model, "--run-dir", run, "--quiet") == 0
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["model"], settings["batch_size"], settings["scaling"]) == (model, 64, "unit")
    assert (settings["optimizer"], settings["targets"]) == ("sgd" if model == "mxnet-scratch" else "adam", "one-hot")
    assert load_checkpoint(run / "last.safetensors").metadata["scaling"] == "unit"


@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "sgd", "--momentum", 0.9, "--nesterov", "--clip-norm", 1],
        ["--optimizer", "adam", "--l1", 1e-4],
        ["--optimizer", "adamw"],
        ["--weight-decay", 1e-3, "--targets", "index", "--reduction", "mean"],
    ],
    ids=["sgd", "adam", "adamw", "rmsprop"],
)
def test_a_run_by_any_optimizer_resumes_to_the_same_bits(digits, tmp_path, options):
    options = ("--data-dir", digits, "--model", "mxnet-scratch", "--lr", 0.001, *options, "--batch-size", 20, "--quiet")
    for name, epochs in (("in two", 1), ("at once", 2)):
        assert train(*options, "--run-dir", tmp_path / name, "--epochs", epochs) == 0
    assert train("--resume", tmp_path / "in two", "--epochs", 2, "--quiet") == 0
    in_two, at_once = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("in two", "at once"))
    assert in_two == at_once


def test_without_matplotlib_a_line_says_how_to_get_it(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert train("--data-dir", digits, "--epochs", 1, "--run-dir", tmp_path / "run") == 0
    output, error = capsys.readouterr()
    assert "pip install 'fastcnn[plot]'" in output and error == ""
    assert not (tmp_path / "run" / "curves.png").exists()


def test_a_backend_that_the_environment_names_and_nobody_has_costs_the_picture_alone(digits):
    """In a process of its own: matplotlib is imported once."""
    pytest.importorskip("matplotlib")
    options = ("--json", "--data-dir", digits, "--epochs", 1, "--limit", 20, "--run-dir", "run")
    run = process(*options, stdout=subprocess.PIPE, env=os.environ | {"MPLBACKEND": "nonsense"})
    output, error = run.communicate(timeout=60)
    assert (run.returncode, error) == (0, "")
    end = events_of(output)[-1]
    assert (end["event"], end["how"], end["exit_code"], end["files"]["curves"]) == ("end", "done", 0, None)
    assert re.search(r"matplotlib can't be imported \(ValueError: .*nonsense.*\); look at MPLBACKEND", end["no_curves"])


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), MemoryError("4 GiB"), RuntimeError("a\nb"), RecursionError()],
    ids=repr,
)
def test_whatever_drawing_fails_for_is_a_line(digits, monkeypatch, capsys, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("fastcnn.run_folder.draw_curves", fail)
    assert train("--data-dir", digits, "--epochs", 1, "--limit", 20, "--run-dir", "run") == 0
    output, complaint = capsys.readouterr()
    assert complaint == "" and output.splitlines()[-1].startswith(f"       no curves.png: {type(error).__name__}")
    assert sorted(os.listdir("run")) == [name for name in FILES if name != "curves.png"]


def test_ctrl_c_while_the_curves_are_drawn_ends_a_complete_run(digits, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastcnn.run_folder.draw_curves", interrupted)
    assert train("--json", "--data-dir", digits, "--epochs", 1, "--limit", 20, "--run-dir", "run") == 130
    output, complaint = capsys.readouterr()
    assert complaint == "interrupted while the curves were drawn; the run is complete\n"
    end = events_of(output)[-1]
    assert (end["event"], end["how"], end["exit_code"]) == ("end", "done", 130)


def test_a_run_that_can_t_print_any_more_keeps_what_it_has(digits, monkeypatch, capsys):
    calls = []

    def full(*_):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("fastcnn.console.TrainingReport.on_batch", full)
    options = ("--data-dir", digits, "--epochs", 1, "--batch-size", 20, "--run-dir", "run")
    assert train(*options) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(
        "error: cannot print .No space left on device.; all up to batch 2 of epoch 1 is kept in .* --resume run\n",
        error,
    )
    assert load_checkpoint("run/last.safetensors").progress.batch == 2


def test_metrics_of_an_epoch_without_a_finite_test_cost_hold_null(digits, tmp_path, monkeypatch):
    nothing = judge.Evaluation(20, 0.1, float("nan"))
    monkeypatch.setattr(judge.Judge, "__call__", lambda *_, **__: nothing)
    assert train("--data-dir", digits, "--epochs", 1, "--run-dir", tmp_path / "run") == 0
    [metrics] = metrics_of(tmp_path / "run")
    assert metrics["test_cost"] is None and metrics["test_accuracy"] == 0.1
