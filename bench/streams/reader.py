"""A client that does as little as can be done: it writes prepared bytes and looks for a few marks in what comes."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

_TOKEN: Final = b'"text_delta"'
_STREAM_END: Final = b"0\r\n\r\n"


@dataclass(slots=True)
class Answer:
    """What was measured of one answer, in seconds since the request was written; ``lags`` of each live token."""

    first_token: float
    whole: float
    lags: list[float] = field(default_factory=list)


class ReadFailed(Exception):
    """The answer was not the one that is measured."""


class Reader:
    """One kept-open connection. ``stream`` of the body decides how the answer is read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def connect(cls, port: int) -> Reader:
        """Connect to a port of this machine. Raises OSError."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        return cls(reader, writer, f"127.0.0.1:{port}")

    def prepared(self, body: dict[str, Any], key: str) -> bytes:
        """A request as bytes, as compact as the SDKs write it."""
        content = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: {self._host}\r\nx-api-key: {key}\r\n"
            "anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    async def ask(self, request: bytes, *, live: bool = False) -> Answer:
        """Send it and read the whole answer. Raises ReadFailed unless it is a 200 with tokens or a whole message."""
        started = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ReadFailed((head + await self._reader.read(2000)).decode(errors="replace"))
        lowered = head.lower()
        if b"transfer-encoding: chunked" not in lowered:
            length = int(lowered.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            body = await self._reader.readexactly(length)
            if b'"end_turn"' not in body:
                raise ReadFailed(body[:2000].decode(errors="replace"))
            taken = time.perf_counter() - started
            return Answer(taken, taken)
        answer = Answer(0.0, 0.0)
        received = bytearray()
        while not received.endswith(_STREAM_END):
            piece = await self._reader.read(1 << 20)
            if not piece:
                raise ReadFailed(f"the stream broke off after {bytes(received[-500:])!r}")
            received += piece
            if not answer.first_token and _TOKEN in received:
                answer.first_token = time.perf_counter() - started
            if live:
                self._note_lags(piece, answer)
        if b"message_stop" not in received or not answer.first_token:
            raise ReadFailed(received[-2000:].decode(errors="replace"))
        answer.whole = time.perf_counter() - started
        return answer

    @staticmethod
    def _note_lags(piece: bytes, answer: Answer) -> None:
        now = time.monotonic_ns()
        for part in piece.split(b'"text":"')[1:]:
            written = part.split(b'"', 1)[0]
            if written.isdigit():
                answer.lags.append((now - int(written)) / 1e9)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()
