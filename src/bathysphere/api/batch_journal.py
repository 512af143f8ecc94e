"""What batch workers write: beginnings and results of many requests, gathered into one durable transaction.

While one transaction is under way, what comes up meanwhile waits for the next. So with many workers each commit
carries many requests, and with one it waits for nobody.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bathysphere.store import batch_queue
from bathysphere.store.batch_queue import Begun, Done
from bathysphere.store.database import Database, DatabaseFull

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_MOST: Final = 500


class Journal:
    """The one writer of a process's batch requests. ``close`` writes what is left."""

    def __init__(self, database: Database, worker_id: str) -> None:
        self._database = database
        self._worker_id = worker_id
        self._beginning: list[tuple[int, asyncio.Future[Begun | None]]] = []
        self._done: list[Done] = []
        self._some = asyncio.Event()
        self._closing = False
        self._writing = asyncio.create_task(self._write())

    async def begin(self, number: int) -> Begun | None:
        """Mark a request as begun, durably. None: it is not ours any more, and must not be run."""
        begun: asyncio.Future[Begun | None] = asyncio.get_running_loop().create_future()
        self._beginning.append((number, begun))
        self._some.set()
        return await begun

    def done(self, result: Done) -> None:
        """Keep a result, and write it soon."""
        self._done.append(result)
        self._some.set()

    async def close(self) -> None:
        """Write what waits, and end. What cannot be written, as the disk is full, is left to a take-over."""
        self._closing = True
        self._some.set()
        await self._writing

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._beginning or self._done:
                if not await self._write_some() and self._closing:
                    return
            if self._closing:
                return

    async def _write_some(self) -> bool:
        beginning = [(number, begun) for number, begun in self._beginning[:_MOST] if not begun.done()]
        del self._beginning[:_MOST]
        done = self._done[:_MOST]
        try:
            begun = await batch_queue.commit(self._database, self._worker_id, [number for number, _ in beginning], done)
        except DatabaseFull:
            _log.warning("%d results of batches wait for room on the disk", len(self._done))
            self._beginning[:0] = beginning
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        except Exception:
            _log.exception("%d results of batches could not be written yet", len(self._done))
            self._beginning[:0] = beginning
            await asyncio.sleep(_RETRY_SECONDS)
            return False
        del self._done[: len(done)]
        for number, waiting in beginning:
            if not waiting.done():
                waiting.set_result(begun.get(number))
        return True
