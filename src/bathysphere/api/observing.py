"""Each request as an operator sees it: its time, its trace, its line in the log (docs/observing.md)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bathysphere.api.request_id import request_id
from bathysphere.store.keys import Identity
from bathysphere.telemetry import metrics
from bathysphere.telemetry.logs import FIELDS, REQUESTS
from bathysphere.telemetry.tracing import Span, Tracing, enter_request

_log = logging.getLogger(REQUESTS)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MODEL_CHARACTERS: Final = 100


class Observing:
    """ASGI middleware; directly inside of RequestId."""

    def __init__(self, app: ASGIApp, tracing: Tracing | None = None) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = request_id(scope) or ""
        span = None
        if self._tracing is not None:
            span = self._tracing.request(identifier, "request", Headers(scope=scope).get("traceparent"))
        enter_request(identifier, span)
        began = time.perf_counter()
        status = sent = 0

        async def watching(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        metrics.REQUESTS_RUNNING.inc()
        try:
            await self.app(scope, receive, watching)
        finally:
            seconds = time.perf_counter() - began
            metrics.REQUESTS_RUNNING.dec()
            method, route = _method(scope), route_of(scope)
            metrics.REQUEST_SECONDS.labels(method, route, str(status or "none")).observe(seconds)
            if span is not None:
                _describe(span, scope, method, route, status, sent)
            if _log.isEnabledFor(logging.INFO):
                _write_line(scope, method, route, status, seconds, sent)


def route_of(scope: Scope | Mapping[str, Any]) -> str:
    """The template of the route that a request came to, without what its path says; ``unmatched`` for none."""
    route = scope.get("route")
    return route.path_format if isinstance(route, APIRoute) else "unmatched"


def note_model(scope: Scope | Mapping[str, Any], model: str) -> None:
    """Have the request's line in the log name the model that was asked for."""
    scope["state"]["model"] = model[:_MODEL_CHARACTERS]


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _ids(scope: Scope) -> dict[str, str | None]:
    identity = scope["state"].get("identity")
    if not isinstance(identity, Identity):
        return {}
    return {
        "organization_id": identity.organization_id,
        "workspace_id": identity.workspace_id,
        "api_key_id": identity.api_key_id,
    }


def _describe(span: Span, scope: Scope, method: str, route: str, status: int, sent: int) -> None:
    span.rename(f"{method} {route}")
    span.set(
        request_id=request_id(scope),
        http__request__method=method,
        http__route=route,
        http__response__status_code=status or None,
        http__response__body__size=sent,
        **_ids(scope),
    )
    if not 0 < status < 500:
        span.failed(str(status) if status else "no answer")
    span.end()


def _write_line(scope: Scope, method: str, route: str, status: int, seconds: float, sent: int) -> None:
    fields: dict[str, Any] = {"method": method, "route": route, "status": status, "seconds": round(seconds, 6)}
    fields |= _ids(scope)
    fields["model"] = scope["state"].get("model")
    # A body without a length, in chunks, is not counted.
    length = Headers(scope=scope).get("content-length", "")
    fields["received_bytes"] = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
    fields["sent_bytes"] = sent
    _log.info("request", extra={FIELDS: {name: value for name, value in fields.items() if value is not None}})
