"""Images of bytes: picked and turned into numbers in one pass."""

import numpy as np
import pytest
from support import every_isa, poisoned_memory, use_isa, use_threads

import fastcnn as fc
from fastcnn.backends.cpu.pixels import look_up


@every_isa
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("shape", [(70, 1, 28, 28), (3, 2, 130, 131), (9, 1, 1, 1), (5, 3, 3, 0)], ids=str)
def test_every_pixel_of_a_selection_is_looked_up(isa, dtype, threads, shape):
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    table = fc.data.pixel_table("standard", dtype)
    shuffled = np.random.default_rng(2).permutation(shape[0])
    for which in (shuffled, shuffled[::2], np.array([-1, 0]), shuffled[:0], slice(None, None, 2), slice(1, 1)):
        with use_isa(isa), use_threads(threads), poisoned_memory():
            numbers = look_up(table, images, which)
        np.testing.assert_array_equal(numbers, table[images[which]])
        assert numbers.dtype == dtype
