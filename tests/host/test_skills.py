"""Bringing skills to a host: what it refuses, what is left when something fails, disks of earlier versions.

What a container sees of its skills is in the conformance suite.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from bathysphere.containers.host import SkillEntry, SkillFolder, UnknownContainer
from bathysphere.containers.local import LocalHost
from bathysphere.host.disks import filesystem
from bathysphere.host.disks.base import SKILL_PLACES
from bathysphere.host.skills import LARGEST_SKILL, checked_files, wanted_skills

from .conftest import ROOT, Container, MakeHost, wait_for_end
from .test_placing import daemon_of

MIB = 1024 * 1024
DIGEST = "0" * 64


def skill(
    name: str, files: dict[str, bytes], content: Callable[[], AsyncGenerator[bytes, None]] | None = None
) -> SkillFolder:
    async def whole() -> AsyncGenerator[bytes, None]:
        for data in files.values():
            yield data

    digest = hashlib.sha256(repr(files).encode()).hexdigest()
    entries = tuple(SkillEntry(path, len(data), path.startswith("scripts/")) for path, data in files.items())
    return SkillFolder(name, digest, entries, content or whole)


async def seen(container: Container) -> str:
    return (await container.bash("cd /skills && grep -r . | sort | head -c 1000")).stdout


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/x", "../x", "a/../../x", "a/..", "..", ".", "a/./b", "a//b", "a/", "a\0b", "half \ud800",
        "x" * 256, "/".join("x" * 200 for _ in range(6)), "/".join("x" * 33),
    ],
)  # fmt: skip
def test_paths_that_no_file_of_a_skill_has(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be a file's path|no list of a skill's files"):
        checked_files(json.dumps([("SKILL.md", 1, False), (path, 1, False)]).encode())


@pytest.mark.parametrize(
    "listed",
    [
        [("a", 1, False), ("a", 1, False)],
        [("a", 1, False), ("a/b", 1, False)],
        [("a", LARGEST_SKILL, False), ("b", 1, False)],
        [("a", -1, False)],
        [(f"f{number}", 0, False) for number in range(10_001)],
        {"a": 1},
    ],
)
def test_lists_that_no_skill_has(listed: object) -> None:
    with pytest.raises(ValueError, match="skill"):
        checked_files(json.dumps(listed).encode())


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a.b", "a b", "a\n", "x" * 65])
def test_names_that_no_skill_has(name: str) -> None:
    with pytest.raises(ValueError, match="no skills"):
        wanted_skills(json.dumps([{"name": name, "digest": DIGEST}]).encode())


def test_a_container_has_at_most_twenty_each_of_another_name() -> None:
    twenty = [{"name": f"s{number}", "digest": DIGEST} for number in range(20)]
    assert len(wanted_skills(json.dumps(twenty).encode())) == 20
    for wanted in (
        [*twenty, {"name": "s20", "digest": DIGEST}],
        [twenty[0], twenty[0]],
        [{**twenty[0], "digest": "x"}],
    ):
        with pytest.raises(ValueError, match=r"skills"):
            wanted_skills(json.dumps(wanted).encode())


async def test_what_is_wrong_changes_nothing(container: Container) -> None:
    """Whatever fails while skills are brought: the container has what it had, and can be given others."""
    first = skill("one", {"SKILL.md": b"first"})
    assert await container.host.set_skills(container.name, [first])

    async def short() -> AsyncGenerator[bytes, None]:
        yield b"x"

    async def fails() -> AsyncGenerator[bytes, None]:
        yield bytes(MIB)
        raise OSError("the store is gone")

    files = {"SKILL.md": b"second", "big": bytes(3 * MIB)}
    for content, error in ((short, ValueError), (fails, OSError)):
        with pytest.raises(error):
            await container.host.set_skills(
                container.name, [skill("one", {"SKILL.md": b"second"}), skill("two", files, content)]
            )
        assert await seen(container) == "one/SKILL.md:first\n"
    with pytest.raises(ValueError, match="cannot be a file's path"):
        await container.host.set_skills(container.name, [first, skill("two", {"../../home/user/x": b"y"})])
    with pytest.raises(UnknownContainer):
        await container.host.set_skills("none", [first])
    assert not await container.host.set_skills(container.name, [first]), "it is as it was"
    assert await container.host.set_skills(container.name, [skill("two", {"SKILL.md": b"second"})])
    assert await seen(container) == "two/SKILL.md:second\n"


async def test_the_daemon_is_killed_in_the_middle(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host()
    await host.create("one")
    container = Container(host, "one")
    await host.set_skills("one", [skill("one", {"SKILL.md": b"first"})])
    files = {"SKILL.md": b"second", "big": bytes(3 * MIB)}

    async def stops() -> AsyncGenerator[bytes, None]:
        yield b"second" + bytes(MIB)
        os.kill(daemon_of(tmp_path / "data"), signal.SIGKILL)
        yield bytes(2 * MIB)

    changed = skill("one", {"SKILL.md": b"changed"})
    with pytest.raises(Exception, match="ended in the middle"):
        await host.set_skills("one", [changed, skill("two", files, stops)])
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert await seen(container) == "one/SKILL.md:first\n"
    assert await host.set_skills("one", [changed])
    assert await seen(container) == "one/SKILL.md:changed\n"


async def test_two_requests_at_once_leave_what_one_of_them_wanted(container: Container) -> None:
    sets = [[skill(name, {"SKILL.md": name.encode()})] for name in ("one", "two", "three")]
    await asyncio.gather(*(container.host.set_skills(container.name, wanted) for wanted in sets * 3))
    assert await seen(container) in {f"{name}/SKILL.md:{name}\n" for name in ("one", "two", "three")}


async def test_skills_keep_nothing_awake(make_host: MakeHost) -> None:
    """To be given others again and again is no use of a container, so what it left in its background ends."""
    host = make_host(host={"idle_seconds": 0.3})
    await host.create("one")
    await Container(host, "one").bash("sleep 1000 &")
    for number in range(300):
        await asyncio.sleep(0.05)
        if (await host.list())[0].state == "suspended":
            break
        await host.set_skills("one", [skill("one", {"SKILL.md": str(number).encode()})])
    assert (await host.list())[0].state == "suspended"
    assert await seen(Container(host, "one")) == f"one/SKILL.md:{number - 1}\n"


def debugfs(disk: Path, command: str) -> str:
    return subprocess.run(
        ["debugfs", "-w", "-R", command, str(disk)], check=True, capture_output=True, text=True
    ).stdout


async def test_a_disk_of_an_earlier_version(make_host: MakeHost, tmp_path: Path) -> None:
    """It had no place for skills; one is made when it is next attached."""
    host = make_host()
    await host.create("old")
    container = Container(host, "old")
    await container.bash("echo kept > file")
    await host.close(stop_host=True)
    disk = tmp_path / "data" / "host" / "disks" / "old"
    if ROOT:
        # The sandbox's user owns nothing of it: not the read-only mount alone keeps it from changes.
        assert f"User:  {filesystem.SKILLS_OWNER}" in debugfs(disk, "stat skills")
        for place in ("skills/set", *reversed(SKILL_PLACES)):
            debugfs(disk, f"rm {place}" if place == "skills/set" else f"rmdir {place}")
        assert "skills" not in debugfs(disk, "ls")
    else:
        shutil.rmtree(disk / "skills")
    host = make_host()
    assert await host.set_skills("old", [skill("one", {"SKILL.md": b"first"})])
    assert await seen(Container(host, "old")) == "one/SKILL.md:first\n"
    assert (await Container(host, "old").bash("cat file; cat /skills/../home/user/file")).stdout == "kept\nkept\n"


async def test_a_host_without_a_container_is_asked_for_nothing(host: LocalHost) -> None:
    with pytest.raises(ValueError, match="no skills"):
        await host.set_skills("any", [skill("../x", {"SKILL.md": b"x"})])
