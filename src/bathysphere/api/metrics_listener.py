"""``/metrics`` on a port of its own, with ``/health`` and ``/ready``: for whoever can connect there; no key."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bathysphere.api.gauges import Gauges
from bathysphere.api.health import health
from bathysphere.api.listening import listen
from bathysphere.api.readiness import Readiness
from bathysphere.settings import SettingsError
from bathysphere.telemetry import metrics


def bind(address: str) -> socket.socket:
    """The listener of ``metrics.listen``. Raises SettingsError when it cannot be had."""
    host, _, port = address.rpartition(":")
    try:
        return listen(host.strip("[]"), int(port))
    except OSError as error:
        raise SettingsError(f"metrics.listen: cannot listen on {address}: {error.strerror}") from error


@asynccontextmanager
async def listening(bound: socket.socket, readiness: Readiness, gauges: Gauges) -> AsyncIterator[None]:
    """Answers inside; to the very end of the server, so that its draining can be watched."""
    config = uvicorn.Config(
        _app(readiness, gauges), access_log=False, log_config=None, server_header=False, proxy_headers=False,
        lifespan="off", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Quiet(config)
    task = asyncio.create_task(server.serve([bound]))
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None: they are the other server's."""
        yield


def _app(readiness: Readiness, gauges: Gauges) -> Starlette:
    async def exposition(_request: Request) -> Response:
        await gauges.refresh()
        return Response(await asyncio.to_thread(metrics.exposition), media_type=metrics.CONTENT_TYPE)

    async def ready(_request: Request) -> Response:
        return await readiness.answer()

    async def alive(_request: Request) -> Response:
        return JSONResponse(await health())

    return Starlette(routes=[Route("/metrics", exposition), Route("/ready", ready), Route("/health", alive)])
