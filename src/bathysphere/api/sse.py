"""Server-sent events (WIRE d): a turn's events written out as they come, with pings while it is silent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import Any, Final

import anyio
from pydantic import BaseModel

from bathysphere.api.draining import Draining, ending
from bathysphere.api.errors import log_failure
from bathysphere.telemetry import metrics
from bathysphere.wire.errors import ApiError, ServerError
from bathysphere.wire.events import Ping, event_wire

_log = logging.getLogger(__name__)

HEADERS: Final = {
    "cache-control": "no-cache, no-transform",  # a proxy that compresses holds back what it hasn't filled a block with
    "x-accel-buffering": "no",  # nginx would otherwise hold the stream back
}
MEDIA_TYPE: Final = "text/event-stream; charset=utf-8"

_LINE_ENDS: Final = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What some clients' line readers take for the end of a line, and JSON doesn't escape by itself."""

_QUEUE: Final = 256
"""Events that may wait for a slow client; then the turn waits too."""

_TOGETHER: Final = 32
"""Events that go into one write when they are there at once: a write costs more than an event does."""

_Item = BaseModel | BaseException | None
"""An event; or the end of the turn, which is the last item: what it raised, None when it is complete."""


def record(kind: str, data: dict[str, Any]) -> bytes:
    """One event as bytes. The ``event:`` line is always there: SDKs drop records without one."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_LINE_ENDS)
    return f"event: {kind}\ndata: {text}\n\n".encode()


class EventStream:
    """A turn that runs in a task of its own, and its events as bytes.

    The turn's generator is driven by one task from beginning to end, because what it uses (timeouts, locks) may
    not change tasks; the client's side reads from a queue, and can time out to send a ping.
    """

    def __init__(
        self,
        events: AsyncGenerator[BaseModel, None],
        request_id: str | None,
        ping_seconds: float,
        draining: Draining | None = None,
    ) -> None:
        """With ``draining`` it ends with the server, with an error event when it is not over by then."""
        self._events = events
        self._request_id = request_id
        self._ping_seconds = ping_seconds
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(_QUEUE)
        self._task: asyncio.Task[None] | None = None
        self._first: list[_Item] = []
        self._draining = draining
        self._interrupted = False

    async def begin(self) -> None:
        """Start the turn and wait for its first event, though no longer than one ping's time.

        Raises what the turn raises until then, so that it can still be answered with an HTTP status of its own.
        """
        self._task = asyncio.create_task(self._run())
        try:
            items = await self._next()
        except BaseException:
            await self._end()
            raise
        if isinstance(items[0], BaseException):
            await self._end()
            raise items[0]
        self._first = items

    def _interrupt(self) -> None:
        if self._task is not None and not self._interrupted:
            self._interrupted = True
            self._task.cancel()

    async def _run(self) -> None:
        try:
            with nullcontext() if self._draining is None else self._draining.interrupting(self._interrupt):
                async with aclosing(self._events) as events:
                    async for event in events:
                        await self._queue.put(event)
        except asyncio.CancelledError:
            if not self._interrupted:
                raise
            await self._queue.put(ending())
        except BaseException as error:
            await self._queue.put(error)
        else:
            await self._queue.put(None)

    async def _next(self) -> list[_Item]:
        """What is there, or what comes next; a ping when nothing comes."""
        if self._queue.empty():
            try:
                async with asyncio.timeout(self._ping_seconds):
                    items = [await self._queue.get()]
            except TimeoutError:
                return [Ping()]
        else:
            items = [self._queue.get_nowait()]
        while len(items) < _TOGETHER and not self._queue.empty():
            items.append(self._queue.get_nowait())
        return items

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            # The server cancels us again and again when a client goes away; what the turn undoes takes its time.
            with anyio.CancelScope(shield=True):
                await asyncio.gather(self._task, return_exceptions=True)

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the response. Closing it early (the client has gone) ends the turn."""
        assert self._first, "begin comes first"
        try:
            items = self._first
            while True:
                written = b"".join(map(self._written, items))
                if written:
                    yield written
                if not isinstance(items[-1], BaseModel):
                    return
                items = await self._next()
        finally:
            await self._end()

    def _written(self, item: _Item) -> bytes:
        if item is None:
            return b""
        if isinstance(item, BaseException):
            return record("error", self._error(item))
        data = event_wire(item)
        return record(data["type"], data)

    def _error(self, error: BaseException) -> dict[str, Any]:
        metrics.STREAM_ERRORS.labels(error.type if isinstance(error, ApiError) else ServerError.type).inc()
        if isinstance(error, ApiError):
            log_failure(error, self._request_id)
            return error.body(self._request_id)
        _log.error("request %s failed in mid-stream", self._request_id, exc_info=error)
        return ServerError("Internal server error").body(self._request_id)
