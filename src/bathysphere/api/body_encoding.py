"""Compressed request bodies (``content-encoding``), inflated on the way in and bounded while they are (WIRE j)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bathysphere.api.errors import RefusedBody
from bathysphere.wire.errors import InvalidRequest, TooLarge

_PIECE_BYTES: Final = 1024 * 1024
"""The most that is inflated before it is looked at: what a bomb can make us hold."""

# Window sizes as zlib wants them: with a gzip header, with zlib's own, with none.
_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15
_CODINGS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class BodyEncoding:
    """ASGI middleware. What is behind it reads plain bodies, and sees no ``content-encoding``.

    It belongs behind the bound on what is received; nothing is read, and so nothing inflated, before somebody behind
    it asks for the body. ``limit_bytes`` bounds the inflated body of every path but those of ``streamed`` (a regular
    expression), which have a bound of their own.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, streamed: str) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self.streamed = re.compile(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Reading its body raises RefusedBody: 400 for what cannot be inflated, 413 for too much."""
        codings = _codings(scope) if scope["type"] == "http" else []
        if not codings:
            await self.app(scope, receive, send)
            return
        limit = None if self.streamed.fullmatch(scope["path"]) else self.limit_bytes
        # The length is that of the compressed body, which nobody behind us will see.
        headers = [header for header in scope["headers"] if header[0] not in (b"content-encoding", b"content-length")]
        await self.app({**scope, "headers": headers}, _Inflated(receive, codings, limit), send)


def _codings(scope: Scope) -> list[str]:
    named = b",".join(value for name, value in scope["headers"] if name == b"content-encoding").decode("latin-1")
    parts = (part.strip().lower() for part in named.split(","))
    return [part for part in parts if part not in ("", "identity")]


class _Inflated:
    """A ``receive`` whose body messages are the inflated ones."""

    def __init__(self, receive: Receive, codings: list[str], limit_bytes: int | None) -> None:
        self._receive = receive
        self._codings = codings
        self._limit = limit_bytes
        self._pieces: Iterator[bytes] = iter(())
        self._inflater: _Inflater | None = None
        self._given = 0
        self._last = False

    async def __call__(self) -> Message:
        if self._inflater is None:
            self._inflater = _Inflater(self._window())
        while True:
            for piece in self._pieces:
                self._given += len(piece)
                if self._limit is not None and self._given > self._limit:
                    raise RefusedBody(
                        TooLarge(
                            f"The request has more than {self._limit} bytes once it is decompressed.",
                            error_code="request_body_too_large_after_decoding",
                        )
                    )
                return {"type": "http.request", "body": piece, "more_body": True}
            if self._last:
                self._last = False
                self._inflater.end()
                return {"type": "http.request", "body": b"", "more_body": False}
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._pieces = self._inflater.feed(message.get("body", b""))
            self._last = not message.get("more_body", False)

    def _window(self) -> int:
        if len(self._codings) > 1 or self._codings[0] not in _CODINGS:
            raise RefusedBody(
                InvalidRequest(
                    f"content-encoding: `{', '.join(self._codings)[:100]}` is not supported; send the body as it is, "
                    "or compressed once, with gzip or deflate",
                    error_code="request_body_encoding_unsupported",
                )
            )
        return _CODINGS[self._codings[0]]


class _Inflater:
    """Inflates piece by piece. Several gzip members one after another are one body."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that these bytes give, inflated one at a time. Raises RefusedBody."""
        while data:
            if self._stream.eof:
                if self._window != _GZIP:
                    raise _broken("there is something behind its end")
                self._stream = zlib.decompressobj(self._window)
            yield from self._inflate(data)
            data = self._stream.unused_data

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        if not self._fed and self._window == _ZLIB and data[0] & 0x0F != zlib.DEFLATED:
            # Some call deflate what has no header.
            self._window = _RAW
            self._stream = zlib.decompressobj(_RAW)
        self._fed = True
        more = True
        while more:
            try:
                piece = self._stream.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise _broken(str(error)) from error
            data = self._stream.unconsumed_tail
            # Without further input there may still be output that did not fit.
            more = bool(data) or len(piece) == _PIECE_BYTES
            if piece:
                yield piece

    def end(self) -> None:
        """The body has ended. Raises RefusedBody when it was cut off."""
        # A body of no bytes at all is an empty body, compressed or not.
        if self._fed and not self._stream.eof:
            raise _broken("it is cut off")


def _broken(why: str) -> RefusedBody:
    return RefusedBody(
        InvalidRequest(
            f"The request body is not what its content-encoding says: {why}",
            error_code="request_body_encoding_invalid",
        )
    )
