"""Signals that wait: where they land, in which order, and that none is lost or left without its handler."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from fastcnn.signals import deferred, held_signals

SIGUSR1, SIGUSR2 = (getattr(signal, name, None) for name in ("SIGUSR1", "SIGUSR2"))
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="raises signals that only POSIX has"),
    pytest.mark.usefixtures("ctrl_c"),
]


@contextmanager
def handling(*numbers):
    """Handlers for these signals, which write down what comes."""
    came = []
    before = {number: signal.signal(number, lambda number, frame: came.append(number)) for number in numbers}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_held_signals_land_at_the_end_of_the_block():
    through = False
    with pytest.raises(KeyboardInterrupt), held_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        through = True
    assert through


def test_signals_are_handled_in_the_order_that_they_came_in_and_equal_ones_once():
    with handling(SIGUSR1, SIGUSR2) as came:
        with held_signals():
            for number in (SIGUSR2, SIGUSR1, SIGUSR2):
                signal.raise_signal(number)
            assert came == []
        assert came == [SIGUSR2, SIGUSR1]


def test_held_signals_are_patient_with_those_who_repeat_themselves():
    with pytest.raises(KeyboardInterrupt), held_signals():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.25)
        signal.raise_signal(signal.SIGINT)
        through = True
    assert through


def test_deferred_signals_land_where_the_block_says():
    with handling(SIGUSR1) as came, deferred() as land:
        land()
        signal.raise_signal(SIGUSR1)
        assert came == []
        land()
        assert came == [SIGUSR1]
        land()
        assert came == [SIGUSR1]
        signal.raise_signal(SIGUSR1)
    assert came == [SIGUSR1] * 2  # at the end at the latest


@pytest.mark.parametrize("second", [signal.SIGINT, SIGUSR1])
@pytest.mark.parametrize(("pause", "lands"), [(0.0, "at the land"), (0.25, "at once")])
def test_a_second_signal_lands_at_once_if_it_comes_later(pause, lands, second):
    where = "nowhere"
    with handling(SIGUSR1) as came, pytest.raises(KeyboardInterrupt), deferred() as land:
        signal.raise_signal(signal.SIGINT)
        time.sleep(pause)
        where = "at once"
        signal.raise_signal(second)
        where = "at the land"
        land()
        where = "nowhere"
    assert where == lands
    assert came == []  # what a KeyboardInterrupt overtakes is not called any more


def test_a_limit_of_cpu_time_that_the_kernel_repeats_is_no_impatience():
    where = "nowhere"
    with handling(signal.SIGXCPU) as came, deferred() as land:
        for _ in range(2):
            signal.raise_signal(signal.SIGXCPU)
            time.sleep(0.25)
        where = "in the step" if came else "nowhere"
        land()
    assert where == "nowhere" and came == [signal.SIGXCPU]


def test_a_signal_that_has_landed_is_no_first_one():
    with handling(SIGUSR1) as came, deferred() as land:
        signal.raise_signal(SIGUSR1)
        land()
        time.sleep(0.25)
        signal.raise_signal(SIGUSR1)
        assert came == [SIGUSR1]


def test_no_signal_is_lost_where_the_block_fails():
    with pytest.raises(KeyboardInterrupt) as caught, deferred():
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("the block")
    assert isinstance(caught.value.__context__, RuntimeError)
    with pytest.raises(RuntimeError, match="the block"), deferred():
        raise RuntimeError("the block")


def test_handlers_are_as_before_and_others_are_left_alone():
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    assert before[signal.SIGTERM] == signal.SIG_DFL
    with deferred(), held_signals():
        changed = [number for number, handler in before.items() if signal.getsignal(number) != handler]
        assert signal.SIGINT in changed
        assert all(callable(before[number]) for number in changed)
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before


def test_blocks_nest():
    with pytest.raises(KeyboardInterrupt), deferred() as land:
        with held_signals():
            signal.raise_signal(signal.SIGINT)
        still_here = True  # the inner block hands it to the outer one
        land()
    assert still_here


def test_handlers_work_on_where_giving_them_back_is_interrupted(monkeypatch):
    """A handler that raises while `deferred` gives signals back: those behind it are heard all the same."""
    with handling(SIGUSR1) as came:
        give_back = signal.signal

        def interrupted(number, handler):
            if number == SIGUSR1:
                raise KeyboardInterrupt
            return give_back(number, handler)

        with pytest.raises(KeyboardInterrupt), deferred():
            monkeypatch.setattr(signal, "signal", interrupted)
        monkeypatch.undo()
        signal.raise_signal(SIGUSR1)
        assert came == [SIGUSR1]


def test_other_threads_change_nothing():
    seen = []

    def work():
        with held_signals(), deferred() as land:
            land()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


CHILD = """if True:
    import signal, sys, time
    from fastcnn.signals import deferred

    def stop(number, frame):
        sys.exit(100 + number)

    signal.signal(signal.SIGTERM, stop)
    started, whole = 0, 1                   # as after a step
    try:
        with deferred() as land:
            print("ready", flush=True)
            while True:
                land()
                started = whole
                time.sleep(0.1)             # Python handles signals here, and goes on sleeping
                whole += 1
    finally:
        print("whole" if whole == started + 1 else "cut", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.11, 0.16])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 100 + signal.SIGTERM)])
def test_signals_from_outside_wait_for_the_end_of_a_step(number, code, delay):
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    time.sleep(delay)
    child.send_signal(number)
    output = child.communicate(timeout=30)[0]
    assert (output, child.returncode) == ("whole\n", code)
