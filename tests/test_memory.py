"""Memory: steps ask for none once the first are done, scratch is one piece, and little waits in the cache."""

import subprocess
import sys

import numpy as np
import pytest

import fastcnn as fc
from fastcnn import _core, ops
from fastcnn.recipes import MODELS, RECIPES, build


def steps_of(name, batch=20):
    """A function that takes a training step of a recipe."""
    settings = RECIPES[name]
    model, loss, optimizer = build(settings)
    rng = np.random.default_rng(0)
    x = rng.random((batch, *model.input_shape)).astype(model.dtype)
    y = fc.data.soft_targets(rng.integers(0, 10, batch), model.dtype)
    return lambda: fc.train_step(model, loss, optimizer, x, y)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_steps_after_the_third_allocate_nothing(name):
    step = steps_of(name)
    for _ in range(3):
        step()
    before = _core.blocks_allocated()
    for _ in range(20):
        step()
    assert _core.blocks_allocated() == before


def test_what_a_step_of_the_gorgonia_network_leaves_behind_is_small():
    fc.release_memory()
    steps_of("gorgonia", 100)()
    assert _core.cached_bytes() < 24 << 20


def test_released_memory_is_gone():
    steps_of("lenet5", 5)()
    fc.release_memory()
    assert _core.cached_bytes() == 0


def test_scratch_is_shared_and_grows_to_the_largest_need():
    small, large = (np.ones((1, 64, side, side), np.float32) for side in (8, 32))
    weight = np.ones((64, 64, 3, 3), np.float32)
    fc.release_memory()
    for x in (small, large):
        ops.conv2d(x, weight, padding=1, algorithm="im2col")
    both = _core.cached_bytes() - small.nbytes - large.nbytes
    fc.release_memory()
    ops.conv2d(large, weight, padding=1, algorithm="im2col")
    assert both == _core.cached_bytes() - large.nbytes
    before = _core.blocks_allocated()
    for x in (small, large, small):
        ops.conv2d(x, weight, padding=1, algorithm="im2col")
    assert _core.blocks_allocated() == before + 1  # a result for `small`


def test_a_block_is_at_most_a_sixteenth_larger_than_its_array():
    for size in (1, 64, 65, 1000, 1025, 4099, 100_001, 3_000_001):
        fc.release_memory()
        ops.relu(np.ones(size, np.float32))
        assert 4 * size <= _core.cached_bytes() <= max(4 * size + 63, 4 * size * 17 // 16)


def in_a_process_of_its_own(script):
    """Run it; `size` gives bytes of address space, `limit` what there may be, above what there is."""
    before = """
import os, resource
import numpy as np
import fastcnn as fc
from fastcnn import _core, ops

def size(of=0):  # 1: of what is in memory
    return int(open("/proc/self/statm").read().split()[of]) * os.sysconf("SC_PAGESIZE")

def limit(more):
    resource.setrlimit(resource.RLIMIT_AS, (size() + more, size() + more))
"""
    done = subprocess.run([sys.executable, "-c", before + script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@on_linux
def test_batches_of_changing_sizes_take_the_memory_of_few():
    in_a_process_of_its_own("""
x, y = np.random.default_rng(0).random((100, 1, 28, 28)).astype(np.float32), np.zeros(100, int)
batches = np.random.default_rng(1).integers(1, 101, 40)
limit(100 << 20)
for name in ("gorgonia", "lenet5"):
    model = getattr(fc.models, name)()
    loss, optimizer, frozen = fc.CrossEntropyLoss(), fc.SGD(model.parameters()), model.freeze()
    for work in (
        frozen,
        model,
        lambda x: fc.train_step(model, loss, optimizer, x, y[: len(x)]),
    ):
        for batch in batches:
            work(x[:batch])
            assert _core.cached_bytes() <= 64 << 20
""")


@on_linux
def test_sizes_that_are_no_longer_in_use_leave_the_cache():
    in_a_process_of_its_own("""
for size in np.linspace(2**20, 2**22, 60).astype(int):
    ops.relu(np.ones(size // 4, np.float32))
    assert _core.cached_bytes() <= 32 << 20
large = ops.relu(np.ones(2**24, np.float32))
del large
assert _core.cached_bytes() >= 64 << 20
for _ in range(2 * 4096 + 1):
    ops.relu(np.ones(8, np.float32))
assert _core.cached_bytes() <= 32 << 20
""")


@on_linux
def test_what_lies_in_the_cache_is_given_up_before_memory_is_refused():
    in_a_process_of_its_own("""
x = np.zeros(80 << 18, np.float32)
ops.relu(x[: 40 << 18])  # 40 MiB
limit(60 << 20)
assert ops.relu(x).nbytes == 80 << 20
try:
    _core.Block(120 << 20)
except MemoryError as error:
    assert "cannot allocate" in str(error)
else:
    raise SystemExit("no limit")
assert _core.cached_bytes() == 0
""")


@on_linux
def test_released_memory_is_the_systems_again():
    in_a_process_of_its_own("""
ops.relu(np.ones(8, np.float32))
before, spacers = (size(), size(1)), []
for each in (100_000, 1_000_000):  # of those that malloc gives, and of those that are mapped
    blocks = [ops.relu(np.ones(each // 4, np.float32)) for _ in range(20_000_000 // each)]
    spacers.append(bytes(5000))  # malloc can't simply shorten its heap
    del blocks
assert size(1) > before[1] + 30_000_000
fc.release_memory()
assert size(1) < before[1] + 3_000_000, (size(1), before)
assert size() < before[0] + 23_000_000, (size(), before)
""")
