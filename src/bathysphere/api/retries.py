"""Retries don't run code twice: a request that was sent before is answered by the turn that it began then.

What is remembered lives in this process, within bounds, and never beyond the API key that asked. The rules are in
docs/api.md, the reasons in docs/decisions/retries.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

from bathysphere.api.attempts import Attempt
from bathysphere.api.shared_turn import ANEW, Bounds, SharedTurn, Work, not_kept
from bathysphere.settings import RetrySettings
from bathysphere.telemetry import metrics
from bathysphere.wire.errors import Conflict, InvalidRequest

_log = logging.getLogger(__name__)

_FAILURE_BYTES: Final = 500
"""What the memory of a turn takes beside its answer, roughly."""


class Remembered:
    """A turn that was begun, or a try that failed (``turn`` is None)."""

    def __init__(self, attempt: Attempt, turn: SharedTurn | None) -> None:
        self.attempt = attempt
        self.turn = turn
        self.ended_at = 0.0

    @property
    def lost(self) -> bool:
        """Whether nobody has its answer and nobody waits for it."""
        return self.turn is not None and self.turn.unread and not self.turn.delivered

    @property
    def size_bytes(self) -> int:
        """Roughly what it takes, once it has ended."""
        answer = self.turn.answer if self.turn is not None else None
        return _FAILURE_BYTES + len(answer or b"")


class Retries:
    """The turns that run, and the answers of those that have ended. One per server; used in its event loop only."""

    def __init__(self, settings: RetrySettings) -> None:
        self._settings = settings
        self._known: dict[tuple[str, str | bytes], list[Remembered]] = {}
        self._running: dict[SharedTurn, Remembered] = {}
        self._ended: dict[Remembered, None] = {}  # in the order in which they ended
        self._ended_bytes = 0
        self._forgetting: asyncio.TimerHandle | None = None
        self._discarding: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """Turns that have not ended, whether somebody reads them or not."""
        return len(self._running)

    async def find(self, attempt: Attempt) -> SharedTurn | None:
        """The turn that an earlier try of this request began; None when the request is to be carried out.

        A turn that is being stopped is waited for: how it ends decides. Between None and ``begin`` nothing may be
        awaited. Raises InvalidRequest when its Idempotency-Key came with another content, and Conflict when the
        earlier turn can neither be told nor done again.
        """
        while (turn := self._same_key(attempt) or self._same_content(attempt)) is not None:
            if turn.ended or not turn.stopping:
                told = self._tellable(turn)
                metrics.RETRIES_ATTACHED.labels("ended" if turn.ended else "running").inc()
                return told
            await turn.wait()
        return None

    def _tellable(self, turn: SharedTurn) -> SharedTurn:
        if turn.stopped:
            raise Conflict(
                "An earlier try of this request was stopped while it ran code, since its client had gone away and did "
                f"not come back in time. What it did until then stands in `{turn.work.container_id}`. {ANEW}",
                should_retry=False,
            )
        if not turn.replayable:
            raise not_kept(self._settings.answer_bytes)
        return turn

    def _same_key(self, attempt: Attempt) -> SharedTurn | None:
        found = self._known.get(attempt.identity, []) if attempt.idempotency_key is not None else []
        if not found:
            return None
        if found[0].attempt.content != attempt.content:
            raise InvalidRequest(
                "Idempotency-Key: this key came with another request before (body, `anthropic-version` and "
                "`anthropic-beta` have to be the same, to the byte). Use a new key for each request."
            )
        return found[0].turn

    def _same_content(self, attempt: Attempt) -> SharedTurn | None:
        """Whose retry it is. Of several that sent the same at once, it is most likely the one who lost its answer."""
        if attempt.idempotency_key is not None or not attempt.retried:
            return None
        candidates = self._known.get(attempt.identity, [])
        for candidate in candidates:
            if candidate.lost:
                return candidate.turn
        for candidate in candidates:
            if candidate.turn is None:
                self._forget(candidate)
                return None
        return candidates[0].turn if len(candidates) == 1 else None

    def begin(self, attempt: Attempt, work: Work, *, streamed: bool) -> SharedTurn:
        """Carry out a request that ``find`` did not find."""
        bounds = Bounds(self._settings.grace_seconds, self._settings.answer_bytes)
        turn = SharedTurn(work, bounds, self._on_end, streamed=streamed, lasts=attempt.idempotency_key is not None)
        self._remember(Remembered(attempt, turn))
        return turn

    def failed(self, attempt: Attempt) -> None:
        """A try was refused before it began. Its retry is not to be taken for that of another one."""
        if attempt.identity in self._known:
            self._remember_failure(attempt)

    def give_way(self, owner: str, container_id: str) -> None:
        """Another request of the same key wants this container: turns in it that nobody waits for are stopped."""
        for turn, remembered in self._running.items():
            if turn.unread and turn.work.container_id == container_id and remembered.attempt.owner == owner:
                turn.stop()

    def stop_all(self) -> None:
        """Stop all turns: whoever reads them is told."""
        for turn in [*self._running]:
            turn.stop()

    async def close(self) -> None:
        """Stop all turns, and undo what nobody was told of."""
        self.stop_all()
        await asyncio.gather(*(turn.wait() for turn in [*self._running]))
        for remembered in [*self._ended]:
            self._forget(remembered)
        if self._forgetting is not None:
            self._forgetting.cancel()
        await asyncio.gather(*self._discarding)

    def _remember(self, remembered: Remembered) -> None:
        self._known.setdefault(remembered.attempt.identity, []).append(remembered)
        if remembered.turn is not None:
            self._running[remembered.turn] = remembered

    def _remember_failure(self, attempt: Attempt) -> None:
        if attempt.idempotency_key is not None:
            return  # a key says by itself whose retry it is
        failure = Remembered(attempt, None)
        self._remember(failure)
        self._keep(failure)

    def _on_end(self, turn: SharedTurn) -> None:
        remembered = self._running.pop(turn)
        if turn.error is None or (turn.stopped and turn.leaves_traces):
            self._keep(remembered)
            return
        # To be done again, if it is sent again: nothing of it is left, or it has ended with an error.
        self._forget(remembered)
        self._remember_failure(remembered.attempt)

    def _keep(self, remembered: Remembered) -> None:
        loop = asyncio.get_running_loop()
        remembered.ended_at = loop.time()
        self._ended[remembered] = None
        self._ended_bytes += remembered.size_bytes
        while len(self._ended) > self._settings.answers or self._ended_bytes > self._settings.answers_bytes:
            self._forget(next(iter(self._ended)))
        if self._forgetting is None:
            self._forgetting = loop.call_later(self._settings.keep_seconds, self._forget_old)

    def _forget_old(self) -> None:
        loop = asyncio.get_running_loop()
        self._forgetting = None
        while self._ended:
            oldest = next(iter(self._ended))
            left = oldest.ended_at + self._settings.keep_seconds - loop.time()
            if left > 0:
                self._forgetting = loop.call_later(left, self._forget_old)
                return
            self._forget(oldest)

    def _forget(self, remembered: Remembered) -> None:
        attempt, turn = remembered.attempt, remembered.turn
        if remembered in self._ended:
            del self._ended[remembered]
            self._ended_bytes -= remembered.size_bytes
        same = self._known[attempt.identity]
        same.remove(remembered)
        if not same:
            del self._known[attempt.identity]
        # Of a turn that failed or was stopped, nothing is left.
        if turn is not None and turn.error is None and turn.unread and not turn.told:
            task = asyncio.get_running_loop().create_task(_discard(turn.work.discard()))
            self._discarding.add(task)
            task.add_done_callback(self._discarding.discard)


async def _discard(discarding: Awaitable[None]) -> None:
    try:
        await discarding
    except Exception:
        _log.exception("a container that nobody was told of could not be removed; a sweep will")
