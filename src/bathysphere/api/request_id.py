"""Every answer carries ``request-id: req_…``: streams and errors too (WIRE j)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bathysphere.wire.ids import new_request_id


class RequestId:
    """ASGI middleware; the outermost, so that no answer goes around it.

    It keeps two things in ``scope["state"]``: ``request_id``, and ``response_headers``, a dict of headers that go
    onto the answer whatever it turns out to be.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = new_request_id()
        extra: dict[str, str] = {}
        state = scope.setdefault("state", {})
        state["request_id"] = identifier
        state["response_headers"] = extra

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["request-id"] = identifier
                for name, value in extra.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers)


def request_id(scope: Scope | Mapping[str, Any]) -> str | None:
    """The id of the request that this scope belongs to; None outside of RequestId."""
    found = scope.get("state", {}).get("request_id")
    return found if isinstance(found, str) else None


def answer_headers(scope: Scope | Mapping[str, Any]) -> dict[str, str]:
    """The headers that will go onto the answer, whatever it turns out to be; add to them until it begins."""
    headers: dict[str, str] = scope["state"]["response_headers"]
    return headers
