"""Break each kernel by hand, one at a time, and see that a test fails: a check of the tests, not of the kernels.

    pip install ".[test]" setuptools cython && python tools/mutate_kernels.py [WORD ...]

Copies the checkout to a temporary folder; for each mutation below (or those whose description contains a WORD): edits
csrc/, builds, runs the tests of the operations until the first failure, and prints which test it was. Exits with 1 if a
mutant survives. Takes about half a minute a mutation on two cores.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Mutation(NamedTuple):
    what: str
    file: str
    old: str
    new: str


MUTATIONS = [
    Mutation(
        "multiply: second vector reads the first", "multiply.inc", "sum[m][v] += w * x[v]", "sum[m][v] += w * x[0]"
    ),
    Mutation(
        "multiply: last term of each sum left out",
        "multiply.inc",
        "k < depth; k++) {\n        const real *row",
        "k < depth - 1; k++) {\n        const real *row",
    ),
    Mutation(
        "transpose: an interleave takes the wrong half",
        "transpose.inc",
        "next[2 * i + 1] = interleave_high",
        "next[2 * i + 1] = interleave_low",
    ),
    Mutation(
        "padded image: height's padding used for width",
        "padded.inc",
        ".top = s->padding_height, .left = s->padding_width,\n        .stride_height",
        ".top = s->padding_height, .left = s->padding_height,\n        .stride_height",
    ),
    Mutation(
        "padded image: zeros not written",
        "padded.inc",
        "    memset(dst, 0, (size_t)padded_size(p) * sizeof(real));\n",
        "",
    ),
    Mutation("direct forward: bias not added", "conv_direct.inc", "to[j] = from[j] + bias;", "to[j] = from[j];"),
    Mutation(
        "direct forward: stride phases of taps mixed up",
        "padded.inc",
        "right % s->stride_width;",
        "down % s->stride_width;",
    ),
    Mutation(
        "direct input gradient: every tap takes the weights of the first row",
        "conv_direct.inc",
        ".weight = r * s->kernel_width + t,",
        ".weight = t,",
    ),
    Mutation(
        "direct input gradient: kernel not flipped",
        "conv_direct.inc",
        "w0 + s->padding_width - t * s->dilation_width;",
        "w0 + t * s->dilation_width;",
    ),
    Mutation(
        "weight gradient: a group of images forgotten",
        "conv_weight.inc",
        "for (int64_t group = 1; group",
        "for (int64_t group = 2; group",
    ),
    Mutation(
        "weight gradient: sums overwritten instead of added",
        "conv_weight.inc",
        "store(to, load(to) + total[k][v]);",
        "store(to, total[k][v]);",
    ),
    Mutation(
        "im2col forward: bias of the wrong channel", "conv_im2col.inc", "plan->bias[channel + m]", "plan->bias[channel]"
    ),
    Mutation(
        "im2col: column outside the image not zero",
        "im2col.inc",
        "for (; j < first; j++)\n            *to++ = 0;",
        "for (; j < first; j++)\n            *to++ = 1;",
    ),
    Mutation("col2im: overlapping cells overwritten", "im2col.inc", "*to += columns[", "*to = columns["),
    Mutation(
        "matmul: blocks of the inner size not added up", "matmul.inc", "(k0 > 0 ? c[m * s->n + j] : 0) + tile", "tile"
    ),
    Mutation(
        "matmul: rows past the last whole panel skipped",
        "multiply.inc",
        "return ceil_div(rows, TILE_M); }",
        "return max_size(1, rows / TILE_M); }",
    ),
    Mutation("max-pool: the last of equal values wins", "pool.inc", "if (value > best ||", "if (value >= best ||"),
    Mutation("max-pool: NaN loses", "pool.inc", "value > best || (value != value && best == best)", "value > best"),
    Mutation(
        "max-pool 2x2: two cells numbered alike",
        "pool.inc",
        "challenge(&best, &winner, c2, 2);",
        "challenge(&best, &winner, c2, 3);",
    ),
    Mutation(
        "max-pool 2x2: odd last column not cleared",
        "pool.inc",
        "            rows[s->width - 1] = rows[2 * s->width - 1] = 0;",
        "            rows[s->width - 1] = 0;",
    ),
    Mutation("max-pool backward: overlapping windows overwritten", "pool.inc", "+ column] += dy[", "+ column] = dy["),
    Mutation(
        "max-pool backward: argmax outside the window followed", "pool.inc", "return largest < 4;", "return true;"
    ),
    Mutation("relu: NaN becomes 0", "pointwise.inc", "y[i] = x[i] <= 0 ? 0 : x[i];", "y[i] = x[i] > 0 ? x[i] : 0;"),
    Mutation("relu backward: passes everything", "pointwise.inc", "dx[i] = y[i] <= 0 ? 0 : dy[i];", "dx[i] = dy[i];"),
    Mutation(
        "dropout: scaled by 1/p, Gorgonia's bug", "pointwise.inc", "(real)(1 / (1 - c->rate))", "(real)(1 / c->rate)"
    ),
    Mutation(
        "dropout: second key unused", "random.h", "mix32(mix32(low_index ^ k0) + k1)", "mix32(mix32(low_index ^ k0))"
    ),
    Mutation("rmsprop: eps outside the root", "pointwise.inc", "SQRT(average[i] + eps)", "(SQRT(average[i]) + eps)"),
    Mutation("sgd: climbs", "pointwise.inc", "data[i] += grad[i] * -lr;", "data[i] += grad[i] * lr;"),
    Mutation(
        "channel sum: tail of a plane left out",
        "pointwise.inc",
        "sum_lanes(lanes + load_first(plane + i, c->plane - i))",
        "sum_lanes(lanes)",
    ),
    Mutation(
        "softmax: maximum of the first class only",
        "softmax.inc",
        "maximum = x[j] > maximum || x[j] != x[j] ? x[j] : maximum;",
        "maximum = x[0];",
    ),
    Mutation("log_softmax backward: sum left out", "softmax.inc", "dx[j] = dy[j] - EXP(y[j]) * sum;", "dx[j] = dy[j];"),
    Mutation("cross-entropy backward: targets taken to sum to 1", "softmax.inc", "dx[j] / sum * mass", "dx[j] / sum"),
]


# Which tests are tried first, to save time; convolution's where nothing is said.
LIKELIEST = {
    "matmul.inc": "test_ops_matmul.py",
    "pointwise.inc": "test_ops_pointwise.py",
    "pool.inc": "test_ops_pool.py",
    "random.h": "test_ops_pointwise.py",
    "softmax.inc": "test_ops_softmax.py",
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
        names = sorted(path.name for path in (folder / "tests").glob("test_ops_*.py"))
        likeliest = LIKELIEST.get(mutation.file, "test_ops_conv2d.py")
        tests = [f"tests/{name}" for name in sorted(names, key=lambda name: name != likeliest)]
        tested = run([sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests], folder)
    finally:
        file.write_text(original)
    if tested.returncode == 0:
        return None
    failed = [line for line in tested.stdout.splitlines() if line.startswith("FAILED")]
    return failed[0].removeprefix("FAILED ").split(" - ")[0] if failed else tested.stdout[-2000:]


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
