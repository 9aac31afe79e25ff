"""python -m fastcnn.train: what it prints and keeps, and how it refuses, stops and is interrupted."""

import inspect
import json
import os
import pty
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from runs import FILES, assert_refused, metrics_of, process, train, wait_for

import fastcnn as fc
from fastcnn.checkpoint import load_checkpoint
from fastcnn.train import parse

METRICS = [
    "epoch", "cost", "moving_loss", "train_accuracy", "test_accuracy", "test_cost", "seconds", "images_per_second",
]  # fmt: skip


def test_a_run_keeps_config_metrics_and_weights(digits, tmp_path, capsys):
    folder = tmp_path / "runs" / "one"
    assert train("--data-dir", digits, "--epochs", 2, "--batch-size", 20, "--seed", 3, "--run-dir", folder) == 0
    assert sorted(os.listdir(folder)) == FILES

    rows = metrics_of(folder)
    assert [list(row) for row in rows] == [METRICS, METRICS]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(np.isfinite(value) and value >= 0 for row in rows for value in row.values())

    config = json.loads((folder / "config.json").read_text())
    assert (config["fastcnn"], config["numpy"]) == (fc.__version__, np.__version__)
    assert config["dataset"]["name"] == "digits" and str(digits) in config["dataset"]["origin"]
    assert config["settings"]["seed"] == 3 and config["settings"]["decay"] == 0.999
    assert config["threads"] == fc.get_num_threads() and config["isa"]

    checkpoint = load_checkpoint(folder / "last.safetensors")
    assert (checkpoint.progress.epoch, checkpoint.progress.steps) == (2, 6)
    assert checkpoint.metadata["scaling"] == "gorgonia" and checkpoint.metadata["recipe"]["seed"] == 3
    model = fc.load(folder / "last.safetensors")
    dataset = fc.data.load_dataset(data_dir=digits)
    logits = model(fc.data.scale_pixels(dataset.test_images, "gorgonia", "float32"))
    assert (logits.argmax(axis=1) == dataset.test_labels).mean() == rows[-1]["test_accuracy"]

    output, error = capsys.readouterr()
    assert "\x1b" not in output and "\r" not in output and error == ""  # no terminal: plain lines
    lines = output.splitlines()
    assert lines[0] == f"data   {dataset.origin}"
    assert [line.split()[0] for line in lines[-4:-1]] == ["1", "2", "done"]
    assert str(folder / "last.safetensors") in lines[-2] and "curves" in lines[-1]


def test_without_run_dir_each_run_gets_a_new_folder(digits, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "20250102-030405")
    for _ in range(2):
        assert train("--data-dir", digits, "--epochs", 1, "--quiet") == 0
    assert sorted(os.listdir("runs")) == ["gorgonia-20250102-030405", "gorgonia-20250102-030405-2"]


def test_a_run_is_never_overwritten(digits, tmp_path, capsys):
    folder = tmp_path / "run"
    assert train("--data-dir", digits, "--epochs", 1, "--run-dir", folder) == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    capsys.readouterr()
    assert_refused(capsys, "--data-dir", digits, "--run-dir", folder, says="holds a run already.*--resume, choose")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_left_by_a_run_that_was_killed_in_its_first_epoch_is_free(digits, tmp_path, capsys):
    folder = tmp_path / "run"
    run = process("--dataset", "sample", "--epochs", 9, "--run-dir", folder, stdout=subprocess.DEVNULL)
    wait_for(folder / "config.json", run)
    run.kill()
    run.communicate()
    assert os.listdir(folder) == ["config.json"]
    assert train("--data-dir", digits, "--epochs", 1, "--run-dir", folder, "--quiet") == 0
    assert sorted(os.listdir(folder)) == FILES


@pytest.mark.parametrize("content", [b"{}", b"3", b"\xff", b"[" * 100_000])
def test_a_config_of_something_else_is_never_replaced(tmp_path, capsys, content):
    (tmp_path / "config.json").write_bytes(content)
    assert_refused(capsys, "--run-dir", tmp_path, says="holds a run already.*config.json")
    assert (tmp_path / "config.json").read_bytes() == content


def test_auto_says_which_data_it_uses_and_why(capsys):
    assert train("--dry-run") == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("data   sample: 4,000 training and 1,000 test digits") and "no MNIST on this" in first


def test_a_dry_run_shows_settings_and_model_and_writes_nothing(digits, capsys):
    assert train("--dry-run", "--data-dir", digits, "--lr", 0.5, "--run-dir", "run", "--limit", 50) == 0
    output = capsys.readouterr().out
    for shown in (str(digits), "lr            0.5", "the first 50", "linear2", "818,698"):
        assert shown in output
    assert os.listdir() == []


def test_a_dry_run_downloads_nothing_and_says_that_the_run_would(tmp_path, capsys):
    assert train("--dry-run", "--dataset", "mnist") == 0
    assert "is yet to be downloaded (11.6 MB)" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_a_server_is_named_before_it_is_waited_for(capsys):
    assert train("--dataset", "mnist") == 2
    assert capsys.readouterr().out == "looking for MNIST at 127.0.0.1\n"


def test_quiet_prints_nothing(digits, tmp_path, capsys):
    assert train("--quiet", "--data-dir", digits, "--epochs", 1, "--run-dir", tmp_path / "run") == 0
    assert capsys.readouterr() == ("", "")


def test_limit_and_no_shuffle_take_the_first_images_in_the_order_of_the_file(digits, tmp_path):
    options = ("--epochs", 1, "--limit", 25, "--batch-size", 10, "--no-shuffle", "--dtype", "float64", "--quiet")
    assert train("--data-dir", digits, *options, "--loss", "product", "--run-dir", tmp_path / "run") == 0

    dataset = fc.data.load_dataset(data_dir=digits)
    model = fc.models.gorgonia("float64")
    loss, optimizer = fc.ProductLoss("mean_elements"), fc.RMSprop(model.parameters())
    for batch in (slice(0, 10), slice(10, 20), slice(20, 25)):
        x = fc.data.scale_pixels(dataset.train_images[batch], "gorgonia", "float64")
        fc.train_step(model, loss, optimizer, x, fc.data.soft_targets(dataset.train_labels[batch], "float64"))
    kept = fc.load(tmp_path / "run" / "last.safetensors")
    assert kept.arena.data.tobytes() == model.arena.data.tobytes()


def test_any_number_of_threads_gives_the_bits_of_the_same_file(tmp_path):
    folders = [tmp_path / f"threads-{count}" for count in (1, 2, 3)]
    for count, folder in enumerate(folders, 1):
        options = ("--epochs", 1, "--threads", count, "--quiet", "--run-dir", folder)
        run = process("--dataset", "sample", *options)
        assert run.communicate()[1] == "" and run.returncode == 0
        assert json.loads((folder / "config.json").read_text())["threads"] == count
    assert len({(folder / "last.safetensors").read_bytes() for folder in folders}) == 1
    [metrics] = metrics_of(folders[0])
    assert metrics["test_accuracy"] > 0.3  # 40 steps, of which some seeds make much and others little


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--epochs", 0], "error: --epochs must be a whole number >= 1, got 0; "),
        (["--epochs", -3], "--epochs must be"),
        (["--epochs", "ten"], "'--epochs': expected a whole number, got 'ten'; "),
        (["--epochs", 10**30], "--epochs must be"),
        (["--batch-size", 0], "--batch-size must be"),
        (["--limit", 0], "--limit must be"),
        (["--limit", -1], "--limit must be"),
        (["--seed", -1], "--seed must be"),
        (["--threads", 0], "--threads: .* from 1 to 1024, got 0"),
        (["--threads", 10**12], "--threads: .*, got 1000000000000"),
        (["--threads", "all"], "'--threads': expected a whole number, got 'all'; "),
        (["--lr", "nan"], "error: --lr must be a number >= 0, got nan; "),
        (["--lr", "inf"], "--lr must be"),
        (["--lr", -0.1], "--lr must be"),
        (["--momentum", 1], "--momentum must be from 0 to below 1, got 1"),
        (["--momentum", 0.9], "error: --momentum must be 0 with rmsprop, got 0.9; it is sgd's"),
        (["--nesterov", "--optimizer", "sgd"], "--nesterov must go with a momentum"),
        (["--weight-decay", -1], "--weight-decay must be a number >= 0, got -1"),
        (["--l1", "inf"], "--l1 must be"),
        (["--clip-norm", 0], "--clip-norm must be a positive number, got 0"),
        (["--model", "resnet"], "--model must be one of gorgonia, mxnet-scratch, lenet5, got 'resnet'"),
        (["--recipe", "quick"], "--recipe must be one of gorgonia, mxnet-scratch, lenet5, fast, got 'quick'"),
        (["--schedule", "step"], "--schedule must be one of constant, one-cycle, cosine, got 'step'"),
        (["--warmup", 1], "--warmup must be above 0 and below 1, got 1"),
        (["--recipe", "fast", "--model", "lenet5"], "--dropout must be True with lenet5, which has none to leave out"),
        (["--optimizer", "lion"], "--optimizer must be one of sgd, rmsprop, adam, adamw, got 'lion'"),
        (["--reduction", "none"], "--reduction must be one of"),
        (["--scaling", "z"], "--scaling must be"),
        (["--loss", "log-product", "--targets", "one-hot"], "--targets must be soft with the log-product loss"),
        (["--json", "--quiet"], "--json and --quiet don't go together"),
        (["--json", "--debug"], "--json and --debug don't go together"),
        (["--resume", "nowhere"], "run folder 'nowhere': there is no such folder"),
        (["--resume", "."], "there is no run in it, it has no config.json"),
        (["--resume", ""], "'--resume': expected the path of a folder, got ''"),
        (["--resume", "/dev/null"], "that is no folder"),
        (["--lr", "small"], "'--lr': expected a number, got 'small'; "),
        (["--dtype", "float16"], "error: --dtype must be float32 or float64, got 'float16'; "),
        (["--loss", "hinge"], "error: --loss must be one of crossentropy, product, log-product, got 'hinge'; "),
        (["--dataset", "cifar"], "error: --dataset must be one of auto, mnist, sample, got 'cifar'; "),
        (["--dataset", "mnist"], "127.0.0.1:9/ failed"),
        (["--dataset", "sample", "--data-dir", "."], "error: --data-dir '.' has no use for the sample.*; leave it out"),
        (["--data-dir", "nowhere"], "error: --data-dir 'nowhere' is not a folder"),
        (["--data-dir", "."], "error: --data-dir .* got no train-images-idx3-ubyte"),
        (["--data-dir", ""], "'--data-dir': expected the path of a folder, got ''"),
        (["--optimiser", "sgd"], "--optimiser.*see --help"),
        (["--run-dir"], "--run-dir"),
        (["--run-dir", ""], "'--run-dir': expected the path of a folder, got ''"),
        (["--dry-run", "--run-dir", "/dev/null/x"], "'/dev/null' is not a folder.*; choose another --run-dir"),
        (["stray"], "stray"),
        (["--dry-run", "--run-dir", "run", "--lr", "nan"], "lr"),
        (["--run-dir", "/dev/full"], "cannot be written"),
        (["--run-dir", "/dev/full/run"], "cannot be written"),
        (["--run-dir", "/proc/run/deep"], "cannot be written"),
        (["--run-dir", "deep/down/" + "x" * 300], "cannot be written"),
    ],
    ids=lambda value: " ".join(map(str, value))[:40] if isinstance(value, list) else "",
)
def test_bad_options_are_refused_and_leave_nothing(capsys, arguments, says):
    assert_refused(capsys, *arguments, says=says)


@pytest.mark.parametrize("file", [name for name in FILES if name != "curves.png"])
def test_a_full_disk_in_the_first_epoch_leaves_nothing(digits, capsys, monkeypatch, file):
    replace = os.replace

    def full(source, target):
        if os.fspath(target).endswith(file):
            raise OSError(28, "No space left on device", os.fspath(source))
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    options = ("--data-dir", digits, "--epochs", 1, "--run-dir", "new/run")
    assert_refused(capsys, *options, says="cannot be written.*No space left.*nothing is kept")


def test_a_full_disk_later_keeps_the_epochs_before(digits, tmp_path, capsys, monkeypatch):
    fsync = os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 8:  # config, then metrics, best and last of an epoch: each a file and its folder
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    run = tmp_path / "run"
    assert_refused(
        capsys, "--data-dir", digits, "--epochs", 3, "--run-dir", run, says="all up to epoch 1 is kept in .*--resume"
    )
    assert [row["epoch"] for row in metrics_of(run)] == [1]
    assert load_checkpoint(run / "last.safetensors").progress.epoch == 1


def test_an_output_that_can_not_be_written_is_an_error_in_one_line(digits):
    with open("/dev/full", "w") as full:
        run = process("--data-dir", digits, "--epochs", 1, stdout=full)
        error = run.communicate()[1]
    assert run.returncode == 2
    assert error == "error: cannot read or write: No space left on device\n"
    assert os.listdir() == []


def test_a_closed_output_is_no_error(digits, tmp_path):
    command = [sys.executable, "-m", "fastcnn.train", "--data-dir", digits, "--epochs", "1", "--run-dir", "run"]
    for closed in (">&-", ">&- 2>&-"):
        run = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *command], stderr=subprocess.PIPE, text=True)
        assert (run.returncode, run.stderr) == (0, "")
        assert sorted(os.listdir("run")) == FILES
        shutil.rmtree("run")


def test_too_little_memory_is_an_error_in_one_line(digits, capsys, monkeypatch):
    def hungry(*arguments):
        raise MemoryError("Unable to allocate 9 PiB")

    monkeypatch.setattr("fastcnn.trainer.train_step", hungry)
    assert_refused(capsys, "--data-dir", digits, "--run-dir", "run", says="not enough memory.*--batch-size")


def test_a_cost_that_is_no_number_ends_the_run_with_exit_code_1(digits, capsys):
    options = ("--data-dir", digits, "--lr", 1e30, "--batch-size", 20, "--run-dir", "run")
    assert train(*options) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(r"error: epoch 1, batch \d: the cost became \S+: it began in .* '\w+'; .*no epoch", error)
    assert os.listdir() == []


@pytest.mark.parametrize(("name", "value"), [("FASTCNN_ISA", "foo"), ("FASTCNN_NUM_THREADS", "0")])
def test_a_bad_environment_is_an_error_in_one_line_here_and_an_exception_in_a_library(name, value):
    environment = os.environ | {name: value}
    for interpreter in (["-m", "fastcnn.train"], ["-mfastcnn.train"]):
        run = process("--dry-run", interpreter=interpreter, env=environment)
        error = run.communicate()[1]
        assert run.returncode == 2
        assert re.fullmatch(rf"error: .*{name}.*\n", error)
    run = process("fastcnn.train", interpreter=["-c", "import fastcnn"], env=environment)
    assert "fastcnn.errors.ConfigError" in run.communicate()[1] and run.returncode == 1


def test_on_a_terminal_a_bar_shows_speed_and_time_left(digits, tmp_path):
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "90"}
    options = ("--epochs", 15, "--batch-size", 20, "--run-dir", tmp_path / "run")
    run = process("--data-dir", digits, *options, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    with open(ours, "rb", buffering=0) as terminal:
        try:
            while piece := terminal.read(4096):
                shown += piece
        except OSError:  # how Linux says that the other end was closed
            pass
    assert run.communicate()[1] == "" and run.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", shown.decode())
    assert re.search(r"epoch \d+/15 .* [\d,]+ images/s, ETA\s+\d", text, re.DOTALL)
    assert re.search(r"^ *15 .*%", text, re.MULTILINE)


def test_version(capsys):
    assert train("--version") == 0
    assert capsys.readouterr().out == f"fastcnn {fc.__version__}\n"


def test_help_names_every_option(capsys):
    assert train("--help") == 0
    output = capsys.readouterr().out
    for name in inspect.signature(parse).parameters.keys() - {"context"}:
        assert f"--{name.replace('_', '-')} " in output
    assert "--no-shuffle" in output


def test_importing_the_package_brings_in_nothing_for_command_lines():
    code = "import sys, fastcnn; print(*({'typer', 'rich', 'PIL', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"
