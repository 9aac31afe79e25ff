"""How `python -m fastcnn.train` ends when it is told to: Ctrl-C, SIGTERM, and what batch systems send."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from runs import FILES, metrics_of, process, wait_for

from fastcnn import train as train_module
from fastcnn.checkpoint import load_checkpoint
from fastcnn.console import heed_signals, interrupted_code, run_program
from fastcnn.signals import ENDING


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.1])
def test_ctrl_c_keeps_the_last_complete_epoch(digits, tmp_path, delay):
    folder = tmp_path / "run"
    run = process("--data-dir", digits, "--epochs", 10**6, "--run-dir", folder, stdout=subprocess.DEVNULL)
    wait_for(folder / "metrics.jsonl", run)
    time.sleep(delay)
    run.send_signal(signal.SIGINT)
    error = run.communicate(timeout=30)[1]
    assert run.returncode == 130
    progress = load_checkpoint(folder / "last.safetensors").progress
    assert sorted(os.listdir(folder)) == [name for name in FILES if name != "curves.png"]
    assert len(metrics_of(folder)) == progress.epoch
    assert re.fullmatch(rf"interrupted in epoch {progress.epoch + 1}; all up to .* is kept in .*\n", error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_in_the_first_epoch_keeps_its_batches(number):
    options = ("--dataset", "sample", "--batch-size", 10, "--dtype", "float64", "--run-dir", "run")
    run = process(*options, stdout=subprocess.PIPE)
    while not run.stdout.readline().startswith("epoch"):
        assert run.poll() is None
    time.sleep(0.2)
    run.send_signal(number)
    error = run.communicate(timeout=30)[1]
    assert run.returncode == 128 + number
    assert re.match(r"interrupted in epoch 1; all up to batch \d+ of epoch 1 is kept in ", error)
    assert sorted(os.listdir("run")) == ["config.json", "last.safetensors"]


def test_a_terminal_that_goes_away_costs_nothing():
    """Its end is a SIGHUP, and from then on nothing can be written to it, the bar neither."""
    terminal = """if True:
        import os, pty, sys, time
        program, terminal = pty.fork()
        if not program:
            os.execv(sys.executable, sys.argv[1:])
        shown = b""
        while b"images/s, ETA" not in shown:
            shown += os.read(terminal, 4096)
        time.sleep(0.2)
        os.read(terminal, 65536)
        os.close(terminal)
        print(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
    """
    command = [sys.executable, "-m", "fastcnn.train", "--dataset", "sample", "--batch-size", "10", "--run-dir", "run"]
    environment = os.environ | {"TERM": "xterm"}
    run = subprocess.run(
        [sys.executable, "-c", terminal, *command], env=environment, stdout=subprocess.PIPE, timeout=60
    )
    assert int(run.stdout) == 128 + signal.SIGHUP
    assert load_checkpoint("run/last.safetensors").progress.steps > 0


def test_ctrl_c_before_the_first_step_leaves_nothing_and_a_second_one_does_not_disturb_that(digits):
    twice = """if True:
        import pathlib, runpy, signal
        from fastcnn.trainer import Trainer
        order, unlink = Trainer.order, pathlib.Path.unlink
        def interrupted(function):
            def interrupted_function(*arguments, **options):
                signal.raise_signal(signal.SIGINT)
                return function(*arguments, **options)
            return interrupted_function
        Trainer.order, pathlib.Path.unlink = interrupted(order), interrupted(unlink)
        runpy.run_module("fastcnn.train", run_name="__main__")
    """
    run = process("--data-dir", digits, interpreter=("-c", twice), stdout=subprocess.DEVNULL)
    assert run.communicate(timeout=30)[1] == "interrupted in epoch 1; no epoch was complete, nothing is kept\n"
    assert run.returncode == 130
    assert os.listdir() == []


@pytest.fixture
def heeded(monkeypatch):
    """Signals as the command lines take them, who clean up faster."""
    monkeypatch.setattr("fastcnn.console.SECONDS_TO_CLEAN_UP", 0.05)
    before = [(number, signal.getsignal(number)) for number in ENDING]
    heed_signals()
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_each_signal_that_ends_a_command_is_a_keyboard_interrupt(heeded, number):
    with pytest.raises(KeyboardInterrupt) as caught:
        signal.raise_signal(number)
    assert interrupted_code(caught.value) == 128 + number


def test_a_later_ctrl_c_is_heard_again(heeded):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    time.sleep(0.06)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_a_limit_of_cpu_time_is_heard_once_for_the_kernel_repeats_it(heeded):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGXCPU)
    time.sleep(0.06)
    signal.raise_signal(signal.SIGXCPU)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_around_a_command_is_an_exit_code_too(heeded):
    def main():
        raise KeyboardInterrupt(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        run_program(main)
    assert ended.value.code == 128 + signal.SIGTERM


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


def test_ctrl_c_while_the_options_are_read_is_one_too(monkeypatch, capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module.app.registered_commands[0], "callback", interrupted)
    assert train_module.main([]) == 130
    assert capsys.readouterr().err == "interrupted\n"
