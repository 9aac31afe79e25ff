"""The device of the GPU over a driver that a test plays: arguments, memory, records, and what it says of failures."""

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

pytest.importorskip("greenlet", reason="the tests' GPU needs greenlet")

from fake_driver import CUresult, FakeDriver, compiled

from fastcnn.backends.cuda import device, nvidia
from fastcnn.backends.cuda.arguments import launch_each
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.language import float32
from fastcnn.errors import CudaError


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setattr(nvidia, "machine_code", compiled)
    driver = FakeDriver()
    with device.use(nvidia.NvidiaDevice(driver)):
        yield driver


def relu(x, y):
    launch_each(elements.relu(float32), x.size, x, y)


def test_what_is_written_can_be_read_and_copied(driver):
    values = np.arange(6.0).reshape(2, 3)
    array = to_device(values)
    copied = array.copy()
    array.write(values + 1)
    np.testing.assert_array_equal(copied.numpy(), values)
    np.testing.assert_array_equal(array[1:].numpy(), values[1:] + 1)


def test_kernels_get_their_arguments(driver):
    x = to_device(np.array([-1, 0, 2, 3], np.float32))
    y = empty((4,), "float32")
    relu(x, y)
    np.testing.assert_array_equal(y.numpy(), [0, 0, 2, 3])


def test_memory_of_other_libraries_is_used_in_place(driver):
    (address,) = driver.allocate(12)

    class Foreign:
        __cuda_array_interface__: ClassVar = {
            "shape": (3,),
            "typestr": "<f4",
            "data": (address, False),
            "version": 3,
            "stream": 7,
        }

    array = to_device(Foreign()).write([-1, 0, 2])
    assert array.__dlpack_device__() == (2, 0)
    assert array[1:].__cuda_array_interface__["data"] == (address + 4, False)
    relu(array, array)
    np.testing.assert_array_equal(array.copy().numpy(), [0, 0, 2])
    assert array.memory.owner.__class__ is Foreign


def test_other_threads_may_use_it(driver):
    array = to_device(np.arange(3.0))
    with ThreadPoolExecutor(1) as thread:
        for _ in range(2):
            np.testing.assert_array_equal(thread.submit(array.numpy).result(), np.arange(3.0))
    assert driver.calls.count("cuCtxSetCurrent") == 2  # once in each thread


def test_memory_is_used_again(driver):
    for _ in range(5):
        empty((1000,), "float32")
    assert driver.calls.count("cuMemAlloc") == 1


def test_a_record_does_nothing_until_it_is_repeated_and_keeps_its_memory(driver):
    x, y = to_device(np.array([-1, 5], np.float32)), to_device(np.zeros(2, np.float32))
    relu(x, y)

    def work():
        between = empty((2,), "float32")
        relu(x, between)
        relu(between, y)

    y.write([7, 7])
    repeat = device.current().record(work)
    np.testing.assert_array_equal(y.numpy(), [7, 7])
    others = [to_device(np.full(2, 9, np.float32)) for _ in range(3)]
    for values in ([-1, 5], [6, -2]):
        x.write(values)
        repeat()
        np.testing.assert_array_equal(y.numpy(), np.maximum(values, 0))
    assert all((other.numpy() == 9).all() for other in others)


def a_record(driver):
    x = to_device(np.array([-1, 5], np.float32))
    relu(x, x)
    return device.current().record(lambda: relu(x, empty((2,), "float32")))


def test_a_record_gives_back_its_graph_and_its_memory(driver):
    kept = []

    def work():
        kept.append(empty((2,), "float32"))
        relu(kept[0], empty((2,), "float32"))

    x = empty((2,), "float32")
    relu(x, empty((2,), "float32"))
    before = {x.address}  # a record doesn't need what the step before it has left
    repeat = device.current().record(work)
    assert len(driver.memory) == len(before) + 2
    assert "cuGraphExecDestroy" not in driver.calls
    del repeat
    assert driver.calls[-3:] == ["cuStreamSynchronize", "cuGraphExecDestroy", "cuMemFree"]
    assert len(driver.memory) == len(before) + 1  # an array of the record may outlive it
    kept.clear()
    assert set(driver.memory) == before


@pytest.mark.parametrize("failing", [(), ("cuStreamEndCapture",)])
def test_work_that_fails_says_why_and_leaves_all_as_it_was(driver, failing):
    x = to_device(np.array([-1, 5], np.float32))

    def work():
        relu(x, x)
        raise ValueError("the first error")

    relu(x, x)
    driver.failing |= dict.fromkeys(failing, CUresult.CUDA_ERROR_LAUNCH_FAILED)
    pool = device.current()._pool
    with pytest.raises(ValueError, match="the first error"):
        device.current().record(work)
    assert device.current()._pool is pool
    assert gc.isenabled()
    assert ("cuGraphDestroy" in driver.calls) == (not failing)


@pytest.mark.parametrize("call", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_a_step_that_cannot_be_recorded_is_an_error_and_leaves_all_as_it_was(driver, call):
    driver.failing[call] = CUresult.CUDA_ERROR_LAUNCH_FAILED
    pool = device.current()._pool
    with pytest.raises(CudaError, match=f"the step could not be recorded: {call} says CUDA_ERROR_LAUNCH_FAILED"):
        a_record(driver)
    assert device.current()._pool is pool


@pytest.mark.parametrize(
    "exchange",
    [
        lambda x: x.numpy(),
        lambda x: x.write(np.zeros(2)),
        lambda x: to_device(np.zeros(2)),
        lambda x: x.__cuda_array_interface__,
    ],
    ids=["read", "write", "send", "share"],
)
def test_a_step_that_exchanges_something_with_others_says_that_it_cannot_be_recorded(driver, exchange):
    x = to_device(np.array([-1, 5], np.float32))
    exchange(x)
    with pytest.raises(CudaError, match=r"can't wait for the host or another library, .* Trainer\(record=False\)"):
        device.current().record(lambda: exchange(x))
    exchange(x)


def test_full_memory_is_cleared_of_what_is_free_before_it_is_an_error(driver):
    empty((1000,), "float32")
    driver.failing["cuMemAlloc"] = CUresult.CUDA_ERROR_OUT_OF_MEMORY
    with pytest.raises(CudaError, match=r"the GPU Imagined GPU has no 4,096 MiB left; use a smaller batch or model"):
        empty((2**30,), "float32")
    assert driver.calls.count("cuMemFree") == 1


@pytest.mark.parametrize("call", ["cuLaunchKernel", "cuMemcpyHtoDAsync", "cuStreamSynchronize"])
def test_a_lost_device_is_one_clear_error(driver, call):
    x, y = empty((4,), "float32"), empty((4,), "float32")
    driver.failing[call] = CUresult.CUDA_ERROR_LAUNCH_FAILED
    with pytest.raises(CudaError, match=rf"{call} says CUDA_ERROR_LAUNCH_FAILED; what the GPU computed .* is lost"):
        x.write(np.zeros(4))
        relu(x, y)


@pytest.mark.parametrize(
    ("devices", "failing", "expected"),
    [
        (0, {}, "no GPU can be used: CUDA shows none on this machine"),
        (
            1,
            {"cuInit": CUresult.CUDA_ERROR_NO_DEVICE},
            "no GPU can be used: cuInit says CUDA_ERROR_NO_DEVICE; look whether nvidia-smi .* train on the CPU",
        ),
    ],
)
def test_a_machine_without_a_gpu_is_told_so(devices, failing, expected):
    driver = FakeDriver(devices)
    driver.failing.update(failing)
    with pytest.raises(CudaError, match=expected):
        nvidia.NvidiaDevice(driver)


def test_a_gpu_that_is_too_old_is_named():
    with pytest.raises(
        CudaError, match=r"no GPU can be used: Imagined GPU has compute capability 7\.5, 8\.0 is needed"
    ):
        nvidia.NvidiaDevice(FakeDriver(capability=(7, 5)))
