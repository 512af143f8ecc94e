"""What a request must fulfil beyond its shape, before anything runs (WIRE c.2, c.5, c.7, k.5)."""

from __future__ import annotations

from dataclasses import dataclass

from bathysphere.wire.blocks import (
    ContainerUploadBlock,
    ServerToolUseBlock,
    SubToolResultBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import InputMessage, MessagesRequest
from bathysphere.wire.tools import SUB_TOOL_NAMES, VERSIONS, CodeExecutionTool, UnsupportedTool


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
    _check_pairing(request.messages)
    pending = _pending_calls(request.messages)
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
        if name not in names and not (found and name in found.version.sub_tools):
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


def _check_pairing(messages: list[InputMessage]) -> None:
    """Calls and results of client tools stand in neighbouring messages; sub-tool calls all have a result,

    except those at the very end, which this request is to run.
    """
    answered = {
        block.tool_use_id for message in messages for block in message.content if isinstance(block, SubToolResultBlock)
    }
    last_assistant = max((index for index, message in enumerate(messages) if message.role == "assistant"), default=None)
    waiting: dict[str, None] = {}
    called: set[str] = set()
    for number, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "assistant":
            _refuse_unanswered(waiting)
            waiting = {}
            for place, block in enumerate(message.content):
                if isinstance(block, ToolUseBlock):
                    waiting[block.id] = None
                elif isinstance(block, ServerToolUseBlock):
                    if block.name not in SUB_TOOL_NAMES:
                        raise InvalidRequest(
                            f"messages.{number}.content.{place}.server_tool_use.name: `{block.name[:100]}` "
                            "is not a tool of this server"
                        )
                    called.add(block.id)
                    if block.id not in answered and number != last_assistant:
                        raise InvalidRequest(_without_result(block))
                elif isinstance(block, SubToolResultBlock) and block.tool_use_id not in called:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `{block.type}` "
                        f"blocks: {block.tool_use_id[:100]}. Each result block must come after its "
                        "`server_tool_use` block."
                    )
            continue
        for place, block in enumerate(message.content):
            if isinstance(block, ToolResultBlock):
                if block.tool_use_id not in waiting:
                    raise InvalidRequest(
                        f"messages.{number}.content.{place}: unexpected `tool_use_id` found in `tool_result` "
                        f"blocks: {block.tool_use_id}. Each `tool_result` block must have a corresponding "
                        "`tool_use` block in the previous message."
                    )
                del waiting[block.tool_use_id]
        _refuse_unanswered(waiting)
        waiting = {}
    _refuse_unanswered(waiting)


def _refuse_unanswered(waiting: dict[str, None]) -> None:
    if waiting:
        raise InvalidRequest(
            "`tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(waiting)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
            "next message."
        )


def _pending_calls(messages: list[InputMessage]) -> tuple[ServerToolUseBlock, ...]:
    """Calls of the last assistant message that have no result yet (WIRE c.4, c.5)."""
    answered = {
        block.tool_use_id for message in messages for block in message.content if isinstance(block, SubToolResultBlock)
    }
    last = next((i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "assistant"), None)
    if last is None:
        return ()
    pending = tuple(
        block for block in messages[last].content if isinstance(block, ServerToolUseBlock) and block.id not in answered
    )
    follows = [block for message in messages[last + 1 :] for block in message.content]
    if pending and not all(isinstance(block, ToolResultBlock) for block in follows):
        raise InvalidRequest(_without_result(pending[0]))
    return pending


def _without_result(call: ServerToolUseBlock) -> str:
    return (
        f"`{call.name}` tool use with id `{call.id}` was found without a corresponding `{call.name}_tool_result` block"
    )
