"""The benchmarks run where no other library is installed: small settings, our side alone."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
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
    code, printed = run("compare.py", *TINY, "--peers", "mxnet", "--rounds", 1, "--turn", 0.01, "--json", file)
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


def test_kernels_compares_everyone_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "out.json"
    arguments = ["--only", "matmul/mxnet-last", "--threads", 1, "--rounds", 2, "--turn", 0.001, "--json", file]
    code, printed = run("kernels.py", *arguments)
    assert code == 0, printed
    assert printed.startswith("CPU: ")
    assert "\nmatmul  " in printed.partition("geometric means over the shapes")[2]
    report = json.loads(file.read_text())
    assert report["versions"]["OpenBLAS"].startswith("NumPy ")
    (row,) = report["results"]
    assert row["name"] == "matmul/mxnet-last-forward" and f"\n{row['name']} " in printed
    assert row["seconds"] > 0 and row["peers"]["OpenBLAS"] > 0 and len(row["ratios"]) == 2


@pytest.mark.parametrize("wrong", [["--only", "nothing"], ["--threads", "0"], ["--rounds", "none"]])
def test_kernels_says_in_a_line_what_is_wrong_with_an_option(bench, capsys, wrong):
    with pytest.raises(SystemExit, match="2"):
        bench("kernels").main(wrong)
    assert f"error: argument {wrong[0]}" in capsys.readouterr().err


def test_kernels_times_nobody_whose_answer_is_wrong(bench, capsys):
    kernels = bench("kernels")

    class Contestant:
        def __init__(self, name, answer):
            self.name, self.answer = name, answer

        def ask(self, operation, answer):
            if self.answer is not None:
                np.save(answer, self.answer)
            return {"takes_part": self.answer is not None}

    ours, right = Contestant("fastcnn", np.array([1.0, -4.0])), Contestant("right", np.array([1.0003, -4.0]))
    wrong = [Contestant("wrong", np.array([1.0005, -4.0])), Contestant("NaN", np.array([np.nan, -4.0]))]
    everyone = [ours, wrong[0], Contestant("absent", None), right, wrong[1]]
    assert kernels.taking_part(everyone, None, "matmul/any") == [ours, right]
    assert "matmul/any: wrong left out: its answer differs by 1.2e-04 of the largest entry" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_memory_finds_no_new_block_in_a_steady_step(tmp_path):
    file = tmp_path / "out.json"
    code, printed = run("memory.py", *TINY, "--peers", "fastcnn", "--steps", 5, "--json", file)
    assert code == 0, printed
    found = json.loads(file.read_text())["found"]["fastcnn"]
    assert found["blocks"] == 0
    assert found["trained"] >= found["imported"] >= found["start"] > 0


# ---- on a GPU --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(fc.cuda.is_available(), reason="there is a GPU")
def test_gpu_says_in_a_line_that_there_is_none():
    code, printed = run("gpu.py", "--batch", 100)
    assert code == 2
    assert printed.startswith("error: no GPU can be used: ") and printed.count("\n") == 1


def test_gpu_says_in_a_line_what_is_wrong_with_an_option():
    for wrong in (["--batch", "0"], ["--peers", "jax"], ["--rounds", "none"]):
        code, printed = run("gpu.py", *wrong)
        assert code == 2
        assert f"error: argument {wrong[0]}" in printed


@pytest.fixture
def bench(monkeypatch):
    """The folder of benchmarks, whose modules can be imported."""
    monkeypatch.syspath_prepend(BENCH)
    return import_module


def test_a_call_of_several_steps_counts_as_so_many(bench):
    worker, job = bench("worker"), bench("networks").make_job("lenet5", True, 500)

    class Peer:
        STEPS = 4
        begun: ClassVar = []

        @classmethod
        def train(cls, variant, job, dropout):
            def work(index):
                cls.begun.append(index)
                time.sleep(0.004)
                return [index + number for number in range(cls.STEPS)]

            return work

    contestant = worker.Contestant(Peer, "any", job)
    assert contestant.first == [0, 1, 2, 3, 4]
    assert 0.001 <= contestant.turn(0.01) < 0.004
    assert Peer.begun[:6] == [0, 4, 0, 0, 4, 0]  # for the first costs, to warm up, and then on and on, of 8 batches


def test_a_turn_counts_no_call_before_the_times_have_settled(bench, monkeypatch):
    worker, now, calls, rests = bench("worker"), 0.0, [], []

    def work(index):
        nonlocal now
        calls.append(max(1.0, 50 * 0.9 ** len(calls)))  # seconds: they become faster for 355 of them
        now += calls[-1]

    clock = SimpleNamespace(perf_counter=lambda: now, sleep=rests.append)
    monkeypatch.setattr(worker, "time", clock)
    timed = worker.Timed(work)
    assert timed.turn(100.0) == 1.0
    assert rests == [worker.REST]
    calls.clear()
    monkeypatch.setattr(worker, "LONGEST_WARM_UP", 2)
    assert timed.turn(100.0) > 1.0  # what never settles is timed all the same


def test_every_operation_is_computed_and_paid_for_as_its_shape_says(bench):
    operation, ours = bench("peers.operation"), bench("peers.ours_operations")
    assert len(list(operation.operations(""))) == 203
    for kind, columns in operation.COLUMNS.items():
        sizes = (
            dict.fromkeys(columns, 3) | dict.fromkeys(("stride", "dilation"), 1) | {"padding": 0, "a": "t", "b": "t"}
        )
        if kind == "conv2d":
            sizes |= {"h": 6, "w": 5}
        sizes = {name: sizes[name] for name in columns}
        for direction in operation.DIRECTIONS[kind]:
            case = operation.Operation(kind, direction, sizes)
            result = ours.work("fastcnn", case)()
            flops, moved = case.cost()
            assert np.isfinite(result).all() and moved > 4 * result.size
            if kind == "matmul":
                assert flops == 2 * 3 * 3 * 3
                np.testing.assert_allclose(result, bench("peers.openblas_operations").work("OpenBLAS", case)(), 1e-5)
            if kind == "conv2d":
                assert flops == 2 * 3 * 3 * (4 * 3) * (3 * 3 * 3)  # batch, outputs, map, a filter


@pytest.mark.parametrize("dropout", [False, True])
def test_torch_takes_the_same_steps_on_the_gpu_as_on_the_cpu(bench, dropout):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    job = bench("networks").make_job("gorgonia", True, 2)
    torch.manual_seed(1)
    there = bench("peers.pytorch_cuda").train("torch", job, dropout, device="cpu")(3)
    torch.manual_seed(1)
    here = bench("peers.pytorch").train("torch", job, dropout)
    assert there == [here((3 + step) % len(job.images)) for step in range(100)]
