"""What the tests of all operations share: switches of the C core, markers, layouts, the bound on rounding."""

from contextlib import contextmanager

import numpy as np
import pytest

from fastcnn import _core

ISA_LEVELS = _core.isa_levels()
ALGORITHMS = ("direct", "im2col", "auto")
EXACT_ALGORITHMS = ("direct", "im2col")  # "auto" may be Winograd's, see test_ops_winograd.py

every_isa = pytest.mark.parametrize("isa", ISA_LEVELS)
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
every_exact_algorithm = pytest.mark.parametrize("algorithm", EXACT_ALGORITHMS)
every_dtype = pytest.mark.parametrize("dtype", (np.float32, np.float64), ids=("float32", "float64"))


@contextmanager
def use_isa(level):
    """Run the kernels of one instruction-set level."""
    before = _core.get_isa()
    _core.set_isa(level)
    try:
        yield
    finally:
        _core.set_isa(before)


@contextmanager
def use_threads(count):
    """Run the kernels on `count` threads, however little there is to do."""
    before = _core.get_num_threads()
    _core.set_num_threads(count)
    _core.set_work_a_thread(1)
    try:
        yield
    finally:
        _core.set_num_threads(before)
        _core.set_work_a_thread(_core.WORK_A_THREAD)


@contextmanager
def poisoned_memory():
    """Fill fresh outputs with NaN, so that a cell nobody wrote shows."""
    _core.set_poison(True)
    try:
        yield
    finally:
        _core.set_poison(False)


def integers(rng, shape, dtype):
    """Small integers: every product and partial sum is exact, so any order of summing gives the same bits."""
    return rng.integers(-3, 4, shape).astype(dtype)


def small_integers(rng, shape, dtype):
    """Smaller than `integers`, so that sums of many products stay exact after a second multiplication."""
    return rng.integers(-1, 2, shape).astype(dtype)


def reals(rng, shape, dtype):
    """Normally distributed numbers."""
    return rng.standard_normal(shape).astype(dtype)


def assert_within_bound(got, expected, magnitude, terms, constant=4):
    """Hold a sum of `terms` products to |got - expected| <= (terms + constant) * eps * magnitude.

    `magnitude` is the same sum over absolute values. The bound holds for every order of summing.
    """
    bound = (terms + constant) * np.finfo(got.dtype).eps * magnitude
    np.testing.assert_array_less(np.abs(got - expected), np.nextafter(bound, np.inf))


def results_on_threads(operation, thread_counts=(1, 2, 3)):
    """The raw bytes that `operation()` gives on each number of threads."""
    results = []
    for count in thread_counts:
        with use_threads(count), poisoned_memory():
            result = operation()
        arrays = result if isinstance(result, tuple) else (result,)
        results.append([array.tobytes() for array in arrays])
    return results


def _transposed(array):
    return np.ascontiguousarray(array.T).T


def _reversed(array):
    return np.flip(np.flip(array).copy())


def _every_second(array):
    spread = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan if array.dtype.kind == "f" else 0)
    spread = spread.astype(array.dtype)
    spread[..., ::2] = array
    return spread[..., ::2]


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _misaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = buffer.view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


LAYOUTS = {
    "transposed": _transposed,
    "reversed": _reversed,
    "every second": _every_second,
    "read-only": _read_only,
    "misaligned": _misaligned,
}
every_layout = pytest.mark.parametrize("lay_out", LAYOUTS.values(), ids=LAYOUTS.keys())
