"""The metrics that are asked for when they are read, and not counted as things happen."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from bathysphere.api.services import Services
from bathysphere.store import batch_queue, containers
from bathysphere.telemetry import metrics

_log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 5.0
"""However often the metrics are read, nobody is asked more often than that."""

ANSWER_SECONDS: Final = 8.0
"""Within which they are asked; what comes later is told the next time."""


class Gauges:
    """One per server."""

    def __init__(self, serving: Services) -> None:
        self._serving = serving
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def refresh(self) -> None:
        """See to it that what is shown is of the last few seconds."""
        if self._asking is None or self._asking.done():
            if time.monotonic() - self._asked_at < KEPT_SECONDS:
                return
            self._asking = asyncio.create_task(self._ask())
        await asyncio.wait([self._asking], timeout=ANSWER_SECONDS)

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self) -> None:
        await asyncio.gather(*map(self._try, (self._host, self._store, self._disk, self._ready)))
        self._asked_at = time.monotonic()

    async def _try(self, ask: Callable[[], Awaitable[None]]) -> None:
        try:
            await ask()
        except Exception as error:
            _log.warning("a part of the metrics could not be had: %s", type(error).__name__)

    async def _host(self) -> None:
        metrics.SANDBOXES_LIMIT.set(self._serving.settings.host.max_sandboxes)
        metrics.POOL_SIZE.set(self._serving.settings.host.pool)
        metrics.HOST_UP.set(0)
        status = await self._serving.host.status()
        metrics.HOST_UP.set(1)
        metrics.SANDBOXES.set(status.sandboxes)
        metrics.POOL_READY.set(status.ready)
        for state, count in status.containers.items():
            metrics.CONTAINERS.labels(state).set(count)
        if status.sandboxes_memory_bytes is not None:
            metrics.SANDBOXES_MEMORY_BYTES.set(status.sandboxes_memory_bytes)
        if status.daemon_memory_bytes is not None:
            metrics.HOST_MEMORY_BYTES.set(status.daemon_memory_bytes)

    async def _store(self) -> None:
        for kept, count in (await containers.counts(self._serving.database, datetime.now(UTC))).items():
            metrics.CONTAINERS_KEPT.labels(kept).set(count)
        queue = await batch_queue.counts(self._serving.database)
        metrics.BATCHES_OPEN.set(queue.open_batches)
        for state, count in (("queued", queue.queued), ("claimed", queue.claimed), ("running", queue.begun)):
            metrics.BATCH_REQUESTS.labels(state).set(count)

    async def _disk(self) -> None:
        usage = await asyncio.to_thread(shutil.disk_usage, self._serving.store)
        reserve = self._serving.settings.limits.reserve_bytes
        for kind, count in (("total", usage.total), ("used", usage.used), ("free", usage.free), ("reserve", reserve)):
            metrics.DISK_BYTES.labels(kind).set(count)

    async def _ready(self) -> None:
        await self._serving.readiness.checks()
