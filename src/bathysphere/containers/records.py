"""What a server writes down: calls in containers, the execution time that they are charged as, what turns used.

Nobody waits for the database: entries are kept in memory and written within ``GATHER_SECONDS``, together with others.
While the disk is full they wait; when too many do, further calls are refused, so that none goes unrecorded.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Final

from bathysphere.containers.host import DiskFull
from bathysphere.metering.charges import Charge, Execution
from bathysphere.metering.tariff import Tariff
from bathysphere.store import audit, execution_time, metered_requests
from bathysphere.store.audit import Call
from bathysphere.store.database import Database, DatabaseFull, RuleBroken
from bathysphere.store.metered_requests import MeteredRequest

_log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.05
"""How long an entry waits for others, so that a burst of calls is one transaction."""

MOST_WAITING: Final = 10_000
"""Entries that may wait for room on the disk; then calls are refused."""

CHECKPOINT_SECONDS: Final = 30.0
"""How often execution that goes on is booked: what a server that is killed would leave unbooked of it."""

_BATCH: Final = 500
_UNUSABLE: Final = (RuleBroken, sqlite3.DataError, sqlite3.InterfaceError, ValueError, OverflowError)
"""What the database says of an entry that it will never take."""

_RETRY_SECONDS: Final = 1.0

Entry = Call | Execution | MeteredRequest


def _told(entry: Entry) -> str:
    """An entry for the log, without what a model or a client wrote."""
    if isinstance(entry, Call):
        return (
            f"{entry.action} in {entry.container_id} at {entry.started_at} for {entry.request_id}: {entry.outcome}, "
            f"SHA-256 {entry.subject_sha256}"
        )
    return repr(entry)


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has added to the books.

    ``unknown`` are calls of containers that the store does not know, ``lost`` turns that it would not take.
    """

    charges: list[Charge]
    requests: list[MeteredRequest]
    unknown: list[Call]
    lost: list[MeteredRequest]


class Records:
    """Writes it all. One per server; ``close`` it before the database.

    ``on_written`` is told what has been added to the books, once it is there.
    """

    def __init__(self, database: Database, tariff: Tariff, on_written: Callable[[Written], None] | None = None) -> None:
        self._database = database
        self._tariff = tariff
        self._on_written = on_written
        self._waiting: deque[tuple[Entry, ...]] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._running: dict[object, Callable[[], Execution]] = {}
        self._checkpoints: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raises DiskFull when what is to be done could not be recorded."""
        if len(self._waiting) >= MOST_WAITING:
            raise DiskFull(
                "The server's disk is full, so what is done cannot be recorded. Its operator has to make room."
            )

    def append(self, *entries: Entry) -> None:
        """Keep entries, which are written together. Never waits and never fails."""
        self._waiting.append(entries)
        if self._writer is None or self._writer.done():
            # Of many requests, so not a part of this one.
            self._writer = asyncio.get_running_loop().create_task(self._write_soon(), context=Context())

    @contextmanager
    def running(self, so_far: Callable[[], Execution]) -> Iterator[None]:
        """A container is at work inside; ``so_far`` says for how long by now."""
        name = object()
        self._running[name] = so_far
        if self._checkpoints is None or self._checkpoints.done():
            self._checkpoints = asyncio.get_running_loop().create_task(self._book_what_runs(), context=Context())
        try:
            yield
        finally:
            del self._running[name]

    async def _book_what_runs(self) -> None:
        while self._running:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            for execution in [so_far() for so_far in self._running.values()]:
                if execution.seconds >= CHECKPOINT_SECONDS:
                    self.append(execution)

    async def _write_soon(self) -> None:
        wait = GATHER_SECONDS
        while self._waiting:
            await asyncio.sleep(wait)
            try:
                await self.flush()
                wait = GATHER_SECONDS
            except DatabaseFull:
                _log.warning("%d records wait for room on the disk", len(self._waiting))
                wait = _RETRY_SECONDS
            except Exception:
                _log.exception("%d records could not be written yet", len(self._waiting))
                wait = _RETRY_SECONDS

    async def flush(self) -> None:
        """Write what waits, so that whoever reads the store finds it. Raises DatabaseFull."""
        # In a task of its own: a caller that is cancelled between the writing and the taking out of memory would
        # have the records written twice.
        await asyncio.shield(asyncio.create_task(self._flush()))

    async def _flush(self) -> None:
        most = _BATCH
        async with self._writing:
            while self._waiting:
                batch = [self._waiting[place] for place in range(min(most, len(self._waiting)))]
                entries = [entry for together in batch for entry in together]
                try:
                    written = await self._database.transaction(partial(_write, entries, self._tariff))
                except _UNUSABLE:
                    if len(batch) > 1:
                        most = 1  # it is one of them, and must not keep all the others out of the books
                        continue
                    written = _left_out(entries)
                    most = _BATCH
                for call in written.unknown:
                    _log.error("a call of %s, which the store does not know, is not recorded", call.container_id)
                for _ in batch:
                    self._waiting.popleft()
                if self._on_written is not None:
                    self._on_written(written)

    async def settle(self) -> None:
        """Write what waits if there is room for it: whoever reads gets what can be had."""
        with suppress(DatabaseFull):
            await self.flush()

    async def close(self) -> None:
        """Write what waits; what cannot be written goes to the log."""
        tasks = [task for task in (self._writer, self._checkpoints) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self.flush()
        except Exception:
            _log.exception("records could not be written")
            for entries in self._waiting:
                for entry in entries:
                    _log.error("not recorded: %s", _told(entry))


def _write(entries: Iterable[Entry], tariff: Tariff, connection: sqlite3.Connection) -> Written:
    calls: list[Call] = []
    executions: list[Execution] = []
    requests: list[MeteredRequest] = []
    for entry in entries:
        match entry:
            case Call():
                calls.append(entry)
            case Execution():
                executions.append(entry)
            case MeteredRequest():
                requests.append(entry)
    unknown = audit.write(connection, calls)
    charges = execution_time.write(connection, executions, tariff)
    metered_requests.write(connection, requests)
    return Written(charges, requests, unknown, [])


def _left_out(entries: Sequence[Entry]) -> Written:
    _log.exception("the database does not take this record: %s", "; ".join(map(_told, entries)))
    return Written([], [], [], [entry for entry in entries if isinstance(entry, MeteredRequest)])
