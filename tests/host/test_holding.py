"""Containers that stand still while their disk is copied from outside."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from bathysphere.containers.host import HostUnavailable, UnknownContainer
from bathysphere.containers.operating import RunningHost
from bathysphere.host import operations, stillness
from bathysphere.host.contract import HoldOver

from .conftest import Container, MakeHost
from .test_placing import daemon_of

WRITING = "(trap '' CONT; i=0; while :; do i=$((i + 1)); echo $i >> f; done) > /dev/null 2>&1 & sleep 0.1"


def written(disk: Path) -> dict[Path, int]:
    """What tells that somebody has written to a disk: an image as root, else a folder."""
    return {file: file.stat().st_mtime_ns for file in (disk, *disk.rglob("*")) if file.is_file()}


async def test_what_runs_stands_still_and_goes_on(data: Path, container: Container) -> None:
    await container.bash(WRITING)
    disk = data / "host" / "disks" / container.name
    async with RunningHost(data).held(container.name):
        before = written(disk)
        await asyncio.sleep(0.3)
        assert written(disk) == before
        waiting = asyncio.create_task(container.bash("pgrep -f '[t]rap'"))
        await asyncio.sleep(0.1)
        assert not waiting.done(), "a call waits"
    assert (await waiting).stdout != "", "the same processes are there"
    first, second = (await container.bash("wc -l < f; sleep 0.2; wc -l < f")).stdout.split()
    assert int(second) > int(first), "and go on"
    assert written(disk) != before


async def test_a_process_that_stood_still_before_does_not_go_on(data: Path, container: Container) -> None:
    await container.bash("sleep 1000 > /dev/null 2>&1 & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP $!")
    async with RunningHost(data).held(container.name):
        pass
    assert (await container.bash("cut -d' ' -f3 /proc/$(pgrep sleep)/stat")).stdout == "T\n"


async def test_a_container_at_rest_and_one_that_is_not_there(data: Path, container: Container) -> None:
    await container.bash("echo 1 > f; sleep 1000 > /dev/null 2>&1 &")
    running = RunningHost(data)
    async with running.held(container.name, rest=True):
        (listed,) = (listed for listed in await container.host.list() if listed.id == container.name)
        assert listed.state == "busy"
    async with running.held(container.name):
        pass
    assert (await container.bash("cat f; pgrep -c sleep")).stdout == "1\n0\n"
    with pytest.raises(UnknownContainer):
        async with running.held("nobody"):
            pass


async def test_whoever_holds_a_container_and_goes_away_lets_go_of_it(data: Path, container: Container) -> None:
    await container.bash(WRITING)
    with pytest.raises(ZeroDivisionError):
        async with RunningHost(data).held(container.name):
            raise ZeroDivisionError
    assert (await container.bash("pgrep -f '[t]rap'")).stdout != ""


async def test_a_daemon_that_is_killed_meanwhile_leaves_nothing_that_stands_still(make_host: MakeHost) -> None:
    host = make_host()
    await host.create("one")
    one = Container(host, "one")
    await one.bash("sleep 1000 > /dev/null 2>&1 &")
    daemon = daemon_of(host._configuration.data)
    family = stillness._family([daemon])
    with pytest.raises(HostUnavailable):
        async with RunningHost(host._configuration.data).held("one"):
            assert {seen.state for pid, seen in stillness._family([daemon]).items() if pid != daemon} >= {"T"}
            os.kill(daemon, signal.SIGKILL)
    # Until it is gone, connections to it are taken for good ones.
    while (left := stillness._look(daemon)) is not None and left.state not in "ZX":
        await asyncio.sleep(0.01)
    assert (await one.bash("pgrep -c sleep")).stdout == "0\n", "it is started anew on the same disk"
    assert not [pid for pid in family if (seen := stillness._look(pid)) is not None and seen.state not in "ZX"]


def test_the_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < operations.HOLD_SECONDS <= 60
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    try:
        monkeypatch.setattr(stillness, "STOP_SECONDS", 0.0)
        monkeypatch.setattr(stillness, "_STANDING", frozenset())
        with pytest.raises(TimeoutError):
            stillness.stop([child])
        monkeypatch.undo()
        seen = stillness._look(child)
        assert seen is not None and seen.state == "S", "what could not be stopped in time goes on"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert issubclass(HoldOver, Exception)
