"""Frames to somebody who has gone: the same error in every event loop, which for uvloop's closed transports is ours."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
import uvloop

from bathysphere.host.connection import queue_frame, write_frame

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
