"""Spans of a request: where its time goes. Whoever is not traced pays for one look at a variable.

The trace of a request has the number that stands in its ``request-id``. What exports spans is in ``exporting``; here
is only what the other rooms use. Attributes are ids, names of our own, counts and sizes: nothing that a client, a
model or a container wrote.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, Protocol, TypeVar

from bathysphere.settings import TraceSettings

T = TypeVar("T")

Layer = Literal["api", "host", "guest"]
"""The process that a span tells of. Those of the daemon and of guests are told by them, and made here."""

Attribute = str | int | float | bool

_request: ContextVar[str] = ContextVar("request_id", default="")
_current: ContextVar[Span | None] = ContextVar("span", default=None)


_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wanted(settings: TraceSettings, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has said where traces should go, here or in OpenTelemetry's own variables."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    return settings.endpoint is not None or any(environment.get(name, "").strip() for name in _ENDPOINTS)


class Span:
    """A stretch of time in a trace. This one is of a request that is not traced, and does nothing."""

    traced: bool = False

    def set(self, **attributes: Attribute | None) -> None:
        """Note something about it. ``a__b`` is named ``a.b``, others begin with ``bathysphere.``; None is left out."""

    def rename(self, name: str) -> None:
        """Its name, once it is known better."""

    def failed(self, kind: str) -> None:
        """It ended badly. ``kind`` is a name of an error, never its message."""

    def child(self, name: str, layer: Layer = "api", start_ns: int | None = None) -> Span:
        """A span within this one; ``start_ns`` is the time since the epoch when it is not now."""
        return self

    def end(self, end_ns: int | None = None) -> None:
        """It has ended, now or at ``end_ns``."""


class Tracing(Protocol):
    """Begins traces; ``exporting.ExportedTracing`` sends them to a collector."""

    def request(self, request_id: str, name: str, traceparent: str | None = None) -> Span | None:
        """The outermost span of a request, in the trace of its number; None when this request is not traced.

        ``traceparent`` is the caller's own (W3C): its span is linked. Its number is not taken over, since ours must be
        nobody's to choose.
        """

    async def close(self) -> None:
        """Send what waits, for a few seconds at most."""


NOT_TRACED: Final = Span()


def enter_request(request_id: str, span: Span | None = None) -> None:
    """From here on this task, and those that it starts, work on a request; ``span`` is its outermost one."""
    _request.set(request_id)
    _current.set(span)


def request_id() -> str:
    """The id of the request that this task works on; empty when it is none."""
    return _request.get()


def current() -> Span:
    """The span that this task is in."""
    return _current.get() or NOT_TRACED


def start(name: str, **attributes: Attribute | None) -> Span:
    """Begin a span within the current one, which stays the current one. To be ended by the caller."""
    around = _current.get()
    if around is None:
        return NOT_TRACED
    span = around.child(name)
    span.set(**attributes)
    return span


@contextmanager
def span(name: str, **attributes: Attribute | None) -> Iterator[Span]:
    """A span around a block, in which it is the current one. Not for a block that yields."""
    around = _current.get()
    if around is None:
        yield NOT_TRACED
        return
    begun = start(name, **attributes)
    token = _current.set(begun)
    try:
        yield begun
    except BaseException as error:
        begun.failed(type(error).__name__)
        raise
    finally:
        _current.reset(token)
        begun.end()


def within(span: Span, steps: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same steps, in which ``span`` is the current one. It is not ended by that."""
    return _Within(span, steps) if span.traced else steps


class _Within(AsyncGenerator[T, None]):
    """Sets the variable for each step alone: what a generator sets, its reader would keep."""

    def __init__(self, span: Span, steps: AsyncGenerator[T, None]) -> None:
        self._span = span
        self._steps = steps

    async def asend(self, value: None) -> T:
        token = _current.set(self._span)
        try:
            return await self._steps.asend(value)
        finally:
            _current.reset(token)

    async def athrow(self, *failure: Any) -> T:
        token = _current.set(self._span)
        try:
            return await self._steps.athrow(*failure)
        finally:
            _current.reset(token)

    async def aclose(self) -> None:
        token = _current.set(self._span)
        try:
            await self._steps.aclose()
        finally:
            _current.reset(token)
