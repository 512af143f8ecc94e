"""A model as an operator sees it: how long its samplings take, how they end, what they cost in tokens."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from bathysphere.models.base import Model, SampleRequest
from bathysphere.telemetry import metrics, tracing
from bathysphere.wire.errors import ApiError
from bathysphere.wire.events import MessageDelta, MessageStart, StreamEvent
from bathysphere.wire.message import Usage


class ObservedModel:
    """Another model, counted under the ``match`` and ``backend`` of its entry: never under the client's own word."""

    def __init__(self, model: Model, backend: str, match: str, name: str | None) -> None:
        """``name`` is what is sent upstream; None for the client's own."""
        self._model = model
        self._labels = (backend, match)
        self._name = name

    async def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See Model."""
        backend, match = self._labels
        span = tracing.start(
            "sample",
            gen_ai__operation__name="chat",
            gen_ai__request__model=self._name or request.model,
            gen_ai__request__max_tokens=request.max_tokens,
            backend=backend,
            match=match,
            messages=len(request.messages),
            tools=len(request.tools),
        )
        began = time.perf_counter()
        usage: Usage | None = None
        outcome = "closed"
        first: float | None = None
        try:
            async with aclosing(tracing.within(span, self._model.sample(request))) as events:
                async for event in events:
                    if first is None:
                        first = time.perf_counter() - began
                        metrics.MODEL_FIRST_EVENT_SECONDS.labels(backend, match).observe(first)
                        span.set(first_event_seconds=first)
                    # Of the class itself, and not by isinstance, which for a model takes as long as passing it on.
                    if type(event) is MessageStart:
                        usage = event.message.usage
                    elif type(event) is MessageDelta:
                        usage = event.usage if usage is None else _larger(usage, event.usage)
                    yield event
            outcome = "completed"
        except Exception as error:
            outcome = error.type if isinstance(error, ApiError) else type(error).__name__
            metrics.MODEL_ERRORS.labels(backend, match, outcome).inc()
            span.failed(outcome)
            raise
        finally:
            metrics.MODEL_SECONDS.labels(backend, match, outcome).observe(time.perf_counter() - began)
            span.set(outcome=outcome)
            if usage is not None:
                self._count(usage)
                span.set(gen_ai__usage__input_tokens=usage.input_tokens)
                span.set(gen_ai__usage__output_tokens=usage.output_tokens)
            span.end()

    def _count(self, usage: Usage) -> None:
        for kind, tokens in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache_creation", usage.cache_creation_input_tokens),
            ("cache_read", usage.cache_read_input_tokens),
        ):
            if tokens:
                metrics.MODEL_TOKENS.labels(*self._labels, kind).inc(tokens)

    async def count_tokens(self, request: SampleRequest) -> int:
        """See Model."""
        return await self._model.count_tokens(request)

    async def close(self) -> None:
        """See Model."""
        await self._model.close()


def _larger(before: Usage, now: Usage) -> Usage:
    """Usage is cumulative, and what an upstream does not repeat has not changed (WIRE d)."""
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return before.model_copy(update={name: max(getattr(before, name), getattr(now, name)) for name in names})
