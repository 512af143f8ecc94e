"""A bound on request bodies that are read whole (WIRE j): 413 before they are in memory."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware for every path but the uploads, which are streamed and have a bound of their own."""

    def __init__(self, app: ASGIApp, limit_bytes: int, streamed: str) -> None:
        """``streamed`` is a regular expression for the paths of uploads."""
        self.app = app
        self.limit_bytes = limit_bytes
        self.streamed = re.compile(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Reading more than the limit raises an HTTPException with status 413."""
        if scope["type"] != "http" or self.streamed.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        read = 0

        def check(size: int) -> None:
            if size > self.limit_bytes:
                raise HTTPException(413, f"The request has more than {self.limit_bytes} bytes.")

        declared = dict(scope["headers"]).get(b"content-length", b"0")

        async def bounded() -> Message:
            nonlocal read
            check(int(declared) if declared.isdigit() else 0)
            message = await receive()
            read += len(message.get("body", b""))
            check(read)
            return message

        await self.app(scope, bounded, send)
