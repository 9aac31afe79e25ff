"""Every kernel is compiled for two kinds of GPU, and its machine code looked at; and compiled code is kept."""

import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec

import pytest
from budgets import LISTED, budgets, makers

from fastcnn.backends.cuda import compiler
from fastcnn.backends.cuda.kernels import elements
from fastcnn.backends.cuda.language import float32, float64
from fastcnn.errors import CudaError

BUDGETS = list(budgets())
ARCHITECTURES = ("sm_80", "sm_90")
DOUBLE = re.compile(r"\b(D(?:ADD|MUL|FMA|SETP|MNMX|MMA)|\w+(?:\.\w+)*\.F64|MUFU\.\w*64H)\b")


def tool(name):
    """The path of a program that looks at machine code, from the package of its name."""
    try:
        files = metadata.files(f"nvidia-cuda-{name}") or ()
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed; the dev extra has it")
    return next(file.locate() for file in files if file.name in (name, f"{name}.exe"))


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    """A function that compiles a kernel once, and lets a program look at it."""
    if not find_spec("numba_cuda"):
        pytest.skip("the compiler of GPU kernels is not installed; the cuda extra has it")
    folder = tmp_path_factory.mktemp("cubins")

    intermediate = cache(compiler.intermediate)

    @cache
    def compiled(kernel, architecture):
        path = folder / f"{abs(hash((kernel, architecture)))}.cubin"
        path.write_bytes(compiler.linked(intermediate(kernel), architecture))
        return path

    def look(kernel, architecture, *command):
        program = [tool(command[0]), *command[1:], compiled(kernel, architecture)]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    return look


def test_every_kernel_has_a_budget():
    assert set(makers()) == {entry["make"] for entry in LISTED}


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.kernel.name)
def test_machine_code_keeps_to_its_budget(looked_at, budget):
    """Few registers, none of them spilled, and nothing of float32 computed in double precision."""
    for architecture in ARCHITECTURES:
        usage = looked_at(budget.kernel, architecture, "cuobjdump", "-res-usage")
        used = {name: int(count) for name, count in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", usage)}
        code = looked_at(budget.kernel, architecture, "nvdisasm", "-c")
        assert "EXIT" in code
        assert (used["STACK"], used["LOCAL"]) == (0, 0)
        assert used["REG"] <= budget.registers
        assert budget.double or DOUBLE.findall(code) == []


def test_double_precision_would_be_seen(looked_at):
    found = set()
    for kernel in (elements.sigmoid(float64), elements.tanh_forward(float64), elements.add(float64)):
        found |= set(DOUBLE.findall(looked_at(kernel, "sm_90", "nvdisasm", "-c")))
    assert {"DADD", "DMUL", "DFMA", "F2F.F32.F64"} <= found


def test_the_entry_is_the_kernel_of_the_machine_code(looked_at, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path))
    code, entry = compiler.machine_code(elements.add(float32), "sm_90")
    (tmp_path / "code.cubin").write_bytes(code)
    program = [tool("cuobjdump"), "-res-usage", tmp_path / "code.cubin"]
    assert f"Function {entry}:" in subprocess.run(program, capture_output=True, text=True, check=True).stdout


# ---- the cache -------------------------------------------------------------------------------------------------------

CODE = b"machine code .text.kernel of a pretended compiler"


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    """What has been compiled, by a compiler that pretends to, with an empty cache in tmp_path."""
    done = []

    def compiled(kernel, architecture):
        done.append((kernel.name, architecture))
        return CODE

    monkeypatch.setattr(compiler, "compiled", compiled)
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path / "cache"))
    return done


def kept_files(tmp_path):
    return sorted((tmp_path / "cache" / "cuda").iterdir())


def test_a_kernel_is_compiled_once(compilations, tmp_path):
    for _ in range(3):
        assert compiler.machine_code(elements.relu(float32), "sm_90") == (CODE, "kernel")
    assert compilations == [("relu(real=float32)", "sm_90")]
    assert len(kept_files(tmp_path)) == 1


def test_other_constants_architectures_and_kernels_are_compiled_anew(compilations, tmp_path):
    compiler.machine_code(elements.relu(float32), "sm_90")
    compiler.machine_code(elements.relu(float64), "sm_90")
    compiler.machine_code(elements.relu(float32), "sm_80")
    compiler.machine_code(elements.relu_backward(float32), "sm_90")
    assert len(compilations) == len(kept_files(tmp_path)) == 4


def test_all_is_compiled_anew_when_the_sources_or_the_compiler_change(compilations, monkeypatch):
    compiler.machine_code(elements.relu(float32), "sm_90")
    monkeypatch.setattr(compiler, "_sources", lambda: b"others")
    compiler.machine_code(elements.relu(float32), "sm_90")
    assert len(compilations) == 2


@pytest.mark.parametrize(
    "damaged",
    [lambda content: b"", lambda content: content[:-1], lambda content: bytes([content[0] ^ 1]) + content[1:]],
    ids=["empty", "cut short", "a bit flipped"],
)
def test_a_damaged_file_is_compiled_anew_and_replaced(compilations, tmp_path, damaged):
    compiler.machine_code(elements.relu(float32), "sm_90")
    (file,) = kept_files(tmp_path)
    content = file.read_bytes()
    file.write_bytes(damaged(content))
    assert compiler.machine_code(elements.relu(float32), "sm_90").code == CODE
    assert len(compilations) == 2
    assert file.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_no_error(compilations, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    for _ in range(2):
        assert compiler.machine_code(elements.relu(float32), "sm_90").code == CODE
    assert len(compilations) == 2


def test_what_holds_no_kernel_is_an_error(compilations, monkeypatch):
    monkeypatch.setattr(compiler, "compiled", lambda kernel, architecture: b"nothing")
    with pytest.raises(CudaError, match=r"made no kernel of relu\(real=float32\)"):
        compiler.machine_code(elements.relu(float32), "sm_90")


@pytest.mark.parametrize("missing", ["numba", "cuda.core"])
def test_without_a_compiler_the_error_says_what_to_install(monkeypatch, tmp_path, missing):
    monkeypatch.setenv("FASTCNN_CACHE_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(CudaError, match=r' of GPU kernels, .* is missing .*pip install "fastcnn\[cuda\]"'):
        compiler.machine_code(elements.relu(float32), "sm_90")


def test_the_digest_of_the_sources_does_not_need_the_compiler(monkeypatch):
    def not_found(package):
        raise metadata.PackageNotFoundError(package)

    with_packages = compiler._sources()
    monkeypatch.setattr(compiler.metadata, "version", not_found)
    compiler._sources.cache_clear()
    try:
        assert len(compiler._sources()) == len(with_packages)
    finally:
        compiler._sources.cache_clear()
