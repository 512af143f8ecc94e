"""The HTTP client below the SDKs: aiohttp, which takes a third of the processor that httpx takes for a live stream."""

from __future__ import annotations

from typing import Final

import aiohttp
import httpx2

CONNECT_SECONDS: Final = 10.0

_CONNECTIONS: Final = 65_536
"""More than a process has descriptors for: how many turns may go on is said by the rate limits, not here."""

CONNECTION_FAILURES: Final = (httpx2.HTTPError, aiohttp.ClientError)
"""What may be raised while an answer is read, beside what the SDKs make of it."""


def http_client(of_sdk: type[httpx2.AsyncClient], timeout_seconds: float) -> httpx2.AsyncClient:
    """A client for one upstream, to be given to its SDK, which closes it.

    ``of_sdk`` is that SDK's ``DefaultAioHttpClient``; the time is that of silence.
    """
    return of_sdk(
        timeout=httpx2.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
    )
