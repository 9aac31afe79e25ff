"""Find the four files of a data set in a folder: training images, training labels, test images, test labels.

What has MNIST's own names, plain or ``.gz``, in the folder or in its subfolder ``mnist``, is taken without looking
further. Else all files up to `DEPTH` folders below are judged by their names:

    [SET-]train-images[-idx3-ubyte][.gz]    SET may be anything, as in EMNIST's and QMNIST's names
    training for train; t10k, test or testing; labels for images; each '-' may be '.', '_' or ' '
    marks of a copy, ' (1)', ' - Copy', '.1', '_1', '~', at the end or before .gz

The files of one set lie in one folder and begin alike; a folder that is named after its file, or after its part
(training/), counts as the one that it lies in. Where two files may be the same part, the one in no folder of its own
is taken, then the one without the mark of a copy, then '-idx' before '.idx', then the plain one. Two sets, or two files
that are alike in all that, are an error. Without a complete set, one with training and without test files is taken.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from fastcnn.data.download import MNIST_FILES, find_file
from fastcnn.data.formats import TEXT, head_of, kind_of, why_no_file
from fastcnn.errors import DataError

DEPTH = 4
MOST_ENTRIES = 20_000
SHOWN = 6  # files that a message names
UNFINISHED = (".part", ".crdownload", ".download", ".tmp")
PARTS = ("training images", "training labels", "test images", "test labels")  # in the order of MNIST_FILES

NAME = re.compile(
    r"(?P<set>(?:.*[-_. ])?)(?P<part>train|training|t10k|test|testing)[-_. ](?P<what>images|labels)"
    r"(?P<form>(?:[-_. ]?idx\d?)?(?:[-_. ](?:ubyte|byte|uint8|int))?)"
    r"(?P<rest>(?:\.(?:gz|gzip|bin|dat|\d)|[ _-]*\(\d+\)|[ _-]+(?:copy|kopie|copie|copia)(?: \d+)?|[ _-]\d\d?|~)*)",
    re.IGNORECASE,
)
COPY = re.compile(r"\(\d+\)|cop|kop|[ _.-]\d|~", re.IGNORECASE)
PACKED = re.compile(r"\.gz(ip)?\b", re.IGNORECASE)


class Found(NamedTuple):
    """The files of a data set.

    Attributes:
        folder: Where they lie.
        prefix: What their names begin with, in lower case: "emnist-digits-"; usually nothing.
        files: In the order of `PARTS`; two where there are no test files.
    """

    folder: Path
    prefix: str
    files: list[Path]

    @property
    def name(self) -> str:
        """What to call the set: as its files, or else its folder; raw/, where torchvision puts them, says nothing."""
        place = self.folder.resolve()
        return _stem(self.prefix) or (place.parent.name if place.name == "raw" else place.name)


class Part(NamedTuple):
    """What a file's name says."""

    prefix: str
    number: int  # in PARTS
    order: tuple[bool, ...]  # the least of several is taken


def part_of(name: str) -> Part | None:
    """What the name of a file says that it is.

    >>> part_of("emnist-letters-test-images-idx3-ubyte (1).gz").number, part_of("notes.txt")
    (2, None)
    """
    match = NAME.fullmatch(name)
    if match is None:
        return None
    index = 2 * (not match["part"].lower().startswith("train")) + (match["what"].lower() == "labels")
    order = bool(COPY.search(match["rest"])), match["form"].startswith("."), bool(PACKED.search(match["rest"]))
    return Part(match["set"].lower(), index, order)


def find_mnist(folder: Path) -> Found | None:
    """The four files under MNIST's own names in `folder` or its subfolder ``mnist``."""
    for place in (folder, folder / "mnist"):
        files = [path for name in MNIST_FILES if (path := find_file(place, name))]
        if len(files) == len(PARTS):
            return Found(place, "", files)
    return None


def find_set(folder: Path) -> Found | None:
    """The files of a data set in `folder`; None if there are none.

    Where there is no folder of that name, its last part is what the names of the files begin with:
    ``raw/emnist-letters`` stands for the set of that name among those in ``raw``.

    Raises:
        DataError: if there are several sets, or several files for one part of it.
    """
    if found := find_mnist(folder):
        return found
    if os.path.lexists(folder):
        place, stem, depth = folder, None, DEPTH
    else:
        place, stem, depth = folder.parent, folder.name.lower(), 0
    if not place.is_dir():
        return None
    files, _, complete = _below(place, depth)
    if not complete:
        return None
    sets = {key: parts for key, parts in _sets(place, files).items() if stem is None or _stem(key[1]) == stem}
    for needed in ({0, 1, 2, 3}, {0, 1}):
        full = {key: parts for key, parts in sets.items() if parts.keys() == needed}
        if len(full) > 1:
            names = ", ".join(repr(str(where / _stem(prefix))) for where, prefix in full)
            raise DataError(
                f"load_dataset: data_dir {str(folder)!r} must hold one data set, got {len(full)}: {names}; "
                "name one of these, or put its files into a folder of their own"
            )
        for (where, prefix), parts in full.items():
            return Found(where, prefix, [_only(parts[index]) for index in sorted(needed)])
    return None


def _stem(prefix: str) -> str:
    return prefix.rstrip("-_. ")


def what_is_missing(folder: Path) -> str:
    """Why there is no data set in `folder`: what is missing, what is there, and what to do."""
    from fastcnn.data.conversion import how_to_convert

    who = f"load_dataset: data_dir {str(folder)!r}"
    found = why_no_file(folder)
    if found is None:
        kind = kind_of(head_of(folder))
        remedy = kind.remedy if kind else "pass the folder that it lies in"
        remedy = how_to_convert(folder.parent, [folder]) or remedy
        return f"{who} is not a folder, but {kind.what if kind else 'a file'}; {remedy}"
    if found != "a folder":
        return f"{who} is not a folder, got {found}; check the path"
    files, odd, complete = _below(folder)
    sets = _sets(folder, files)
    best = max(sets.values(), key=len, default={})
    missing = ", ".join(name for index, name in enumerate(MNIST_FILES) if index not in best)
    there = _what_is_there(folder, files, odd, complete)
    too_many = f"more than {MOST_ENTRIES:,} are not looked through: name the folder of the files themselves"
    remedy = how_to_convert(folder, files) or (_remedy(files) if complete else too_many)
    return (
        f"{who} must hold the four IDX files of a data set, plain or .gz, itself or up to {DEPTH} folders below, "
        f"got no {missing}; {there}; {remedy}"
    )


def _below(folder: Path, depth: int = DEPTH) -> tuple[list[Path], list[Path], bool]:
    """The regular files in a folder and those below it, what is neither file nor folder, and whether that is all.

    In a fixed order; a folder that is reached twice, by a link, is looked into once.
    """
    files: list[Path] = []
    odd: list[Path] = []
    level, seen, left = [folder], set(), MOST_ENTRIES
    for _ in range(depth + 1):
        deeper: list[Path] = []
        for place in level:
            try:
                identity = os.stat(place)
                with os.scandir(place) as entries:
                    names = sorted(entry.name for entry in islice(entries, left + 1))
            except OSError as error:
                if place == folder:
                    raise DataError(
                        f"load_dataset: data_dir {str(folder)!r} can't be read ({error.strerror}); "
                        "check its permissions"
                    ) from error
                continue  # one that we may not look into
            if (identity.st_dev, identity.st_ino) in seen:
                continue
            seen.add((identity.st_dev, identity.st_ino))
            left -= len(names)
            if left < 0:
                return files, odd, False
            for path in (place / name for name in names if not name.startswith((".", "__MACOSX"))):
                what = why_no_file(path)
                (files if what is None else deeper if what == "a folder" else odd).append(path)
        level = deeper
    return files, odd, True


def _sets(folder: Path, files: Iterable[Path]) -> dict[tuple[Path, str], dict[int, list[tuple[Part, Path]]]]:
    """The files by the set that they belong to (its folder, and how its names begin) and their part of it."""
    sets: dict[tuple[Path, str], dict[int, list[tuple[Part, Path]]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        if part := _part_at(path):
            place, own = path.parent, 0
            while place != folder and _is_for(place.name, part):
                place, own = place.parent, own + 1
            part = part._replace(order=(own > 0, *part.order))
            sets[place, part.prefix][part.number].append((part, path))
    return sets


def _part_at(path: Path) -> Part | None:
    """What the name of a file says that it is, or its folder's with it: train/images."""
    return part_of(path.name) or part_of(f"{path.parent.name}-{path.name}")


def _is_idx(head: bytes) -> bool:
    return head.startswith(b"\0\0") and head[2:3] in b"\x08\x09\x0b\x0c\x0d\x0e" and 1 <= int.from_bytes(head[3:4]) <= 4


def _is_for(name: str, part: Part) -> bool:
    """Whether a folder of that name is there for this part alone."""
    own = part_of(name) or part_of(f"{name}-images")
    return own is not None and own.number in (part.number, part.number - part.number % 2)


def _only(files: Sequence[tuple[Part, Path]]) -> Path:
    """The file to take."""
    first = min(part.order for part, _ in files)
    paths = [path for part, path in files if part.order == first]
    if len(paths) > 1:
        raise DataError(
            f"load_dataset: expected one file of {PARTS[files[0][0].number]}, got "
            f"{' and '.join(repr(str(path)) for path in paths)}; remove all but one"
        )
    return paths[0]


def _what_is_there(folder: Path, files: Sequence[Path], odd: Sequence[Path], complete: bool) -> str:
    """What the folder holds, and what each is taken for: first what the search knows, then the others."""
    if not files and not odd:
        return "it holds no files" if complete else f"it holds more than {MOST_ENTRIES:,} files and folders"
    known = [(path, PARTS[part.number]) for path in files if (part := _part_at(path))]
    others = (path for path in files if _part_at(path) is None)
    listed = [(path, why_no_file(path) or "") for path in odd] + known
    for path in islice(others, max(SHOWN - len(listed), 0)):
        head = head_of(path)
        kind = kind_of(head)
        guess = "IDX, of a name that doesn't say which part" if _is_idx(head) else "unknown"
        if path.suffix.lower() in UNFINISHED:
            kind, guess = None, "a download that is not finished"
        listed.append((path, kind.what if kind else guess))
    shown = ", ".join(f"{str(path.relative_to(folder))!r} ({what})" for path, what in listed[:SHOWN])
    more = len(files) + len(odd) - len(listed[:SHOWN])
    return f"it holds {shown}" + (f" and {more:,} other files" if more else "") + ("" if complete else " at least")


def _remedy(files: Sequence[Path]) -> str:
    """What to do about files that are no IDX files: as the first of a known kind needs it; or about their names."""
    heads = [head_of(path) for path in files[:SHOWN]]
    remedy = next((kind.remedy for kind in map(kind_of, heads) if kind and kind != TEXT), None)
    if remedy is None and any(map(_part_at, files)):
        remedy = "put what is missing beside the others, or name another folder"
    if remedy is None and any(map(_is_idx, heads)):
        remedy = "give the files these names"
    return remedy or "put them there, or name another folder"
