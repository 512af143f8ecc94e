"""How what is done in a container is recorded: one record for each call, made when it ends, however it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from bathysphere.containers.host import (
    ContainerDeleted,
    DiskFull,
    HostError,
    HostUnavailable,
    PathNotFound,
    PathRefused,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.metering.charges import Execution
from bathysphere.store import audit
from bathysphere.store.audit import Action, Call, Outcome, ProducedFile
from bathysphere.wire.errors import ApiError

EXECUTION: Final[frozenset[Action]] = frozenset(
    ("bash", "python", "cell", "resume", "view", "create_file", "str_replace", "place", "upload", "download")
)
"""Actions in which the container is at work, so that their time is booked (docs/metering.md)."""

_NOT_CARRIED_OUT: Final = (TooManySandboxes, UnknownContainer, HostUnavailable)


@dataclass(frozen=True, slots=True)
class Actor:
    """On whose behalf something is done: a workspace, the key it used, and the request. No key: the operator.

    ``free_of_charge``: its execution time is not booked.
    """

    workspace_id: str
    api_key_id: str | None = None
    request_id: str | None = None
    free_of_charge: bool = False


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


class Book(Protocol):
    """Where calls are written down: ``Records``."""

    def check(self) -> None:
        """Raises HostError when nothing can be written down."""

    def append(self, *entries: Call | Execution) -> None:
        """Keep them."""

    def running(self, so_far: Callable[[], Execution]) -> AbstractContextManager[None]:
        """A container is at work inside; ``so_far`` says for how long by now."""


class Limits(Protocol):
    """What may be executed: ``Quotas``."""

    def check_execution(self, actor: Actor, container_id: str) -> None:
        """Raises HostError when nothing more may be executed."""

    def at_work(self, actor: Actor, container_id: str) -> AbstractContextManager[None]:
        """Something runs in the container inside."""


@dataclass(slots=True)
class Used:
    """What the calls of one recorder used together; ``stored_bytes`` are of the files that they produced."""

    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    stored_bytes: int = 0

    def add(self, call: OpenCall) -> None:
        """One more call has ended."""
        self.cpu_seconds += call.cpu_seconds or 0.0
        self.peak_memory_bytes = max(self.peak_memory_bytes, call.peak_memory_bytes or 0)
        self.stored_bytes += sum(file.size_bytes for file in call.files)


class Recorder:
    """Records the calls of one container by one actor, and has their time booked."""

    def __init__(
        self, container_id: str, actor: Actor, book: Book, quotas: Limits | None = None, keep_text: bool = True
    ) -> None:
        """Without ``keep_text`` a command is recorded by its length and hash only; paths always are as they are."""
        self._container_id = container_id
        self._actor = actor
        self._book = book
        self._quotas = quotas
        self._keep_text = keep_text
        self.used = Used()

    @contextmanager
    def call(self, action: Action, text: str) -> Iterator[OpenCall]:
        """Record what happens inside, however it ends. Raises HostError when it may not be, or not be recorded."""
        self._book.check()
        call = OpenCall()
        executes = action in EXECUTION
        if executes and self._quotas is not None:
            self._quotas.check_execution(self._actor, self._container_id)
        began, started = datetime.now(UTC), time.monotonic()
        paid = executes and not self._actor.free_of_charge

        def so_far() -> Execution:
            seconds = time.monotonic() - started
            return Execution(self._container_id, self._actor.workspace_id, self._actor.api_key_id, began, seconds)

        carried_out = True
        try:
            with ExitStack() as running:
                if paid:
                    running.enter_context(self._book.running(so_far))
                if executes and self._quotas is not None:
                    running.enter_context(self._quotas.at_work(self._actor, self._container_id))
                yield call
        except BaseException as error:
            call.outcome, call.error = _ended_by(error)
            # Who deletes a container in the middle of a call has had what ran until then.
            carried_out = isinstance(error, ContainerDeleted) or not isinstance(error, _NOT_CARRIED_OUT)
            raise
        finally:
            execution = so_far()
            if not call.idle:
                record = self._record(action, text, call, execution)
                self._book.append(record, *((execution,) if paid and carried_out else ()))
                if action != "place":
                    self.used.add(call)

    def _record(self, action: Action, text: str, call: OpenCall, execution: Execution) -> Call:
        subject, length, digest = audit.subject_of(text, self._keep_text or action not in audit.CODE)
        return Call(
            container_id=self._container_id,
            workspace_id=self._actor.workspace_id,
            api_key_id=self._actor.api_key_id,
            request_id=self._actor.request_id,
            started_at=execution.began,
            action=action,
            subject=subject,
            subject_bytes=length,
            subject_sha256=digest,
            outcome=call.outcome,
            error=call.error,
            exit_code=call.exit_code,
            timed_out=call.timed_out,
            duration_seconds=execution.seconds,
            cpu_seconds=call.cpu_seconds,
            peak_memory_bytes=call.peak_memory_bytes,
            written_bytes=call.written_bytes,
            files=tuple(call.files),
        )


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
