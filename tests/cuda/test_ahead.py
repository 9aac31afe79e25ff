"""Kernels compiled ahead by several processes; where no compiler is installed, by some that pretend to have one."""

import pickle
import sys
from importlib.util import find_spec

import pytest
from budgets import budgets

from fastcnn.backends.cuda import ahead, compiler
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.language import float32, kernel, pointer

KERNELS = [elements.relu(float32), elements.add(float32), elements.relu_backward(float32)]
PRETENDED = """
from fastcnn.backends.cuda import ahead
ahead.compiled = lambda kernel, architecture: f".text.{kernel.name}".encode()
ahead.serve()
"""


class Told(list):
    def __call__(self, done, total):
        self.append((done, total))


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """A function that lists the cache, which is empty at first; compilers pretend."""
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(ahead, "COMMAND", (sys.executable, "-c", PRETENDED))
    return lambda: list((tmp_path / "cuda").glob("**/*"))


@pytest.mark.parametrize("budget", list(budgets()), ids=lambda budget: budget.kernel.name)
def test_a_kernel_goes_to_another_process_by_name_and_constants(budget):
    assert pickle.loads(pickle.dumps(budget.kernel)) is budget.kernel


@pytest.mark.parametrize("processes", [1, 2, 9])
def test_all_are_compiled_once_and_kept(kept, processes):
    told = Told()
    ahead.compile_all([*KERNELS, KERNELS[0]], "sm_90", told, processes)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert len(kept()) == 3
    assert compiler.machine_code(KERNELS[0], "sm_90") == (b".text.relu(real=float32)", "relu")
    ahead.compile_all(KERNELS, "sm_90", told, processes)
    assert len(told) == 4


def test_whoever_is_told_may_end_it_and_nothing_half_done_is_kept(kept, monkeypatch):
    started = []
    popen = ahead.subprocess.Popen
    monkeypatch.setattr(
        ahead.subprocess, "Popen", lambda *how, **more: started.append(popen(*how, **more)) or started[-1]
    )

    def interrupted(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ahead.compile_all(KERNELS, "sm_90", interrupted, 2)
    assert len(started) == 2 and all(process.poll() is not None for process in started)
    assert len(kept()) == 1
    assert sum(compiler.is_kept(kernel, "sm_90") for kernel in KERNELS) == 1


@kernel(threads=32)
def elsewhere(real):
    def body(x: pointer(real)):
        x[0] = real(1)

    return body


def nameless():
    @kernel(threads=32)
    def inside(real):
        return elsewhere(real).body

    return inside(float32)


@pytest.mark.parametrize("strange", [elsewhere(float32), nameless()], ids=["of this process", "of a function"])
def test_a_kernel_that_no_other_process_knows_is_left_alone(kept, monkeypatch, strange):
    monkeypatch.setitem(sys.modules, "nowhere", sys.modules[__name__])
    monkeypatch.setattr(elsewhere, "__module__", "nowhere")
    told = Told()
    ahead.compile_all([strange, *KERNELS], "sm_90", told, 1)
    assert told[-1] == (4, 4)
    assert len(kept()) == 3


def test_processes_that_end_leave_the_rest_alone(kept, monkeypatch):
    monkeypatch.setattr(ahead, "COMMAND", (sys.executable, "-c", "raise SystemExit"))
    told = Told()
    ahead.compile_all(KERNELS, "sm_90", told, 2)
    assert told[-1] == (3, 3)
    assert kept() == []


@pytest.mark.skipif(not find_spec("numba_cuda"), reason="the compiler of GPU kernels is not installed")
def test_the_machine_code_is_that_of_the_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path))
    ahead.compile_all(KERNELS[:1], "sm_90", Told(), 1)
    monkeypatch.setattr(compiler, "compiled", None)
    assert compiler.machine_code(KERNELS[0], "sm_90").code.startswith(b"\x7fELF")
