"""What the two event loops do differently: writing to somebody who has gone, and closing what they were given."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import uvloop

from bathysphere.host.connection import queue_frame, write_frame
from bathysphere.host.engines.base import RunningSandbox
from bathysphere.host.sandbox import Sandbox
from bathysphere.settings import Settings

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.mark.parametrize("loop", LOOPS)
def test_who_writes_to_somebody_who_has_gone_is_told(loop: str) -> None:
    async def write() -> None:
        ours, theirs = socket.socketpair()
        _reader, writer = await asyncio.open_unix_connection(sock=ours)
        theirs.close()
        while not writer.is_closing():
            with contextlib.suppress(ConnectionError):
                await write_frame(writer, {"type": "output"}, b"x")
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionError):
            await write_frame(writer, {"type": "done"})
        queue_frame(writer, {"type": "output"}, b"x")

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(write())


class Pipes:
    """What an engine gives of a sandbox whose guest never says a word."""

    def __init__(self) -> None:
        self.guest_in, self.stdin = os.pipe()
        self.stdout, self.guest_out = os.pipe()

    def close(self) -> None:
        for descriptor in (self.guest_in, self.stdin, self.stdout, self.guest_out):
            os.close(descriptor)


def open_pipes() -> list[str]:
    """The ends of pipes that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(entry.readlink()))
    return sorted(link for link in found if link.startswith("pipe:"))


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("loop", LOOPS)
def test_a_start_that_is_given_up_closes_nothing_of_anybody_else(loop: str, steps: int) -> None:
    async def give_up() -> None:
        pipes = Pipes()
        before = open_pipes()
        connecting = asyncio.create_task(
            Sandbox.connect(cast("RunningSandbox", pipes), {}, Settings().sandbox, rlimits={}, fresh=False)
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        await asyncio.sleep(0.01)
        # They have the numbers that were given free.
        others = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
        del connecting
        gc.collect()
        await asyncio.sleep(0.01)
        for other in others:
            os.close(other)  # raises an error when it was closed already
        assert open_pipes() == before, "nothing is left open either"
        pipes.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(give_up())
