"""Tools for models whose template knows none: described in the prompt, called by fenced blocks, over any ``Model``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, Final

from bathysphere.models.base import Model, SampleRequest, UpstreamMessage
from bathysphere.models.composing import Composer
from bathysphere.models.estimating import estimated_tokens
from bathysphere.models.fenced_calls import TOOL_CALL, FencedCalls, Piece, fence_tools
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    Ping,
    StreamEvent,
)
from bathysphere.wire.message import StopReason, Usage

_CHARACTERS_PER_TOKEN: Final = 4


def tools_text(tools: list[dict[str, Any]], choice: dict[str, Any] | None) -> str:
    """What the system text says about the tools. Short: small models lose the thread in long instructions."""
    names = [str(tool.get("name")) for tool in tools]
    fences = fence_tools(names)
    lines: list[str] = []
    if "bash" in fences:
        lines.append("To run a shell command, write it in a block that begins with ```bash and ends with ```.")
    if "python" in fences:
        lines.append("To run Python code, write it in a block that begins with ```python and ends with ```.")
    # With tools that code may call, the description says which functions there are.
    lines += [str(tool["description"]) for tool in tools if tool.get("name") == "code_execution" and _told(tool)]
    covered = {fence.name for fence in fences.values()}
    if others := [tool for tool in tools if tool.get("name") not in covered]:
        lines.append(
            f"To use one of the tools below, write a block that begins with ```{TOOL_CALL} and ends with ```, with "
            'JSON like {"name": "NAME", "input": {...}}:'
        )
        for tool in others:
            schema = json.dumps(tool.get("input_schema") or {}, ensure_ascii=False)
            lines.append(f"- {tool.get('name')}: {tool.get('description') or ''} Input: {schema}")
    lines.append("Write one block, then stop: you will be shown its output. Answer the user when you have it.")
    match (choice or {}).get("type"):
        case "any":
            lines.append("You must write such a block now.")
        case "tool":
            lines.append(f"You must use {(choice or {}).get('name')} now.")
    return "\n".join(lines)


def _told(tool: dict[str, Any]) -> bool:
    return "async def " in str(tool.get("description"))


def _call_text(block: dict[str, Any]) -> str:
    given = block.get("input") or {}
    match block.get("name"), given:
        case "bash_code_execution", {"command": str(command)}:
            return f"```bash\n{command}\n```"
        case "code_execution", {"code": str(code)}:
            return f"```python\n{code}\n```"
    call = json.dumps({"name": block.get("name"), "input": given}, ensure_ascii=False)
    return f"```{TOOL_CALL}\n{call}\n```"


def _result_text(block: dict[str, Any]) -> str:
    inner = block.get("content") or ""
    if not isinstance(inner, str):
        inner = "\n".join(str(item.get("text", "")) for item in inner if item.get("type") == "text")
    try:
        data = json.loads(inner)
    except ValueError:
        data = None
    if isinstance(data, dict) and "stdout" in data:
        inner = f"{data['stdout']}{data.get('stderr') or ''}".rstrip()
        if data.get("return_code"):
            inner += f"\n(exit code {data['return_code']})"
    return f"{'Error' if block.get('is_error') else 'Output'}:\n{inner or '(nothing)'}"


def _as_text(message: UpstreamMessage) -> UpstreamMessage:
    """The message with calls and results written out; images of results stay images."""
    content: list[dict[str, Any]] = []
    for block in message.content:
        match block.get("type"):
            case "tool_use":
                content.append({"type": "text", "text": _call_text(block)})
            case "tool_result":
                content.append({"type": "text", "text": _result_text(block)})
                inner = block.get("content")
                content.extend(item for item in inner or [] if isinstance(item, dict) and item.get("type") != "text")
            case _:
                content.append(block)
    return UpstreamMessage(message.role, content)


def prompted(request: SampleRequest) -> SampleRequest:
    """The request without tools, their description in its system text, calls and results as text."""
    description = {"type": "text", "text": tools_text(request.tools, request.tool_choice)}
    return replace(
        request,
        tools=[],
        tool_choice=None,
        system=[*request.system, description],
        messages=[_as_text(message) for message in request.messages],
    )


def _without_tools(request: SampleRequest) -> bool:
    return not request.tools or (request.tool_choice or {}).get("type") == "none"


def _untold(request: SampleRequest) -> SampleRequest:
    """The request of which no tool is described; calls and results of earlier turns as text all the same."""
    return replace(request, tools=[], tool_choice=None, messages=[_as_text(message) for message in request.messages])


class PromptedTools:
    """Wraps a model without tool calling. A call ends the sampling, so there is one per answer.

    Where sampling was ended early the upstream's usage never came, and tokens are estimated at four characters.
    """

    def __init__(self, model: Model) -> None:
        self._model = model

    def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See ``Model.sample``."""
        if _without_tools(request):
            return self._model.sample(_untold(request))
        return self._sample(request)

    async def count_tokens(self, request: SampleRequest) -> int:
        """See ``Model.count_tokens``; of the request as the wrapped model is shown it."""
        return await self._model.count_tokens(_untold(request) if _without_tools(request) else prompted(request))

    async def _sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        shown = prompted(request)
        reading = _Reading(request)
        events = self._model.sample(shown)
        try:
            async for event in events:
                for told in reading.events(event):
                    yield told
                if reading.complete:
                    break
        finally:
            await events.aclose()
        for told in reading.finish(shown):
            yield told

    async def close(self) -> None:
        """Close the wrapped model."""
        await self._model.close()


class _Reading:
    """Reads the wrapped model's events and writes ours."""

    def __init__(self, request: SampleRequest) -> None:
        self._parser = FencedCalls(str(tool.get("name")) for tool in request.tools)
        self._composer = Composer()
        self._usage = Usage()
        self._written = 0
        self._ending: MessageDelta | None = None

    @property
    def complete(self) -> bool:
        """Whether there is a whole call, or the model has ended: nothing more is to be read."""
        return self._parser.done or self._ending is not None

    def events(self, event: StreamEvent) -> list[StreamEvent]:
        """What one event of the model's becomes."""
        match event:
            case MessageStart(message=message):
                self._usage = message.usage
                return [event]
            case Ping():
                return [event]
            case ContentBlockDelta(delta=delta):
                return self._delta(delta)
            case ContentBlockStart(content_block=block) if block.type != "text":
                return self._composer.begin(block)
            case ContentBlockStop() if not self._composer.is_text:
                return self._composer.close()
            case MessageDelta():
                self._ending = event
        return []

    def _delta(self, delta: Delta) -> list[StreamEvent]:
        self._written += sum(len(str(value)) for value in (delta.model_extra or {}).values())
        if delta.type != "text_delta":
            return [self._composer.delta(delta)]
        return self._told(self._parser.feed(delta.get("text")))

    def _told(self, pieces: list[Piece]) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for piece in pieces:
            match piece.kind:
                case "text":
                    events += self._composer.text(piece.value)
                case "call":
                    events += self._composer.call(piece.value)
                case "input":
                    events += self._composer.input_json(piece.value)
        return events

    def finish(self, shown: SampleRequest) -> list[StreamEvent]:
        """What the parser still held back, and the end of the message."""
        ending = self._ending
        events = self._told(self._parser.end(cut_off=ending is not None and ending.delta.stop_reason == "max_tokens"))
        if ending is None:
            estimate = {
                "input_tokens": self._usage.input_tokens or estimated_tokens(shown),
                "output_tokens": -(-self._written // _CHARACTERS_PER_TOKEN),
            }
            return [*events, *self._composer.finish("tool_use", self._usage.model_copy(update=estimate))]
        reason: StopReason = "tool_use" if self._parser.done else ending.delta.stop_reason
        met = ending.delta.stop_sequence if reason == "stop_sequence" else None
        return [*events, *self._composer.finish(reason, ending.usage, met)]
