"""--device cuda: refused in one line where there is no GPU, and a whole run on one that the CPU plays."""

from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from runs import FILES, metrics_of, train, write_digits
from safetensors.numpy import load_file

import fastcnn as fc
from fastcnn import recipes

SMALL = ("--model", "lenet5", "--batch-size", 3, "--no-shuffle", "--dtype", "float64", "--quiet")


def small_network(dtype, seed, classes, image_size):
    layers = fc.MaxPool2d(7), fc.Flatten(), fc.Linear(16, classes)
    return fc.Sequential(*layers, input_shape=(1, *image_size), dtype=dtype, seed=seed, name="small")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--device", "cuda"), "--device cuda: no GPU can be used: this machine is made of wood"),
        (("--device", "cuda", "--profile"), "--profile takes times on the CPU; leave it out with --device cuda"),
        (("--device", "gpu"), "--device: must be cpu or cuda, got 'gpu'"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(arguments, says, capsys, monkeypatch):
    monkeypatch.setattr(fc.cuda, "why_not", lambda: "no GPU can be used: this machine is made of wood")
    assert train(*arguments, "--dataset", "sample") == 2
    output, error = capsys.readouterr()
    assert (output, error) == ("", f"error: {says}\n")
    assert list(Path().iterdir()) == []


def test_a_run_on_a_gpu_goes_on_on_the_cpu(tmp_path, monkeypatch):
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "cuda")
    from simt import SimtDevice

    from fastcnn.backends.cuda.device import use

    monkeypatch.setitem(recipes.MODELS, "lenet5", small_network)
    digits = write_digits(tmp_path / "four", 4, 2)
    for device in ("cpu", "cuda"):
        folder = tmp_path / device
        with use(SimtDevice()):
            assert train(*SMALL, "--device", device, "--data-dir", digits, "--epochs", 1, "--run-dir", folder) == 0
        assert train("--resume", folder, "--epochs", 2, "--quiet") == 0
        assert sorted(path.name for path in folder.iterdir()) == FILES
    costs = [[row["cost"] for row in metrics_of(tmp_path / device)] for device in ("cpu", "cuda")]
    assert_allclose(*costs, rtol=1e-12)
    here, there = (load_file(tmp_path / device / "last.safetensors") for device in ("cpu", "cuda"))
    for name, values in here.items():
        assert_allclose(there[name], values, rtol=1e-9, atol=1e-12)


def test_it_says_on_stderr_that_kernels_are_compiled(tmp_path, monkeypatch, capsys):
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "cuda")
    from simt import SimtDevice

    from fastcnn.backends.cuda.device import use

    class Compiling(SimtDevice):
        def prepare(self, kernels, told, processes):
            for done in range(3):
                told(done, 2)

    monkeypatch.setattr(fc.console, "cache_dir", lambda: Path("kept"))
    monkeypatch.setitem(recipes.MODELS, "lenet5", small_network)
    digits = write_digits(tmp_path / "four", 4, 2)
    for more in ((), ("--json",), ("--quiet",)):
        with use(Compiling()):
            assert train(*SMALL[:-1], "--device", "cuda", "--data-dir", digits, "--epochs", 1, *more) == 0
        batches = 0 if "--quiet" in more else 2  # of 3 images and of 1
        said = "compiling 2 kernels for the GPU; they are kept in 'kept'\ncompiled in 0 s\n"
        assert capsys.readouterr().err == batches * said


@pytest.mark.parametrize("lost", ["launch", "read", "write"])
def test_a_gpu_that_is_lost_ends_the_run_in_one_line_and_leaves_the_last_epoch_whole(
    tmp_path, monkeypatch, capsys, lost
):
    pytest.importorskip("greenlet", reason="the runner of GPU kernels needs greenlet")
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "cuda")
    from simt import SimtDevice

    from fastcnn.backends.cuda.device import use

    monkeypatch.setitem(recipes.MODELS, "lenet5", small_network)
    digits, folder = write_digits(tmp_path / "four", 4, 2), tmp_path / "run"
    device, save, saves = SimtDevice(), fc.run_folder.RunFolder.save, []

    def fail(*_):
        raise fc.CudaError("the GPU failed: cuStreamSynchronize says CUDA_ERROR_LAUNCH_FAILED; it is lost")

    def lose_it_before_the_second(self, trainer):
        saves.append((folder / "last.safetensors").read_bytes() if saves else None)
        if len(saves) == 2:
            monkeypatch.setattr(device, lost, fail)
        save(self, trainer)

    monkeypatch.setattr(fc.run_folder.RunFolder, "save", lose_it_before_the_second)
    with use(device):
        code = train(*SMALL, "--device", "cuda", "--data-dir", digits, "--epochs", 3, "--run-dir", folder)
    assert (code, capsys.readouterr().err.count("\n")) == (2, 1)
    monkeypatch.undo()
    assert not list(folder.glob("*.part"))
    if lost == "read":  # before it could be saved
        assert (folder / "last.safetensors").read_bytes() == saves[1]
    monkeypatch.setitem(recipes.MODELS, "lenet5", small_network)
    assert train("--resume", folder, "--quiet") == 0
    assert [row["epoch"] for row in metrics_of(folder)] == [1, 2, 3]
