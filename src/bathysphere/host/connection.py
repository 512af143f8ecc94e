"""Frames over asyncio streams: between the daemon and its clients, and between the daemon and a guest."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from bathysphere.guest import frames
from bathysphere.guest.frames import FrameError

__all__ = ["FrameError", "read_frame", "write_frame"]


def closes_by_number() -> bool:
    """Whether the running event loop closes a descriptor itself, not by the object that it was given.

    Such an object must not close it too: by then the number may be that of somebody else's connection.
    """
    return isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def read_frame(
    reader: asyncio.StreamReader, max_payload: int = frames.MAX_PAYLOAD
) -> tuple[dict[str, Any], bytes] | None:
    """The next frame, or None when the other side has ended between two frames.

    Raises FrameError when what comes is no frame, is too long or ends in the middle.
    """
    try:
        prefix = await reader.readexactly(frames.LENGTHS.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise FrameError("the other side ended in the middle of a frame") from error
        return None
    header, payload = frames.lengths(prefix, max_payload)
    try:
        body = await reader.readexactly(header + payload)
    except asyncio.IncompleteReadError as error:
        raise FrameError("the other side ended in the middle of a frame") from error
    return frames.parse_header(body[:header]), body[header:]


async def write_frame(writer: asyncio.StreamWriter, header: dict[str, Any], payload: bytes = b"") -> None:
    """Send a frame and wait while the other side is behind. Raises ConnectionError."""
    if writer.is_closing():
        # To write all the same is an error of another kind in one event loop, and nothing at all in the other.
        raise ConnectionResetError("the other side has gone")
    writer.write(frames.encode(header, payload))
    await writer.drain()


def queue_frame(writer: asyncio.StreamWriter, header: dict[str, Any], payload: bytes = b"") -> None:
    """Send a frame without waiting. Nothing when the other side has gone; who waits for it is told."""
    if not writer.is_closing():
        writer.write(frames.encode(header, payload))
