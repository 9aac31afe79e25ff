"""How many CPUs this process may use: its affinity mask, and the CPU time that its cgroups grant.

Containers, systemd and batch systems limit CPU time by the quota of a cgroup: the process's own, or one around it. Both
versions of cgroups may be there at once. What can't be read, or makes no sense, sets no limit.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOST_OF_A_FILE = 1 << 20  # bytes; a machine full of containers has thousands of mounts


class Hierarchy(NamedTuple):
    """A mounted tree of cgroups that can limit CPU time.

    Attributes:
        version: 1 or 2.
        mount: The folder where it is mounted.
        top: The path of the cgroup that this folder is; within a container not always the root.
    """

    version: int
    mount: str
    top: str


# Where nothing tells the mounts: where all distributions have them.
USUAL = (
    Hierarchy(2, "/sys/fs/cgroup", "/"),
    Hierarchy(2, "/sys/fs/cgroup/unified", "/"),
    Hierarchy(1, "/sys/fs/cgroup/cpu", "/"),
    Hierarchy(1, "/sys/fs/cgroup/cpu,cpuacct", "/"),
)


def available_cpus() -> int:
    """CPUs that this process may use: its affinity mask, or the smallest quota of its cgroups if that is less."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return affinity if quota == math.inf else max(1, min(affinity, math.ceil(quota)))


def cpu_quota(root: str | os.PathLike[str] = "/") -> float:
    """CPUs' worth of time that the cgroups of this process grant, infinity where they set no limit.

    Args:
        root: The folder to take for the root of the file system.
    """
    root = Path(root)
    paths = _own_cgroups(_text_of(root / "proc/self/cgroup"))
    hierarchies = dict.fromkeys([*_mounted(_text_of(root / "proc/self/mountinfo")), *USUAL])
    quotas = (
        _quota(folder, hierarchy.version)
        for hierarchy in hierarchies
        for folder in _folders(root, hierarchy, paths.get(hierarchy.version, "/"))
    )
    return min(quotas, default=math.inf)


def _own_cgroups(text: str) -> dict[int, str]:
    """By version, the path of the cgroup that this process is in: lines such as ``4:cpu,cpuacct:/user.slice``."""
    paths = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths[2] = path
        elif "cpu" in controllers.split(","):
            paths[1] = path
    return paths


def _mounted(text: str) -> Iterator[Hierarchy]:
    r"""The trees that the lines of mountinfo name: ``N N N top mount ... - type source options``, see proc(5).

    A space in a name is ``\040``.
    """
    for line in text.splitlines():
        before, _, after = (part.split() for part in line.partition(" - "))
        if len(before) < 5 or len(after) < 3:
            continue
        top, mount = (re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), part) for part in before[3:5])
        if after[0] == "cgroup2":
            yield Hierarchy(2, mount, top)
        elif after[0] == "cgroup" and "cpu" in after[2].split(","):
            yield Hierarchy(1, mount, top)


def _folders(root: Path, hierarchy: Hierarchy, path: str) -> Iterator[Path]:
    """The folder of a cgroup and of those around it, up to the top that is mounted."""
    cgroup, top = PurePosixPath(path), PurePosixPath(hierarchy.top)
    inside = cgroup.relative_to(top if cgroup.is_relative_to(top) else cgroup.anchor)
    mount = root / hierarchy.mount.lstrip("/")
    for part in (inside, *inside.parents):
        if ".." not in part.parts:
            yield mount / part


def _quota(folder: Path, version: int) -> float:
    """CPUs' worth of time that one cgroup grants by itself."""
    if version == 2:
        numbers = _text_of(folder / "cpu.max").split()
    else:
        numbers = [*_text_of(folder / "cpu.cfs_quota_us").split(), *_text_of(folder / "cpu.cfs_period_us").split()]
    try:
        quota, period = map(int, numbers)
        return quota / period if quota > 0 and period > 0 else math.inf  # -1 is none
    except (ValueError, ArithmeticError):  # "max", too
        return math.inf


def _text_of(path: Path) -> str:
    """The text of a small file; nothing where there is none to be had."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_OF_A_FILE).decode(errors="replace")
    except (OSError, ValueError):  # a name with a null byte, say
        return ""
