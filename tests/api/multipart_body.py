"""Multipart bodies to the byte, as clients of all kinds send them."""

from __future__ import annotations

from collections.abc import Iterable

BOUNDARY = "b0undary"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(disposition: str | bytes, content: bytes, *headers: str) -> bytes:
    """One part; ``disposition`` is what follows ``form-data; ``."""
    raw = disposition if isinstance(disposition, bytes) else disposition.encode()
    lines = [b"Content-Disposition: form-data; " + raw, *(header.encode() for header in headers)]
    return b"--" + BOUNDARY.encode() + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + content + b"\r\n"


def body(parts: Iterable[bytes]) -> bytes:
    """A whole body."""
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"
