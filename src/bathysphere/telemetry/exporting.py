"""Traces that are sent to a collector, by OpenTelemetry's SDK and OTLP over HTTP.

The SDK's global provider is left alone: libraries of ours would report to it, with what was said to models.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bathysphere import __version__
from bathysphere.settings import TraceSettings
from bathysphere.telemetry.tracing import Attribute, Layer, Span

_LAYERS: Final[tuple[Layer, ...]] = ("api", "host", "guest")
_CLOSING_SECONDS: Final = 5.0
_LONGEST: Final = 200
"""Characters of an attribute."""


class _RequestIds(RandomIdGenerator):
    """Gives a trace the number of its request."""

    def __init__(self) -> None:
        self.next = 0

    def generate_trace_id(self) -> int:
        return self.next


class ExportedTracing:
    """See ``Tracing``. One per server."""

    def __init__(self, settings: TraceSettings) -> None:
        """What ``settings`` leave open, the variables of OpenTelemetry say: headers, timeouts, sampler, names."""
        # That it tries again is no news; that it has given up is.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        name = os.environ.get("OTEL_SERVICE_NAME", "").strip() or "bathysphere"
        self._ids = _RequestIds()
        self._exporter = OTLPSpanExporter(endpoint=_traces_url(settings.endpoint))
        self._processor = BatchSpanProcessor(self._exporter)
        sampler = None if settings.sample_ratio is None else ParentBased(TraceIdRatioBased(settings.sample_ratio))
        self._tracers: dict[Layer, trace.Tracer] = {}
        for layer in _LAYERS:
            service = name if layer == "api" else f"{name}-{layer}"
            provider = TracerProvider(
                sampler=sampler,
                resource=Resource.create({"service.name": service, "service.version": __version__}),
                id_generator=self._ids,
                shutdown_on_exit=False,
                span_limits=SpanLimits(max_attribute_length=_LONGEST),
            )
            provider.add_span_processor(self._processor)
            self._tracers[layer] = provider.get_tracer("bathysphere", __version__)

    def request(self, request_id: str, name: str, traceparent: str | None = None) -> Span | None:
        """See Tracing."""
        self._ids.next = int(request_id.removeprefix("req_"), 16)
        links = []
        if traceparent is not None:
            theirs = trace.get_current_span(
                TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())
            ).get_span_context()
            if theirs.is_valid:
                links.append(Link(theirs))
        span = self._tracers["api"].start_span(name, Context(), SpanKind.SERVER, links=links)
        return _Exported(span, self._tracers) if span.is_recording() else None

    async def close(self) -> None:
        """See Tracing."""
        # Not one of the loop's own threads, whose end a server waits for.
        loop = asyncio.get_running_loop()
        sent = asyncio.Event()

        def send() -> None:
            close: Callable[[], None] = self._processor.shutdown
            close()
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(sent.set)

        threading.Thread(target=send, daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                await sent.wait()
                return
        give_up: Callable[[], None] = self._exporter.shutdown
        give_up()  # what it would try again


class _Exported(Span):
    traced = True

    def __init__(self, span: trace.Span, tracers: Mapping[Layer, trace.Tracer]) -> None:
        self._span = span
        self._tracers = tracers

    def set(self, **attributes: Attribute | None) -> None:
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name.replace("__", ".") if "__" in name else f"bathysphere.{name}", value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, kind: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, kind))
        self._span.set_attribute("error.type", kind)

    def child(self, name: str, layer: Layer = "api", start_ns: int | None = None) -> Span:
        around = trace.set_span_in_context(self._span, Context())
        kind = SpanKind.SERVER if layer == "host" else SpanKind.INTERNAL
        return _Exported(self._tracers[layer].start_span(name, around, kind, start_time=start_ns), self._tracers)

    def end(self, end_ns: int | None = None) -> None:
        self._span.end(end_ns)


def _traces_url(endpoint: str | None) -> str | None:
    """The address for traces: a collector's own address gets the path that OTLP says. None: the environment's."""
    if endpoint is None:
        return None
    return endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + "/v1/traces"
