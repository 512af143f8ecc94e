"""Files of any path on their way between a client of the daemon and a container."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from bathysphere.guest import frames
from bathysphere.host.connection import read_frame, write_frame
from bathysphere.host.contract import PathRefused
from bathysphere.host.sandbox import Sandbox

CLIENT_SECONDS = 120.0
"""How long a client may neither send nor take anything while it holds a container."""


async def read_path(sandbox: Sandbox, path: str, limit: int, writer: asyncio.StreamWriter) -> None:
    """Send a file: a frame with its ``size``, then its bytes. Raises GuestError, GuestRefusal, ConnectionError."""
    async with aclosing(sandbox.read_path(path, limit)) as content:
        async for item in content:
            async with asyncio.timeout(CLIENT_SECONDS):
                if isinstance(item, int):
                    await write_frame(writer, {"type": "size", "size": item})
                else:
                    await write_frame(writer, {"type": "data"}, item)


async def write_path(
    sandbox: Sandbox, path: str, limit: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take a file of at most ``limit`` bytes and write it; tells its size.

    Raises GuestError, GuestRefusal, PathRefused, ConnectionError; nothing is written then.
    """
    size = await sandbox.write_path(path, _content(reader, limit))
    await write_frame(writer, {"type": "written"}, json.dumps({"size": size}).encode())


async def bring_skill(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str
) -> AsyncGenerator[bytes, None]:
    """Ask for a skill, and give what comes: the list of its files, then their bytes. Raises ConnectionError."""
    try:
        await write_frame(writer, {"type": "missing", "skill": name})
        while True:
            async with asyncio.timeout(CLIENT_SECONDS):
                frame = await read_frame(reader)
            if frame is None:
                raise ConnectionResetError("the client ended in the middle of a skill")
            yield frame[1]
    except TimeoutError as error:
        raise ConnectionAbortedError("the client does not send the skill that it was asked for") from error


async def _content(reader: asyncio.StreamReader, limit: int) -> AsyncIterator[bytes]:
    """The bytes that come until a frame says that this was all: a connection that breaks does not look like an end."""
    while True:
        async with asyncio.timeout(CLIENT_SECONDS):
            frame = await read_frame(reader, frames.CHUNK)
        if frame is None:
            raise ConnectionResetError("the client ended in the middle of a file")
        header, data = frame
        limit -= len(data)
        if limit < 0:
            raise PathRefused("The file has more bytes than a whole disk of a container.")
        if data:
            yield data
        if header.get("end") is True:
            return
