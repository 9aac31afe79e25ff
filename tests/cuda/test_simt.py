"""The runner of GPU kernels itself: what it must catch, and what its words must mean."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastcnn.backends.cuda.arguments import launch
from fastcnn.backends.cuda.array import empty, to_device
from fastcnn.backends.cuda.device import use
from fastcnn.backends.cuda.language import (
    cuda,
    float32,
    float64,
    inline,
    int32,
    kernel,
    pointer,
    uint8,
    uint32,
    uint64,
)

pytest.importorskip("greenlet", reason="kernels run on the CPU as greenlets")
from simt import KernelFault, SimtDevice, barriers

DEVICES = "first thread first", "last thread first"

THREADS = 64


def run(body, *arguments, grid=(1,), block=(THREADS,), threads=THREADS, dtype=np.float64):
    """What a kernel of this body writes to its first argument, an array of 64 elements."""
    y = empty((64,), dtype)
    launch(kernel(threads=threads)(lambda: body)(), grid, block, y, *arguments)
    return y.numpy()


# ---- races -----------------------------------------------------------------------------------------------------------


def neighbour(step, waits):
    """A body that reads what the neighbour has written."""

    def body(y: pointer(float64)):
        shared = cuda.shared.array(THREADS, float64)
        i = uint32(cuda.threadIdx.x)
        shared[i] = float64(i)
        if waits:
            cuda.syncthreads()
        y[i] = shared[uint32((i + THREADS + step) % THREADS)]

    return body


@pytest.mark.parametrize("step", [1, -1])
def test_what_a_neighbour_writes_before_a_barrier_is_there_behind_it(device, step):
    assert_array_equal(run(neighbour(step, True)), np.roll(np.arange(64.0), -step))


@pytest.mark.parametrize(("step", "caught_by"), [(1, 1), (-1, -1)])
def test_without_the_barrier_one_of_the_orders_finds_nan(step, caught_by):
    with use(SimtDevice(caught_by)):
        assert np.isnan(run(neighbour(step, False))).sum() == THREADS - 1
    with use(SimtDevice(-caught_by)):
        assert np.isnan(run(neighbour(step, False))).sum() == 1


def test_a_barrier_can_be_left_out_by_its_place():
    body = neighbour(1, True)
    (site,) = barriers(body)
    with use(SimtDevice(1, without=site)):
        assert np.isnan(run(body)).any()


def test_barriers_of_inlined_functions_are_found_too():
    @inline
    def wait():
        cuda.syncthreads()
        cuda.syncthreads()

    def body(y: pointer(float64)):
        wait()
        cuda.syncthreads()

    assert len(barriers(body)) == 3


def test_unwritten_memory_of_all_kinds_is_absurd(device):
    def body(y: pointer(float64), z: pointer(int32)):
        i = uint32(cuda.threadIdx.x)
        y[i] = cuda.shared.array(1, float64)[0] if i < 32 else float64(cuda.local.array(1, float32)[0])
        z[i] = cuda.local.array(1, int32)[0]

    z = empty((64,), np.int32)
    assert np.isnan(empty((3,), np.float32).numpy()).all()
    assert np.isnan(run(body, z)).all()
    assert (abs(z.numpy()) > 2**30).all()


def test_blocks_do_not_share_shared_memory(device):
    def body(y: pointer(float64)):
        shared = cuda.shared.array(1, float64)
        if cuda.blockIdx.x == 0:
            shared[0] = float64(1)
        cuda.syncthreads()
        y[uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)] = shared[0]

    assert_array_equal(np.isnan(run(body, grid=(2,), block=(32,))), np.arange(64) >= 32)


def test_two_shared_arrays_are_two(device):
    def body(y: pointer(float64)):
        first, second = cuda.shared.array(1, float64), cuda.shared.array(1, float64)
        first[0] = float64(1)
        second[0] = float64(2)
        y[cuda.threadIdx.x] = first[0]

    assert_array_equal(run(body), np.ones(64))


# ---- faults ----------------------------------------------------------------------------------------------------------


def reads_behind(y: pointer(float64)):
    y[0] = y[64]


def reads_before(y: pointer(float64)):
    y[0] = y[-1]


def writes_behind(y: pointer(float64)):
    y[uint32(cuda.threadIdx.x + 1)] = float64(0)


def reads_behind_shared(y: pointer(float64)):
    y[0] = cuda.shared.array(4, float64)[4]


def writes_behind_local(y: pointer(float64)):
    cuda.local.array(4, float64)[4] = float64(0)


def goes_below_zero(y: pointer(float64)):
    y[uint32(cuda.threadIdx.x - 1)] = float64(0)


def leaves_int32(y: pointer(float64)):
    y[0] = float64(int32(cuda.threadIdx.x + 2**31))


def waits_in_part(y: pointer(float64)):
    if cuda.threadIdx.x < 32:
        cuda.syncthreads()


def waits_in_two_ways(y: pointer(float64)):
    if cuda.threadIdx.x % 2:
        cuda.syncthreads()
    else:
        cuda.syncwarp()


def leaves_lanes_out(y: pointer(float64)):
    if cuda.threadIdx.x % 2 == 0:
        y[0] = cuda.shfl_xor_sync(0xFFFFFFFF, float64(0), 2)


def takes_from_nobody(y: pointer(float64)):
    if cuda.laneid < 31:
        y[0] = cuda.shfl_sync(0x7FFFFFFF, float64(0), 31)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (reads_behind, "reads element 64 of 64"),
        (reads_before, "reads element -1 of 64"),
        (writes_behind, "writes element 64 of 64"),
        (reads_behind_shared, "reads element 4 of 4"),
        (writes_behind_local, "writes element 4 of 4"),
        (goes_below_zero, "takes -1 for uint32"),
        (leaves_int32, "takes 21474.* for int32"),
        (waits_in_part, "only 32 of the block's 64 threads reach a barrier"),
        (waits_in_two_ways, "part of a warp waits for the block"),
        (leaves_lanes_out, "lane 1 takes no part"),
        (takes_from_nobody, "takes the value of lane 31, which has none"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_no_kernel_may_do_is_an_error(device, body, message):
    with pytest.raises(KernelFault, match=rf"block \(0, 0, 0\): {message}"):
        run(body)


def nothing(y: pointer(float64)):
    pass


@pytest.mark.parametrize(
    "shape", [{"block": (65,)}, {"block": (8, 8, 2)}, {"grid": (1, 65536)}, {"grid": (1, 1, 65536)}], ids=str
)
def test_blocks_and_grids_too_large_are_errors(device, shape):
    with pytest.raises(KernelFault):
        run(nothing, **shape)


def test_a_kernel_of_more_threads_than_a_block_can_have_is_an_error(device):
    with pytest.raises(KernelFault):
        run(nothing, threads=2048, block=(32,))


def test_arguments_must_be_what_the_kernel_declares(device):
    with pytest.raises(KernelFault, match="pointer to float64"):
        run(nothing, dtype=np.float32)
    with pytest.raises(KernelFault, match="2 arguments for 1"):
        run(nothing, 3)

    def scaled(y: pointer(float64), count: uint32):
        pass

    with pytest.raises(KernelFault, match="for uint32"):
        run(scaled, to_device(np.zeros(3)))
    with pytest.raises(KernelFault, match="takes -1 for uint32"):
        run(scaled, -1)


# ---- meanings --------------------------------------------------------------------------------------------------------


def test_unsigned_integers_wrap_around_at_their_upper_end(device):
    def body(y: pointer(float64), big: uint32):
        y[0] = float64(uint32(big + uint32(3)))
        y[1] = float64(uint8(uint32(258)))
        y[2] = float64(uint64(big) * uint64(2))

    assert_array_equal(run(body, 2**32 - 1)[:3], [2, 2, 2.0**33 - 2])


def test_scalars_are_rounded_to_their_type(device):
    def body(y: pointer(float64), third: float32):
        y[0] = float64(third)

    assert run(body, 1 / 3)[0] == np.float32(1 / 3)


def test_float32_stays_float32(device):
    def body(y: pointer(float32), third: float32):
        y[cuda.threadIdx.x] = third * third + third

    third = np.float32(1 / 3)
    assert_array_equal(run(body, 1 / 3, dtype=np.float32), np.full(64, third * third + third))


@pytest.mark.parametrize(
    ("grid", "block"), [((2,), (32,)), ((1, 2), (4, 8)), ((2, 1, 2), (2, 4, 2)), ((1,), (1, 1, 64))]
)
def test_every_thread_of_every_block_runs_once(device, grid, block):
    def body(y: pointer(float64)):
        blocks = (cuda.blockIdx.z * cuda.gridDim.y + cuda.blockIdx.y) * cuda.gridDim.x + cuda.blockIdx.x
        threads = (cuda.threadIdx.z * cuda.blockDim.y + cuda.threadIdx.y) * cuda.blockDim.x + cuda.threadIdx.x
        i = uint32(blocks * cuda.blockDim.x * cuda.blockDim.y * cuda.blockDim.z + threads)
        y[i] = float64(i) if y[i] != y[i] else float64(-1)

    assert_array_equal(run(body, grid=grid, block=block), np.arange(64))


def test_shuffles_exchange_values_within_a_warp(device):
    def body(y: pointer(float64), z: pointer(float64), w: pointer(float64)):
        i = uint32(cuda.threadIdx.x)
        y[i] = cuda.shfl_xor_sync(0xFFFFFFFF, float64(i), 5)
        z[i] = cuda.shfl_down_sync(0xFFFFFFFF, float64(i), 3)
        w[i] = cuda.shfl_sync(0xFFFFFFFF, float64(i), 7)

    z, w, i = empty((64,), np.float64), empty((64,), np.float64), np.arange(64)
    assert_array_equal(run(body, z, w), i ^ 5)
    assert_array_equal(z.numpy(), np.where(i % 32 + 3 < 32, i + 3, i))
    assert_array_equal(w.numpy(), i // 32 * 32 + 7)


def test_lanes_go_along_x_first(device):
    def body(y: pointer(float64)):
        y[uint32(cuda.threadIdx.y * 16 + cuda.threadIdx.x)] = float64(cuda.laneid)

    assert_array_equal(run(body, block=(16, 4)), np.arange(64) % 32)


def test_warps_meet_without_the_others(device):
    def body(y: pointer(float64)):
        i = uint32(cuda.threadIdx.x)
        shared = cuda.shared.array(THREADS, float64)
        shared[i] = float64(i)
        if i < 32:
            cuda.syncwarp()
            y[i] = shared[uint32(i ^ 1)]
        else:
            y[i] = float64(i)

    assert_array_equal(run(body), [*(np.arange(32) ^ 1), *range(32, 64)])


def test_threads_that_have_ended_are_not_waited_for_in_shuffles_of_other_warps(device):
    def body(y: pointer(float64)):
        i = uint32(cuda.threadIdx.x)
        y[i] = float64(0)
        if i >= 32:
            return
        y[i] = cuda.shfl_xor_sync(0xFFFFFFFF, float64(i), 1)

    assert_array_equal(run(body), [*(np.arange(32) ^ 1), *np.zeros(32)])


def test_the_numbers_of_numpy_raise_no_warnings(device):
    def body(y: pointer(float64), zero: float64):
        y[0] = float64(1) / zero - float64(1) / zero

    assert np.isnan(run(body, 0.0)[0])


def test_launches_are_listed_by_name(device):
    run(nothing)
    assert device.launched == ["<lambda>()"]
