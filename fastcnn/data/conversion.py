"""How to turn CSV tables, .npz files and folders of pictures into IDX files: a command for a shell, for messages."""

import json
import math
import re
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path

from fastcnn.data.formats import head_of, why_no_file

MOST_LINE = 1 << 20  # bytes of a table's first line
PICTURES = (".png", ".jpg", ".jpeg")
IMPORTS = "import numpy as np, fastcnn as fc"


def how_to_convert(folder: Path, files: Sequence[Path]) -> str | None:
    """What to type so that `folder` gets IDX files made of `files`; None if they are of no kind that is known here."""
    for steps_of in (_tables, _archives, _pictures):
        if steps := steps_of(folder, files):
            code = "; ".join([IMPORTS, *steps])
            return f"convert it once: python -c {shlex.quote(code)}"
    return None


def _write(folder: Path, is_test: bool, what: str, array: str) -> str:
    name = f"{'t10k' if is_test else 'train'}-{what}-idx{3 if what == 'images' else 1}-ubyte"
    return f"fc.data.write_idx({_text(folder / name)}, {array})"


def _text(path: Path) -> str:
    """A Python literal without single quotes, which the shell's need not escape."""
    return json.dumps(str(path)).replace("'", "\\u0027")


def _is_test(path: Path) -> bool:
    return re.search(r"test|t10k", path.stem, re.IGNORECASE) is not None


def _tables(folder: Path, files: Sequence[Path]) -> list[str]:
    """A label and the pixels of a square image in each line, with or without a line of names above."""
    steps: list[str] = []
    done = set()
    for path in files:
        if path.suffix.lower() != ".csv" or _is_test(path) in done or why_no_file(path):
            continue
        with open(path, "rb") as file:
            cells = file.readline(MOST_LINE).strip().split(b",")
        side = math.isqrt(len(cells) - 1)
        if len(cells) < 5 or side * side != len(cells) - 1:  # no label, as in Kaggle's test.csv, or something else
            continue
        done.add(_is_test(path))
        upright = ".swapaxes(1, 2)" if "emnist" in path.name.lower() else ""  # see `fastcnn.data.mnist.TRANSPOSED`
        header = int(not all(cell.strip(b'" ').isdigit() for cell in cells))
        steps += [
            f't = np.loadtxt({_text(path)}, np.uint8, delimiter=",", skiprows={header})',
            _write(folder, _is_test(path), "labels", "t[:, 0]"),
            _write(folder, _is_test(path), "images", f"t[:, 1:].reshape(-1, {side}, {side}){upright}"),
        ]
    return steps if False in done else []


def _archives(folder: Path, files: Sequence[Path]) -> list[str]:
    """Keras's mnist.npz, and others whose arrays are called alike."""
    for path in files:
        if not head_of(path).startswith(b"PK"):
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
            continue
        parts: dict[tuple[bool, bool], str] = {}
        for key in sorted(keys, key=lambda key: "train" not in key.lower()):
            if re.search("val", key, re.IGNORECASE):
                continue
            is_labels = re.search(r"(^|_)y(_|$)|label", key, re.IGNORECASE) is not None
            is_images = re.search(r"(^|_)x(_|$)|image", key, re.IGNORECASE) is not None
            if is_labels != is_images:
                parts.setdefault((re.search("test", key, re.IGNORECASE) is not None, is_labels), key)
        if {(False, False), (False, True)} <= parts.keys():
            steps = [f"a = np.load({_text(path)})"]
            for (is_test, is_labels), key in sorted(parts.items()):
                array = f'a[{json.dumps(key)}].astype("uint8")' if is_labels else f"a[{json.dumps(key)}]"
                steps.append(_write(folder, is_test, "labels" if is_labels else "images", array))
            return steps
    return []


def _pictures(folder: Path, files: Sequence[Path]) -> list[str]:
    """A folder a class, called by its number: 7/12.png, or training/7/12.png and testing/7/12.png."""
    pictures = [path for path in files if path.suffix.lower() in PICTURES and path.parent.name.isdigit()]
    roots: dict[bool, Path] = {}
    for path in pictures:
        root = path.parent.parent
        roots.setdefault(root != folder and _is_test(root), root)
    if False not in roots:
        return []
    steps = ["from pathlib import Path"]
    for is_test, root in sorted(roots.items()):
        steps += [
            f'p = sorted(Path({_text(root)}).glob("*/*{pictures[0].suffix}"))',
            _write(folder, is_test, "images", "np.stack([fc.data.read_images(f)[0] for f in p])"),
            _write(folder, is_test, "labels", 'np.array([int(f.parent.name) for f in p], "uint8")'),
        ]
    return steps
