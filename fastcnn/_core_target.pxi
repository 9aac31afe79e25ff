"""What kernels run on, the level and the number of threads, and what stops them: a part of _core.pyx."""

import os
from threading import main_thread

from cpython.exc cimport PyErr_CheckSignals

from fastcnn.errors import ConfigError


def isa_compiled():
    """Names of the levels this build has, lowest first."""
    return tuple(fc_isa_name(<fc_isa>i).decode() for i in range(FC_ISA_COUNT) if fc_isa_compiled(<fc_isa>i))


def isa_levels():
    """Names of the levels that this build has and this CPU can run, lowest first."""
    return tuple(fc_isa_name(<fc_isa>i).decode() for i in range(FC_ISA_COUNT) if fc_isa_usable(<fc_isa>i))


def get_isa():
    """Name of the level in use."""
    return fc_isa_name(fc_isa_current()).decode()


def set_isa(str name):
    """Use the kernels of this level from now on, in every thread."""
    for i in range(FC_ISA_COUNT):
        if fc_isa_usable(<fc_isa>i) and fc_isa_name(<fc_isa>i).decode() == name:
            fc_isa_select(<fc_isa>i)
            return
    raise ConfigError(f"instruction-set level {name!r} is not to be had here; choose one of {', '.join(isa_levels())} "
                      "(environment variable FASTCNN_ISA)")


def compiler():
    """Name and version of the compiler that built the kernels."""
    return FC_COMPILER.decode()


# ---- threads --------------------------------------------------------------------------------------------------------

MOST_THREADS = 1024
cdef int _threads = 1


def get_num_threads():
    """Number of threads that kernels use."""
    return _threads


def _checked_threads(count):
    """`count`, if kernels may use so many threads."""
    if not (isinstance(count, int) and 1 <= count <= MOST_THREADS):
        raise ConfigError(f"the number of threads must be a whole number from 1 to {MOST_THREADS}, got {count!r}")
    return count


def set_num_threads(count):
    """Let kernels use this many threads."""
    global _threads
    _threads = _checked_threads(count)


# How often a kernel may have been cut off in the middle, so that what it kept for later calls is worth nothing: by a
# signal, or in a child that was forked while another thread was inside.
cdef int _cut_offs = 0
cdef int _forks = 0  # that this process came out of


def _after_fork_in_child():
    global _cut_offs, _forks
    _cut_offs += 1
    _forks += 1
    fc_begin_anew()
    look_for_signals()


os.register_at_fork(after_in_child=_after_fork_in_child)


# ---- signals --------------------------------------------------------------------------------------------------------

LOOK_EVERY = 1.0  # seconds


cdef int _look() except -1 with gil:
    """Let Python's handlers of the signals that have come run; one that raises ends the call of the kernel."""
    global _cut_offs
    try:
        forks = _forks
        PyErr_CheckSignals()
        if _forks != forks:
            raise RuntimeError("a signal handler forked inside a kernel, whose other threads the child doesn't have")
    except BaseException:
        _cut_offs += 1
        raise
    return 0


def look_for_signals(double every=LOOK_EVERY):
    """Let the main thread look for signals in kernels that take longer than so many seconds: others for tests."""
    fc_look_for_signals(_look, <uintptr_t>main_thread().ident, <int64_t>(every * 1e9))


look_for_signals()


cdef enum:
    ELEMENT_WORK = 6
    FUNCTION_WORK = 20

# Ten microseconds. A thread for less costs about what it saves, and more if it has to wake.
WORK_A_THREAD = 300_000
cdef double _work_a_thread = WORK_A_THREAD


def set_work_a_thread(double work):
    """How much work has to be there for each thread, in multiply-adds: for tests, whose shapes are small."""
    global _work_a_thread
    _work_a_thread = work


cdef inline double _elements(cnp.ndarray array) noexcept:
    """The work of reading the elements of an array and writing as many."""
    return ELEMENT_WORK * <double>cnp.PyArray_SIZE(array)


cdef inline double _elements_of_functions(cnp.ndarray array) noexcept:
    """The same with a root, an exponential or random bits for each of them."""
    return FUNCTION_WORK * <double>cnp.PyArray_SIZE(array)


cdef inline fc_target _target(cnp.ndarray array, double work) noexcept:
    """What to compute on: the array's element type, and the level of this moment; the number of threads, too, or fewer
    where there is little work, which is counted in multiply-adds. Kernels give the same bits on any number of them."""
    cdef fc_target on
    on.isa = fc_isa_current()
    on.is_double = cnp.PyArray_ITEMSIZE(array) == 8
    on.workers = <int>max(1, min(<double>_threads, work / _work_a_thread))
    return on


def multiply_adds(bint is_double, int64_t rounds, workers):
    """Keep the multiply-add units of `workers` threads busy; returns how many floating-point operations that took."""
    cdef fc_target on
    cdef double operations
    on.isa, on.is_double, on.workers = fc_isa_current(), is_double, _checked_threads(workers)
    cdef Scratch sums = Scratch(8 * on.workers)
    with nogil:
        operations = fc_multiply_adds(on, rounds, sums.memory)
    return operations
