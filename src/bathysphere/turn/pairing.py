"""Calls and their results in a conversation: which belong together, and which calls still wait (WIRE b.7, c.5, h.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bathysphere.containers.host import ToolAnswer
from bathysphere.turn.cells import CALL_PREFIX
from bathysphere.turn.sides import Placed, Side, sides
from bathysphere.wire.blocks import (
    BashResultBlock,
    CodeResultBlock,
    EditorResultBlock,
    RedactedThinkingBlock,
    RequestBlock,
    ServerToolUseBlock,
    SubToolResultBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import InputMessage
from bathysphere.wire.tools import SUB_TOOL_NAMES

MAX_CALLS: Final = 64
"""Sub-tool calls that are carried out of one sampling, or of those that wait: the others get an error."""

_RESULTS: Final[dict[type, str]] = {
    BashResultBlock: "bash_code_execution",
    EditorResultBlock: "text_editor_code_execution",
    CodeResultBlock: "code_execution",
}
"""Whose results they are."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A cell that waits, and what the client's tools have answered to its calls."""

    cell: ServerToolUseBlock
    answers: tuple[ToolAnswer, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at the end of a conversation: a cell for its answers, and sub-tool calls to be run after it.

    ``number`` is that of the message with the first of them; None when nothing waits.
    """

    answered: Answered | None
    pending: tuple[ServerToolUseBlock, ...]
    number: int | None = None


class Pairing:
    """A client tool's results come in what the user says right after its call. A sub-tool's result comes

    anywhere after its call; only calls of the last assistant message may still wait for theirs, and those of a message
    that is followed by nothing but their cell's further calls.
    """

    def __init__(self, messages: list[InputMessage]) -> None:
        self._sides = list(sides(messages))
        self._with_result = {
            placed.block.tool_use_id
            for side in self._sides
            for placed in side.blocks
            if isinstance(placed.block, SubToolResultBlock)
        }
        self._called: dict[str, Placed] = {}
        self._open: dict[str, ServerToolUseBlock] = {}
        """Those that have their result nowhere in the conversation."""
        self._ended: set[str] = set()
        self._ids: set[str] = set()
        self._waiting: dict[str, Placed] = {}
        """The client's tools' calls that have no answer yet."""
        self._answers: dict[str, list[ToolAnswer]] = {}
        """Answers to the last assistant message's calls from code, by the cell."""

    def check(self) -> Waiting:
        """What waits. Raises InvalidRequest, with the documented texts."""
        for side in self._sides:
            if side.role == "assistant":
                self._refuse_resultless(side)
                self._answers = {}
                for placed in side.blocks:
                    if not isinstance(placed.block, TextBlock):
                        self._check_assistants(placed)
            else:
                self._check_users(side)
                self._refuse_unanswered()
        self._refuse_unanswered()
        pending = list(self._open.values())
        follows = self._sides[-1].blocks if self._sides and self._sides[-1].role == "user" else []
        if pending and not all(isinstance(placed.block, ToolResultBlock) for placed in follows):
            raise InvalidRequest(self._without_result(pending[0]))
        return self._sorted(pending)

    def _sorted(self, pending: list[ServerToolUseBlock]) -> Waiting:
        number = self._called[pending[0].id].number if pending else None
        if not self._answers:
            return Waiting(None, tuple(pending), number)
        if len(self._answers) > 1:
            raise InvalidRequest(f"messages: calls of several cells wait at once: {', '.join(self._answers)[:500]}")
        ((cell_id, answers),) = self._answers.items()
        cell = self._open[cell_id]
        others = tuple(call for call in pending if call is not cell)
        return Waiting(Answered(cell, tuple(answers)), others, self._called[cell_id].number)

    def _refuse_resultless(self, side: Side) -> None:
        """Calls wait over what an assistant says only when that is nothing new: calls of a cell that goes on."""
        if not self._open:
            return
        blocks = [placed.block for placed in side.blocks]
        further = {block.cell_id for block in blocks if isinstance(block, ToolUseBlock)}
        says = any(not isinstance(block, ToolUseBlock | SubToolResultBlock) for block in blocks)
        if says or not further or not further <= self._called.keys() - self._ended:
            raise InvalidRequest(self._without_result(next(iter(self._open.values()))))

    def _check_users(self, side: Side) -> None:
        of_code = next(
            (placed.block for placed in self._waiting.values() if _tool_use(placed).cell_id is not None), None
        )
        for placed in side.blocks:
            block = placed.block
            if of_code is not None and not isinstance(block, ToolResultBlock):
                # Their answers come with nothing beside them (WIRE h.4).
                cell = self._called[str(_cell_id(of_code))].block
                assert isinstance(cell, ServerToolUseBlock), "checked with the call"
                raise InvalidRequest(self._without_result(cell))
            if isinstance(block, ToolResultBlock):
                self._take_answer(placed, block)
            elif isinstance(block, _ASSISTANTS):
                raise _wrong_role(placed, "assistant")

    def _take_answer(self, placed: Placed, block: ToolResultBlock) -> None:
        if block.tool_use_id not in self._waiting:
            raise placed.wrong(
                f"unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id[:100]}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        call = _tool_use(self._waiting.pop(block.tool_use_id))
        if call.cell_id is not None:
            answer = ToolAnswer(call.id.removeprefix(CALL_PREFIX), _text_of(placed, block))
            self._answers.setdefault(call.cell_id, []).append(answer)

    def _check_assistants(self, placed: Placed) -> None:
        match placed.block:
            case ToolUseBlock() as block:
                self._check_new(placed, block.id)
                self._check_caller(placed, block)
                self._waiting[block.id] = placed
            case ServerToolUseBlock() as block:
                if block.name not in SUB_TOOL_NAMES:
                    raise InvalidRequest(
                        f"messages.{placed.number}.content.{placed.place}.server_tool_use.name: "
                        f"`{block.name[:100]}` is not a tool of this server; leave the call and its result out"
                    )
                self._check_new(placed, block.id)
                self._called[block.id] = placed
                if block.id not in self._with_result:
                    self._open[block.id] = block
            case BashResultBlock() | EditorResultBlock() | CodeResultBlock() as block:
                self._check_result(placed, block)
            case ToolResultBlock():
                raise _wrong_role(placed, "user")

    def _check_result(self, placed: Placed, block: SubToolResultBlock) -> None:
        shown = block.tool_use_id[:100]
        called = self._called.get(block.tool_use_id)
        if called is None:
            raise placed.wrong(
                f"unexpected `tool_use_id` found in `{block.type}` blocks: {shown}. Each `{block.type}` block must "
                "have a corresponding `server_tool_use` block before it."
            )
        assert isinstance(called.block, ServerToolUseBlock), "nothing else is kept there"
        name = called.block.name
        if name != _RESULTS[type(block)]:
            raise placed.wrong(
                f"`{block.type}` is no result of `{shown}`, which is a call of `{name}`: its result is a "
                f"`{name}_tool_result` block"
            )
        if block.tool_use_id in self._ended:
            raise placed.wrong(
                f"each `server_tool_use` must have a single result. Found multiple `{block.type}` blocks with id: "
                f"{shown}"
            )
        early = next((call for call in self._waiting.values() if _cell_id(call.block) == block.tool_use_id), None)
        if early is not None:
            raise placed.wrong(
                f"the result of `{shown}` stands before the `tool_result` of `{_tool_use(early).id[:100]}`, which its "
                "code called: it comes in the assistant message after that `tool_result`"
            )
        self._ended.add(block.tool_use_id)

    def _check_caller(self, placed: Placed, block: ToolUseBlock) -> None:
        if block.cell_id is None:
            return
        cell = self._called.get(block.cell_id)
        called = None if cell is None else cell.block
        is_cell = isinstance(called, ServerToolUseBlock) and called.name == "code_execution"
        if not is_cell or block.cell_id in self._ended:
            raise placed.wrong(
                f"source tool `{block.cell_id[:100]}` not found for tool use block `{block.id[:100]}`. The code's "
                "`server_tool_use` block must come before the calls that it made, its result after them."
            )

    def _check_new(self, placed: Placed, call_id: str) -> None:
        if call_id in self._ids:
            raise placed.wrong("`tool_use` ids must be unique")
        self._ids.add(call_id)

    def _refuse_unanswered(self) -> None:
        if not self._waiting:
            return
        named = [call_id[:100] for call_id in self._waiting]
        shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        raise InvalidRequest(
            f"messages.{next(iter(self._waiting.values())).number}: `tool_use` ids were found without `tool_result` "
            f"blocks immediately after: {shown}. Each `tool_use` block must have a corresponding `tool_result` block "
            "in the next message."
        )

    def _without_result(self, call: ServerToolUseBlock) -> str:
        return without_result(call, self._called[call.id].number)


_ASSISTANTS: Final = (
    ToolUseBlock,
    ServerToolUseBlock,
    BashResultBlock,
    EditorResultBlock,
    CodeResultBlock,
    ThinkingBlock,
    RedactedThinkingBlock,
)
"""Blocks that only an assistant says."""


def _tool_use(placed: Placed) -> ToolUseBlock:
    assert isinstance(placed.block, ToolUseBlock), "nothing else waits"
    return placed.block


def _cell_id(block: RequestBlock) -> str | None:
    return block.cell_id if isinstance(block, ToolUseBlock) else None


def _wrong_role(placed: Placed, role: str) -> InvalidRequest:
    return placed.wrong(f"`{placed.block.type}` blocks can only be in {role} messages")


def _text_of(placed: Placed, block: ToolResultBlock) -> str:
    """What code gets for its call (WIRE h.2); an error is text like any other."""
    if not isinstance(block.content, list):
        return block.content or ""
    texts = []
    for inner, part in enumerate(block.content):
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise InvalidRequest(
                f"messages.{placed.number}.content.{placed.place}.tool_result.content.{inner}: the result of a call "
                "that code has made can hold only text: a string, or `text` blocks"
            )
        texts.append(part["text"])
    return "".join(texts)


def without_result(call: ServerToolUseBlock, number: int) -> str:
    """The documented complaint about a call in message ``number`` without its result (WIRE c.5)."""
    return (
        f"messages.{number}: `{call.name}` tool use with id `{call.id[:100]}` was found without a corresponding "
        f"`{call.name}_tool_result` block"
    )
