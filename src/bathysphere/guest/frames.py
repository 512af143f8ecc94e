"""Frames: how the guest, the daemon and the daemon's clients speak.

A frame is two unsigned 32-bit big-endian lengths, a JSON object of the first length, and raw bytes of the
second. Both are bounded; whoever receives a longer one ends the conversation.
"""

import struct

from .json_text import dumps, loads

MAX_HEADER = 64 * 1024
"""Bytes of JSON in one frame."""

MAX_PAYLOAD = 16 * 1024 * 1024
"""Raw bytes in one frame. Readers set narrower bounds where they expect less."""

CHUNK = 1024 * 1024
"""Bytes of file content in one frame."""

LENGTHS = struct.Struct("!II")


class FrameError(Exception):
    """What arrived is no frame, or a longer one than is allowed here."""


def encode(header: dict[str, object], payload: bytes = b"") -> bytes:
    """One frame. Raises FrameError when a bound is passed."""
    text = dumps(header)
    if len(text) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise FrameError(f"a frame of {len(text)} + {len(payload)} bytes is too long")
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def lengths(prefix: bytes, max_payload: int = MAX_PAYLOAD) -> tuple[int, int]:
    """The two lengths at the start of a frame. Raises FrameError when one passes its bound."""
    header, payload = LENGTHS.unpack(prefix)
    if header > MAX_HEADER or payload > max_payload:
        raise FrameError(f"a frame of {header} + {payload} bytes is longer than allowed")
    return header, payload


def parse_header(text: bytes) -> dict[str, object]:
    """The JSON object of a frame. Raises FrameError when it is none."""
    try:
        header = loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame's header is no JSON") from error
    if not isinstance(header, dict):
        raise FrameError("a frame's header is no JSON object")
    return header


class Decoder:
    """Frames out of bytes that arrive in pieces of any size."""

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._buffer = bytearray()
        self._max_payload = max_payload

    def feed(self, data: bytes) -> list[tuple[dict[str, object], bytes]]:
        """The frames that are complete now, in order. Raises FrameError; the decoder is then spent."""
        buffer = self._buffer
        buffer += data
        complete = []
        while len(buffer) >= LENGTHS.size:
            header, payload = lengths(bytes(buffer[: LENGTHS.size]), self._max_payload)
            start = LENGTHS.size + header
            if len(buffer) < start + payload:
                break
            complete.append((parse_header(bytes(buffer[LENGTHS.size : start])), bytes(buffer[start : start + payload])))
            del buffer[: start + payload]
        return complete
