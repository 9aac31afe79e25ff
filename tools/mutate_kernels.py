"""Break each kernel by hand, one at a time, and see that a test fails: a check of the tests, not of the kernels.

    pip install ".[test]" setuptools cython && python tools/mutate_kernels.py [WORD ...]

Copies the checkout to a temporary folder; for each of mutations/ (or those whose description contains a WORD): edits
csrc/, builds, runs the tests of the operations and of threads until the first failure, and prints which test it was.
Exits with 1 if a mutant survives. Takes about half a minute a mutation on two cores.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import MUTATIONS
from mutations.mutation import Mutation

ROOT = Path(__file__).resolve().parent.parent


# Which tests are tried first, to save time; convolution's where nothing is said.
LIKELIEST = {
    "active.inc": "test_ops_fused.py",
    "active_max.inc": "test_ops_fused.py",
    "active_mean.inc": "test_ops_fused_average.py",
    "conv_avg_pool.inc": "test_ops_fused_average.py",
    "conv_pool.inc": "test_ops_fused.py",
    "conv_pool_input.inc": "test_ops_fused.py",
    "conv_pool_one.inc": "test_ops_fused.py",
    "conv_pool_weight.inc": "test_ops_fused.py",
    "conv_tanh_pool.inc": "test_ops_fused_tanh.py",
    "../fastcnn/backends/cpu/fused.py": "test_ops_fused.py",
    "exp.inc": "test_ops_activations.py",
    "avg_pool.inc": "test_ops_avg_pool.py",
    "copy.inc": "test_ops_joining.py",
    "linear.inc": "test_ops_linear.py",
    "look_up.inc": "test_ops_look_up.py",
    "matmul.inc": "test_ops_matmul.py",
    "max_pool.inc": "test_ops_pool.py",
    "optimizer.inc": "test_ops_optimizer.py",
    "pointwise.inc": "test_ops_activations.py",
    "pool.inc": "test_ops_pool.py",
    "random.h": "test_ops_pointwise.py",
    "parallel.c": "test_threads.py",
    "shape.c": "test_ops_bounds.py",
    "strides.inc": "test_ops_last_cells.py",
    "softmax.inc": "test_ops_softmax.py",
    "sparse.inc": "test_ops_linear.py",
    "sums.inc": "test_ops_long_sums.py",
    "conv_pool_few.inc": "test_ops_fused.py",
    "winograd.inc": "test_ops_winograd.py",
    "winograd_choice.inc": "test_ops_winograd.py",
    "winograd_output.inc": "test_ops_winograd.py",
    "winograd_range.inc": "test_ops_winograd_limits.py",
    "winograd_source.inc": "test_ops_winograd.py",
    "winograd_transform.inc": "test_ops_winograd.py",
    "winograd_weight.inc": "test_ops_winograd_weight.py",
}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def killer_of(mutation: Mutation, folder: Path) -> str | None:
    """The first test that fails with this mutation in place, or None."""
    file = folder / "csrc" / mutation.file
    original = file.read_text()
    if original.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.what}: its text stands {original.count(mutation.old)} times in {mutation.file}")
    file.write_text(original.replace(mutation.old, mutation.new))
    try:
        built = run([sys.executable, "setup.py", "-q", "build_ext", "--inplace"], folder)
        if built.returncode:
            raise SystemExit(f"{mutation.what}: does not compile\n{built.stderr}")
        names = ["test_threads.py", *sorted(path.name for path in (folder / "tests").glob("test_ops_*.py"))]
        likeliest = LIKELIEST.get(mutation.file, "test_ops_conv2d.py")
        tests = [f"tests/{name}" for name in sorted(names, key=lambda name: name != likeliest)]
        tested = run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests], folder)
    finally:
        file.write_text(original)
    if tested.returncode == 0:
        return None
    if tested.returncode < 0:
        return f"crashed by signal {-tested.returncode}"
    failed = [line for line in tested.stdout.splitlines() if line.startswith("FAILED")]
    if not failed:  # the tests did not run: not to be taken for a kill
        raise SystemExit(f"{mutation.what}: the tests did not run\n{tested.stdout[-2000:]}{tested.stderr[-2000:]}")
    return failed[0].removeprefix("FAILED ").split(" - ")[0]


def main() -> None:
    words = sys.argv[1:]
    chosen = [m for m in MUTATIONS if not words or any(word in m.what for word in words)]
    survivors = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "fastcnn")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", "build", "*.so", "runs", "__pycache__"))
        for mutation in chosen:
            killer = killer_of(mutation, folder)
            survivors += killer is None
            print(f"{'SURVIVED' if killer is None else 'killed  '}  {mutation.what}  {killer or ''}", flush=True)
    print(f"{len(chosen) - survivors} of {len(chosen)} mutations killed")
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
