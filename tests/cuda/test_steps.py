"""Recorded steps: a repeated record does what the same steps do one by one, each with its own numbers."""

import numpy as np
import pytest

pytest.importorskip("greenlet", reason="the tests' GPU needs greenlet")

from simt import SimtDevice

from fastcnn.backends.cuda import device, steps
from fastcnn.backends.cuda.arguments import launch, launch_each, real_of
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.kernels import steps as kernels
from fastcnn.backends.cuda.language import cuda, float64, kernel, pointer, uint32
from fastcnn.errors import ConfigError


@pytest.fixture(autouse=True)
def simt():
    with device.use(SimtDevice()) as simt:
        yield simt


@kernel(threads=32)
def add_number(real):
    def body(total: pointer(real), numbers: pointer(real), clock: pointer(uint32), count: uint32):
        i = uint32(cuda.threadIdx.x)
        if i < count:
            total[i] += numbers[clock[1] * uint32(2)] + real(1000) * numbers[clock[1] * uint32(2) + uint32(1)]

    return body


def add(total, first, second):
    launch_each(add_number(float64), total.size, total, steps.numbers([first, second], total.dtype), steps.clock())


@pytest.mark.parametrize("at_once", [1, 2, 3, 10])
def test_a_record_takes_a_row_of_numbers_for_each_step(monkeypatch, at_once):
    monkeypatch.setattr(steps, "AT_ONCE", at_once)
    total = to_device(np.zeros(3))
    add(total, 1, 0)
    record = steps.Record(lambda: add(total, 1, 0), rows=4)
    np.testing.assert_array_equal(total.numpy(), [1, 1, 1])
    record.repeat(3, lambda step: add(total, 2 + step, step))
    np.testing.assert_array_equal(total.numpy(), [3010] * 3)  # 1 + 2 + 3 + 4, 0 + 1 + 2
    record.repeat(1, lambda step: add(total, 0, 5))
    np.testing.assert_array_equal(total.numpy(), [8010] * 3)


def test_the_clock_counts_steps_and_rows():
    record = steps.Record(lambda: None, rows=5)
    record.repeat(3, lambda step: None)
    np.testing.assert_array_equal(record.clock.numpy(), [3, 3])
    record.repeat(2, lambda step: None, since=7)
    np.testing.assert_array_equal(record.clock.numpy(), [9, 2])
    np.testing.assert_array_equal(steps.clock().numpy(), [0, 0])


def test_more_steps_than_rows_are_refused():
    with pytest.raises(ConfigError, match="3 steps asked for, there is room for 2"):
        steps.Record(lambda: None, rows=2).repeat(3, lambda step: None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_is_fetched_by_the_order_of_its_row(dtype):
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (7, 3, 2), np.uint8), generator.integers(0, 4, 7, np.uint8)
    numbers, targets = generator.random(256).astype(dtype), generator.random((4, 5)).astype(dtype)
    order = generator.integers(0, 7, (3, 2), np.uint32)
    clock = to_device(np.array([9, 2], np.uint32))
    x, y = empty((2, 6), dtype), empty((2, 5), dtype)
    on_device = [to_device(array) for array in (images, numbers, order, labels, targets)]
    launch_each(kernels.fetch_images(real_of(x)), 12, on_device[0], on_device[1], on_device[2], clock, x, 2, 6)
    launch_each(kernels.fetch_targets(real_of(y)), 10, on_device[3], on_device[4], on_device[2], clock, y, 2, 5)
    np.testing.assert_array_equal(x.numpy(), numbers[images[order[2]].reshape(2, 6)])
    np.testing.assert_array_equal(y.numpy(), targets[labels[order[2]]])


def test_costs_are_kept_in_their_rows():
    clock, costs = to_device(np.array([0, 1], np.uint32)), to_device(np.zeros(3))
    losses = to_device(np.arange(5.0))
    launch(kernels.keep_cost(float64), (1,), (32,), losses, costs, clock, 5, 4.0)
    np.testing.assert_array_equal(costs.numpy(), [0, 2.5, 0])
