"""Whether the server can do its work, check by check, in fixed words that say nothing of its inside."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from fastapi.responses import JSONResponse

from bathysphere.api.draining import Draining
from bathysphere.containers.host import Host
from bathysphere.settings import Settings
from bathysphere.store.database import Database
from bathysphere.telemetry import metrics

_log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 1.0
"""How long an answer is given again: however often it is asked, the checks cost the same."""

CHECK_SECONDS: Final = 5.0
"""Within which each check must be done; it holds none that is not."""

_HELD: Final = "ok"


class Readiness:
    """The checks of one server."""

    def __init__(self, settings: Settings, store: Path, database: Database, host: Host, draining: Draining) -> None:
        """``store`` is the server's part of the data directory, whose disk is looked at.

        Not the whole of it: when root started the server, what lies above can be a place without room, made up so that
        the server reaches its part.
        """
        self._settings = settings
        self._store = store
        self._database = database
        self._host = host
        self._draining = draining
        self._checks: dict[str, Callable[[], Awaitable[str]]] = {
            "database": self._writable, "host": self._guarded, "image": self._with_image, "disk": self._with_room,
        }  # fmt: skip
        self._pending: dict[str, asyncio.Task[str]] = {}
        self._told: dict[str, str] = {}
        self._told_at = float("-inf")
        self._asking = asyncio.Lock()

    async def checks(self) -> dict[str, str]:
        """Each check and ``ok``, or what is the matter."""
        async with self._asking:
            if time.monotonic() - self._told_at > KEPT_SECONDS:
                self._told = await self._look()
                self._told_at = time.monotonic()
        serving = "the server is ending" if self._draining.noticed else _HELD
        found = {**self._told, "serving": serving}
        for name, outcome in found.items():
            metrics.READY.labels(name).set(outcome == _HELD)
        return found

    async def answer(self) -> JSONResponse:
        """200, or 503 when a check does not hold."""
        checks = await self.checks()
        held = all(outcome == _HELD for outcome in checks.values())
        body: dict[str, Any] = {"status": "ready" if held else "not ready", "checks": checks}
        return JSONResponse(body, 200 if held else 503, headers={"cache-control": "no-store"})

    async def _look(self) -> dict[str, str]:
        for name, check in self._checks.items():
            # One that hangs is waited for again, not begun anew.
            if name not in self._pending:
                self._pending[name] = asyncio.ensure_future(self._tried(name, check))
        await asyncio.wait(self._pending.values(), timeout=CHECK_SECONDS)
        found = {}
        for name, task in [*self._pending.items()]:
            found[name] = task.result() if task.done() else "does not answer in time"
            if task.done():
                del self._pending[name]
        return found

    async def _tried(self, name: str, check: Callable[[], Awaitable[str]]) -> str:
        try:
            return await check()
        except Exception as error:
            _log.warning("the check of the %s failed: %s", name, type(error).__name__)
            return "does not answer"

    async def _writable(self) -> str:
        # A transaction without statements: it takes the lock of the one writer, and costs no write.
        await self._database.write()
        return _HELD

    async def _guarded(self) -> str:
        status = await self._host.status()
        waived = self._settings.host.waive
        lost = [proof for proof in status.proofs if proof.verdict == "failed" and proof.name not in waived]
        return "guarantees are missing" if lost else _HELD

    async def _with_image(self) -> str:
        status = await self._host.status()
        return _HELD if status.image_present else "the container image is not there"

    async def _with_room(self) -> str:
        usage = await asyncio.to_thread(shutil.disk_usage, self._store)
        enough = usage.free >= self._settings.limits.reserve_bytes
        return _HELD if enough else "less is free than limits.reserve_bytes"

    async def close(self) -> None:
        """Wait for nothing that hangs."""
        for task in self._pending.values():
            task.cancel()
        await asyncio.gather(*self._pending.values(), return_exceptions=True)
