"""Control groups: version 1 for real where the tests may, version 2 on files that look like it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bathysphere.host.cgroups import CgroupError, Cgroups, GroupLimits, Hierarchies

LIMITS = GroupLimits(memory_bytes=100 * 1024 * 1024, cpus=0.5, processes=32)

MOUNTS_V1 = """\
30 25 0:26 / {root}/memory rw - cgroup cgroup rw,memory
31 25 0:27 / {root}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / {root}/pids rw - cgroup cgroup rw,pids
33 25 0:29 / {root}/unified rw - cgroup2 cgroup2 rw
"""
MOUNTS_V2 = "30 25 0:26 / {root} rw - cgroup2 cgroup2 rw\n"


def proc(tmp_path: Path, mounts: str, own: str) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "mountinfo").write_text(mounts.format(root=tmp_path / "cgroup"))
    (folder / "cgroup").write_text(own)
    return folder


def test_version_1_is_found(tmp_path: Path) -> None:
    root = tmp_path / "cgroup"
    for place in ("memory/deep/er", "cpu,cpuacct", "pids", "unified"):
        (root / place).mkdir(parents=True)
    (root / "unified" / "cgroup.controllers").write_text("hugetlb\n")
    found = Hierarchies.find(proc(tmp_path, MOUNTS_V1, "4:memory:/deep/er\n3:cpu,cpuacct:/gone\n2:pids:/\n0::/\n"))
    assert found.version == 1
    assert found.roots == {
        "memory": root / "memory/deep/er",
        "cpu": root / "cpu,cpuacct",
        "cpuacct": root / "cpu,cpuacct",
        "pids": root / "pids",
    }
    assert found.missing() == []


def test_a_missing_controller_is_named(tmp_path: Path) -> None:
    found = Hierarchies.find(proc(tmp_path, "", "0::/\n"))
    assert found.missing() == ["memory", "cpu", "pids"]


class Version2:
    """A directory that looks like a version 2 hierarchy, in which we are the group ``own``."""

    def __init__(self, tmp_path: Path) -> None:
        self.own = tmp_path / "cgroup" / "own"
        self.own.mkdir(parents=True)
        self.furnish(self.own)
        self.proc = proc(tmp_path, MOUNTS_V2, "0::/own\n")

    @staticmethod
    def furnish(group: Path) -> None:
        (group / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        for name in ("cgroup.procs", "cgroup.subtree_control", "memory.max", "memory.swap.max", "cpu.max", "pids.max"):
            (group / name).write_text("")
        (group / "memory.peak").write_text("4096\n")
        (group / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n")
        (group / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
        (group / "pids.events").write_text("max 3\n")


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version2:
    made = Version2(tmp_path)
    mkdir = Path.mkdir

    def furnished(self: Path, *args: object, **options: object) -> None:
        existed = self.exists()
        mkdir(self, *args, **options)  # type: ignore[arg-type]
        if not existed and self.is_relative_to(made.own):
            made.furnish(self)  # as the kernel does

    monkeypatch.setattr(Path, "mkdir", furnished)
    return made


def test_version_2(version_2: Version2) -> None:
    found = Hierarchies.find(version_2.proc)
    assert found.version == 2
    assert found.missing() == []
    cgroups = Cgroups(found, "bathysphere-test")
    cgroups.prepare()
    base = version_2.own / "bathysphere-test"
    assert (version_2.own / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert (base / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    group = cgroups.create("one", LIMITS)
    written = {
        name: (base / "one" / name).read_text() for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max")
    }
    assert written == {
        "memory.max": "104857600", "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "32",
    }  # fmt: skip
    with group.entrances() as entrances:
        (entrance,) = entrances
        os.write(entrance, b"0")
    assert (base / "one" / "cgroup.procs").read_text() == "0"
    usage = group.usage()
    assert (usage.cpu_seconds, usage.peak_memory_bytes, usage.memory_kills, usage.process_refusals) == (1.5, 4096, 2, 3)


def test_version_2_with_controllers_that_are_not_handed_on(version_2: Version2) -> None:
    control = version_2.own / "cgroup.subtree_control"
    control.unlink()
    control.mkdir()  # whatever is written there fails
    with pytest.raises(CgroupError, match="Delegate=yes"):
        Cgroups(Hierarchies.find(version_2.proc), "bathysphere-test").prepare()


async def test_what_this_machine_has() -> None:
    found = Hierarchies.find()
    if found.missing():
        with pytest.raises(CgroupError, match=r"cannot be made|cannot be handed on"):
            Cgroups(Hierarchies(found.version, dict.fromkeys(("memory", "cpu", "pids"), Path("/proc"))), "x").prepare()
        return
    name = f"bathysphere-test-{os.urandom(4).hex()}"
    cgroups = Cgroups(found, name)
    cgroups.prepare()
    group = cgroups.create("one", LIMITS)
    places = set(group.places.values())
    assert all(place.is_dir() for place in places)
    with group.entrances() as entrances:
        sleeper = subprocess.Popen(
            ["sh", "-c", "for fd in $FDS; do echo 0 > /proc/self/fd/$fd; done; exec sleep 100"],
            pass_fds=entrances,
            env={"FDS": " ".join(map(str, entrances)), "PATH": os.environ["PATH"]},
        )
    while "sleep" not in Path(f"/proc/{sleeper.pid}/comm").read_text():
        pass
    assert all(str(sleeper.pid) in (place / "cgroup.procs").read_text().split() for place in places)
    with pytest.raises(CgroupError, match="limits of a sandbox"):
        cgroups.create("two", GroupLimits(memory_bytes=-5, cpus=1, processes=-7))
    # A later daemon finds the processes and groups of a killed one.
    Cgroups(found, name).remove()
    assert sleeper.wait() == -9
    assert not any(place.parent.exists() for place in places)
