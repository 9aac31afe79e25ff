"""What bench/gpu.py says of kernels, where no GPU is: how it takes times, counts work, and shares it out."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("greenlet", reason="the tests' GPU needs greenlet")

from fake_driver import FakeDriver, compiled
from simt import SimtDevice

import fastcnn as fc
from fastcnn.backends.cuda import device, nvidia
from fastcnn.backends.cuda.arguments import launch_each
from fastcnn.backends.cuda.array import to_device
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.language import float32
from fastcnn.data import DeviceImages, ImageSamples
from fastcnn.recorded import RecordedSteps

BATCH, REAL, MILLISECONDS = 100, 4, 2


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "bench")
    return import_module("gpu_kernels")


@pytest.fixture
def gpu(monkeypatch):
    """The device of a GPU for whose driver everything takes 2 ms."""
    monkeypatch.setattr(nvidia, "machine_code", compiled)
    with device.use(nvidia.NvidiaDevice(FakeDriver())) as gpu:
        yield gpu


def test_launches_are_run_and_timed_many_at_once(bench, gpu):
    x, y = to_device(np.array([-1, 2], np.float32)), to_device(np.zeros(2, np.float32))
    graphs = gpu._loaded.calls.count("cuGraphExecDestroy")
    (launch,) = bench.timed(lambda: launch_each(elements.relu(float32), 2, x, y), gpu)
    np.testing.assert_array_equal(y.numpy(), [0, 2])
    assert launch.kernel is elements.relu(float32)
    assert launch.seconds == pytest.approx(1e-3 * MILLISECONDS / bench.REPEATS)
    assert [one.nbytes for one in launch.arguments[:2]] == [8, 8]
    assert gpu._loaded.calls.count("cuGraphExecDestroy") == graphs + 1


def test_what_the_gpu_can_do_is_measured(bench, gpu, monkeypatch):
    monkeypatch.setattr(bench, "REPEATS", 2)
    work = 2 * bench.CHAINS * 3 * bench.THREADS
    assert bench.peak(gpu, blocks=1, rounds=3) == pytest.approx(work / (1e-3 * MILLISECONDS / 2))
    assert bench.bandwidth(gpu, size=1000) == pytest.approx(2000 / (1e-3 * MILLISECONDS / 2))


class Still(SimtDevice):
    """A device on which everything takes a second, because nothing is done."""

    def launch(self, *_):
        pass

    def record(self, work):
        work()
        return lambda: None

    def seconds(self, work):
        return 1.0

    def read(self, memory, start, into):
        into[...] = 0


@pytest.fixture
def launches(bench):
    """Those of a step of Gorgonia's network."""
    with device.use(Still()) as still:
        digits = fc.data.load_dataset("sample")
        samples = DeviceImages(ImageSamples(digits.train_images[:BATCH], digits.train_labels[:BATCH]))
        model = fc.models.gorgonia().to("cuda")
        steps = RecordedSteps(model, fc.CrossEntropyLoss(), fc.RMSprop(model.parameters()), samples)
        order, costs = to_device(np.zeros((1, BATCH), np.uint32)), to_device(np.zeros(1, np.float32))
        share = steps.share(BATCH)
        return bench.timed(lambda: steps.take(order, costs, share), still)


def test_the_work_of_kernels_is_that_of_their_layers(bench, launches):
    flop, moved = {}, {}
    for launch in launches:
        name = bench.name_of(launch.kernel)
        flop.setdefault(name, []).append(bench.flop_of(launch))
        moved.setdefault(name, []).append(bench.bytes_of(launch))
    first, second, third = (2 * BATCH * 9 * 28 * 28 * 32, 2 * BATCH * 9 * 32 * 14 * 14 * 64, 2 * BATCH * 9 * 64 * 128)
    assert flop["conv_pool 1x28x28-32"] == [first]
    assert flop["conv_pool 32x14x14-64"] == [second]
    assert flop["conv_pool 64x7x7-128"] == [third * 6 * 6]  # the last row and column are not pooled
    assert flop["conv_pool_backward_input 64x14x14-32"] == [second]
    assert flop["conv_pool_backward_input 128x7x7-64"] == [third * 7 * 7]
    assert flop["by_window 1x28x28-32"] == [first // 4]
    assert flop["by_channel 32x14x14-64"] == [second // 4]
    assert flop["by_channel 64x7x7-128"] == [third * 3 * 3]
    assert sorted(flop["matmul"]) == sorted([2 * BATCH * 1152 * 625] * 3 + [2 * BATCH * 625 * 10] * 3)
    parameters = sum(parameter.size for parameter in fc.models.gorgonia().parameters())
    assert moved["rmsprop"][0] == pytest.approx(5 * REAL * parameters, rel=1e-3)  # and a few numbers
    assert moved["fetch_images"] == [BATCH * 784 * (1 + REAL)]
    assert {name for name, values in flop.items() if not any(values)} >= {"rmsprop", "cross_entropy", "sum_rows"}


def test_shares_are_of_the_step_and_of_what_bounds_a_kernel(bench, launches):
    rows = bench.rows_of(launches, flops=1e12, bytes_a_second=1e9)
    assert sum(row["launches"] for row in rows) == len(launches)
    assert sum(row["of_step"] for row in rows) == pytest.approx(1)
    row = next(row for row in rows if row["kernel"] == "conv_pool 32x14x14-64")
    assert (row["bound"], row["microseconds"]) == ("fp32", pytest.approx(1e6 / bench.REPEATS))
    assert row["of_bound"] == pytest.approx(row["flop"] * bench.REPEATS / 1e12)
    row = next(row for row in rows if row["kernel"] == "fetch_images")
    assert row["bound"] == "bandwidth"
    assert row["of_bound"] == pytest.approx(row["bytes"] * bench.REPEATS / 1e9)
    lines = bench.table(rows).splitlines()
    assert len(lines) == len(rows) + 2
    assert lines[-1].split()[:2] == ["all", str(len(launches))]


class Contestant:
    """Always gives the same answers, in so many seconds."""

    def __init__(self, name, seconds, first):
        self.name, self.version = name, f"{name} 1"
        self.answers = {"job": {"first": first}, "turn": {"seconds": seconds}}

    def ask(self, **request):
        return self.answers[next(iter(request))]

    def close(self):
        pass


def test_all_of_it_is_said_and_kept(bench, monkeypatch, capsys, tmp_path):
    gpu, file = import_module("gpu"), tmp_path / "gpu.json"
    others = [Contestant("torch", 8e-4, [1.0, 2.0]), Contestant("torch-graph", 2e-4, [1.0, 3.0])]

    def started(names, missing):
        missing["torch-compile"] = "there is no compiler"
        return [Contestant("fastcnn", 2e-4, [1.0, 2.0]), *others]

    monkeypatch.setattr(gpu, "started", started)
    monkeypatch.setattr(fc.cuda, "why_not", lambda: None)
    monkeypatch.setattr(bench, "bandwidth", lambda device: 1e12)
    with device.use(Still()):
        assert gpu.main(["--batch", "100", "--rounds", "3", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "torch-compile        left out: there is no compiler" in printed
    assert "GPU: a GPU played by the CPU" in printed
    assert "torch-graph          left out: its first answers differ by 3.3e-01, more than 1e-04" in printed
    assert printed.splitlines()[-1].split()[-4:] == ["500,000", "4.00x", "(4.00-4.00)", "-"]
    kept = json.loads(file.read_text())
    assert [(row["peer"], row["batch"], row["milliseconds"]) for row in kept["rows"]] == [
        ("fastcnn", 100, 0.2),
        ("torch", 100, 0.8),
    ]
    (kernels,) = kept["kernels"]
    assert kernels["batch"] == 100 and kernels["bandwidth"] == 1e12
    assert {"conv_pool 1x28x28-32", "keep_cost", "rmsprop"} <= {row["kernel"] for row in kernels["rows"]}
