"""The workers of a server: they run the requests of batches, each once (docs/decisions/batch-requests-once.md)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from pydantic import ValidationError

from bathysphere.api.batch_journal import Journal
from bathysphere.api.errors import invalid_request, log_failure
from bathysphere.api.rate_limits import RateLimits
from bathysphere.api.services import Services
from bathysphere.api.turns import TurnWork
from bathysphere.containers.recording import Actor
from bathysphere.models.patient import PatientModel
from bathysphere.settings import RateLimitSettings
from bathysphere.store import batch_ageing, batch_queue
from bathysphere.store.batch_queue import Begun, Claimed, Done
from bathysphere.store.batches import Batch
from bathysphere.store.database import DatabaseFull
from bathysphere.telemetry import metrics
from bathysphere.telemetry.tracing import enter_request
from bathysphere.turn.fold import fold
from bathysphere.wire.batches import check_params, errored, succeeded
from bathysphere.wire.errors import ApiError, ServerError
from bathysphere.wire.ids import new_id, new_request_id
from bathysphere.wire.requests import MessagesRequest

_log = logging.getLogger(__name__)

# Another server on the same data directory may have received a batch.
_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 1.0

_NO_LIMITS: Final = RateLimits(RateLimitSettings())
"""A batch keeps to the number of workers; a limit on turns would only have its requests fail."""

_BUSY: Final = "batch request"
"""The name of a task that has one in its hands."""

INTERRUPTED: Final = (
    "The server ended while this request was running. What its code had done until then stands, so it has not been "
    "run again. Send it again if that does no harm."
)


class BatchWorkers:
    """Runs requests of batches until it is stopped. One per server; ``start`` it inside the event loop."""

    def __init__(self, serving: Services) -> None:
        self._serving = serving
        self._settings = serving.settings.batches
        self._turns = serving.settings.model_copy(
            update={"turn": serving.settings.turn.model_copy(update={"max_iterations": self._settings.max_iterations})}
        )
        self._lease = timedelta(seconds=self._settings.lease_seconds)
        self._id = new_id("worker")
        self._claimed: asyncio.Queue[Claimed] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._put_off: dict[str, list[Claimed]] = {}
        """By workspace: those that would only wait, while as many of it run as its quota lets work."""
        self._running: list[asyncio.Task[None]] = []
        self._stopping = False
        self._last_workspace = ""

    def start(self) -> None:
        """Begin to work. Without workers, batches only end here when they are cancelled or expire."""
        self._serving.draining.when_stopping(self.drain)
        self._settling = asyncio.create_task(self._always(self._settle))
        if self._settings.workers == 0:
            return
        self._journal = Journal(self._serving.database, self._id)
        self._claiming = asyncio.create_task(self._always(self._claim))
        self._keeping = asyncio.create_task(self._always(self._keep_lease, until_told=False))
        self._running = [asyncio.create_task(self._always(self._run_next)) for _ in range(self._settings.workers)]

    async def drain(self) -> None:
        """Begin no more."""
        if self._stopping:
            return
        self._stopping = True
        await _end(self._settling)
        if not self._running:
            return
        await _end(self._claiming)
        for task in self._running:
            if task.get_name() != _BUSY:
                task.cancel()

    async def stop(self) -> None:
        """As ``drain``; what runs has the time that the server has left, and is then told as interrupted."""
        await self.drain()
        if not self._running:
            return
        await asyncio.wait(self._running, timeout=self._serving.draining.remaining_seconds)
        await _end(*self._running)
        await self._journal.close()
        await _end(self._keeping)
        try:
            await batch_queue.release(self._serving.database, self._id)
        except DatabaseFull as error:
            _log.warning("requests of batches stay claimed for %g s: %s", self._settings.lease_seconds, error)

    async def _always(self, step: Callable[[], Awaitable[None]], *, until_told: bool = True) -> None:
        """One step after the other; what fails is told and tried again.

        ``until_told`` to begin no more; else for as long as anything runs.
        """
        while not (until_told and self._stopping):
            try:
                await step()
            except Exception:
                _log.exception("working on batches failed; going on")
                await asyncio.sleep(_RETRY_SECONDS)

    async def _claim(self) -> None:
        """Keep the workers in work: take requests when less than half of what may be claimed is left."""
        most = max(self._settings.claimed, self._settings.workers)
        wanted = most - self._claimed.qsize()
        waiting = self._serving.batches_waiting
        waiting.clear()
        if wanted * 2 < most:
            self._taken.clear()
            await self._taken.wait()
            return
        found = await batch_queue.claim(
            self._serving.database,
            self._id,
            wanted,
            self._lease,
            self._last_workspace,
            without_workspaces=self._put_off,
        )
        for claimed in found:
            self._claimed.put_nowait(claimed)
        if found:
            self._last_workspace = found[-1].batch.workspace_id
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await waiting.wait()

    async def _keep_lease(self) -> None:
        await batch_queue.renew(self._serving.database, self._id, self._lease)
        await asyncio.sleep(self._settings.lease_seconds / 3)

    async def _settle(self) -> None:
        """End what is cancelled or has expired, and take over from the dead."""
        result = json.dumps(errored(ServerError(INTERRUPTED)))
        taken = await batch_queue.take_over(self._serving.database, result)
        if taken.queued or taken.given_up:
            _log.warning(
                "requests of batches in the hands of a server that ended: %d are queued again, %d had begun and failed",
                taken.queued,
                taken.given_up,
            )
            self._serving.batches_waiting.set()
        await batch_ageing.settle(self._serving.database)
        await asyncio.sleep(min(_LOOK_SECONDS, self._settings.lease_seconds / 3))

    async def _run_next(self) -> None:
        claimed = await self._claimed.get()
        self._taken.set()
        batch, quotas = claimed.batch, self._serving.containers.quotas
        actor = Actor(batch.workspace_id, batch.api_key_id)
        if quotas.crowded(actor):
            self._put_off.setdefault(batch.workspace_id, []).append(claimed)
            return
        task = asyncio.current_task()
        assert task is not None
        task.set_name(_BUSY)
        try:
            with quotas.of_batch(actor):
                begun = await self._journal.begin(claimed.number)
                if begun is not None:
                    await self._run(batch, begun)
        finally:
            task.set_name("")
            for waiting in [one for many in self._put_off.values() for one in many]:
                self._claimed.put_nowait(waiting)
            self._put_off.clear()

    async def _run(self, batch: Batch, begun: Begun) -> None:
        request_id = new_request_id()
        tracing = self._serving.tracing
        span = tracing.request(request_id, "batch request") if tracing is not None else None
        enter_request(request_id, span)
        result = errored(ServerError(INTERRUPTED))
        try:
            result = await self._result(batch, begun, request_id)
        finally:
            self._keep(batch, begun, result)
            metrics.BATCH_RESULTS.labels(result["type"]).inc()
            enter_request("")
            if span is not None:
                span.set(request_id=request_id, batch_id=batch.id, workspace_id=batch.workspace_id)
                span.set(result=result["type"], api_key_id=batch.api_key_id)
                span.end()

    def _keep(self, batch: Batch, begun: Begun, result: dict[str, Any]) -> None:
        text = json.dumps(result, separators=(",", ":"))
        self._journal.done(Done(begun.number, batch.id, result["type"], text))

    async def _result(self, batch: Batch, begun: Begun, request_id: str) -> dict[str, Any]:
        """Run a request, and give the protocol's ``result`` of it."""
        place = f"{batch.id}: {begun.custom_id}"
        try:
            params = json.loads(begun.params)
            check_params(params)
            body = MessagesRequest.model_validate(params)
            model, _ = self._serving.models.choose(body.model)
            work = TurnWork(
                self._serving,
                Actor(batch.workspace_id, batch.api_key_id, request_id),
                body,
                batch.headers,
                model=PatientModel(model, self._settings.max_retries),
                settings=self._turns,
                rate_limits=_NO_LIMITS,
                batch_id=batch.id,
            )
            return succeeded((await fold(work.events())).wire())
        except ValidationError as error:
            return errored(invalid_request(error.errors(include_url=False)))
        except ApiError as error:
            log_failure(error, place)
            return errored(error)
        except Exception:
            _log.exception("%s failed", place)
            return errored(ServerError("Internal server error"))


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
