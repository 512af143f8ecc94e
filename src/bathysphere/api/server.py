"""A running server: its parts opened in order, served, and closed in the other order."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from bathysphere.api.app import create_app
from bathysphere.api.batch_workers import BatchWorkers
from bathysphere.api.draining import Draining
from bathysphere.api.gauges import Gauges
from bathysphere.api.metrics_listener import bind, listening
from bathysphere.api.own_skills import BROUGHT_ALONG, load_own
from bathysphere.api.rate_limits import RateLimits
from bathysphere.api.readiness import Readiness
from bathysphere.api.retries import Retries
from bathysphere.api.service_notices import ServiceNotices
from bathysphere.api.services import Services
from bathysphere.api.skill_upload import bounds_of
from bathysphere.containers import lifecycle
from bathysphere.containers.containers import Containers
from bathysphere.containers.host import HostError
from bathysphere.containers.local import LocalHost
from bathysphere.host.configuration import Configuration
from bathysphere.host.spawning import spawn
from bathysphere.image.definition import Definition
from bathysphere.image.image import Image
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings, skills_directory, store_directory
from bathysphere.store import batch_ageing, metered_requests
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.erasing import keep_erasing
from bathysphere.store.sweep import sweep
from bathysphere.telemetry.tracing import Tracing, wanted

_log = logging.getLogger(__name__)

_PARTING_SECONDS = 5
"""That connections have to take what they are told at the end."""
_SWEEP_SECONDS = 3600
# Longer than the SDKs keep an idle connection, so that it is them who close it, never we under a request.
_KEEP_ALIVE_SECONDS = 75


@asynccontextmanager
async def open_services(
    settings: Settings,
    data: Path,
    image: Image,
    own_port: int | None = None,
    spawn: Callable[[Configuration], None] = spawn,
) -> AsyncIterator[Services]:
    """Open everything a server is made of; the host daemon is started or, if one runs, adopted.

    ``own_port`` is where the server will listen, so that it is not taken for an upstream; ``spawn`` starts a daemon.

    Raises SettingsError, DatabaseError and HostError, with what to do. Leaving it stops the daemon and its
    sandboxes; what containers hold stays on disk.
    """
    store = store_directory(data)
    async with AsyncExitStack() as stack:
        tracing = _tracing(settings)
        if tracing is not None:
            stack.push_async_callback(tracing.close)
        models = await ConfiguredModels.open(settings.models, own_port=own_port)
        stack.push_async_callback(models.close)
        database = await Database.open(store)
        stack.push_async_callback(database.close)
        database.deleted.set()  # by whoever ended before it was erased
        stack.push_async_callback(_end, asyncio.create_task(keep_erasing(database)))
        blobs = await LocalBlobs.open_folder(store / "blobs", settings.limits.reserve_bytes)
        bounds = bounds_of(settings.limits)
        own_skills = await load_own(database, blobs, BROUGHT_ALONG, bounds)
        operators_skills = await load_own(database, blobs, skills_directory(data), bounds, source="custom")
        sweeping = asyncio.create_task(_hourly("expired and abandoned files", lambda: sweep(database, blobs)))
        stack.push_async_callback(_end, sweeping)
        host = LocalHost(data, settings, image.root, Definition.load().environment, spawn)
        stack.push_async_callback(host.close, stop_host=True)
        await host.start()
        containers = Containers(database, blobs, host, settings)
        stack.push_async_callback(containers.close)
        ageing = asyncio.create_task(
            _hourly("expired and lost containers", lambda: lifecycle.sweep(database, host, settings.containers))
        )
        stack.push_async_callback(_end, ageing)
        forgetting = asyncio.create_task(
            _hourly(
                "what old requests used",
                lambda: metered_requests.forget(
                    database, datetime.now(UTC) - timedelta(days=settings.metering.request_days)
                ),
            )
        )
        stack.push_async_callback(_end, forgetting)
        emptying = asyncio.create_task(
            _hourly(
                "old and deleted batches",
                lambda: batch_ageing.sweep(database, timedelta(days=settings.batches.results_days)),
            )
        )
        stack.push_async_callback(_end, emptying)
        retries = Retries(settings.retries)
        stack.push_async_callback(retries.close)
        limits = RateLimits(settings.rate_limits)
        draining = Draining()
        readiness = Readiness(settings, store, database, host, draining)
        stack.push_async_callback(readiness.close)
        services = Services(
            settings, database, blobs, host, models, containers, retries, limits,
            store=store, draining=draining, readiness=readiness, tracing=tracing, own_skills=own_skills,
            operators_skills=operators_skills,
        )  # fmt: skip
        stack.push_async_callback(services.draining.close)
        workers = BatchWorkers(services)
        stack.push_async_callback(workers.stop)
        workers.start()
        yield services


def _tracing(settings: Settings) -> Tracing | None:
    if not wanted(settings.traces):
        return None
    # A quarter of a second to import, which nobody else waits for.
    from bathysphere.telemetry.exporting import ExportedTracing  # noqa: PLC0415

    return ExportedTracing(settings.traces)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel it and wait until it has let go of what is closed next: a transaction is finished even then."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _hourly(what: str, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await work()
        except HostError as error:
            _log.warning("removing %s has to wait for an hour: %s", what, error)
        except Exception:
            # What a sweep could not remove, the next one will find again; serving goes on.
            _log.exception("removing %s failed", what)
        await asyncio.sleep(_SWEEP_SECONDS)


class _Server(uvicorn.Server):
    """Ends in the steps of ``Draining``: a first signal begins them, a second one leaves out the waiting."""

    def __init__(
        self,
        config: uvicorn.Config,
        services: Services,
        notices: ServiceNotices,
        on_listening: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._services = services
        self._notices = notices
        self._on_listening = on_listening
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._notices.ready()
            await self._on_listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come: the loop is told, as this may be in the middle of anything."""
        self._loop.call_soon_threadsafe(self._told_to_end)

    def _told_to_end(self) -> None:
        draining, settings = self._services.draining, self._services.settings.server
        if draining.noticed:
            self.should_exit = self.force_exit = True
            draining.stop(0)
            return
        draining.notice()
        whole = settings.drain_notice_seconds + settings.drain_seconds + 2 * _PARTING_SECONDS
        self._notices.stopping(whole)
        self._loop.call_later(settings.drain_notice_seconds, self._exit)

    def _exit(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen no more, and wait for what runs."""
        draining = self._services.draining
        stop = self._services.retries.stop_all
        with draining.interrupting(stop):
            draining.stop(0 if self.force_exit else self._services.settings.server.drain_seconds)
            await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signal again: that would cancel the closing of the services."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(
    settings: Settings,
    data: Path,
    image: Image,
    bound: socket.socket,
    spawn: Callable[[Configuration], None],
    on_listening: Callable[[Services], Awaitable[None]],
) -> None:
    """Serve until SIGINT or SIGTERM; what runs then has ``server.drain_seconds``. Raises as ``open_services``."""
    notices = ServiceNotices.found()

    async def run() -> None:
        async with AsyncExitStack() as stack:
            watched = stack.enter_context(bind(settings.metrics.listen)) if settings.metrics.listen else None
            services = await stack.enter_async_context(
                open_services(settings, data, image, bound.getsockname()[1], spawn)
            )
            stack.push_async_callback(notices.close)
            gauges = Gauges(services)
            stack.push_async_callback(gauges.close)
            if watched is not None:
                await stack.enter_async_context(listening(watched, services.readiness, gauges))
            config = uvicorn.Config(
                create_app(services),
                access_log=False,
                log_config=None,  # it logs as all the rest
                log_level="warning",
                timeout_graceful_shutdown=math.ceil(settings.server.drain_seconds) + _PARTING_SECONDS,
                server_header=False,
                lifespan="off",  # what is opened and closed is open_services' to say
                proxy_headers=False,  # whom to believe is ours to say (public_url)
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
            # What is there by now stays. Looked through for garbage again and again, it would stop every request.
            gc.collect()
            gc.freeze()
            await _Server(config, services, notices, lambda: on_listening(services)).serve([bound])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
