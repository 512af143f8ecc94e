"""The loop: sample the model, carry out the sub-tools it calls, sample again, until the turn ends (DESIGN 1).

A turn yields stream events, one kind, always; an answer that is not streamed is the same events folded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from bathysphere.containers.container import Container
from bathysphere.models.base import Model, SampleRequest
from bathysphere.settings import Settings
from bathysphere.turn.call_input import CallInput
from bathysphere.turn.checks import MAX_CALLS, Checked
from bathysphere.turn.fold import OpenBlock
from bathysphere.turn.subtools import SUB_TOOLS, OpenContainer
from bathysphere.turn.system_text import system_text
from bathysphere.turn.transcript import upstream_messages
from bathysphere.wire.blocks import ResponseBlock, ServerToolUseBlock, ToolUseBlock
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    StopDelta,
    StreamEvent,
)
from bathysphere.wire.ids import new_id
from bathysphere.wire.message import Container as WireContainer
from bathysphere.wire.message import Message, ServerToolUsage, StopReason, Usage
from bathysphere.wire.requests import InputMessage, MessagesRequest
from bathysphere.wire.tools import SubToolName

_DIRECT: Final = {"type": "direct"}

_CUT_SHORT: Final[frozenset[StopReason]] = frozenset(("max_tokens", "refusal", "model_context_window_exceeded"))
"""Ends after which the model is not sampled again, whatever it called before."""

_LEAST_THINKING: Final = 1024
"""The smallest ``thinking.budget_tokens`` that upstreams take."""


@dataclass(slots=True)
class _Call:
    """A call of a sub-tool: ``given`` is its input, None when the model wrote no JSON object."""

    block: ServerToolUseBlock
    given: dict[str, Any] | None


class _Written:
    """A block while the model writes it; the input of a call is kept to what is JSON (WIRE d)."""

    def __init__(self, index: int, block: ResponseBlock) -> None:
        self.block = block
        self._index = index
        self._opened = OpenBlock(block)
        self._input = CallInput() if isinstance(block, ToolUseBlock | ServerToolUseBlock) else None

    def take(self, delta: Delta) -> ContentBlockDelta:
        """A piece, and the event that passes it on."""
        if self._input is not None:
            delta = Delta.input_json(self._input.feed(delta.get("partial_json")))
        return self._event(delta)

    def close(self) -> list[StreamEvent]:
        """The events that end the block."""
        ending = self._input.close() if self._input is not None else ""
        stop = ContentBlockStop(index=self._index)
        return [self._event(Delta.input_json(ending)), stop] if ending else [stop]

    def _event(self, delta: Delta) -> ContentBlockDelta:
        self._opened.take(delta)
        return ContentBlockDelta(index=self._index, delta=delta)

    def finish(self) -> ResponseBlock:
        """The whole block."""
        return self._opened.finish()

    @property
    def given(self) -> dict[str, Any] | None:
        """The input of a call; None when the model did not write a whole JSON object."""
        return self._input.value if self._input is not None else None


@dataclass(slots=True)
class _Sampled:
    """What one sampling gave."""

    calls: list[_Call] = field(default_factory=list)
    client_calls: int = 0
    stop: StopDelta = field(default_factory=lambda: StopDelta(stop_reason="end_turn"))


class Turn:
    """One request's turn. ``events`` may be iterated once.

    ``container`` is asked for when the first sub-tool is called and may make the container then. The answer names it,
    or ``container_used`` (the one that the request named or that took uploads) when no sub-tool is called.
    ``filenames`` are those of the uploads, ``headers`` the client's that an upstream may want.
    """

    def __init__(
        self,
        request: MessagesRequest,
        checked: Checked,
        model: Model,
        container: OpenContainer,
        settings: Settings,
        *,
        filenames: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        container_used: WireContainer | None = None,
    ) -> None:
        self._request = request
        self._tool = checked.tool
        self._pending = [_Call(block, block.input) for block in checked.pending]
        self._model = model
        self._open_container = container
        self._settings = settings
        self._filenames = filenames
        self._headers = dict(headers or {})
        self._container_used = container_used
        self._content: list[ResponseBlock] = []
        self._index = 0
        self._usage = Usage(server_tool_use=ServerToolUsage() if self._tool else None)
        self._counted = Usage()
        self._started = False
        self.id = new_id("msg")

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn, as WIRE d orders them.

        Raises ApiError for what the upstream refuses; calls that fail are results, not exceptions. Closing the
        iterator early ends the upstream's request or the running command.
        """
        if self._pending:
            yield self._start()
            async with aclosing(self._carry_out(self._pending)) as results:
                async for event in results:
                    yield event
        stop = StopDelta(stop_reason="pause_turn")
        for iteration in range(self._settings.turn.max_iterations):
            if iteration and self._remaining_tokens() < self._least_tokens():
                stop = StopDelta(stop_reason="max_tokens")
                break
            sampled = _Sampled()
            async with aclosing(self._sample(sampled, first=iteration == 0)) as events:
                async for event in events:
                    yield event
            cut_short = sampled.stop.stop_reason in _CUT_SHORT
            if sampled.client_calls:
                # A server tool called beside a client tool waits for the client's answer (WIRE c.5).
                stop = sampled.stop if cut_short else StopDelta(stop_reason="tool_use")
                break
            async with aclosing(self._carry_out(sampled.calls)) as results:
                async for event in results:
                    yield event
            if not sampled.calls or cut_short:
                stop = sampled.stop
                if stop.stop_reason == "tool_use":
                    # No call came with it, so there is nothing that the client could answer.
                    stop = stop.model_copy(update={"stop_reason": "end_turn"})
                break
        yield MessageDelta(
            delta=stop.model_copy(update={"container": self._container_used}),
            usage=self._usage,
            context_management={"applied_edits": []} if self._request.context_management is not None else None,
        )
        yield MessageStop()

    def _start(self) -> MessageStart:
        self._started = True
        return MessageStart(
            message=Message(
                id=self.id,
                model=self._request.model,
                content=[],
                stop_reason=None,
                stop_sequence=None,
                usage=self._usage.model_copy(update={"output_tokens": self._usage.output_tokens or 1}, deep=True),
            )
        )

    def _remaining_tokens(self) -> int:
        return self._request.max_tokens - self._usage.output_tokens

    def _least_tokens(self) -> int:
        thinking = self._request.thinking or {}
        return _LEAST_THINKING + 1 if thinking.get("type") == "enabled" else 1

    async def _sample(self, sampled: _Sampled, *, first: bool) -> AsyncGenerator[StreamEvent, None]:
        """One sampling: its events under our indexes, with sub-tool calls as ``server_tool_use``."""
        written: _Written | None = None
        self._counted = Usage()
        async with aclosing(self._model.sample(self._sample_request(first=first))) as events:
            async for event in events:
                match event:
                    case MessageStart():
                        self._count(event.message.usage)
                        if not self._started:
                            yield self._start()
                    case ContentBlockStart(content_block=block):
                        written = _Written(self._index, self._named(block))
                        yield ContentBlockStart(index=self._index, content_block=written.block)
                        if isinstance(block, ToolUseBlock) and block.input:
                            yield written.take(Delta.input_json(json.dumps(block.input)))
                    case ContentBlockDelta() if written is not None:
                        yield written.take(event.delta)
                    case ContentBlockStop() if written is not None:
                        for last in written.close():
                            yield last
                        self._keep(written, sampled)
                        self._index += 1
                        written = None
                    case MessageDelta():
                        self._count(event.usage)
                        sampled.stop = event.delta
                    case Ping():
                        yield event

    def _named(self, block: ResponseBlock) -> ResponseBlock:
        """A call under the name and id it has on the wire (WIRE b.1)."""
        if not isinstance(block, ToolUseBlock):
            return block
        if self._is_sub_tool(block.name):
            return ServerToolUseBlock.model_validate(
                {"id": new_id("srvtoolu"), "name": block.name, "input": {}, "caller": _DIRECT}
            )
        return block.model_copy(update={"input": {}, "caller": _DIRECT})

    def _is_sub_tool(self, name: str) -> bool:
        return self._tool is not None and name in self._tool.version.sub_tools

    def _keep(self, written: _Written, sampled: _Sampled) -> None:
        block = written.finish()
        self._content.append(block)
        if isinstance(block, ServerToolUseBlock):
            sampled.calls.append(_Call(block, written.given))
        elif isinstance(block, ToolUseBlock):
            sampled.client_calls += 1

    async def _carry_out(self, calls: list[_Call]) -> AsyncGenerator[StreamEvent, None]:
        """Run calls one after another; each result is a whole block (WIRE d)."""
        for number, call in enumerate(calls):
            tool = SUB_TOOLS[_sub_tool_name(call.block.name)]
            if number < MAX_CALLS:
                assert self._usage.server_tool_use is not None, "calls are only made of a declared tool"
                self._usage.server_tool_use.code_execution_requests += 1
                result = await tool.run(
                    call.block.id, call.given, self._container, self._settings.sandbox.command_seconds
                )
            else:
                result = tool.refuse(call.block.id, "too_many_requests")
            self._content.append(result)
            yield ContentBlockStart(index=self._index, content_block=result)
            yield ContentBlockStop(index=self._index)
            self._index += 1

    async def _container(self) -> Container:
        container = await self._open_container()
        self._container_used = WireContainer(id=container.id, expires_at=container.expires_at)
        return container

    def _sample_request(self, *, first: bool) -> SampleRequest:
        request = self._request
        messages = [*request.messages]
        if self._content:
            messages.append(InputMessage.model_construct(role="assistant", content=[*self._content]))
        system = [block.wire() for block in request.system or []]
        tools: list[dict[str, Any]] = []
        for tool in request.tools or []:
            if tool is self._tool:
                tools += [SUB_TOOLS[name].declaration() for name in self._tool.version.sub_tools]
            else:
                tools.append(_client_tool(tool.model_dump(mode="json", exclude_unset=True)))
        if self._tool is not None:
            system.append({"type": "text", "text": system_text(self._tool.version, self._settings.sandbox)})
        return SampleRequest(
            model=request.model,
            max_tokens=request.max_tokens if first else self._remaining_tokens(),
            messages=upstream_messages(messages, self._filenames),
            system=system,
            tools=tools,
            tool_choice=self._tool_choice(first=first),
            stop_sequences=request.stop_sequences or [],
            parameters=self._parameters(first=first),
            headers=self._headers,
        )

    def _tool_choice(self, *, first: bool) -> dict[str, Any] | None:
        choice = self._request.tool_choice
        if choice is None or self._tool is None:
            return choice
        if not first and choice.get("type") in ("any", "tool"):
            # What was forced has been done; forcing it again would never let the turn end.
            kept = {name: choice[name] for name in ("disable_parallel_tool_use",) if name in choice}
            return {"type": "auto", **kept}
        if choice.get("type") == "tool" and choice.get("name") == self._tool.name:
            return {**choice, "name": self._tool.version.sub_tools[0]}
        return choice

    def _parameters(self, *, first: bool) -> dict[str, Any]:
        extra = dict(self._request.model_extra or {})
        for ours in ("betas", "diagnostics", "compaction", "billing_policy"):
            extra.pop(ours, None)
        thinking = self._request.thinking
        if thinking is not None:
            budget = thinking.get("budget_tokens")
            if not first and isinstance(budget, int):
                # Upstreams refuse a budget that max_tokens has no room for.
                thinking = {**thinking, "budget_tokens": min(budget, self._remaining_tokens() - 1)}
            extra["thinking"] = thinking
        return extra

    def _count(self, usage: Usage) -> None:
        """Add what this sampling reported beyond what it had reported before: its usage is cumulative."""
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
        ):
            new, before = getattr(usage, name), getattr(self._counted, name)
            if new > before:
                setattr(self._usage, name, getattr(self._usage, name) + new - before)
                setattr(self._counted, name, new)
        for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
            new, before = getattr(usage.cache_creation, name), getattr(self._counted.cache_creation, name)
            if new > before:
                total = getattr(self._usage.cache_creation, name)
                setattr(self._usage.cache_creation, name, total + new - before)
                setattr(self._counted.cache_creation, name, new)


def _sub_tool_name(name: str) -> SubToolName:
    assert name in SUB_TOOLS, "checked when the request was parsed, or named by us"
    return name


def _client_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A client tool as an upstream takes it: who may call it is our affair."""
    tool.pop("allowed_callers", None)
    return tool
