"""The record of a container's calls: made as they end, written to the store a moment later.

Nobody waits for the database: a call's record is kept in memory and written within ``GATHER_SECONDS``, together
with those of other calls. While the disk is full the records wait; when too many do, further calls are refused, so
that none goes unrecorded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from bathysphere.containers.host import DiskFull, HostError, PathNotFound, PathRefused
from bathysphere.store import audit
from bathysphere.store.audit import Action, Call, Outcome, ProducedFile
from bathysphere.store.database import Database, DatabaseFull
from bathysphere.wire.errors import ApiError

_log = logging.getLogger(__name__)

GATHER_SECONDS: Final = 0.05
"""How long a record waits for others, so that a burst of calls is one transaction."""

MOST_WAITING: Final = 10_000
"""Records that may wait for room on the disk; then calls are refused."""

_BATCH: Final = 500
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf something is done: a workspace, the key it used, and the request. No key: the operator."""

    workspace_id: str
    api_key_id: str | None = None
    request_id: str | None = None


class Records:
    """Writes the records of all containers. One per server; ``close`` it before the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[Call] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def check(self) -> None:
        """Raises DiskFull when a call could not be recorded."""
        if len(self._waiting) >= MOST_WAITING:
            raise DiskFull(
                "The server's disk is full, so what is done cannot be recorded. Its operator has to make room."
            )

    def append(self, call: Call) -> None:
        """Keep a record and see to it that it is written. Never waits and never fails."""
        self._waiting.append(call)
        if self._writer is None or self._writer.done():
            # Of many requests, so not a part of this one.
            self._writer = asyncio.get_running_loop().create_task(self._write_soon(), context=Context())

    async def _write_soon(self) -> None:
        wait = GATHER_SECONDS
        while self._waiting:
            await asyncio.sleep(wait)
            try:
                await self.flush()
                wait = GATHER_SECONDS
            except DatabaseFull:
                _log.warning("%d records of calls wait for room on the disk", len(self._waiting))
                wait = _RETRY_SECONDS
            except Exception:
                _log.exception("%d records of calls could not be written yet", len(self._waiting))
                wait = _RETRY_SECONDS

    async def flush(self) -> None:
        """Write what waits, so that whoever reads the store finds it. Raises DatabaseFull."""
        # In a task of its own: a caller that is cancelled between the writing and the taking out of memory would
        # have the records written twice.
        await asyncio.shield(asyncio.create_task(self._flush()))

    async def _flush(self) -> None:
        async with self._writing:
            while self._waiting:
                batch = [self._waiting[place] for place in range(min(_BATCH, len(self._waiting)))]
                for call in await audit.append(self._database, batch):
                    _log.error("a call of %s, which the store does not know, is not recorded", call.container_id)
                for _ in batch:
                    self._waiting.popleft()

    async def settle(self) -> None:
        """Write what waits if there is room for it: whoever reads gets what can be had."""
        with suppress(DatabaseFull):
            await self.flush()

    async def close(self) -> None:
        """Write what waits; what cannot be written goes to the log."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        try:
            await self.flush()
        except Exception:
            _log.exception("records of calls could not be written")
            for call in self._waiting:
                _log.error(
                    "not recorded: %s in %s at %s for %s: %s, SHA-256 %s",
                    call.action, call.container_id, call.started_at, call.request_id, call.outcome, call.subject_sha256,
                )  # fmt: skip


@dataclass(slots=True)
class OpenCall:
    """A call that runs, and what is known of how it ends."""

    outcome: Outcome = "finished"
    error: str | None = None
    exit_code: int | None = None
    timed_out: bool = False
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    written_bytes: int | None = None
    files: list[ProducedFile] = field(default_factory=list)
    idle: bool = False
    """Nothing was done, so there is nothing to record."""

    def refused(self, reason: str) -> None:
        """The container would not have it."""
        self.outcome, self.error = "refused", reason


class Recorder:
    """Records the calls of one container by one actor."""

    def __init__(
        self,
        container_id: str,
        actor: Actor,
        append: Callable[[Call], None],
        check: Callable[[], None],
        keep_text: bool = True,
    ) -> None:
        """``append`` takes the records, ``check`` raises HostError when none can be taken.

        Without ``keep_text`` a command is recorded by its length and hash only; paths always are as they are.
        """
        self._container_id = container_id
        self._actor = actor
        self._append = append
        self._check = check
        self._keep_text = keep_text

    @contextmanager
    def call(self, action: Action, text: str) -> Iterator[OpenCall]:
        """Record what happens inside, however it ends. Raises HostError when it could not be recorded."""
        self._check()
        call = OpenCall()
        began, started = datetime.now(UTC), time.monotonic()
        try:
            yield call
        except BaseException as error:
            call.outcome, call.error = _ended_by(error)
            raise
        finally:
            subject, length, digest = audit.subject_of(text, self._keep_text or action not in audit.CODE)
            record = Call(
                container_id=self._container_id,
                workspace_id=self._actor.workspace_id,
                api_key_id=self._actor.api_key_id,
                request_id=self._actor.request_id,
                started_at=began,
                action=action,
                subject=subject,
                subject_bytes=length,
                subject_sha256=digest,
                outcome=call.outcome,
                error=call.error,
                exit_code=call.exit_code,
                timed_out=call.timed_out,
                duration_seconds=time.monotonic() - started,
                cpu_seconds=call.cpu_seconds,
                peak_memory_bytes=call.peak_memory_bytes,
                written_bytes=call.written_bytes,
                files=tuple(call.files),
            )
            if not call.idle:
                self._append(record)


def _ended_by(error: BaseException) -> tuple[Outcome, str]:
    match error:
        case asyncio.CancelledError() | GeneratorExit() | ConnectionAbortedError():
            return "cancelled", "the caller went away"
        case DiskFull() | PathNotFound() | PathRefused() | ValueError():
            return "refused", str(error)
        case HostError():
            return "failed", f"{type(error).__name__}: {error}"
        case ApiError():
            return "failed", error.message
        case _:
            return "failed", type(error).__name__
