"""Every failure as a wire error (WIRE j): the one place where exceptions become answers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bathysphere.api.observing import Observing, route_of
from bathysphere.api.request_id import RequestId, request_id
from bathysphere.store.database import DatabaseFull
from bathysphere.telemetry import metrics
from bathysphere.telemetry.tracing import Tracing
from bathysphere.wire.errors import (
    BY_STATUS,
    ApiError,
    AuthenticationFailed,
    InvalidRequest,
    PermissionDenied,
    ServerError,
)

_log = logging.getLogger(__name__)

_SHOWN: Final = 5
_MESSAGE_CHARACTERS: Final = 500
_PATH_CHARACTERS: Final = 200
# Where FastAPI found the value. Clients know their own names for the rest of the path only.
_SOURCES: Final = frozenset({"body", "query", "path", "header", "cookie"})
# What pydantic puts into a path for its own sake: "list[...]", "function-after[...]", "str".
_NOT_THE_CLIENTS: Final = re.compile(r".*[\[(].*|str|int|float|bool|none|dict|bytes", re.DOTALL)
_NOT_AN_OBJECT: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})
_OUR_CLASSES: Final = re.compile(r" or (instance of \w+|object to extract fields from)$")


class RefusedBody(HTTPException):
    """An error of the contract, raised where a body is read: FastAPI passes only HTTPExceptions on from there."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.status, error.message)
        self.error = error


def install(app: FastAPI, tracing: Tracing | None = None) -> None:
    """Make an application answer every failure as the protocol does, with a request id on every answer."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(DatabaseFull, _database_full)
    app.add_exception_handler(ClientDisconnect, _client_disconnect)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(Observing, tracing=tracing)
    app.add_middleware(RequestId)


def error_response(error: ApiError, scope: Scope | Mapping[str, Any], status: int | None = None) -> JSONResponse:
    """The answer for an error; ``status`` only where it is not that of the error's type."""
    return JSONResponse(error.body(request_id(scope)), status_code=status or error.status, headers=error_headers(error))


def error_headers(error: ApiError) -> dict[str, str]:
    """``retry-after`` in whole seconds, rounded up, and ``x-should-retry``, where the error has an opinion."""
    headers: dict[str, str] = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(max(0, -int(-error.retry_after_seconds // 1)))
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    return headers


def log_failure(error: ApiError, request: str | None) -> None:
    """A line in the server's log for what its operator may have to mend: any status of 500 or more."""
    if error.status >= 500:
        _log.warning("%s: %d %s: %s", request, error.status, error.type, error.reason)


def invalid_request(errors: Sequence[ErrorDetails] | Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """What pydantic found, in the protocol's words: ``messages.0.content: Field required``, joined by ``; ``."""
    shown = list(dict.fromkeys(_described(error) for error in errors))
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"and {len(shown) - _SHOWN} more"]
    return InvalidRequest("; ".join(shown))


def _described(error: Mapping[str, Any]) -> str:
    location: tuple[int | str, ...] = tuple(error.get("loc", ()))
    if error.get("type") == "json_invalid":
        at = f" at character {location[-1]}" if location and isinstance(location[-1], int) else ""
        return f"The request body is not valid JSON: {error.get('ctx', {}).get('error', 'malformed')}{at}"
    path = _path(location)
    context = error.get("ctx") or {}
    if error.get("type") == "union_tag_invalid":
        tag = _cut(str(context.get("tag")), _PATH_CHARACTERS)
        return f"{path}: `{tag}` is not supported by this server here: leave it out; {context.get('expected_tags')} are"
    if error.get("type") == "union_tag_not_found":
        return f"{path}.type: Field required"
    message = str(error.get("msg", "invalid")).removeprefix("Value error, ")
    message = _cut(_OUR_CLASSES.sub("", message), _MESSAGE_CHARACTERS)
    if not path and error.get("type") in _NOT_AN_OBJECT:
        return "The request body must be a JSON object, sent with Content-Type: application/json"
    if not path:
        return f"The request body is wrong: {message}"
    return f"{path}: {message}"


def _path(location: Iterable[int | str]) -> str:
    parts = list(location)
    if parts and parts[0] in _SOURCES:
        parts = parts[1:]
    named = [str(part) for part in parts if isinstance(part, int) or not _NOT_THE_CLIENTS.fullmatch(part)]
    return _cut(".".join(named), _PATH_CHARACTERS)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    if isinstance(error, AuthenticationFailed | PermissionDenied):
        metrics.DENIALS.labels(error.type).inc()
    log_failure(error, request_id(request.scope))
    return error_response(error, request.scope)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_response(invalid_request(error.errors()), request.scope)


def _about_base_url(path: str) -> str:
    """What to change where a client's base URL has `/v1` at its end and should not, or the other way round."""
    if path.startswith("/v1/v1/"):
        return " The client adds /v1 itself: leave it out of the base URL."
    if path.startswith(("/messages", "/files", "/models", "/skills")):
        return " The client does not add /v1 itself: the base URL has to end with it."
    return ""


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, RefusedBody):
        return error_response(error.error, request.scope)
    method, path = request.method, _cut(request.url.path, _PATH_CHARACTERS)
    messages = {
        404: f"Not found: there is no {path} here.{_about_base_url(path)}",
        405: f"Method not allowed: {path} does not take {method}.",
    }
    kind = BY_STATUS.get(error.status_code, InvalidRequest if error.status_code < 500 else ServerError)
    response = error_response(
        kind(messages.get(error.status_code, str(error.detail))), request.scope, status=error.status_code
    )
    response.headers.update(error.headers or {})
    return response


async def _database_full(request: Request, error: Exception) -> Response:
    _log.error("%s: %s", request_id(request.scope), error)
    return error_response(
        ServerError("The server's disk is full. Its operator has to make room.", should_retry=False), request.scope
    )


async def _client_disconnect(request: Request, error: Exception) -> Response:
    """Nobody is left to read it."""
    _log.info("%s: the client went away in the middle of its request", request_id(request.scope))
    return Response(status_code=400)


class UnexpectedErrors:
    """ASGI middleware: what nobody foresaw becomes a 500 that tells nothing of the inside; the log tells it all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watching(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watching)
        except Exception:
            _log.exception("%s: %s %s failed", request_id(scope), scope["method"], route_of(scope))
            if started:
                # The answer cannot be taken back. Letting the server cut the connection is the only honest end.
                raise
            await error_response(ServerError("Internal server error"), scope)(scope, receive, send)
