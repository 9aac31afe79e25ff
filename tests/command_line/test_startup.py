"""Before a command reads its options: signals that come while it imports, and an environment that won't do."""

import os
import signal
import subprocess
import sys

import pytest

COMMANDS = ["fastcnn", "fastcnn.train", "fastcnn.predict", "fastcnn.evaluate"]


def importing(folder, module, number, then="time.sleep(30)"):
    """An environment in which this module sends the process that imports it a signal."""
    folder.mkdir()
    (folder / f"{module}.py").write_text(f"import os, time\nos.kill(os.getpid(), {int(number)})\n{then}\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("module", ["numpy", "typer"])  # early, and when the package is there already
def test_ctrl_c_while_a_command_imports_ends_it_in_a_word(tmp_path, command, module):
    environment = importing(tmp_path / "path", module, signal.SIGINT)
    run = subprocess.run([sys.executable, "-m", command], env=environment, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted\n")


def test_other_signals_too_and_a_library_is_interrupted_as_ever(tmp_path):
    environment = importing(tmp_path / "usr1", "numpy", signal.SIGUSR1)
    run = subprocess.run([sys.executable, "-mfastcnn.train"], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (128 + signal.SIGUSR1, "interrupted\n")
    environment = importing(tmp_path / "int", "numpy", signal.SIGINT)
    program = "try:\n    import fastcnn\nexcept KeyboardInterrupt:\n    print('mine')"
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "mine\n")


def test_an_ignored_signal_is_ignored_from_the_start(tmp_path):
    environment = importing(tmp_path / "path", "numpy", signal.SIGINT, then="raise SystemExit(7)")
    ignoring = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "fastcnn.train"]
    assert subprocess.run(ignoring, env=environment, timeout=60).returncode == 7
