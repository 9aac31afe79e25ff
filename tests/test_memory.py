"""Memory: steps ask for none once the first are done, scratch is one piece, and little waits in the cache."""

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
