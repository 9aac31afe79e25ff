"""The benchmarks run where no other library is installed: small settings, our side alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fastcnn as fc

BENCH = Path(__file__).parents[1] / "bench"
TINY = ["--batch", "2", "--threads", "1"]


def run(script, *arguments):
    """A script's exit code, and what it printed."""
    path = os.pathsep.join([str(Path(fc.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, BENCH / script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.fixture
def report(tmp_path):
    """What compare.py might have found, had there been a peer."""
    case = {"network": "lenet5", "mode": "train", "batch": 64, "threads": 2, "isa": "best", "rounds": 9}
    timing = {"milliseconds": 1.0, "images_per_second": 64000.0, "difference": 0.0}
    rows = [
        case | timing | {"peer": "fastcnn", "ratio": 1.0, "ratio_low": 1.0, "ratio_high": 1.0},
        case | timing | {"peer": "torch", "ratio": 4.5, "ratio_low": 4.25, "ratio_high": 5.0},
    ]
    versions = {"fastcnn": "fastcnn 1", "torch": "PyTorch 2"}
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"machine": {"CPU": "any"}, "versions": versions, "missing": {}, "rows": rows}))
    return file


def test_compare_times_our_side_of_every_network_and_mode(tmp_path):
    file = tmp_path / "out.json"
    code, printed = run("compare.py", *TINY, "--peers", "mxnet", "--rounds", 2, "--turn", 0.01, "--json", file)
    assert code == 0, printed
    assert "mxnet                left out: not asked: it needs --mxnet-python" in printed
    rows = json.loads(file.read_text())["rows"]
    assert {(row["network"], row["mode"]) for row in rows} == {
        (network, mode) for network in ("gorgonia", "mxnet-scratch", "lenet5") for mode in ("train", "infer")
    }
    assert all(row["milliseconds"] > 0 for row in rows)


def test_compare_says_in_a_line_what_is_wrong_with_an_option():
    for wrong in (
        ["--threads", "none"],
        ["--network", "vgg"],
        ["--peers", "nobody"],
        ["--batch", "0"],
        ["--rounds", "0"],
    ):
        code, printed = run("compare.py", *wrong)
        assert code == 2
        assert f"error: argument {wrong[0]}" in printed


def test_compare_shows_an_earlier_run_as_markdown_and_as_a_picture(report, tmp_path):
    picture = tmp_path / "out.png"
    code, printed = run("compare.py", "--from", report, "--markdown", "--plot", picture)
    assert code == 0, printed
    assert "| lenet5 | train | 64 | 2 | 64,000 | 4.50x (4.25-5.00) |" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_finds_no_new_block_in_a_steady_step(tmp_path):
    file = tmp_path / "out.json"
    code, printed = run("memory.py", *TINY, "--peers", "fastcnn", "--steps", 5, "--json", file)
    assert code == 0, printed
    found = json.loads(file.read_text())["found"]["fastcnn"]
    assert found["blocks"] == 0
    assert found["trained"] >= found["imported"] >= found["start"] > 0
