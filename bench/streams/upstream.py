"""A Messages API that answers at once, or a token at a time: what is measured is whoever stands in front of it.

python -m bench.streams.upstream PORT

The name of the model says how it answers. ``instant``: everything in one write, prepared beforehand. ``live-N-MS``: N
tokens, MS milliseconds apart, and each is the time on this machine's monotonic clock at which it was written, in
nanoseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, Final, cast

import uvloop

WORDS: Final = 20
_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_MESSAGE: Final = {
    "id": "msg_bench",
    "type": "message",
    "role": "assistant",
    "model": "instant",
    "stop_sequence": None,
}


def _record(kind: str, **members: Any) -> bytes:
    text = f"event: {kind}\ndata: {json.dumps({'type': kind, **members}, separators=(',', ':'))}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(text), text)


def _token(text: str) -> bytes:
    return _record("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


_OPENING: Final = _record(
    "message_start",
    message={**_MESSAGE, "content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
) + _record("content_block_start", index=0, content_block={"type": "text", "text": ""})
_ENDING: Final = (
    _record("content_block_stop", index=0)
    + _record(
        "message_delta",
        delta={"stop_reason": "end_turn", "stop_sequence": None},
        usage={"output_tokens": WORDS},
    )
    + _record("message_stop")
    + b"0\r\n\r\n"
)
_INSTANT: Final = _HEAD + _OPENING + b"".join(_token(f"word{number} ") for number in range(WORDS)) + _ENDING
_WHOLE_BODY: Final = json.dumps(
    {
        **_MESSAGE,
        "content": [{"type": "text", "text": " ".join(f"word{number}" for number in range(WORDS))}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": WORDS},
    }
).encode()
_WHOLE: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_WHOLE_BODY) + _WHOLE_BODY
)


class Upstream(asyncio.Protocol):
    """One connection. A request is read to its end; of its body only the model and ``stream`` are looked at."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See ``asyncio.Protocol``."""
        if self._answering is not None:
            self._answering.cancel()

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._received[:head_end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._received) < head_end + 4 + length:
            return
        # Parsing a long history would be counted as latency of whoever asks; what is needed stands outside of it.
        body = bytes(self._received[head_end + 4 : head_end + 4 + length])
        del self._received[: head_end + 4 + length]
        if b'"model":"live-' in body:
            _, count, pause = body.partition(b'"model":"')[2].split(b'"', 1)[0].decode().split("-")
            self._answering = asyncio.create_task(self._live(int(count), float(pause) / 1000))
        elif b'"stream":true' in body:
            self._transport.write(_INSTANT)
        else:
            self._transport.write(_WHOLE)

    async def _live(self, count: int, pause: float) -> None:
        self._transport.write(_HEAD + _OPENING)
        for _ in range(count):
            await asyncio.sleep(pause)
            self._transport.write(_token(str(time.monotonic_ns())))
        self._transport.write(_ENDING)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
