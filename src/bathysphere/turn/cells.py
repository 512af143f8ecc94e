"""Cells: Python of the model's in the container's interpreter, and the calls of the client's tools that it makes.

A cell that calls a tool stands still, over as many requests as it takes, until the client has answered (WIRE h.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bathysphere.containers.container import CommandResult, Container, ForeignCell
from bathysphere.containers.host import (
    Cell,
    CellGone,
    CellWaits,
    HostError,
    HostUnavailable,
    InterpreterBusy,
    SandboxFailed,
    ToolAnswer,
    ToolCall,
)
from bathysphere.containers.loggable import loggable
from bathysphere.settings import SandboxLimits
from bathysphere.turn.code_tools import CodeTools
from bathysphere.turn.results import OpenContainer, code_error, error_code, result_content
from bathysphere.wire.blocks import CodeResultBlock, ToolUseBlock
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.tools import ToolVersion

_log = logging.getLogger(__name__)

CALL_PREFIX: Final = "toolu_"
"""What the wire's id of a call has before the host's."""

MOST_CALLS: Final = 128
"""Calls that a client is asked to answer at once; others that the cell has made come when these are answered."""

_PAUSES: Final = (0.05, 0.2, 1.0)
"""Seconds before a host is asked again that ended in the middle of an answer: it may take a moment to be gone."""

_GONE: Final = (
    "The processes of the container ended while this code waited for a tool, so it did not run to its end. "
    "Files are kept; the interpreter's variables are gone."
)


class _Input(BaseModel):
    model_config = ConfigDict(strict=True)

    code: str = Field(max_length=1024 * 1024)


@dataclass(frozen=True, slots=True)
class WaitingCell:
    """A cell that waits: the client's tools that its code has called."""

    calls: tuple[ToolUseBlock, ...]


CellOutcome = CodeResultBlock | WaitingCell


class Cells:
    """Runs the cells of one request. What goes wrong is an error in the result, never an exception, save one:

    InvalidRequest for answers that are not this container's or no answers of this cell's calls.
    """

    def __init__(self, version: ToolVersion, tools: CodeTools, limits: SandboxLimits) -> None:
        self._version = version
        self._tools = tools
        self._limits = limits

    async def run(self, cell_id: str, given: Any, open_container: OpenContainer, sent_back: bool) -> CellOutcome:
        """Run a cell; ``sent_back``: the call comes from the request, so it may have run for an earlier one."""
        try:
            source = _Input.model_validate(given).code
        except ValidationError:
            return code_error(cell_id, "invalid_tool_input")
        try:
            container = await open_container()
            if sent_back and self._has_cell(container, cell_id):
                return await self._go_on(cell_id, (), container)
            seconds = self._limits.cell_seconds if self._version.cell_limit == "cell" else self._limits.command_seconds
            state = await container.run_cell(cell_id, Cell(source, seconds, self._tools.functions()))
            return await self._until_good(cell_id, state, container)
        except HostError as error:
            return self._failed(cell_id, error)
        except ValueError as error:
            _log.warning("%s was not run: %s", cell_id, loggable(error))
            return code_error(cell_id, "invalid_tool_input")

    async def go_on(self, cell_id: str, answers: Sequence[ToolAnswer], open_container: OpenContainer) -> CellOutcome:
        """Give a cell its client's answers. A request that is sent twice gets twice the same (``Host.answer_cell``)."""
        try:
            container = await open_container()
            self._has_cell(container, cell_id)
            return await self._go_on(cell_id, answers, container)
        except HostError as error:
            return self._failed(cell_id, error)

    def _has_cell(self, container: Container, cell_id: str) -> bool:
        try:
            return container.has_cell(cell_id)
        except ForeignCell as error:
            raise InvalidRequest(
                f"container: the code of `{cell_id[:100]}` waits in another container than `{container.id}`; send the "
                "`container` of the answer that held the calls"
            ) from error

    async def _go_on(self, cell_id: str, answers: Sequence[ToolAnswer], container: Container) -> CellOutcome:
        try:
            return await self._until_good(cell_id, await self._answer(cell_id, answers, container), container)
        except (CellGone, SandboxFailed) as error:
            _log.warning("%s: %s is gone: %s", container.id, cell_id, loggable(error))
            return CodeResultBlock(
                tool_use_id=cell_id,
                content={
                    "type": "code_execution_result",
                    "stdout": "",
                    "stderr": _GONE if isinstance(error, CellGone) else f"{error} Variables are gone.",
                    "return_code": 1,
                    "content": [],
                },
            )

    async def _answer(
        self, cell_id: str, answers: Sequence[ToolAnswer], container: Container
    ) -> CellWaits | CommandResult:
        try:
            for pause in _PAUSES:
                try:
                    return await container.answer_cell(cell_id, answers)
                except HostUnavailable as error:
                    # Answering twice does no harm, and whoever starts the daemon anew learns what became of the cell.
                    _log.warning("%s: %s is asked again: %s", container.id, cell_id, error)
                    await asyncio.sleep(pause)
            return await container.answer_cell(cell_id, answers)
        except ValueError as error:
            raise InvalidRequest(
                f"messages: the results of calls that name `{cell_id[:100]}` as their caller cannot be taken: {error}"
            ) from error

    async def _until_good(self, cell_id: str, state: CellWaits | CommandResult, container: Container) -> CellOutcome:
        """Answer wrong calls here, until the cell ends or waits for right ones alone."""
        while isinstance(state, CellWaits):
            refusals = [answer for call in state.calls if (answer := self._tools.refusal(call)) is not None]
            if not refusals:
                return WaitingCell(tuple(self._block(cell_id, call) for call in state.calls[:MOST_CALLS]))
            state = await self._answer(cell_id, refusals, container)
        return self._result(cell_id, state)

    def _block(self, cell_id: str, call: ToolCall) -> ToolUseBlock:
        return ToolUseBlock(
            id=f"{CALL_PREFIX}{call.id}",
            name=self._tools.tool_name(call),
            input=call.arguments,
            caller={"type": self._version.caller, "tool_id": cell_id},
        )

    def _result(self, cell_id: str, result: CommandResult) -> CodeResultBlock:
        if result.timed_out and self._version.cell_limit == "command":
            return code_error(cell_id, "execution_time_exceeded")
        return CodeResultBlock(tool_use_id=cell_id, content=result_content(result, "code_execution"))

    @staticmethod
    def _failed(cell_id: str, error: HostError) -> CodeResultBlock:
        if isinstance(error, InterpreterBusy):
            return code_error(cell_id, "too_many_requests")
        return code_error(cell_id, error_code(error))
