"""How a server ends: first it says so, then it takes nothing new, then it ends what still runs (docs/observing.md)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from bathysphere.telemetry import metrics
from bathysphere.wire.errors import Overloaded


def ending() -> Overloaded:
    """What a client is told whose answer did not come to its end in time (WIRE d, j)."""
    return Overloaded("The server is ending, and this took longer than it waits. Try again.")


class Draining:
    """One per server; used in its event loop only."""

    def __init__(self) -> None:
        self.noticed = False
        """Whether the server has been told to end: it is not ready any more, and still takes requests for a while."""
        self._deadline: float | None = None
        self._stopping: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._interrupts: dict[int, Callable[[], None]] = {}
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def notice(self) -> None:
        """The server is to end."""
        self.noticed = True
        metrics.DRAINING.set(1)

    def when_stopping(self, stop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have this carried out once nothing new is to be begun."""
        self._stopping.append(stop)

    def stop(self, seconds: float) -> None:
        """Begin nothing new. What runs has so many seconds; then it is interrupted. Later calls only shorten that."""
        self.notice()
        deadline = time.monotonic() + seconds
        if self._deadline is None:
            self._tasks = [asyncio.create_task(stop()) for stop in self._stopping]
        if self._deadline is None or deadline < self._deadline:
            self._deadline = deadline
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._interrupt)

    @property
    def remaining_seconds(self) -> float:
        """That what runs has left; nothing when nobody has said how long."""
        return max(0.0, (self._deadline or 0.0) - time.monotonic())

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Something runs inside that is ended by ``interrupt`` when its time is over."""
        self._number += 1
        number = self._number
        self._interrupts[number] = interrupt
        try:
            yield
        finally:
            del self._interrupts[number]

    def _interrupt(self) -> None:
        for interrupt in [*self._interrupts.values()]:
            interrupt()

    async def close(self) -> None:
        """Wait for what ``when_stopping`` began."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._tasks)
