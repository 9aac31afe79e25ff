"""How `python -m fastcnn.train` ends when it is told to: Ctrl-C, SIGTERM, SIGHUP."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from runs import FILES, metrics_of, process, wait_for

from fastcnn.checkpoint import load_checkpoint
from fastcnn.console import heed_signals


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1])
def test_ctrl_c_keeps_the_last_complete_epoch(digits, tmp_path, delay):
    folder = tmp_path / "run"
    run = process("--data-dir", digits, "--epochs", 10**6, "--run-dir", folder, stdout=subprocess.DEVNULL)
    wait_for(folder / "metrics.jsonl", run)
    time.sleep(delay)
    run.send_signal(signal.SIGINT)
    error = run.communicate(timeout=30)[1]
    assert run.returncode == 130
    checkpoint = load_checkpoint(folder / "last.safetensors")
    assert sorted(os.listdir(folder)) == FILES
    assert len(metrics_of(folder)) == checkpoint.epoch
    assert re.fullmatch(rf"interrupted in epoch \d+; the weights after epoch {checkpoint.epoch} are in .*\n", error)


def assert_stopped_in_the_first_epoch_without_a_trace(run, number):
    while not run.stdout.readline().startswith("epoch"):
        assert run.poll() is None
    run.send_signal(number)
    error = run.communicate(timeout=30)[1]
    assert run.returncode == 128 + number
    assert error == "interrupted in epoch 1; no epoch was complete, nothing is kept\n"
    assert os.listdir() == []


SLOW = ("--dataset", "sample", "--batch-size", 10, "--dtype", "float64")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_first_epoch_leaves_nothing(number):
    assert_stopped_in_the_first_epoch_without_a_trace(process(*SLOW, stdout=subprocess.PIPE), number)


def test_a_second_ctrl_c_does_not_disturb_the_cleaning_up():
    twice = """if True:
        import pathlib, runpy, signal
        unlink = pathlib.Path.unlink
        def interrupted_unlink(*arguments, **options):
            signal.raise_signal(signal.SIGINT)
            unlink(*arguments, **options)
        pathlib.Path.unlink = interrupted_unlink
        runpy.run_module("fastcnn.train", run_name="__main__")
    """
    run = process(*SLOW, interpreter=("-c", twice), stdout=subprocess.PIPE)
    assert_stopped_in_the_first_epoch_without_a_trace(run, signal.SIGINT)


def test_a_later_ctrl_c_is_heard_again(monkeypatch):
    monkeypatch.setattr("fastcnn.console.SECONDS_TO_CLEAN_UP", 0.2)
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    try:
        heed_signals()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.25)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(digits, tmp_path):
    ignoring = ("sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "fastcnn.train")
    options = ("--data-dir", digits, "--epochs", 10**6, "--run-dir", tmp_path / "run", "--quiet")
    run = subprocess.Popen([*ignoring, *map(str, options)], stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "run" / "metrics.jsonl", run)
    run.send_signal(signal.SIGHUP)
    epochs = len(metrics_of(tmp_path / "run"))
    while len(metrics_of(tmp_path / "run")) < epochs + 2:
        assert run.poll() is None
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGTERM
