"""python -m fastcnn.train --resume: what it says of a run, where it goes on, and what it refuses."""

import json
import os
import shutil
from dataclasses import asdict

import pytest
from runs import NAMES, finish, metrics_of, process, result_of, train, wait_for

import fastcnn as fc
from fastcnn.checkpoint import load_checkpoint
from fastcnn.data import write_idx
from fastcnn.serialize import write_model_file


@pytest.fixture
def done(digits, tmp_path):
    """The folder of a complete run of two epochs."""
    folder = tmp_path / "run"
    assert train("--data-dir", digits, "--epochs", 2, "--batch-size", 20, "--run-dir", folder, "--quiet") == 0
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_refused(capsys, folder, *options, says):
    """Exit code 2, one line on stderr that says why, nothing overwritten."""
    before = content(folder) if folder.is_dir() else None
    capsys.readouterr()
    assert train("--resume", folder, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and says in error, error
    assert (content(folder) if folder.is_dir() else None) == before


def test_a_complete_run_says_so_and_goes_on_with_more_epochs(digits, tmp_path, done, capsys):
    before = content(done)
    assert train("--resume", done) == 0
    assert "complete already, with epoch 2; a larger --epochs goes on" in capsys.readouterr().out
    assert train("--resume", done, "--epochs", 1) == 0
    assert content(done) == before
    assert train("--resume", done, "--epochs", 4) == 0
    output = capsys.readouterr().out
    assert "resume after epoch 2\n" in output and "note" not in output
    assert json.loads((done / "config.json").read_text())["settings"]["epochs"] == 4

    at_once = tmp_path / "at once"
    assert train("--data-dir", digits, "--epochs", 4, "--batch-size", 20, "--run-dir", at_once, "--quiet") == 0
    assert result_of(done) == result_of(at_once)


@pytest.fixture
def planned(digits, tmp_path):
    """A run of three epochs of which two are kept, with a schedule over all of them; and its twin at one go."""
    options = ("--recipe", "fast", "--data-dir", digits, "--epochs", 3, "--batch-size", 20, "--quiet")
    twin, folder = tmp_path / "at once", tmp_path / "run"
    assert train(*options, "--run-dir", twin) == 0
    killed = """if True:
        import os, runpy
        from fastcnn.optim import Adam
        update = Adam.update
        def update_or_die(self, *arguments):
            if self.steps == 7:
                os._exit(9)
            update(self, *arguments)
        Adam.update = update_or_die
        runpy.run_module("fastcnn.train", run_name="__main__")
    """
    run = process(*options, "--run-dir", folder, interpreter=("-c", killed))
    run.communicate()
    assert run.returncode == 9 and load_checkpoint(folder / "last.safetensors").progress.epoch == 2
    return folder, twin


def test_a_run_with_a_schedule_goes_on_to_the_same_bits(planned):
    folder, twin = planned
    finish(folder, "--epochs", 3)
    assert result_of(folder) == result_of(twin)


def test_the_epochs_of_a_schedule_can_not_be_changed_later(planned, capsys):
    for run in planned:
        assert_refused(
            capsys, run, "--epochs", 5, says="--epochs can't become 5: the one-cycle schedule of this run is"
        )
    edit(planned[0], "settings", epochs=5)
    assert_refused(capsys, planned[0], says="last.safetensors is not of this run")


def test_a_run_begun_before_there_were_schedules_goes_on(digits, tmp_path, done):
    config = json.loads((done / "config.json").read_text())
    for name in ("schedule", "warmup", "dropout"):
        del config["settings"][name]
    (done / "config.json").write_text(json.dumps(config))
    checkpoint = load_checkpoint(done / "last.safetensors")
    recipe = {name: value for name, value in config["settings"].items() if name != "epochs"}
    metadata = {**checkpoint.metadata, "recipe": recipe, "progress": asdict(checkpoint.progress)}
    write_model_file(done / "last.safetensors", checkpoint.model, checkpoint.optimizer_state, metadata)
    assert train("--resume", done, "--epochs", 4, "--quiet") == 0
    at_once = tmp_path / "at once"
    assert train("--data-dir", digits, "--epochs", 4, "--batch-size", 20, "--run-dir", at_once, "--quiet") == 0
    assert result_of(done) == result_of(at_once)


def test_the_best_checkpoint_is_that_of_the_highest_test_accuracy(done):
    rows = metrics_of(done)
    best = max(rows, key=lambda row: row["test_accuracy"])["epoch"]
    checkpoint = load_checkpoint(done / "best.safetensors")
    assert checkpoint.progress.epoch == checkpoint.progress.best_epoch == best
    assert load_checkpoint(done / "last.safetensors").progress.epoch == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--lr", 0.1], ["--model", "lenet5"], ["--seed", 0], ["--batch-size", 20], ["--no-shuffle"], ["--dry-run"],
        ["--recipe", "fast"], ["--schedule", "cosine"], ["--no-dropout"],
        ["--run-dir", "other"], ["--dataset", "sample"], ["--limit", 3], ["--debug"],
    ],
    ids=lambda options: options[0],
)  # fmt: skip
def test_options_that_the_run_has_already_are_refused(done, capsys, options):
    assert_refused(
        capsys, done, *options, says=f"--resume goes on with the settings that the run has, got {options[0]};"
    )


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda run: cut(run / "last.safetensors", 10**5), "last.safetensors'"),
        (lambda run: cut(run / "last.safetensors", 0), "last.safetensors'"),
        (lambda run: (run / "last.safetensors").unlink(), "metrics.jsonl must have no lines, as there is no last"),
        (lambda run: fc.save(fc.models.gorgonia(), run / "last.safetensors"), "expected a checkpoint"),
        (lambda run: cut(run / "metrics.jsonl", 40), "metrics.jsonl is damaged"),
        (lambda run: (run / "metrics.jsonl").unlink(), "metrics.jsonl must have 2 lines"),
        (lambda run: (run / "metrics.jsonl").write_text('{"epoch": 2}\n'), "metrics.jsonl is damaged"),
        (lambda run: (run / "metrics.jsonl").write_text("3\n"), "metrics.jsonl is damaged"),
        (lambda run: rewrite_metrics(run, cost="low"), "metrics.jsonl is damaged"),
        (lambda run: (run / "config.json").unlink(), "has no config.json; check the path"),
        (lambda run: cut(run / "config.json", 99), "config.json is damaged"),
        (lambda run: (run / "config.json").write_text("[]"), "config.json is not that of a run"),
        (lambda run: (run / "config.json").write_bytes(b"[" * 10**5), "config.json is damaged"),
        (lambda run: edit(run, "settings", lr="fast"), "config.json is damaged (settings: lr must be"),
        (lambda run: edit(run, "settings", pace=1), "config.json is damaged"),
        (lambda run: edit(run, "dataset", option=None), "config.json is damaged"),
        (lambda run: edit(run, "dataset", data_dir=5), "config.json is damaged"),
        (lambda run: edit(run, "dataset", transpose="yes"), "config.json is damaged"),
        (lambda run: edit(run, "settings", lr=0.5), "last.safetensors is not of this run"),
        (lambda run: edit(run, "settings", seed=1), "last.safetensors is not of this run"),
        (lambda run: edit(run, "dataset", data_dir="nowhere"), "'nowhere' is not a folder"),
        (shutil.rmtree, "there is no such folder; check the path"),
    ],
    ids=range(22),
)  # fmt: skip
def test_a_damaged_run_is_refused_and_nothing_is_overwritten(done, capsys, damage, says):
    damage(done)
    assert_refused(capsys, done, "--epochs", 5, says=says)


def rewrite_metrics(run, **changes):
    (run / "metrics.jsonl").write_text("".join(json.dumps(row | changes) + "\n" for row in metrics_of(run)))


def edit(run, part, **changes):
    config = json.loads((run / "config.json").read_text())
    config[part] |= changes
    (run / "config.json").write_text(json.dumps(config))


def test_changed_data_is_refused(digits, done, capsys):
    path = digits / "t10k-labels-idx1-ubyte"
    labels = fc.data.read_idx(path).copy()
    labels[7] ^= 1
    write_idx(path, labels)
    assert_refused(capsys, done, "--epochs", 5, says="the data is not what it was")


def test_data_that_moved_is_found_by_data_dir_and_remembered(digits, tmp_path, done, capsys):
    digits.rename(tmp_path / "moved")
    assert_refused(capsys, done, "--epochs", 3, says="is not a folder")
    assert train("--resume", done, "--epochs", 3, "--data-dir", tmp_path / "moved") == 0
    assert train("--resume", done, "--epochs", 4) == 0
    assert len(metrics_of(done)) == 4


@pytest.mark.parametrize("emnist", [True, False], ids=["by its name", "as told"])
def test_images_that_were_transposed_are_so_again(digits, tmp_path, capsys, emnist):
    straight = ("--data-dir", digits, "--model", "lenet5", "--quiet")
    assert train(*straight, "--epochs", 2, "--run-dir", tmp_path / "straight") == 0
    turned = tmp_path / "turned"
    turned.mkdir()
    for name in NAMES:
        array = fc.data.read_idx(digits / name)
        name = f"emnist-digits-{name.replace('t10k', 'test')}" if emnist else name
        write_idx(turned / name, array.swapaxes(1, 2) if array.ndim == 3 else array)
    told = () if emnist else ("--transpose",)
    run = tmp_path / "run"
    assert train("--data-dir", turned, *straight[2:], *told, "--epochs", 1, "--run-dir", run) == 0
    if emnist:
        for path in list(turned.iterdir()):
            path.rename(turned / path.name.replace("emnist-digits-", ""))
    assert train("--resume", run, "--epochs", 2, "--quiet") == 0
    assert result_of(run) == result_of(tmp_path / "straight")
    assert_refused(capsys, run, "--transpose", says="got --transpose; leave that out")


def test_a_share_held_back_as_the_test_is_the_same_when_the_run_goes_on(digits, tmp_path, capsys):
    for name in NAMES[2:]:
        (digits / name).rename(tmp_path / name)
    for name, epochs in (("one", 1), ("other", 2)):
        options = ("--data-dir", digits, "--model", "lenet5", "--quiet")
        assert train(*options, "--epochs", epochs, "--run-dir", tmp_path / name) == 0
    assert train("--resume", tmp_path / "one", "--epochs", 2, "--quiet") == 0
    assert result_of(tmp_path / "one") == result_of(tmp_path / "other")
    for name in NAMES[2:]:
        (tmp_path / name).rename(digits / name)
    assert_refused(capsys, tmp_path / "one", "--epochs", 3, says="the data is not what it was")


def test_the_sample_stays_the_sample_when_the_full_set_has_come(digits, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    assert train("--epochs", 1, "--limit", 20, "--run-dir", folder, "--quiet") == 0
    monkeypatch.setenv("FASTCNN_DATA_DIR", str(digits))
    assert train("--epochs", 2, "--resume", folder, "--quiet") == 0


def test_two_processes_never_write_to_one_folder(tmp_path, capsys):
    folder = tmp_path / "run"
    run = process("--dataset", "sample", "--epochs", 99, "--run-dir", folder, "--quiet")
    try:
        wait_for(folder / "config.json", run)
        for options in (("--resume", folder), ("--dataset", "sample", "--run-dir", folder)):
            assert train(*options, "--epochs", 1, "--quiet") == 2
            assert "another process is writing to it; let it finish, or stop it first" in capsys.readouterr().err
        assert run.poll() is None
    finally:
        run.kill()
        run.communicate()
    assert os.listdir(folder) == ["config.json"]


def test_a_full_disk_is_an_error_and_the_run_goes_on_later(digits, tmp_path, done, capsys, monkeypatch):
    replace = os.replace

    def full(source, target):
        if os.fspath(target).endswith("last.safetensors"):
            raise OSError(28, "No space left on device", os.fspath(source))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert train("--resume", done, "--epochs", 4, "--quiet") == 2
    error = capsys.readouterr().err
    assert (
        "No space left on device" in error and f"all up to epoch 2 is kept in '{done}" in error and "--resume" in error
    )
    assert train("--resume", done, "--quiet") == 0
    at_once = tmp_path / "at once"
    assert train("--data-dir", digits, "--epochs", 4, "--batch-size", 20, "--run-dir", at_once, "--quiet") == 0
    assert result_of(done) == result_of(at_once)


def test_a_folder_that_may_not_be_written_to_is_refused_before_training(done, capsys, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert_refused(capsys, done, "--epochs", 3, says="cannot be written (no permission to write to")
    assert train("--resume", done) == 0  # it is complete: there is nothing to write


def test_other_kernels_are_no_secret(done, capsys):
    config = json.loads((done / "config.json").read_text())
    (done / "config.json").write_text(json.dumps(config | {"isa": "sse9"}))
    assert train("--resume", done, "--epochs", 3) == 0
    note = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
    assert len(note) == 1 and "with sse9 kernels" in note[0] and "other bits" in note[0]
