"""Containers that were started before anybody asked for them: at once there, and nothing of anybody in them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from bathysphere.containers.local import LocalHost
from bathysphere.host.processes import parent_of
from bathysphere.host.warm_pool import QUIET_SECONDS

from .conftest import ROOT, Container, MakeHost, groups_left, processes_of, wait_for_end
from .test_placing import daemon_of, guest_of

INSIDE = "pwd; ls -A; ls -A /tmp /files /files/input; id -u; stat -c %U /home/user /tmp/.. ; hostname"


async def filled(host: LocalHost, size: int) -> None:
    """Wait until the pool has as many as it may have."""
    while (await host.status()).ready < size:
        await asyncio.sleep(0.02)


def pooled(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "host" / "disks").iterdir() if path.name.startswith("pool-"))


def ended(pid: int) -> bool:
    """Whether a process has let go of all that it had open."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


async def test_a_container_from_the_pool_is_like_any_other(make_host: MakeHost, tmp_path: Path) -> None:
    ahead = make_host(host={"pool": 2})
    await ahead.start()
    await filled(ahead, 2)
    names = pooled(tmp_path / "data")
    await ahead.create("warm")
    assert (tmp_path / "data" / "host" / "disks" / "warm").exists()
    assert len(set(names) & set(pooled(tmp_path / "data"))) == 1
    cold = make_host(tmp_path / "other")
    await cold.create("cold")
    warm = await Container(ahead, "warm").bash(INSIDE)
    assert warm.stdout == (await Container(cold, "cold").bash(INSIDE)).stdout
    assert [container.id for container in await ahead.list()] == ["warm"]


async def test_every_container_gets_its_own(make_host: MakeHost) -> None:
    host = make_host(host={"pool": 3})
    names = [f"c{number}" for number in range(6)]
    await asyncio.gather(*(host.create(name) for name in names))
    await asyncio.gather(*(Container(host, name).bash(f"echo {name} > own; echo {name} > /tmp/own") for name in names))
    for name in names:
        assert (await Container(host, name).bash("cat own /tmp/own")).stdout == f"{name}\n{name}\n"
    await filled(host, 3)


async def test_its_files_last(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"pool": 1, "idle_seconds": 0.2})
    await host.start()
    await filled(host, 1)
    await host.create("one")
    await Container(host, "one").bash("echo kept > kept.txt")
    while (await host.list())[0].state != "suspended":
        await asyncio.sleep(0.05)
    assert (await Container(host, "one").bash("cat kept.txt")).stdout == "kept\n"
    os.kill(daemon_of(tmp_path / "data"), signal.SIGKILL)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    assert (await Container(host, "one").bash("cat kept.txt")).stdout == "kept\n"


async def test_it_gives_way(make_host: MakeHost) -> None:
    """What was started ahead counts, and goes first when there is no room."""
    host = make_host(host={"pool": 2, "max_sandboxes": 3})
    await host.start()
    await filled(host, 2)
    for name in ("one", "two", "three"):
        await host.create(name)
        await Container(host, name).bash("(sleep 1000) > /dev/null 2>&1 &")
    for name in ("one", "two", "three"):
        assert (await Container(host, name).bash("pgrep -cx sleep")).stdout == "1\n"


async def test_one_that_died_is_not_given_out(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"pool": 1})
    await host.start()
    await filled(host, 1)
    (name,) = pooled(tmp_path / "data")
    guest = guest_of(daemon_of(tmp_path / "data"))
    monitor = parent_of(guest)
    assert monitor is not None
    # Which has the guest's pipes open, too, and may be slow to end after it.
    os.kill(monitor, signal.SIGSTOP)
    try:
        os.kill(guest, signal.SIGKILL)
        while not ended(guest):
            await asyncio.sleep(0.001)
        await host.create("one")
        assert (await Container(host, "one").bash("echo fine")).stdout == "fine\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor, signal.SIGCONT)
    while name in pooled(tmp_path / "data"):
        await asyncio.sleep(0.02)


async def test_a_new_daemon_begins_anew(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"pool": 1})
    await host.start()
    await filled(host, 1)
    before = pooled(tmp_path / "data")
    os.kill(daemon_of(tmp_path / "data"), signal.SIGKILL)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    await host.start()
    await filled(host, 1)
    assert pooled(tmp_path / "data") != before
    assert len(pooled(tmp_path / "data")) == 1


async def test_nothing_of_it_stays(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"pool": 2})
    await host.start()
    await filled(host, 2)
    await host.close(stop_host=True)
    wait_for_end(tmp_path / "data")
    assert pooled(tmp_path / "data") == []
    assert processes_of(tmp_path / "data") == []
    if ROOT:
        assert groups_left(tmp_path / "data") == []


async def test_one_whose_interpreter_is_being_started_is_nobodys_yet(make_host: MakeHost, tmp_path: Path) -> None:
    """Two would speak with its guest at once."""
    host = make_host(host={"pool": 1, "preload": ["json"]})
    await host.start()
    await filled(host, 1)
    guest = guest_of(daemon_of(tmp_path / "data"))
    os.kill(guest, signal.SIGSTOP)
    await asyncio.sleep(QUIET_SECONDS + 0.5)
    await host.create("one")
    running = asyncio.create_task(Container(host, "one").bash("echo here"))
    await asyncio.sleep(0.5)
    os.kill(guest, signal.SIGCONT)
    assert (await running).stdout == "here\n"
    assert (await Container(host, "one").bash("echo again")).stdout == "again\n"
    await filled(host, 1)
