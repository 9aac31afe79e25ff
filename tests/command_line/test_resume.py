"""python -m fastcnn.train --resume: a run that was killed or interrupted ends with the bits of one that was not.

FASTCNN_KILLS=20 tries 20 random moments instead of 5.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

import numpy as np
import pytest
from runs import CURVES, FILES, finish, process, result_of, train, write_digits

from fastcnn.checkpoint import load_checkpoint

KILLS = int(os.environ.get("FASTCNN_KILLS", "5"))


@dataclass
class Undisturbed:
    """A run at one go: its options, what it computes, and how many seconds it takes."""

    options: tuple
    result: tuple
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = tmp_path_factory.mktemp("undisturbed")
    data = write_digits(place / "digits", 200, 20)
    options = ("--data-dir", data, "--batch-size", 10, "--epochs", 3, "--seed", 5)
    started = time.monotonic()
    run = process(*options, "--threads", 2, "--run-dir", place / "run", "--quiet")
    assert run.communicate()[1] == "" and run.returncode == 0
    return Undisturbed(options, result_of(place / "run"), time.monotonic() - started)


@pytest.mark.parametrize("moment", range(KILLS))
def test_killed_at_a_random_moment_it_goes_on_to_the_same_bits(tmp_path, undisturbed, moment):
    random = np.random.default_rng(moment)
    folder = tmp_path / "run"
    begin = ("--run-dir", folder, "--quiet", *undisturbed.options)
    for _ in range(2):  # killed, and killed again when it has gone on
        resume = ("--resume", folder, "--quiet") if (folder / "config.json").exists() else begin
        run = process(*resume, "--threads", random.integers(1, 4))
        time.sleep(random.uniform(0, undisturbed.seconds))
        run.kill()
        run.communicate()
    if not (folder / "config.json").exists():
        assert train("--resume", folder) == 2
        assert train(*begin) == 0
    finish(folder, "--threads", random.integers(1, 4))
    assert result_of(folder) == undisturbed.result


@pytest.mark.parametrize(
    ("name", "turn"),
    [
        *((name, turn) for name in ("metrics.jsonl", "last.safetensors") for turn in (1, 2, 3)),
        *((name, 1) for name in ("config.json", "best.safetensors", *CURVES)),
    ],
)
def test_killed_just_before_any_file_takes_its_place_it_goes_on_to_the_same_bits(tmp_path, undisturbed, name, turn):
    killed = f"""if True:
        import os, runpy
        replace, left = os.replace, {turn}
        def replace_or_die(source, target):
            global left
            left -= os.path.basename(target) == "{name}"
            if not left:
                os._exit(9)
            replace(source, target)
        os.replace = replace_or_die
        runpy.run_module("fastcnn.train", run_name="__main__")
    """
    folder = tmp_path / "run"
    run = process(*undisturbed.options, "--run-dir", folder, "--quiet", interpreter=("-c", killed))
    run.communicate()
    assert run.returncode == 9
    assert any(name.endswith(".part") for name in os.listdir(folder))
    if name == "config.json":  # nothing is there yet: a new run may have the folder
        assert train(*undisturbed.options, "--run-dir", folder, "--quiet") == 0
        assert sorted(os.listdir(folder)) == FILES
    else:
        finish(folder)
    assert result_of(folder) == undisturbed.result


@pytest.mark.parametrize(
    ("number", "steps"),
    [(signal.SIGINT, [7, 19, 33]), (signal.SIGTERM, [26]), (signal.SIGHUP, [59])],  # of 20 steps an epoch
    ids=["SIGINT", "SIGTERM", "SIGHUP"],
)
def test_interrupted_in_the_middle_of_epochs_it_goes_on_to_the_same_bits(tmp_path, undisturbed, number, steps):
    folder = tmp_path / "run"
    options = ("--run-dir", folder, "--quiet", *undisturbed.options, "--threads", 1)
    for step in steps:
        interrupted = f"""if True:
            import os, runpy
            from fastcnn.optim import RMSprop
            update = RMSprop.update
            def interrupted_update(self, *arguments):
                if self.steps == {step}:
                    os.kill(os.getpid(), {number:d})
                update(self, *arguments)
            RMSprop.update = interrupted_update
            runpy.run_module("fastcnn.train", run_name="__main__")
        """
        run = process(*options, interpreter=("-c", interrupted))
        error = run.communicate(timeout=120)[1]
        assert run.returncode == 128 + number
        progress = load_checkpoint(folder / "last.safetensors").progress
        epoch, batch = step // 20, step % 20 + 1
        assert (progress.epoch, progress.batch) == (epoch, batch)
        assert error == (
            f"interrupted in epoch {epoch + 1}; all up to batch {batch} of epoch {epoch + 1} is kept in "
            f"'{folder}/last.safetensors'; to go on: python -m fastcnn.train --resume {folder}\n"
        )
        options = ("--resume", folder, "--quiet", "--threads", 3)
    finish(folder)
    assert result_of(folder) == undisturbed.result


def test_a_second_ctrl_c_exits_at_once_and_keeps_nothing_half_done(tmp_path, undisturbed):
    slow = """if True:
        import runpy, time
        from fastcnn.optim import RMSprop
        update = RMSprop.update
        def slow_update(self, *arguments):
            update(self, *arguments)
            if self.steps == 30:
                print("in a step", flush=True)
                time.sleep(60)
        RMSprop.update = slow_update
        runpy.run_module("fastcnn.train", run_name="__main__")
    """
    folder = tmp_path / "run"
    options = ("--run-dir", folder, "--quiet", *undisturbed.options)
    run = process(*options, interpreter=("-c", slow), stdout=subprocess.PIPE)
    assert run.stdout.readline() == "in a step\n"
    run.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert run.poll() is None  # it waits for the end of the step
    run.send_signal(signal.SIGINT)
    started = time.monotonic()
    error = run.communicate(timeout=30)[1]
    assert run.returncode == 130 and time.monotonic() - started < 10
    assert error.startswith("interrupted in epoch 2; all up to epoch 1 is kept in ") and error.count("\n") == 1
    finish(folder)
    assert result_of(folder) == undisturbed.result
