"""Calls and their results in a conversation: which belong together, and which calls still wait (WIRE b.7, c.5, h.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bathysphere.containers.host import ToolAnswer
from bathysphere.turn.cells import CALL_PREFIX
from bathysphere.wire.blocks import (
    BashResultBlock,
    CodeResultBlock,
    EditorResultBlock,
    RedactedThinkingBlock,
    RequestBlock,
    ServerToolUseBlock,
    SubToolResultBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import InputMessage
from bathysphere.wire.tools import SUB_TOOL_NAMES

MAX_CALLS: Final = 64
"""Sub-tool calls of one sampling, and calls that may wait to be run: more are refused."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A cell that waits, and what the client's tools have answered to its calls."""

    cell: ServerToolUseBlock
    answers: tuple[ToolAnswer, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits at the end of a conversation: a cell for its answers, and sub-tool calls to be run after it."""

    answered: Answered | None
    pending: tuple[ServerToolUseBlock, ...]


class Pairing:
    """A client tool's results come in the user's message, or messages, right after its call. A sub-tool's result comes

    anywhere after its call; only calls of the last assistant message may still wait for theirs, and those of a message
    that is followed by nothing but their cell's further calls.
    """

    def __init__(self, messages: list[InputMessage]) -> None:
        self._messages = messages
        self._answered = {
            block.tool_use_id
            for message in messages
            for block in message.content
            if isinstance(block, SubToolResultBlock)
        }
        self._last_assistant = max(
            (number for number, message in enumerate(messages) if message.role == "assistant"), default=-1
        )
        self._called: dict[str, ServerToolUseBlock] = {}
        self._open: dict[str, ServerToolUseBlock] = {}
        """Those that have their result nowhere in the conversation."""
        self._ended: set[str] = set()
        self._ids: set[str] = set()
        self._waiting: dict[str, ToolUseBlock] = {}
        self._answers: dict[str, list[ToolAnswer]] = {}
        """Answers to the last assistant message's calls from code, by the cell."""

    def check(self) -> Waiting:
        """What waits. Raises InvalidRequest, with the documented texts."""
        for number, message in enumerate(self._messages):
            if message.role == "assistant":
                self._refuse_unanswered()
                self._refuse_resultless(message)
                self._answers = {}
                for place, block in enumerate(message.content):
                    self._check_assistants(number, place, block)
            elif message.role == "user":
                self._check_user_message(number, message)
        self._refuse_unanswered()
        pending = list(self._open.values())
        follows = [
            block
            for message in self._messages[self._last_assistant + 1 :]
            if message.role == "user"
            for block in message.content
        ]
        if pending and not all(isinstance(block, ToolResultBlock) for block in follows):
            raise InvalidRequest(without_result(pending[0]))
        if len(pending) > MAX_CALLS:
            raise InvalidRequest(f"messages: more than {MAX_CALLS} calls wait to be run")
        return self._sorted(pending)

    def _sorted(self, pending: list[ServerToolUseBlock]) -> Waiting:
        if not self._answers:
            return Waiting(None, tuple(pending))
        if len(self._answers) > 1:
            raise InvalidRequest(f"messages: calls of several cells wait at once: {', '.join(self._answers)[:500]}")
        ((cell_id, answers),) = self._answers.items()
        cell = self._called[cell_id]
        return Waiting(Answered(cell, tuple(answers)), tuple(call for call in pending if call is not cell))

    def _refuse_resultless(self, message: InputMessage) -> None:
        """Calls wait over an assistant message only when it says nothing new: it holds their cell's further calls."""
        if not self._open:
            return
        further = {block.cell_id for block in message.content if isinstance(block, ToolUseBlock)}
        says = any(not isinstance(block, ToolUseBlock | SubToolResultBlock) for block in message.content)
        if says or not further or not further <= self._open.keys():
            raise InvalidRequest(without_result(next(iter(self._open.values()))))

    def _check_user_message(self, number: int, message: InputMessage) -> None:
        of_code = [call for call in self._waiting.values() if call.cell_id is not None]
        for place, block in enumerate(message.content):
            if of_code and not isinstance(block, ToolResultBlock):
                raise InvalidRequest(without_result(self._called[str(of_code[0].cell_id)]))
            self._check_users(number, place, block)
        if of_code:
            # Their answers come all in one message (WIRE h.4).
            self._refuse_unanswered()

    def _check_assistants(self, number: int, place: int, block: RequestBlock) -> None:
        match block:
            case ToolUseBlock():
                self._check_new(number, place, block.id)
                self._check_caller(block)
                self._waiting[block.id] = block
            case ServerToolUseBlock():
                if block.name not in SUB_TOOL_NAMES:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}.server_tool_use.name: `{block.name[:100]}` "
                        "is not a tool of this server"
                    )
                self._check_new(number, place, block.id)
                self._called[block.id] = block
                if block.id not in self._answered:
                    self._open[block.id] = block
            case BashResultBlock() | EditorResultBlock() | CodeResultBlock():
                if block.tool_use_id not in self._called:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `{block.type}` "
                        f"blocks: {block.tool_use_id[:100]}. Each result block must come after its "
                        "`server_tool_use` block."
                    )
                self._ended.add(block.tool_use_id)
            case ToolResultBlock():
                raise _wrong_role(number, place, block, "user")

    def _check_caller(self, block: ToolUseBlock) -> None:
        if block.cell_id is None:
            return
        cell = self._called.get(block.cell_id)
        if cell is None or cell.name != "code_execution" or cell.id in self._ended:
            raise InvalidRequest(f"source tool `{block.cell_id[:100]}` not found for tool use block `{block.id[:100]}`")

    def _check_users(self, number: int, place: int, block: RequestBlock) -> None:
        match block:
            case ToolResultBlock():
                if block.tool_use_id not in self._waiting:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `tool_result` "
                        f"blocks: {block.tool_use_id[:100]}. Each `tool_result` block must have a corresponding "
                        "`tool_use` block in the previous message."
                    )
                call = self._waiting.pop(block.tool_use_id)
                if call.cell_id is not None:
                    text = _text_of(number, place, block)
                    answer = ToolAnswer(call.id.removeprefix(CALL_PREFIX), text)
                    self._answers.setdefault(call.cell_id, []).append(answer)
            case (
                ToolUseBlock()
                | ServerToolUseBlock()
                | BashResultBlock()
                | EditorResultBlock()
                | CodeResultBlock()
                | ThinkingBlock()
                | RedactedThinkingBlock()
            ):
                raise _wrong_role(number, place, block, "assistant")

    def _check_new(self, number: int, place: int, call_id: str) -> None:
        if call_id in self._ids:
            raise InvalidRequest(f"messages.{number}.content.{place}: `tool_use` ids must be unique")
        self._ids.add(call_id)

    def _refuse_unanswered(self) -> None:
        if self._waiting:
            named = [call_id[:100] for call_id in self._waiting]
            shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
            raise InvalidRequest(
                f"`tool_use` ids were found without `tool_result` blocks immediately after: {shown}. Each `tool_use` "
                "block must have a corresponding `tool_result` block in the next message."
            )


def _wrong_role(number: int, place: int, block: RequestBlock, role: str) -> InvalidRequest:
    return InvalidRequest(f"messages.{number}.content.{place}: `{block.type}` blocks can only be in {role} messages")


def _text_of(number: int, place: int, block: ToolResultBlock) -> str:
    """What code gets for its call (WIRE h.2); an error is text like any other."""
    if not isinstance(block.content, list):
        return block.content or ""
    texts = []
    for inner, part in enumerate(block.content):
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise InvalidRequest(
                f"messages.{number}.content.{place}.tool_result.content.{inner}: the result of a call that code has "
                "made can hold only text: a string, or `text` blocks"
            )
        texts.append(part["text"])
    return "".join(texts)


def without_result(call: ServerToolUseBlock) -> str:
    """The documented complaint about a call without its result (WIRE c.5)."""
    return (
        f"`{call.name}` tool use with id `{call.id[:100]}` was found without a corresponding "
        f"`{call.name}_tool_result` block"
    )
