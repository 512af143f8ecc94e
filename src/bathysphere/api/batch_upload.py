"""Receiving a batch: read from the socket piece by piece into the store, never whole in memory (WIRE f)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import anyio.to_thread
import ijson
from fastapi import Request
from pydantic import ValidationError

from bathysphere.api.errors import invalid_request
from bathysphere.api.services import Storage
from bathysphere.api.turns import forwarded
from bathysphere.store import batches
from bathysphere.store.batches import Batch, Origin
from bathysphere.store.keys import Identity
from bathysphere.telemetry import metrics
from bathysphere.wire.batches import BatchRequest, duplicate
from bathysphere.wire.errors import InvalidRequest, RateLimited, ServerError, TooLarge
from bathysphere.wire.requests import MAX_DEPTH

_PIECE_BYTES: Final = 1024 * 1024
_PIECE_REQUESTS: Final = 1_000
_IDEMPOTENCY_KEY_CHARACTERS: Final = 255


async def receive_batch(request: Request, caller: Identity, storing: Storage) -> Batch:
    """Read the body of ``POST /v1/messages/batches`` and store its requests; on any failure nothing of it runs.

    Raises InvalidRequest, TooLarge, RateLimited (too much waits already), ServerError (disk full), and
    ClientDisconnect when the client goes away.
    """
    settings = storing.settings.batches
    _check_announced(request.headers.get("content-length"), settings.request_bytes)
    origin = _origin(request, caller)
    digest = hashlib.sha256()
    batch_id = await batches.receive(storing.database, origin)
    try:
        count = 0
        body = _bounded(request.stream(), settings.request_bytes, digest.update)
        async for piece in _pieces(body, settings.requests, storing.settings.limits.request_bytes):
            await _check_disk(storing)
            await batches.add(storing.database, batch_id, piece)
            count += len(piece)
        if count == 0:
            raise InvalidRequest("requests: List should have at least 1 item after validation, not 0")
        return await batches.finish(
            storing.database,
            batch_id,
            origin,
            count,
            digest.hexdigest(),
            timedelta(hours=settings.expiry_hours),
            settings.waiting_requests,
        )
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await batches.abandon(storing.database, batch_id)
        match error:
            case batches.TooManyWaiting():
                metrics.DENIALS.labels("waiting_batch_requests").inc()
                raise RateLimited(
                    f"The workspace's batches would hold more than {settings.waiting_requests} requests. "
                    "Wait until some of them have ended, or cancel them.",
                    retry_after_seconds=60,
                ) from error
            case batches.OtherBody():
                raise InvalidRequest(
                    "Idempotency-Key: it has been used with another body; take a new one for a new batch"
                ) from error
        raise


def _origin(request: Request, caller: Identity) -> Origin:
    key = request.headers.get("idempotency-key") or None
    if key is not None and len(key) > _IDEMPOTENCY_KEY_CHARACTERS:
        raise InvalidRequest(f"Idempotency-Key: at most {_IDEMPOTENCY_KEY_CHARACTERS} characters")
    return Origin(
        caller.workspace_id,
        caller.api_key_id,
        forwarded(request.headers),
        key,
        retry=request.headers.get("x-stainless-retry-count", "0") != "0",
        began=datetime.now(UTC),
    )


def _check_announced(content_length: str | None, most: int) -> None:
    """Refuse by the Content-Length, before a byte of the body is read."""
    if content_length is None or not content_length.isdecimal():
        return
    if len(content_length) > 18 or int(content_length) > most:
        raise _too_large(most)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The batch has more than {most} bytes. Split it into several.")


async def _bounded(stream: AsyncIterator[bytes], most: int, seen: Any) -> AsyncIterator[bytes]:
    total = 0
    async for chunk in stream:
        if not chunk:
            continue  # to the parser, an empty piece is the end
        total += len(chunk)
        if total > most:
            raise _too_large(most)
        seen(chunk)
        yield chunk


async def _check_disk(storing: Storage) -> None:
    usage = await anyio.to_thread.run_sync(shutil.disk_usage, storing.database.data)
    if usage.free < storing.settings.limits.reserve_bytes + _PIECE_BYTES:
        raise ServerError(
            "The server's disk is full: the batch was not stored. Its operator has to make room.", should_retry=False
        )


async def _pieces(
    body: AsyncIterator[bytes], most_requests: int, request_bytes: int
) -> AsyncIterator[list[tuple[str, str]]]:
    """The requests as custom id and params in JSON, some thousand or a megabyte of them at a time."""
    parser = _Parser(most_requests, request_bytes)
    piece: list[tuple[str, str]] = []
    size = 0
    async for chunk in body:
        for name, params in parser.feed(chunk):
            piece.append((name, params))
            size += len(params)
            if size >= _PIECE_BYTES or len(piece) >= _PIECE_REQUESTS:
                yield piece
                piece, size = [], 0
    parser.close()
    if piece:
        yield piece


class _Parser:
    """Takes the body in pieces, and gives each request as soon as it is whole."""

    def __init__(self, most_requests: int, request_bytes: int) -> None:
        self._most_requests = most_requests
        self._request_bytes = request_bytes
        self._found: Any = ijson.sendable_list()
        self._parsing: Any = ijson.items_coro(self._found, "requests.item")
        self._names: set[str] = set()
        self._unfinished_bytes = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """The requests that end in this piece. Raises InvalidRequest and TooLarge."""
        self._parse(lambda: self._parsing.send(chunk))
        self._unfinished_bytes = 0 if self._found else self._unfinished_bytes + len(chunk)
        if self._unfinished_bytes > self._request_bytes:
            raise TooLarge(
                f"requests.{len(self._names)}: has more than {self._request_bytes} bytes, which no request may have"
            )
        for value in self._found:
            yield self._checked(value)
        del self._found[:]

    def close(self) -> None:
        """The body is at its end. Raises InvalidRequest when its JSON is not."""
        self._parse(self._parsing.close)

    def _parse(self, step: Any) -> None:
        try:
            step()
        except ijson.JSONError as error:
            reason = error.args[0] if error.args else ""
            text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            # What follows shows the place, with the client's own words around it.
            raise InvalidRequest(f"The request body is not valid JSON: {text.strip().splitlines()[0]}") from error

    def _checked(self, value: Any) -> tuple[str, str]:
        number = len(self._names)
        if number >= self._most_requests:
            raise InvalidRequest(f"requests: List should have at most {self._most_requests} items after validation")
        try:
            request = BatchRequest.model_validate(value)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise invalid_request([{**one, "loc": ("requests", number, *one["loc"])} for one in found]) from error
        if request.custom_id in self._names:
            raise duplicate(request.custom_id)
        self._names.add(request.custom_id)
        try:
            # The parser keeps numbers with a fraction exact, as decimals.
            text = json.dumps(request.params, default=float, allow_nan=False, separators=(",", ":"))
        except RecursionError as error:
            raise InvalidRequest(f"requests.{number}.params: nested deeper than {MAX_DEPTH} levels") from error
        except ValueError as error:
            raise InvalidRequest(f"requests.{number}.params: holds a number that is too large") from error
        return request.custom_id, text
