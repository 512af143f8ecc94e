"""An upload is placed as what it is, or refused; what lies in its way is moved aside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from bathysphere.containers.host import SandboxFailed

from .conftest import Container

# Puts a link in the place of every upload that is on its way.
SWAPPER = b"""
import os, pathlib
os.chdir("/files/input")
os.symlink("/etc/passwd", "/tmp/link")
pathlib.Path("/tmp/ready").touch()
while True:
    for name in os.listdir("."):
        if name.endswith(".part"):
            try:
                os.link("/tmp/link", ".other", follow_symlinks=False)
            except OSError:
                os.symlink("/etc/passwd", ".other")
            os.replace(".other", name)
            raise SystemExit
"""


def running(argument: str) -> bool:
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if argument.encode() in process.read_bytes().split(b"\0"):
                return True
    return False


async def test_an_upload_that_is_exchanged_on_its_way(container: Container) -> None:
    await container.place("swapper.py", SWAPPER)
    await container.bash(
        f"python3 $INPUT_DIR/swapper.py {container.name} > /dev/null 2>&1 & "
        "until [ -e /tmp/ready ]; do sleep 0.01; done"
    )

    async def content() -> AsyncGenerator[bytes, None]:
        yield b"x" * 5
        while running(container.name):  # it ends when it has swapped
            await asyncio.sleep(0.01)
        yield b"x" * 5

    with pytest.raises(SandboxFailed, match="exchanged"):
        await container.host.place(container.name, "g.txt", 10, content())
    await container.place("g.txt", b"placed")
    assert (await container.bash("cat $INPUT_DIR/g.txt")).stdout == "placed"


@pytest.mark.parametrize("name", ["f.txt", "名" * 85, "x" * 255])
async def test_a_directory_in_the_way(container: Container, name: str) -> None:
    await container.bash(f"mkdir -p $INPUT_DIR/{name}; echo kept > $INPUT_DIR/{name}/inside")
    await container.place(name, b"new")
    seen = await container.bash(f"cat $INPUT_DIR/{name}; cat $INPUT_DIR/*.moved/inside; ls -A $INPUT_DIR | wc -l")
    assert seen.stdout == "newkept\n2\n"
