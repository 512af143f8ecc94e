"""What a request must fulfil beyond its shape, before anything runs (WIRE c.2, c.5, c.7, k.5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bathysphere.wire.blocks import (
    BashResultBlock,
    CodeResultBlock,
    ContainerUploadBlock,
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
from bathysphere.wire.requests import InputMessage, MessagesRequest
from bathysphere.wire.tools import SUB_TOOL_NAMES, VERSIONS, ClientTool, CodeExecutionTool, UnsupportedTool

MAX_CALLS: Final = 64
"""Sub-tool calls of one sampling, and calls that may wait to be run: more are refused."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found: the declared tool, and the calls that wait for their result."""

    tool: CodeExecutionTool | None
    pending: tuple[ServerToolUseBlock, ...]


def check(request: MessagesRequest) -> Checked:
    """Check a request as a whole. Raises InvalidRequest with the documented text where there is one."""
    _check_unsupported(request)
    tool = _declared_tool(request)
    _check_uploads(request.messages, tool)
    pending = _Pairing(request.messages).check()
    if pending and tool is None:
        call = pending[0]
        raise InvalidRequest(f"{_without_result(call)}, but no `code_execution` tool was provided")
    return Checked(tool, pending)


def _check_unsupported(request: MessagesRequest) -> None:
    if request.thread is not None:
        # Both newest tool runners fall back to sending the whole conversation on exactly this answer (WIRE k.5).
        raise InvalidRequest(
            "thread is not supported by this server: send the whole conversation in `messages`",
            error_code="thread_unsupported_request",
        )
    if request.mcp_servers:
        raise InvalidRequest("mcp_servers: the MCP connector is not supported by this server")
    if request.fallbacks:
        raise InvalidRequest("fallbacks: not supported by this server; choose the model in its configuration")
    if request.container is not None and request.container.skills:
        raise InvalidRequest("container.skills: Agent Skills are not supported by this server yet")


def _declared_tool(request: MessagesRequest) -> CodeExecutionTool | None:
    found: CodeExecutionTool | None = None
    names: set[str] = set()
    for index, tool in enumerate(request.tools or []):
        if isinstance(tool, UnsupportedTool):
            raise InvalidRequest(
                f"tools.{index}.type: `{tool.type[:100]}` is not supported by this server; it has "
                f"{', '.join(VERSIONS)} and your own tools"
            )
        if isinstance(tool, CodeExecutionTool | ClientTool) and "direct" not in (tool.allowed_callers or ["direct"]):
            raise InvalidRequest(
                f"tools.{index}.allowed_callers: programmatic tool calling is not supported by this server yet; "
                "leave it out, or add `direct`"
            )
        if isinstance(tool, CodeExecutionTool):
            if found is not None:
                raise InvalidRequest(f"tools.{index}: only one code execution tool may be declared")
            found = tool
        if tool.name in names:
            raise InvalidRequest("tools: Tool names must be unique.", error_code="tool_name_conflict")
        names.add(tool.name)
    if found is not None:
        clash = sorted(names & set(found.version.sub_tools) - {found.name})
        if clash:
            raise InvalidRequest(
                f"tools: `{clash[0]}` is a name of the code execution tool's own", error_code="tool_name_conflict"
            )
    if request.tool_choice is not None and request.tool_choice.get("type") == "tool":
        name = request.tool_choice.get("name")
        if not isinstance(name, str) or (name not in names and not (found and name in found.version.sub_tools)):
            raise InvalidRequest(f"tool_choice.name: Tool '{str(name)[:200]}' not found in provided tools")
    return found


def _check_uploads(messages: list[InputMessage], tool: CodeExecutionTool | None) -> None:
    for number, message in enumerate(messages):
        for place, block in enumerate(message.content):
            if not isinstance(block, ContainerUploadBlock):
                continue
            if message.role == "assistant":
                continue
            if tool is None:
                raise InvalidRequest(
                    f"messages.{number}.content.{place}.container_upload: a file can only be uploaded to a "
                    "container when the code execution tool is declared in `tools`"
                )


class _Pairing:
    """Calls and their results (WIRE b.7, c.5).

    A client tool's results come in the user's message, or messages, right after its call. A sub-tool's result comes
    anywhere after its call; only calls of the last assistant message may still wait for theirs.
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
        self._ids: set[str] = set()
        self._waiting: dict[str, None] = {}

    def check(self) -> tuple[ServerToolUseBlock, ...]:
        """The sub-tool calls that wait to be run. Raises InvalidRequest."""
        for number, message in enumerate(self._messages):
            if message.role == "assistant":
                self._refuse_unanswered()
                for place, block in enumerate(message.content):
                    self._check_assistants(number, place, block)
            elif message.role == "user":
                for place, block in enumerate(message.content):
                    self._check_users(number, place, block)
        self._refuse_unanswered()
        pending = tuple(call for call in self._called.values() if call.id not in self._answered)
        follows = [
            block
            for message in self._messages[self._last_assistant + 1 :]
            if message.role == "user"
            for block in message.content
        ]
        if pending and not all(isinstance(block, ToolResultBlock) for block in follows):
            raise InvalidRequest(_without_result(pending[0]))
        if len(pending) > MAX_CALLS:
            raise InvalidRequest(f"messages: more than {MAX_CALLS} calls wait to be run")
        return pending

    def _check_assistants(self, number: int, place: int, block: RequestBlock) -> None:
        match block:
            case ToolUseBlock():
                self._check_new(number, place, block.id)
                self._waiting[block.id] = None
            case ServerToolUseBlock():
                if block.name not in SUB_TOOL_NAMES:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}.server_tool_use.name: `{block.name[:100]}` "
                        "is not a tool of this server"
                    )
                self._check_new(number, place, block.id)
                self._called[block.id] = block
                if block.id not in self._answered and number != self._last_assistant:
                    raise InvalidRequest(_without_result(block))
            case BashResultBlock() | EditorResultBlock() | CodeResultBlock():
                if block.tool_use_id not in self._called:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `{block.type}` "
                        f"blocks: {block.tool_use_id[:100]}. Each result block must come after its "
                        "`server_tool_use` block."
                    )
            case ToolResultBlock():
                raise _wrong_role(number, place, block, "user")

    def _check_users(self, number: int, place: int, block: RequestBlock) -> None:
        match block:
            case ToolResultBlock():
                if block.tool_use_id not in self._waiting:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `tool_result` "
                        f"blocks: {block.tool_use_id[:100]}. Each `tool_result` block must have a corresponding "
                        "`tool_use` block in the previous message."
                    )
                del self._waiting[block.tool_use_id]
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


def _without_result(call: ServerToolUseBlock) -> str:
    return (
        f"`{call.name}` tool use with id `{call.id[:100]}` was found without a corresponding "
        f"`{call.name}_tool_result` block"
    )
