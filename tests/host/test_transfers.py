"""Reading and writing files of any path: whole or not at all, and only where the container's programs may go."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bathysphere.containers.host import DiskFull, PathNotFound, PathRefused, UnknownContainer
from bathysphere.containers.local import LocalHost
from tests.host.conftest import Container, MakeHost

MIB = 1024 * 1024


async def read(container: Container, path: str) -> bytes:
    size: int | None = None
    data = b""
    async for item in container.host.read_path(container.name, path):
        if isinstance(item, int):
            assert size is None, "the size comes once, and first"
            size = item
        else:
            assert size is not None
            assert len(item) <= MIB
            data += item
    assert size == len(data)
    return data


async def write(container: Container, path: str, *chunks: bytes) -> int:
    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return await container.host.write_path(container.name, path, content())


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 17])
async def test_what_is_written_is_what_is_read(container: Container, size: int) -> None:
    data = os.urandom(size)
    assert await write(container, "data.bin", data) == size
    assert await read(container, "/home/user/data.bin") == data
    seen = await container.bash("sha256sum data.bin | cut -d' ' -f1; stat -c %a data.bin")
    assert seen.stdout.split() == [hashlib.sha256(data).hexdigest(), "644"]


async def test_paths_are_read_as_the_editors(container: Container) -> None:
    await write(container, "~/a/b/c.txt", b"one")
    await write(container, "$INPUT_DIR/in.txt", b"two")
    await write(container, "/tmp/three.txt", b"three")
    seen = await container.bash('cat a/b/c.txt "$INPUT_DIR/in.txt" /tmp/three.txt')
    assert seen.stdout == "onetwothree"
    assert await read(container, "$INPUT_DIR/../input/in.txt") == b"two"


async def test_a_file_that_is_replaced_keeps_its_mode_and_links_stay_links(container: Container) -> None:
    await container.bash("echo old > tool.sh; chmod 750 tool.sh; ln -s tool.sh link")
    await write(container, "link", b"new")
    seen = await container.bash("stat -c %a tool.sh; cat tool.sh; readlink link; ls -A | grep part")
    assert seen.stdout == "750\nnewtool.sh\n"


@pytest.mark.parametrize("path", ["missing", "/home/user/none/file", "dangling"])
async def test_what_is_not_there(container: Container, path: str) -> None:
    await container.bash("ln -s nowhere dangling")
    with pytest.raises(PathNotFound):
        await read(container, path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a\0b",
        "half \ud800",
        "x" * 5000,
        "/" + "é" * 3000,
        "/tmp",
        "pipe",
        "/dev/null",
        "/dev/zero",
        "/proc/1/environ",
        "/proc/self/mem",
        "/proc/self/maps",
        "circle",
    ],
)
async def test_what_is_no_file_to_be_read(container: Container, path: str) -> None:
    await container.bash("mkfifo pipe; ln -s circle circle")
    with pytest.raises(PathRefused) as refused:
        await read(container, path)
    assert len(str(refused.value)) < 1000
    assert (await container.bash("echo alive")).stdout == "alive\n"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a\0b",
        "half \ud800",
        "x" * 5000,
        "x" * 300,
        "/tmp",
        "dir/",
        "pipe",
        "/dev/null",
        "/proc/self/oom_score_adj",
        "/usr/bin/python3",
        "/newfile",
        "circle",
        "locked",
        "file/below",
        "deep/" * 400 + "x",
    ],
)
async def test_what_cannot_be_written(container: Container, path: str) -> None:
    await container.bash(
        "mkdir dir; mkfifo pipe; ln -s circle circle; echo mine > locked; chmod 400 locked; echo > file"
    )
    with pytest.raises(PathRefused):
        await write(container, path, b"data" * MIB)
    seen = await container.bash("cat locked; find / -name '*.part' 2>/dev/null")
    assert seen.stdout == "mine\n"


async def test_links_lead_nowhere_outside(container: Container) -> None:
    """The path is looked up inside, so the host's own file of that name is not what is read."""
    await container.bash("ln -s /etc/passwd link")
    inside = (await container.bash("cat /etc/passwd")).stdout
    assert inside != Path("/etc/passwd").read_text()
    assert (await read(container, "link")).decode() == inside


async def test_a_source_that_breaks_off_leaves_what_was_there(container: Container) -> None:
    await write(container, "kept.txt", b"before")

    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError):
        await container.host.write_path(container.name, "kept.txt", breaking())
    assert await read(container, "kept.txt") == b"before"
    assert (await container.bash("ls -A | grep part")).stdout == ""


async def test_a_reader_that_stops_early_leaves_the_container_usable(container: Container) -> None:
    await write(container, "large.bin", bytes(40 * MIB))
    stream = container.host.read_path(container.name, "large.bin")
    assert await anext(stream) == 40 * MIB
    await anext(stream)
    await stream.aclose()
    assert (await container.bash("echo next")).stdout == "next\n"


async def test_transfers_and_commands_wait_for_each_other(container: Container) -> None:
    held = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"first "
        await held.wait()
        yield b"second"

    writing = asyncio.create_task(container.host.write_path(container.name, "slow.txt", slow()))
    while (await container.host.list())[0].state == "idle" and not writing.done():
        await asyncio.sleep(0.01)
    reading = asyncio.create_task(container.bash("cat slow.txt"))
    await asyncio.sleep(0.05)
    held.set()
    await writing
    assert (await reading).stdout == "first second"


async def test_a_container_that_is_not_there(host: LocalHost) -> None:
    nowhere = Container(host, "container_nowhere")
    with pytest.raises(UnknownContainer):
        await read(nowhere, "x")
    with pytest.raises(UnknownContainer):
        await write(nowhere, "x", b"data" * MIB)


async def test_a_file_larger_than_the_disk_is_refused(make_host: MakeHost) -> None:
    host = make_host(sandbox={"disk_bytes": 64 * MIB})
    await host.create("container_1")
    container = Container(host, "container_1")
    with pytest.raises((PathRefused, DiskFull)):
        await write(container, "large.bin", *[bytes(MIB)] * 65)
    assert (await container.bash("ls -A | grep -E 'part|large'")).stdout == ""
    assert (await container.bash("truncate -s 65M sparse || echo refused")).stdout == "refused\n"


async def test_a_file_from_times_of_a_larger_disk_is_refused(make_host: MakeHost) -> None:
    before = make_host(sandbox={"disk_bytes": 128 * MIB})
    await before.create("container_1")
    await Container(before, "container_1").bash("truncate -s 100M sparse")
    await before.close(stop_host=True)
    with pytest.raises(PathRefused):
        await read(Container(make_host(sandbox={"disk_bytes": 64 * MIB}), "container_1"), "sparse")


async def test_the_list_names_every_container_and_its_state(make_host: MakeHost) -> None:
    host = make_host(host={"idle_seconds": 0.1})
    assert await host.list() == []
    for name in ("container_b", "container_a"):
        await host.create(name)
    running = asyncio.create_task(Container(host, "container_a").bash("until [ -e go ]; do sleep 0.02; done"))
    while [(entry.id, entry.state) for entry in await host.list()] != [
        ("container_a", "busy"),
        ("container_b", "suspended"),
    ]:
        assert not running.done()
        await asyncio.sleep(0.05)
    assert all(0 <= entry.age_seconds < 600 for entry in await host.list())
    await host.delete("container_b")
    assert [entry.id for entry in await host.list()] == ["container_a"]
    running.cancel()
