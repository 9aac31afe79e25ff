"""Threads, forks, signals and the floating-point state of who calls: nobody hangs, results stay the same bits."""

import ctypes
import multiprocessing
import os
import platform
import signal
import threading
import time
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import every_isa, integers, reals, results_on_threads, use_isa, use_threads

import fastcnn as fc
from fastcnn import _core, locks

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
warns_of_threads = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


# ---- threads ---------------------------------------------------------------------------------------------------------

MATRIX = integers(np.random.default_rng(1), (120, 120), np.float32)


def product():
    """A multiplication large enough for several threads, in exact integers."""
    return fc.ops.matmul(MATRIX, MATRIX)


def test_python_threads_may_call_operations_at_once():
    rng = np.random.default_rng(0)
    x = integers(rng, (3, 5, 11, 13), np.float32)
    weights = [integers(rng, (1 + i, 5, 3, 3), np.float32) for i in range(8)]
    expected = [fc.ops.conv2d(x, weight, padding=1) for weight in weights]
    wrong = []

    def work(index):
        for _ in range(20):
            if not np.array_equal(fc.ops.conv2d(x, weights[index], padding=1), expected[index]):
                wrong.append(index)

    crew = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
    assert wrong == []


def test_more_threads_than_cpus_compute_the_same_bits_hot_and_after_a_rest():
    with use_threads(1):
        expected = product()
    for count in (2, 3, 17, 2):
        with use_threads(count):
            for rest in (0, 0.01, 0):  # after 10 ms all helpers sleep
                time.sleep(rest)
                assert_array_equal(product(), expected)


# ---- forks -----------------------------------------------------------------------------------------------------------


def in_forked_child(function):
    """What `function()` returns in a child that was forked; fails if it hangs."""
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sender.send(function()))
    child.start()
    try:
        assert receiver.poll(30), "the forked child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


@contextmanager
def busy_thread(function):
    """Another thread calls `function` again and again."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            function()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()


def threads_of_this_process():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 3


@forks
@warns_of_threads
def test_a_forked_child_computes_with_all_threads():
    with use_threads(3):
        expected = product()
        got, count, threads = in_forked_child(lambda: (product(), fc.get_num_threads(), threads_of_this_process()))
    assert count == 3
    assert threads >= 3
    assert_array_equal(got, expected)


@forks
@warns_of_threads
def test_a_child_forked_while_others_compute_does_not_hang():
    model = fc.Sequential(fc.Conv2d(3, 8, 3), fc.ReLU(), fc.Flatten(), fc.Linear(8 * 81, 10), input_shape=(3, 11, 11))
    frozen = model.freeze()
    x = np.ones((40, 3, 11, 11), np.float32)
    expected = frozen(x)
    with use_threads(2), busy_thread(lambda: frozen(x)), busy_thread(product):
        for _ in range(4):
            got, once_more = in_forked_child(lambda: (frozen(x), frozen(x)))
            assert_array_equal(got, expected)
            assert_array_equal(once_more, expected)


@forks
@warns_of_threads
def test_every_lock_is_open_in_a_forked_child_and_still_closed_here():
    held = [locks.ForkedAnew(make) for make in (threading.Lock, threading.RLock)]
    ready, done = threading.Event(), threading.Event()

    def hold():
        with held[0].lock, held[1].lock:
            ready.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait()
    try:
        assert in_forked_child(lambda: [one.lock.acquire(timeout=5) for one in held]) == [True, True]
        assert not any(one.lock.acquire(blocking=False) for one in held)
    finally:
        done.set()
        holder.join()


@forks
def test_a_block_that_forks_opens_the_lock_that_it_closed():
    held = locks.ForkedAnew(threading.Lock)
    with held.lock:
        held.renew()  # as a fork does in the child
    assert held.lock.acquire(blocking=False)


# ---- signals ---------------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


@contextmanager
def alarm_after(seconds, handler):
    """`handler()` is due in so many seconds; kernels look all the time."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    _core.look_for_signals(0)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _core.look_for_signals()
        signal.signal(signal.SIGALRM, before)


def stop():
    raise Stopped


@cache
def operands():
    return np.ones((200, 32, 40, 40), np.float32), np.ones((32, 32, 3, 3), np.float32)


def long_call():
    """A tenth of a second or so, in many tasks."""
    return fc.ops.conv2d(*operands(), algorithm="direct")


@pytest.mark.parametrize("count", [1, 2])
def test_a_handler_runs_during_a_long_call(count):
    ran = []
    with use_threads(count), alarm_after(0.005, lambda: ran.append(time.perf_counter())):
        start = time.perf_counter()
        y = long_call()
        end = time.perf_counter()
    assert ran[0] - start < 0.6 * (end - start)
    assert (y == 288).all()


@pytest.mark.parametrize("count", [1, 2])
def test_a_handler_that_raises_ends_a_call_at_once(count):
    raised, left = [], []

    def stop_and_note():
        raised.append(time.perf_counter())
        raise Stopped

    with use_threads(count):
        long_call()
        start = time.perf_counter()
        long_call()
        seconds = time.perf_counter() - start
        while not left or (min(left) > seconds / 2 and len(left) < 10):  # other programs may hold it up
            with pytest.raises(Stopped), alarm_after(seconds / 10, stop_and_note):
                long_call()
            left.append(time.perf_counter() - raised[-1])
    assert min(left) < seconds / 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_handler_that_raises_ends_a_call_and_what_comes_next_is_right(count):
    model = fc.Sequential(fc.Conv2d(32, 64, 3), input_shape=(32, 48, 48))
    x = reals(np.random.default_rng(0), (40, 32, 48, 48), np.float32)
    expected, frozen = model(x), model.freeze()
    with use_threads(count):
        for seconds in (0.0001, 0.001, 0.005):
            with pytest.raises(Stopped), alarm_after(seconds, stop):
                frozen(x)  # also while it packs its weights
                long_call()
        assert_array_equal(frozen(x), expected)
        assert_array_equal(product(), MATRIX @ MATRIX)


def test_an_update_in_place_is_never_cut_off():
    data, grad = np.zeros(10_000_000, np.float32), np.ones(10_000_000, np.float32)
    with pytest.raises(Stopped), alarm_after(0.002, stop):
        for _ in range(1000):
            fc.ops.sgd_update(data, grad, 1.0)
    assert data[0] == data[-1] < 0
    assert (data == data[0]).all()


def test_other_threads_look_for_no_signals():
    results = []
    worker = threading.Thread(target=lambda: results.append(long_call()))
    with alarm_after(0.001, lambda: None):
        worker.start()
        worker.join()
    assert (results[0] == 288).all()


# ---- rounding and denormals ------------------------------------------------------------------------------------------

UPWARD = {"x86_64": 0x800, "AMD64": 0x800, "aarch64": 0x400000, "arm64": 0x400000}.get(platform.machine())


@pytest.mark.skipif(UPWARD is None, reason="how this machine rounds is not known")
@every_isa
def test_all_threads_round_as_the_caller_does(isa):
    libm, rng = ctypes.CDLL(None), np.random.default_rng(0)
    x, weight = reals(rng, (8, 5, 20, 20), np.float32), reals(rng, (9, 5, 3, 3), np.float32)
    with use_isa(isa):
        usual = results_on_threads(lambda: fc.ops.conv2d(x, weight))  # so that all helpers are there
        libm.fesetround(UPWARD)
        try:
            upward = results_on_threads(lambda: fc.ops.conv2d(x, weight))
            kept = libm.fegetround()
        finally:
            libm.fesetround(0)
        again = results_on_threads(lambda: fc.ops.conv2d(x, weight))
    assert kept == UPWARD
    assert upward[0] == upward[1] == upward[2]
    assert upward[0] != usual[0]
    assert again == usual


@pytest.mark.parametrize("count", [1, 2])
def test_kernels_leave_denormals_as_they_found_them(count):
    tiny = np.full(100_000, 1e-40, np.float32)
    with use_threads(count):
        fc.ops.relu(tiny)
    assert (tiny * np.float32(0.5)).all()
