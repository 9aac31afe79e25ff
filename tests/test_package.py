"""The package as a whole: the cost of its import, its switches, the floors of csrc/."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support import every_dtype, every_isa, use_isa, use_threads

import fastcnn as fc
from fastcnn import _core

ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"


def python(code, folder=None, **environment):
    """Run `code` in a new interpreter that finds modules in `folder`, then as this one does; the finished process."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("FASTCNN_", "OMP_"))}
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**keep, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def printed(code, **environment):
    """What `code` prints in a new interpreter."""
    process = python(code, **environment)
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


# ---- import ----------------------------------------------------------------------------------------------------------


def test_import_brings_in_no_heavy_library():
    heavy = ["typer", "rich", "safetensors", "PIL", "matplotlib", "torch"]
    code = f"import sys, fastcnn; print([name for name in {heavy} if name in sys.modules])"
    assert printed(code) == "[]"


def test_import_takes_at_most_150_ms_beyond_numpys(tmp_path):
    code = "import time; import numpy; start = time.perf_counter(); import fastcnn; print(time.perf_counter() - start)"
    compiled = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}  # as after an installation
    printed(code, **compiled)
    seconds = []
    while not seconds or (min(seconds) >= 0.150 and len(seconds) < 20):
        seconds.append(float(printed(code, **compiled)))
    assert min(seconds) < 0.150, seconds  # whatever else the machine does only adds to it


def test_folder_that_was_not_built_says_how_to_build_it(tmp_path):
    without_core = shutil.ignore_patterns("_core.*.so", "sample")
    shutil.copytree(Path(fc.__file__).parent, tmp_path / "fastcnn", ignore=without_core)
    process = python("import fastcnn", folder=tmp_path)
    assert "pip install ." in process.stderr.splitlines()[-1]


@pytest.mark.parametrize("other", ["torch", "numba", "sklearn"])
@pytest.mark.parametrize("first", [True, False], ids=["fastcnn first", "fastcnn last"])
def test_works_beside_other_libraries_with_threads_of_their_own(other, first):
    if find_spec(other) is None:
        pytest.skip(f"{other} is not installed")
    imports = f"import fastcnn as fc, {other}" if first else f"import {other}, fastcnn as fc"
    assert printed(f"{imports}; import numpy as np; print(fc.ops.matmul(np.eye(99), np.eye(99)).sum())") == "99.0"


def test_version_is_the_one_in_pyproject():
    assert f'version = "{fc.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_stubs_name_what_the_compiled_module_has():
    stubs = ast.parse((ROOT / "fastcnn" / "_core.pyi").read_text())
    declared = {node.name for node in stubs.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    declared |= {node.target.id for node in stubs.body if isinstance(node, ast.AnnAssign)}
    present = {
        name
        for name, value in vars(_core).items()
        if not name.startswith("_") and getattr(value, "__module__", "fastcnn._core") == "fastcnn._core"
    }
    assert declared == present - {"np", "os"}


def test_command_line_explains_itself():
    process = subprocess.run(
        [sys.executable, "-m", "fastcnn.train", "--help"], capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert "--data-dir" in process.stdout


# ---- configuration ---------------------------------------------------------------------------------------------------


def test_show_config_prints_what_this_installation_is(capsys):
    fc.show_config()
    text = capsys.readouterr().out
    facts = (
        fc.__version__,
        np.__version__,
        _core.compiler(),
        *_core.isa_compiled(),
        "in use",
        "threads",
    )
    assert [fact for fact in facts if fact not in text] == []


@pytest.mark.parametrize("level", _core.isa_levels())
def test_environment_chooses_the_level(level):
    assert printed("from fastcnn import _core; print(_core.get_isa())", FASTCNN_ISA=level) == level


def test_highest_level_is_the_default():
    assert printed("from fastcnn import _core; print(_core.get_isa())") == _core.isa_levels()[-1]


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"FASTCNN_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "5,2"}, 5),
        ({"OMP_NUM_THREADS": "5", "FASTCNN_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "nonsense", "FASTCNN_NUM_THREADS": "3"}, 3),
    ],
)
def test_environment_chooses_the_threads(environment, count):
    assert printed("import fastcnn; print(fastcnn.get_num_threads())", **environment) == str(count)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FASTCNN_ISA", "avx9000"),
        ("FASTCNN_NUM_THREADS", "0"),
        ("FASTCNN_NUM_THREADS", "many"),
        ("FASTCNN_NUM_THREADS", "1025"),
    ],
)
def test_bad_environment_is_one_clear_error(name, value):
    process = python("import fastcnn", **{name: value})
    last = process.stderr.splitlines()[-1]
    assert process.returncode == 1
    assert "ConfigError" in last
    assert name in last
    assert value in last


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_training_allocates_nothing_new_after_its_first_steps():
    model = fc.models.gorgonia(seed=0)
    loss, optimizer = fc.CrossEntropyLoss(), fc.RMSprop(model.parameters())
    x = np.random.default_rng(0).random((10, 1, 28, 28), np.float32)
    y = np.arange(10)

    def train(steps):
        for _ in range(steps):
            fc.train_step(model, loss, optimizer, x, y)

    with use_threads(1):
        tracemalloc.start()
        try:
            train(60)  # fills the interpreter's own free lists (tuples of shapes) too
            objects, memory = tracemalloc.get_traced_memory()[0], resident_bytes()
            train(50)
            assert tracemalloc.get_traced_memory()[0] - objects < 100_000
            assert resident_bytes() - memory < 2 << 20  # the activations of one step are 3 MB
        finally:
            tracemalloc.stop()


def resident_bytes():
    """Memory of this process in RAM, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


# ---- floors of csrc/ -------------------------------------------------------------------------------------------------


def code_of(path):
    """A C file without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', code_of(path), flags=re.MULTILINE)


def users_of(pattern):
    """Names of the files in csrc/ whose code matches."""
    return {path.name for path in CSRC.iterdir() if re.search(pattern, code_of(path))}


def test_kernels_include_nothing_and_stamp_includes_every_kernel():
    kernels = {path.name for path in CSRC.glob("*.inc")}
    assert {path.name: includes(path) for path in CSRC.glob("*.inc")} == {name: [] for name in kernels}
    assert {name for name in includes(CSRC / "stamp.c") if name.endswith(".inc")} == kernels


def test_no_line_of_csrc_is_longer_than_120_characters():
    lines = [(path.name, line) for path in CSRC.iterdir() for line in path.read_text().splitlines()]
    assert [name for name, line in lines if len(line) > 120] == []


def test_each_mutation_names_a_text_that_stands_once(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    mutations = import_module("mutations").MUTATIONS
    assert mutations
    assert [one.what for one in mutations if (CSRC / one.file).read_text().count(one.old) != 1] == []


def test_headers_stand_alone():
    own = {path.name for path in CSRC.iterdir()}
    used = {path.name: sorted(set(includes(path)) & own) for path in CSRC.glob("*.h")}
    assert {name: files for name, files in used.items() if files} == {"dispatch.h": ["fastcnn.h", "parallel.h"]}


def test_only_parallel_knows_threads():
    assert users_of(r"\bpthread_|\bomp\b|\batomic_") == {"parallel.c"}


def test_csrc_knows_neither_python_nor_the_heap():
    assert users_of(r"\bPy[A-Z_]|Python\.h|numpy") == set()
    assert users_of(r"\b(malloc|calloc|realloc|aligned_alloc|posix_memalign|free|alloca)\s*\(") == set()


@every_isa
@every_dtype
def test_the_multiply_add_peak_is_a_speed_that_a_product_of_matrices_stays_below(isa, dtype):
    a = np.ones((256, 256), dtype)
    with use_isa(isa), use_threads(1):
        peak = fc.config.fma_peak(dtype, threads=1)
        start = time.perf_counter()
        fc.ops.matmul(a, a)
        seconds = time.perf_counter() - start
    assert 1e8 < 2 * 256**3 / seconds < 1.05 * peak


@pytest.mark.parametrize("threads", [0, -1, 1.5, 10**6])
def test_the_peak_of_a_senseless_number_of_threads_is_refused(threads):
    with pytest.raises(fc.ConfigError, match="number of threads must be a whole number from 1 to 1024"):
        fc.config.fma_peak(threads=threads)
