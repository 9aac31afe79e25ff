"""What reaches a terminal: never what would steer it, never a crash over its encoding or width."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from classifiers import SAMPLE, save_linear
from runs import train

import fastcnn as fc
from fastcnn import evaluate, predict
from fastcnn.data import save_png
from fastcnn.terminal import Terminal

ODD = "é\udcff\x1b[31m\r\x9b2J\x7f\u202e[red]:smile:"  # bytes that are no UTF-8; escapes; markup
ESCAPED = r"\udcff\x1b[31m\r\x9b2J\x7f\u202e[red]:smile:"


def captured(monkeypatch, encoding):
    """Give stdout and stderr an encoding, as Python opens them; returns a function for what was printed on each."""
    streams = []
    for name, errors in (("stdout", "strict"), ("stderr", "backslashreplace")):
        streams.append(io.TextIOWrapper(io.BytesIO(), encoding, errors, write_through=True))
        monkeypatch.setattr(sys, name, streams[-1])
    return lambda: [stream.buffer.getvalue().decode(encoding) for stream in streams]


def assert_fit_to_print(text):
    assert all(each.isprintable() or each == "\n" for each in text), ascii(text)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_can_t_be_printed_are_escaped(encoding, digits, tmp_path, monkeypatch):
    printed = captured(monkeypatch, encoding)
    folder = tmp_path / ODD
    folder.mkdir()
    image = folder / "seven.png"
    with open(image, "wb") as file:
        save_png(tmp_path / "seven.png", SAMPLE.test_images[0, 0])
        file.write((tmp_path / "seven.png").read_bytes())
    run = str(folder / "run")
    assert train("--data-dir", digits, "--epochs", 1, "--limit", 20, "--run-dir", run) == 0
    assert train("--data-dir", digits, "--run-dir", run) == 2
    assert predict.main([run, str(image), str(folder / "absent")]) == 2
    assert evaluate.main([run, "--data-dir", str(digits), "--sheet", str(folder / "sheet.png")]) == 0
    assert evaluate.main([run, "--data-dir", str(folder)]) == 2
    output, error = printed()
    for text in (output, error):
        assert_fit_to_print(text)
        assert ESCAPED in text
    assert error.count("\n") == 4  # one is the note on sureness


def test_json_is_ascii_and_says_the_name_as_it_is(digits, capsys):
    assert train("--json", "--dry-run", "--data-dir", digits, "--run-dir", ODD) == 0
    save_linear("model")
    save_png("seven.png", SAMPLE.test_images[0, 0])
    os.rename("seven.png", ODD)
    assert predict.main(["--json", "model", ODD]) == 0
    output = capsys.readouterr().out
    assert output.isascii()
    assert_fit_to_print(output)
    assert json.loads(output.splitlines()[-1])["image"] == ODD


def test_what_files_say_does_not_steer_the_terminal(digits, capsys):
    assert train("--data-dir", digits, "--epochs", 1, "--limit", 20, "--run-dir", "run", "--quiet") == 0
    kept = {path: path.read_text() for path in (Path("run/config.json"), Path("run/metrics.jsonl"))}
    (config, entries), (metrics, row) = ((path, json.loads(text)) for path, text in kept.items())
    for path, text in [
        (metrics, json.dumps(row | {ODD: 1})),
        (metrics, f"{kept[metrics]}{ODD}"),
        (config, json.dumps(entries | {"settings": {ODD: 1}})),
        (config, json.dumps(entries | {"dataset": entries["dataset"] | {"origin": ODD, "sha256": "0"}})),
    ]:
        path.write_text(text, errors="surrogatepass")
        assert train("--resume", "run", "--epochs", 2) == 2
        output, error = capsys.readouterr()
        assert output == "" and error.startswith("error: ") and error.count("\n") == 1
        assert_fit_to_print(error)
        path.write_text(kept[path])


def test_text_is_no_markup(capsys):
    Terminal().print(ODD)
    assert capsys.readouterr().out == f"é{ESCAPED}\n"


def test_names_of_layers_and_messages_of_errors_do_not_steer_the_terminal(capsys):
    model = fc.Sequential(fc.Linear(4, 2, name=f"\n{ODD}"), input_shape=(4,))
    x = np.ones((1, 4), np.float32)
    with fc.watch.Profiler() as profile:
        model(x)
    with fc.watch.ShapePrinter():
        model(x)
    shapes = capsys.readouterr().out
    error = str(fc.DataError(f"file {ODD}"))
    for text in (model.summary(), profile.table(), shapes, repr(model), model.to_dot().replace("\\\\", "\\"), error):
        assert ESCAPED in text
        assert_fit_to_print(text)
        assert f"\n{ESCAPED[:6]}" not in text
    assert len(model.summary().splitlines()) == len(
        fc.Sequential(fc.Linear(4, 2), input_shape=(4,)).summary().splitlines()
    )


@pytest.mark.parametrize("columns", ["0", "-1", "1", "40", "²", "many", "", "9" * 30])
def test_any_number_of_columns_prints_all_lines(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", columns)
    assert train("--dry-run", "--dataset", "sample") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("data   sample: 4,000 training and 1,000 test digits of MNIST that ship with fastcnn: ")
    assert "total" in lines[-1]
    bar = fc.callbacks.ProgressBar()
    model = fc.Sequential(fc.Linear(4, 2))
    fc.Trainer(model, fc.CrossEntropyLoss(), fc.SGD(model.parameters()), callbacks=[bar]).fit(
        np.eye(4, dtype=np.float32), np.array([0, 1, 0, 1])
    )
    assert capsys.readouterr().out.startswith("epoch 1/1  cost ")
