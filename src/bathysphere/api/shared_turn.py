"""A turn that is carried out once, and whoever reads it: the client that asked for it, and that client's retries."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi.responses import JSONResponse

from bathysphere.api.replay_buffer import ReplayBuffer
from bathysphere.api.sse import record
from bathysphere.telemetry import tracing
from bathysphere.turn.fold import fold_events
from bathysphere.wire.errors import Conflict, Overloaded
from bathysphere.wire.events import StreamEvent, event_wire, names_container

_BEHIND: Final = 256
"""Events that wait for the quickest reader; then the turn waits too."""

ANEW: Final = "To have it done again, send it anew, without `x-stainless-retry-count` and with another Idempotency-Key."

_FIRST_READER_SECONDS: Final = 10
"""That the request which began a turn may take to read it, beside the grace."""


class Work(Protocol):
    """What is carried out."""

    def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn, as WIRE d orders them. Raises ApiError. Closing it early ends what runs."""

    @property
    def ran_code(self) -> bool:
        """Whether code has begun to run."""

    @property
    def container_id(self) -> str | None:
        """The container that the request names; None when the turn makes its own."""

    async def discard(self) -> None:
        """Remove the container that the turn made, if it did, because nobody can know of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a turn goes on without a reader, in seconds, and how many bytes its answer may have to be kept."""

    grace_seconds: float
    answer_bytes: int


def not_kept(answer_bytes: int) -> Conflict:
    """The failure of a retry that comes too late to be told everything."""
    return Conflict(
        f"An earlier try of this request has been carried out, but its answer has more than {answer_bytes} bytes and "
        f"was not kept. {ANEW}",
        should_retry=False,
    )


class _Reader:
    def __init__(self, waiting: list[StreamEvent]) -> None:
        self.waiting = deque(waiting)
        self.news = asyncio.Event()


class SharedTurn:
    """See the module. It begins with its first reader, in a task of its own; when it has ended, ``on_end`` is called.

    The rule for turns that nobody reads any more: one that has run code, or that ``lasts``, goes on for
    ``grace_seconds``, since a retry may come for it; any other one is stopped at once.
    """

    def __init__(
        self,
        work: Work,
        bounds: Bounds,
        on_end: Callable[[SharedTurn], None],
        *,
        streamed: bool,
        lasts: bool = False,
    ) -> None:
        self.work = work
        self.request_id = tracing.request_id()
        """Of the request that began it."""
        self.streamed = streamed
        self.answer: bytes | None = None
        """The whole answer, of a turn that came to its end and is not too large to be kept."""
        self.error: Exception | None = None
        self.stopping = False
        """Whether it has been told to end; it may take a while to undo what it undoes."""
        self.stopped = False
        self.told = False
        """Whether somebody was told which container the turn used."""
        self.delivered = False
        """Whether somebody has read it to its end."""
        self._bounds = bounds
        self._on_end = on_end
        self._lasts = lasts
        self._buffer = ReplayBuffer()
        self._whole: bytes | None = None
        self._too_large = False
        self._readers: set[_Reader] = set()
        self._entered = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = asyncio.Event()
        self._given_up: asyncio.TimerHandle | None = None
        self._await_reader(_FIRST_READER_SECONDS)
        self._task = asyncio.create_task(self._carry_out())
        self._task.add_done_callback(self._stopped_before_it_began)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended.is_set()

    @property
    def leaves_traces(self) -> bool:
        """Whether code has begun to run in a container that stays: then to do it again is to run it twice."""
        return self.work.ran_code and self.work.container_id is not None

    @property
    def unread(self) -> bool:
        """Whether nobody waits for it."""
        return not self._readers

    @property
    def replayable(self) -> bool:
        """Whether one who comes now can be told everything."""
        return not self._too_large

    def stop(self) -> None:
        """End it: the upstream's request, or the running command."""
        # Once: to cancel it again would break off what it undoes.
        if not self.stopping:
            self.stopping = True
            self._task.cancel()

    async def wait(self) -> None:
        """Until it has ended, and all that it undoes is undone."""
        await self._ended.wait()

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """Everything from the beginning, then what comes as it comes. Raises what the turn raises.

        Whoever closes it has gone away.
        """
        if self._entered.is_set() and not self.replayable:
            raise not_kept(self._bounds.answer_bytes)
        reader = self._enter(self._buffer.events())
        try:
            while reader.waiting or not self.ended:
                while reader.waiting:
                    event = reader.waiting.popleft()
                    self._room.set()
                    # Before it is handed on: whoever got it may go away with it.
                    self.told = self.told or names_container(event)
                    yield event
                if not self.ended:
                    reader.news.clear()
                    await reader.news.wait()
            if self.error is not None:
                raise self.error
            self.delivered = True
        finally:
            self._leave(reader)

    async def whole(self) -> bytes:
        """The message as JSON, when the turn has ended. Raises what the turn raises. Being cancelled is going away."""
        reader = self._enter([])
        try:
            await self._ended.wait()
            if self.error is not None:
                raise self.error
            if self._whole is None:
                raise not_kept(self._bounds.answer_bytes)
            self.told = self.delivered = True
            return self._whole
        finally:
            self._leave(reader)

    def _enter(self, waiting: list[StreamEvent]) -> _Reader:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None
        reader = _Reader(waiting)
        self._readers.add(reader)
        self._entered.set()
        return reader

    def _leave(self, reader: _Reader) -> None:
        self._readers.discard(reader)
        self._room.set()
        if self.unread and not self.ended:
            if self.work.ran_code or self._lasts:
                self._await_reader()
            else:
                self.stop()
        if self.unread and self.ended:
            self._release()

    def _await_reader(self, more_seconds: float = 0) -> None:
        loop = asyncio.get_running_loop()
        self._given_up = loop.call_later(self._bounds.grace_seconds + more_seconds, self.stop)

    async def _carry_out(self) -> None:
        try:
            # Who asked for it must hear it from the beginning, however large it is.
            await self._entered.wait()
            async with aclosing(self.work.events()) as events:
                async for event in events:
                    self._pass_on(event)
                    await self._until_room()
            self._whole, self.answer = self._written()
        except asyncio.CancelledError:
            self._was_stopped()
        except Exception as error:
            self.error = error
        finally:
            self._end()

    def _stopped_before_it_began(self, _task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not take it."""
        if not self.ended:
            self._was_stopped()
            self._end()

    def _was_stopped(self) -> None:
        self.stopped = True
        self.error = Overloaded("The turn was stopped: the server ends, or nobody waited for it. Try again.")

    def _pass_on(self, event: StreamEvent) -> None:
        if self.streamed:
            for reader in self._readers:
                reader.waiting.append(event)
                reader.news.set()
        if not self._too_large:
            self._buffer.add(event)
            if self.streamed and self._buffer.size_bytes > self._bounds.answer_bytes:
                self._too_large = True
                self._buffer.clear()

    async def _until_room(self) -> None:
        # The quickest decides: one whose connection is dead without our knowing must not hold up its own retry.
        while self.streamed and self._readers and min(len(reader.waiting) for reader in self._readers) > _BEHIND:
            self._room.clear()
            await self._room.wait()

    def _written(self) -> tuple[bytes, bytes | None]:
        """The whole answer as it is sent, and as it is kept."""
        if self._too_large:
            return b"", None
        events = self._buffer.events()
        if self.streamed:
            parts = []
            for event in events:
                data = event_wire(event)
                parts.append(record(data["type"], data))
            whole = b"".join(parts)
        else:
            whole = bytes(JSONResponse(fold_events(events).wire()).body)
        self._too_large = len(whole) > self._bounds.answer_bytes
        return whole, None if self._too_large else whole

    def _end(self) -> None:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None
        self._buffer.clear()
        self._ended.set()
        for reader in self._readers:
            reader.news.set()
        if self.unread:
            self._release()
        self._on_end(self)

    def _release(self) -> None:
        """Nobody can ask for more than what is kept."""
        self._whole = self.answer
