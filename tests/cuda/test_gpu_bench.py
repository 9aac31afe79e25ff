"""What bench/gpu.py says of kernels, where no GPU is: how it takes times, counts work, and shares it out."""

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
        return lambda: None

    def seconds(self, work):
        return 1.0


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
