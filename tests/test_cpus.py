"""The CPUs that a process may use: quotas of its own cgroup and those around it, whatever the files hold."""

import math
import os

import pytest

from fastcnn import cpus
from fastcnn.cpus import available_cpus, cpu_quota

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


def machine(root, files):
    """A root of a file system with these files; None is one that can't be read."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir()  # permissions would not keep root out
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def v2(cgroup="/", mounts=V2, **limits):
    """A machine with cgroups of version 2: the path of the process's own, cpu.max by folder ("_" is a slash)."""
    files = {f"sys/fs/cgroup/{name.replace('_', '/')}/cpu.max": text for name, text in limits.items()}
    return {"proc/self/cgroup": f"0::{cgroup}\n", "proc/self/mountinfo": mounts} | files


def v1(cgroup="/", quota="-1\n", period="100000\n", folder="cpu,cpuacct", mounts=V1):
    place = f"sys/fs/cgroup/{folder}"
    return {
        "proc/self/cgroup": f"9:name=systemd:/x\n5:cpuset:/y\n4:cpu,cpuacct:{cgroup}\n0::/\n",
        "proc/self/mountinfo": mounts,
        f"{place}/cpu.cfs_quota_us": quota,
        f"{place}/cpu.cfs_period_us": period,
    }


CONTAINER = "40 31 0:28 /docker/a\\040b /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
CASES = {
    "nothing at all": ({}, math.inf),
    "a container's own": ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
    "no limit": ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, math.inf),
    "systemd": (v2("/system.slice/a.service", **{"system.slice_a.service": "50000 100000"}), 0.5),
    "one around it": (v2("/job/step/task", job="200000 100000", job_step="max 100000", job_step_task="7 2"), 2.0),
    "another's": (v2("/job", job="max 100000", other="1 1"), math.inf),
    "a folder above the mount": (v2("/../../job", job="300000 100000"), math.inf),
    "nested container": (v2("/docker/a b/job", CONTAINER, job="300000 100000"), 3.0),
    "namespace": (v2("/job", CONTAINER, job="300000 100000"), 3.0),
    "elsewhere": (v2(mounts=V2.replace("/sys/fs/cgroup", "/run/cg")) | {"run/cg/cpu.max": "40 20"}, 2.0),
    "version 1": (v1("/", "250000\n"), 2.5),
    "version 1, below": (v1("/slurm/job_1", "100000\n", folder="cpu,cpuacct/slurm"), 1.0),
    "version 1, no limit": (v1(), math.inf),
    "version 1, as it was": (v1("/", "50000\n", folder="cpu", mounts=""), 0.5),
    "both versions": (v1("/", "250000\n") | {"sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1.0),
    "both versions, one unreadable": (v1("/", "250000\n") | {"sys/fs/cgroup/cpu.max": None}, 2.5),
} | {
    f"cpu.max {content!r:.30}": ({"sys/fs/cgroup/cpu.max": content}, math.inf)
    for content in ("", "\n", "max", "100000", "100000 0", "0 100000", "-5 100000", "5 -100000", "a b", "1 2 3",
                    "1.5 1", "inf 1", "nan nan", b"\xff\xfe\0", b"\0" * 5000, "9" * 5000 + " 1",
                    "9" * 4000 + " 1", None)
} | {
    f"quota {quota!r:.20}, period {period!r:.20}": (v1("/", quota, period), math.inf)
    for quota, period in [("50000", "0"), ("50000", ""), ("", "50000"), ("0", "9"), ("-1", "0"), ("x", "9"),
                          ("5", b"\xff"), (None, "9"), ("9", None), ("max", "9")]
} | {
    f"cgroup {text!r:.30}": (v2() | {"proc/self/cgroup": text, "sys/fs/cgroup/cpu.max": "50 10"}, 5.0)
    for text in ("", "0", "0:", "0::", ":::::", "0::/\0/x", b"\xff\n0::\xff", "0::" + "/x" * 2000,
                 "0::/" + "x" * 5000, None)
} | {
    f"mounts {text!r:.30}": (v2(mounts=text) | {"sys/fs/cgroup/cpu.max": "50 10"}, 5.0)
    for text in ("", " - ", "1 2 3 4 5 - ", "- cgroup2 -", b"\xff" * 99, "1 2 3 \\777 \\x - cgroup2 a b\n", None)
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_quota_on_the_way_to_the_root_holds_and_odd_files_set_none(tmp_path, case):
    files, expected = CASES[case]
    assert cpu_quota(machine(tmp_path, files)) == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinity masks")
@pytest.mark.parametrize(("quota", "expected"), [(0.01, 1), (1.0, 1), (2.5, 3), (3.9, 4), (99.0, 4), (math.inf, 4)])
def test_the_quota_is_rounded_up_and_never_adds_to_the_affinity(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    monkeypatch.setattr(cpus, "cpu_quota", lambda: quota)
    assert available_cpus() == expected
