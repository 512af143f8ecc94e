"""Forks: a copy of a container's disk as a container of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bathysphere.containers.host import Command, SandboxFailed, UnknownContainer
from bathysphere.containers.local import LocalHost

from .conftest import ROOT, Container, MakeHost

TREE = """
umask 027
echo precious > kept.txt; ln -s kept.txt link; ln kept.txt hard; mkdir -p deep/er; echo x > deep/er/file
ln -s /etc/passwd deep/outside; chmod 700 deep; mkfifo pipe; head -c 3000000 /dev/urandom > /tmp/noise
truncate -s 200M hole; touch -d 2020-01-02 old; echo input > $INPUT_DIR/given
"""
SHOWN = """
cd ~; find . /tmp /files/input -not -path './.*' -printf '%p %y %m %U %G %s %l %n %T@\\n' | grep -v '^/tmp d' | sort
sha256sum /tmp/noise kept.txt deep/er/file /files/input/given; du -k --apparent-size hole
"""


@pytest.fixture
async def host(make_host: MakeHost) -> LocalHost:
    return make_host()


async def test_a_fork_holds_what_the_container_held_and_each_goes_its_own_way(host: LocalHost) -> None:
    await host.create("one")
    one, two = Container(host, "one"), Container(host, "two")
    await one.bash(TREE)
    before = (await one.bash(SHOWN)).stdout
    await host.fork("one", "two")
    assert (await two.bash(SHOWN)).stdout == before
    assert "precious" not in before and "./deep/er/file f 640 1000 1000 2" in before
    await one.bash("echo changed > kept.txt; rm -r deep")
    await two.bash("echo added > new.txt")
    assert (await one.bash("cat kept.txt; ls deep new.txt 2>&1 | wc -l")).stdout == "changed\n2\n"
    assert (await two.bash("cat kept.txt new.txt deep/er/file")).stdout == "precious\nadded\nx\n"
    await host.delete("one")
    assert (await two.bash("cat hard")).stdout == "precious\n"


async def test_a_container_at_rest_and_a_fork_of_a_fork(host: LocalHost) -> None:
    await host.create("one")
    await Container(host, "one").bash("echo 1 > f")
    await host.close(stop_host=True)
    await host.fork("one", "two")
    await host.fork("two", "three")
    assert (await host.status()).sandboxes == 0
    assert (await Container(host, "three").bash("cat f; id -un; touch g; stat -c %U g")).stdout == "1\nuser\nuser\n"


async def test_it_waits_for_the_call_that_runs(host: LocalHost) -> None:
    await host.create("one")
    stream = host.execute("one", Command("bash", "echo half > f; echo x; sleep 0.5; echo whole > f", 60))
    await anext(stream)
    forking = asyncio.create_task(host.fork("one", "two"))
    async for _ in stream:
        pass
    await forking
    assert (await Container(host, "two").bash("cat f")).stdout == "whole\n"


async def test_background_processes_cannot_write_into_the_copy(host: LocalHost) -> None:
    await host.create("one")
    await Container(host, "one").bash("(while :; do echo x >> f; done) > /dev/null 2>&1 &")
    await host.fork("one", "two")
    for name in ("one", "two"):
        seen = await Container(host, name).bash("stat -c %s f; sleep 0.1; stat -c %s f; pgrep -xc bash")
        first, second, _count = seen.stdout.split()
        assert first == second


async def test_names_that_are_taken_or_unknown(host: LocalHost) -> None:
    await host.create("one")
    await host.create("two")
    await Container(host, "two").bash("echo 2 > f")
    with pytest.raises(SandboxFailed, match="already"):
        await host.fork("one", "two")
    assert (await Container(host, "two").bash("cat f")).stdout == "2\n"
    with pytest.raises(UnknownContainer):
        await host.fork("nobody", "three")
    with pytest.raises(ValueError, match="not valid"):
        await host.fork("one", "../three")
    assert [one.id for one in await host.list()] == ["one", "two"]


async def test_many_forks_at_once(host: LocalHost) -> None:
    await host.create("one")
    await Container(host, "one").bash("head -c 1000000 /dev/urandom > f")
    names = [f"fork{number}" for number in range(8)]
    await asyncio.gather(*(host.fork("one", name) for name in names))
    sums = await asyncio.gather(*(Container(host, name).bash("sha256sum f") for name in ["one", *names]))
    assert len({seen.stdout for seen in sums}) == 1


async def test_half_a_copy_is_cleared_away(host: LocalHost, tmp_path: Path) -> None:
    await host.create("one")
    await host.close(stop_host=True)
    removed = tmp_path / "data" / "host" / "disks-removed"
    (removed / "two.0123456789abcdef").write_bytes(b"half")
    assert [one.id for one in await host.list()] == ["one"]
    while any(removed.iterdir()):
        await asyncio.sleep(0.01)
    await host.fork("one", "two")
    assert (await Container(host, "two").bash("echo works")).stdout == "works\n"


async def test_a_fork_has_a_user_of_its_own(host: LocalHost) -> None:
    await host.create("one")
    await host.fork("one", "two")
    users = set()
    for number, name in enumerate(("one", "two")):
        seconds = 2_000_000 + number
        await Container(host, name).bash(f"sleep {seconds} > /dev/null 2>&1 &")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                users.add(path.parent.stat().st_uid)
    assert len(users) == (2 if ROOT else 1)
