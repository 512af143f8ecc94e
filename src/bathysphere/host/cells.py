"""Cells: code in a container's interpreter that may stand still for minutes, until its tools have answered.

A cell belongs to the sandbox that runs it and is gone with it. What has come of it is kept here, so that a request
that was sent twice gets the same answer twice, and a server that was started anew goes on where the old one was.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bathysphere.guest import bounds
from bathysphere.host.contract import Cell, ToolAnswer, ToolCall
from bathysphere.host.reports import Measured
from bathysphere.host.sandbox import GuestCall, GuestError, GuestRefusal, Report, Sandbox, json_bytes
from bathysphere.settings import SandboxLimits

log = logging.getLogger(__name__)

UNATTENDED_ROUNDS: Final = 3
"""How often a cell may wait in vain before further calls are not waited for: it would keep its container for ever."""

Late = Callable[[], Awaitable[None]]
"""Called when calls have waited for too long; it has to bring about ``HeldCell.time_out``."""


@dataclass
class _Open:
    """A call without an answer."""

    number: int
    call: ToolCall
    until: float
    """Of the loop's time; then it is answered with a TimeoutError."""
    size: int
    """Bytes of its arguments, as they are told on."""


@dataclass
class HeldCell:
    """One cell and what has come of it so far."""

    id: str
    limits: SandboxLimits
    measured: Measured
    late: Late
    output: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    finished: dict[str, Any] | None = None
    """The report for the client, once it has ended."""
    _open: dict[str, _Open] = field(default_factory=dict)
    _answered: set[str] = field(default_factory=set)
    _refused: list[tuple[int, ToolAnswer]] = field(default_factory=list)
    _unattended: int = 0
    _timer: asyncio.TimerHandle | None = None
    _timing_out: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether it stands still until calls are answered."""
        return bool(self._open)

    @property
    def has_waited(self) -> bool:
        """Whether calls of it were answered, and so somebody may ask again what has come of it."""
        return bool(self._answered)

    @property
    def calls(self) -> list[ToolCall]:
        """The calls that it waits for."""
        return [open_.call for open_ in self._open.values()]

    @property
    def waits_until(self) -> float:
        """When the last of its calls is answered at the latest, in seconds of the time of day."""
        left = max((open_.until for open_ in self._open.values()), default=0.0) - asyncio.get_running_loop().time()
        return time.time() + left

    def take(self, stream: str, data: bytes) -> None:
        """Keep what it wrote."""
        self.output[stream] += data

    async def run(self, sandbox: Sandbox, cell: Cell, gone: asyncio.Event) -> None:
        """Run it until it ends or waits; once ``gone`` is set it is interrupted.

        Raises GuestError and GuestRefusal.
        """
        self._arrive(await sandbox.run_cell(cell, gone, self.take, self.limits.output_bytes))

    async def answer(self, sandbox: Sandbox, answers: Iterable[ToolAnswer]) -> None:
        """Let it go on with the answers to calls that have none yet, if there are such.

        Raises ValueError for an answer to what it never called, and takes none of them then, and GuestError.
        """
        answers = tuple(answers)
        for answer in answers:
            if answer.call_id not in self._open and answer.call_id not in self._answered:
                raise ValueError(f"The cell {self.id} has made no call {answer.call_id}.")
        self._unattended = 0
        given = []
        for answer in answers:
            if answer.call_id in self._open:
                given.append((self._open.pop(answer.call_id).number, answer))
                self._answered.add(answer.call_id)
        if given:
            await self._give(sandbox, given)

    async def time_out(self, sandbox: Sandbox) -> None:
        """Answer the calls that have waited for too long. Raises GuestError."""
        now = asyncio.get_running_loop().time()
        given = []
        for open_ in [open_ for open_ in self._open.values() if open_.until <= now]:
            del self._open[open_.call.id]
            self._answered.add(open_.call.id)
            given.append((open_.number, self._too_late(open_.call)))
        if given:
            self._unattended += 1
            await self._give(sandbox, given)
        elif self._open:
            # The loop counts milliseconds: it may call a hair before the time that it was asked for.
            self._set_timer()

    def _too_late(self, call: ToolCall) -> ToolAnswer:
        waited = f"no response after {self.limits.tool_seconds:g}s"
        return ToolAnswer(call.id, f"Calling tool ['{call.tool}'] timed out ({waited}).", "TimeoutError")

    async def _give(self, sandbox: Sandbox, given: Sequence[tuple[int, ToolAnswer]]) -> None:
        try:
            reached = await sandbox.answer_cell(given, self.limits.cell_seconds, self.take, self.limits.output_bytes)
        except GuestRefusal as refusal:
            # The answers are given and nobody knows what has come of them: with the sandbox the cell is over for sure.
            raise GuestError(f"the guest did not take the answers of tools: {refusal}") from refusal
        self._arrive(reached)

    def _arrive(self, reached: Report | list[GuestCall]) -> None:
        """Note where it stands now. Raises GuestError."""
        if isinstance(reached, Report):
            self.close()
            self._open.clear()
            self.finished = self.measured.finish(reached)
            return
        wait = 0.0 if self._unattended >= UNATTENDED_ROUNDS else self.limits.tool_seconds
        until = asyncio.get_running_loop().time() + wait
        for made in reached:
            call_id = secrets.token_hex(12)
            size = len(json_bytes(made.arguments))
            self._open[call_id] = _Open(made.number, ToolCall(call_id, made.tool, made.arguments), until, size)
        if not 0 < len(self._open) <= bounds.OPEN_CALLS:
            raise GuestError("the guest waits for nothing, or for more than it may")
        # Counted anew: JSON that was not written here can be a fraction of the same written here.
        if sum(open_.size for open_ in self._open.values()) > bounds.OPEN_BYTES:
            raise GuestError(f"the guest calls with more than {bounds.OPEN_BYTES >> 20} MiB of arguments at once")
        self._set_timer()

    def _set_timer(self) -> None:
        self.close()

        def begin() -> None:
            self._timing_out = asyncio.ensure_future(self._run_late())

        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(min(open_.until for open_ in self._open.values()), begin)

    async def _run_late(self) -> None:
        try:
            await self.late()
        except Exception as error:
            log.warning("a cell whose calls were not answered could not go on: %s", error)

    def close(self) -> None:
        """Time nothing out any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
