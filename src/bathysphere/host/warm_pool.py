"""Sandboxes started ahead of the containers that will get them.

A disk, a process 1 that has said its first word, and nothing of anybody in it: a new container takes one over by a
change of name. They count among ``host.max_sandboxes``, and give way when somebody else needs the room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, Protocol, TypeVar

log = logging.getLogger(__name__)

PREFIX = "pool-"
"""Of the names that pooled disks have until a container takes them over. No container's id begins so."""

REST_SECONDS = 0.05
"""After one was taken: who took it has work to do first."""

RETRY_SECONDS = 10.0
"""After one could not be started."""

QUIET_SECONDS = 1.0
"""After the last one was made or taken: then those that are there are prepared, which takes the processor's time."""


class Pooled(Protocol):
    """What a pool holds."""

    @property
    def alive(self) -> bool:
        """Whether it can still be used."""

    @property
    def prepared(self) -> bool:
        """Whether all is done for it that can be done ahead."""


P = TypeVar("P", bound=Pooled)


class WarmPool(Generic[P]):
    """``size`` of them, made one after the other in the background."""

    def __init__(
        self,
        size: int,
        make: Callable[[], Coroutine[Any, Any, P | None]],
        prepare: Callable[[P], Coroutine[Any, Any, None]],
        end: Callable[[P], Coroutine[Any, Any, None]],
    ) -> None:
        """``make`` gives None when there is no room; ``prepare`` marks one as prepared, whatever comes of it, unless it

        is cancelled; ``end`` leaves nothing of one behind.
        """
        self._size = size
        self._make = make
        self._prepare = prepare
        self._end = end
        self._ready: deque[P] = deque()
        self._filling: asyncio.Task[None] | None = None
        self._dismissals: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._ready)

    def fill(self) -> None:
        """Begin to make what is missing; returns at once."""
        if self._size and not self._closed and (self._filling is None or self._filling.done()):
            # Not a part of the request that may have taken one.
            self._filling = asyncio.create_task(self._fill(), context=Context())

    async def _fill(self) -> None:
        while True:
            if len(self._ready) < self._size:
                await asyncio.sleep(REST_SECONDS)
                try:
                    made = await self._make()
                except Exception as error:
                    log.warning("no sandbox could be started ahead: %s", error)
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if made is None:
                    return
                self._ready.append(made)
                continue
            there = list(self._ready)
            if all(one.prepared for one in there):
                return
            await asyncio.sleep(QUIET_SECONDS)
            if there == list(self._ready):
                await self._prepare_aside(next(one for one in there if not one.prepared))

    async def _prepare_aside(self, one: P) -> None:
        """Prepare one that nobody can take meanwhile: its guest answers one after the other."""
        self._ready.remove(one)
        try:
            await self._prepare(one)
        except BaseException:
            await asyncio.shield(self._end(one))
            raise
        self._ready.appendleft(one)

    def take(self) -> P | None:
        """One of them, if there is one; another is begun."""
        while self._ready:
            taken = self._ready.popleft()
            self.fill()
            if taken.alive:
                return taken
            self.dismiss(taken)
        self.fill()
        return None

    def dismiss(self, taken: P) -> None:
        """End one that was taken and is of no use; returns at once."""
        dismissal = asyncio.create_task(self._end(taken))
        self._dismissals.add(dismissal)
        dismissal.add_done_callback(self._dismissals.discard)

    async def give_way(self) -> bool:
        """End one, or stop making one, so that there is room. False when there is none."""
        if self._ready:
            await self._end(self._ready.pop())
            return True
        if self._filling is not None and not self._filling.done():
            await self._stop_filling()
            return True
        return False

    async def _stop_filling(self) -> None:
        if self._filling is not None:
            self._filling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._filling

    async def close(self) -> None:
        """End all of them."""
        self._closed = True
        await self._stop_filling()
        while self._ready:
            await self._end(self._ready.pop())
        await asyncio.gather(*self._dismissals, return_exceptions=True)
