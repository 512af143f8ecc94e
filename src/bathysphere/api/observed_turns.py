"""Turns as metrics and spans: how many run, how long they take, how they end."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

from bathysphere.telemetry import metrics, tracing
from bathysphere.telemetry.tracing import Span
from bathysphere.wire.errors import ApiError
from bathysphere.wire.events import MessageDelta, MessageStart, StreamEvent

Source = Literal["request", "batch"]
"""Where a turn comes from."""


async def observed(
    source: Source, begin: Callable[[Span], AsyncGenerator[StreamEvent, None]]
) -> AsyncGenerator[StreamEvent, None]:
    """The events of a turn, which ``begin`` begins within its span."""
    span = tracing.start("turn", source=source)
    began = time.perf_counter()
    end: str | None = None
    running = metrics.TURNS_RUNNING.labels(source)
    running.inc()
    try:
        async with aclosing(tracing.within(span, begin(span))) as events:
            async for event in events:
                # Of the class itself: isinstance of a model takes as long as passing it on.
                if type(event) is MessageDelta:
                    end = event.delta.stop_reason
                    container = event.delta.container
                    span.set(container_id=container.id if container is not None else None)
                elif type(event) is MessageStart:
                    end = event.message.stop_reason
                    span.set(message_id=event.message.id)
                yield event
    except ApiError as error:
        end = error.type
        span.failed(end)
        raise
    except Exception as error:
        end = "internal_error"
        span.failed(type(error).__name__)
        raise
    finally:
        running.dec()
        # Without an end, whoever read it has closed it.
        metrics.TURN_SECONDS.labels(source, end or "stopped").observe(time.perf_counter() - began)
        span.set(end=end or "stopped")
        span.end()
