"""Run folders whose files somebody has edited, or replaced by something else: one line, at once."""

import json
import os
import shutil

import pytest
from runs import FILES, train, write_digits

import fastcnn as fc
from fastcnn.callbacks import CSVLog, JSONLog
from fastcnn.reading import LONGEST, parse_json, read_small


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a complete run of an epoch."""
    place = tmp_path_factory.mktemp("finished")
    digits = write_digits(place / "digits", 20, 10)
    assert train("--data-dir", digits, "--epochs", 1, "--batch-size", 10, "--run-dir", place / "run", "--quiet") == 0
    return place / "run"


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def refused(capsys, *arguments):
    """The one line that says why."""
    capsys.readouterr()
    assert train(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and len(error) < 700, error
    return error


def pipe(path):
    os.mkfifo(path)


def zeros(path):
    path.symlink_to("/dev/zero")


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(2**40)


@pytest.mark.parametrize("replace", [pipe, zeros, os.mkdir])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_regular_file_is_refused_at_once(run, capsys, name, replace):
    (run / name).unlink()
    replace(run / name)
    error = refused(capsys, "--resume", run, "--epochs", 2)
    assert name in error and any(word in error for word in ("pipe", "is a device", "Is a directory"))


def test_a_file_that_is_write_protected_is_refused_before_the_first_epoch(run, capsys):
    (run / "best.safetensors").chmod(0o444)
    before = (run / "metrics.jsonl").read_bytes()
    assert "best.safetensors can't be replaced (is write-protected)" in refused(capsys, "--resume", run, "--epochs", 2)
    assert (run / "metrics.jsonl").read_bytes() == before
    assert train("--resume", run) == 0  # it is complete: there is nothing to write


@pytest.mark.parametrize("replace", [pipe, zeros, sparse])
def test_a_new_run_does_not_wait_for_one_either(run, capsys, replace):
    for name in FILES:
        (run / name).unlink()
    replace(run / "config.json")
    assert "holds a run already (config.json)" in refused(capsys, "--run-dir", run)


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl"])
def test_a_file_without_end_is_not_read(run, capsys, name):
    sparse(run / name)
    assert f"{name} is damaged (it has more than" in refused(capsys, "--resume", run)


BAD = {
    "a long number": ("9" * 401, "is a number of 401 digits"),
    "a longer number": ("9" * 5000, "is a number of 5000 digits"),
    "a negative one": ("-" + "9" * 400, "is a number of 401 digits"),
    "infinite": ("1e999", "1e999 is no finite number"),
    "infinity": ("Infinity", "Infinity is no finite number"),
    "no number": ("NaN", "NaN is no finite number"),
    "no text": (r'"\ud800"', r"'\ud800' is no text"),
    "a null": (r'"a\u0000"', r"'a\x00' has a null character"),
    "lists within lists": ("[" * 40 + "]" * 40, "more than 32 deep"),
    "lists without end": ("[" * 100_000 + "]" * 100_000, "more than 32 deep"),
    "objects within objects": ('{"a":' * 40 + "1" + "}" * 40, "more than 32 deep"),
}


@pytest.mark.parametrize(("value", "says"), BAD.values(), ids=BAD)
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("config.json", '"lr": '),
        ("config.json", '"seed": '),
        ("config.json", '"data_dir": '),
        ("config.json", '"fastcnn": '),
        ("metrics.jsonl", '"cost": '),
        ("metrics.jsonl", '"epoch": '),
    ],
)
def test_values_that_nothing_can_be_done_with_are_refused(run, capsys, name, place, value, says):
    text = (run / name).read_text()
    before, after = text.split(place, 1)
    rest = after[after.index(",") :] if place != '"data_dir": ' else after[after.index("\n") :]
    (run / name).write_text(before + place + value + rest)
    error = refused(capsys, "--resume", run, "--epochs", 2)
    assert f"{name} is damaged" in error and says in error, error


@pytest.mark.parametrize("value", [True, "1", [1], {"a": 1}, "x" * 10_000])
def test_metrics_of_another_type_are_refused(run, capsys, value):
    row = json.loads((run / "metrics.jsonl").read_text())
    for name in row:
        (run / "metrics.jsonl").write_text(json.dumps(row | {name: value}) + "\n")
        assert "metrics.jsonl is damaged" in refused(capsys, "--resume", run)


@pytest.mark.parametrize("value", [None, 10**19, "x" * 1000, [1]])
def test_settings_and_data_of_another_kind_are_refused_in_a_line(run, capsys, value):
    config = json.loads((run / "config.json").read_text())
    for part in ("settings", "dataset"):
        for name in config[part]:
            edited = json.dumps(config | {part: config[part] | {name: value}})
            (run / "config.json").write_text(edited)
            code = train("--resume", run)
            error = capsys.readouterr().err
            assert code == 0 if not error else code == 2 and error.count("\n") == 1 and "Traceback" not in error, name


def test_names_of_folders_in_other_encodings_stay(tmp_path):
    """Python has such bytes as surrogates, and writes them so."""
    assert parse_json(r'{"data_dir": "a\udcff"}') == {"data_dir": "a\udcff"}


def test_the_longest_file_is_read_and_one_byte_more_is_not(tmp_path):
    path = tmp_path / "file"
    with open(path, "wb") as file:
        file.truncate(LONGEST)
    assert len(read_small(path)) == LONGEST
    with open(path, "ab") as file:
        file.write(b"\0")
    with pytest.raises(OSError, match="it has more than"):
        read_small(path)


@pytest.mark.parametrize("log", [CSVLog, JSONLog])
def test_a_log_that_was_replaced_is_an_error_before_the_first_step(tmp_path, log):
    model = fc.Sequential(fc.Linear(2, 2), input_shape=(2,))
    trainer = fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()))
    trainer.progress = fc.metrics.Progress(epoch=1)
    sparse(tmp_path / "log")
    with pytest.raises(OSError, match="it has more than"):
        log(tmp_path / "log").on_start(trainer)
