"""Trying again before the first event: after it, the client has seen a part of the answer, and it is too late."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from typing import Final, TypeVar

from bathysphere.models.failures import Transient
from bathysphere.telemetry import metrics

T = TypeVar("T")

FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 60.0
"""An upstream that asks for a longer wait is not waited for: the client is told when to come again."""


async def retried(
    attempt: Callable[[], AsyncGenerator[T, None]], max_retries: int, longest_wait_seconds: float = LONGEST_WAIT_SECONDS
) -> AsyncGenerator[T, None]:
    """The events of the first attempt that gives any; at most ``max_retries`` more attempts than one.

    Waits what the upstream asked for, else twice as long each time, with jitter, and never longer than
    ``longest_wait_seconds``: an upstream that asks for more is not tried again. Raises the ``ApiError`` of the
    last attempt. Closing this closes the attempt under way.
    """
    for tried in range(max_retries + 1):
        begun = False
        events = attempt()
        try:
            async for event in events:
                begun = True
                yield event
            return
        except Transient as failure:
            asked, failed = failure.error.retry_after_seconds, failure.error.type
            wait = asked if asked is not None else min(FIRST_WAIT_SECONDS * 2**tried, longest_wait_seconds)
            if begun or tried == max_retries or wait > longest_wait_seconds:
                raise failure.error from failure.__cause__
        finally:
            await events.aclose()
        metrics.MODEL_RETRIES.labels(failed).inc()
        # Never sooner than asked for.
        await asyncio.sleep(wait if asked is not None else wait * random.uniform(0.75, 1.0))  # noqa: S311
