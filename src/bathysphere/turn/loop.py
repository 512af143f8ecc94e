"""The loop: sample the model, carry out the sub-tools it calls, sample again, until the turn ends (DESIGN 1).

A turn yields stream events, one kind, always; an answer that is not streamed is the same events folded.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from bathysphere.containers.container import Container
from bathysphere.models.base import Model, SampleRequest
from bathysphere.settings import Settings
from bathysphere.turn.call_input import CallInput
from bathysphere.turn.cells import WaitingCell
from bathysphere.turn.checks import Checked
from bathysphere.turn.fold import OpenBlock
from bathysphere.turn.observed_tools import observed
from bathysphere.turn.pairing import MAX_CALLS
from bathysphere.turn.results import OpenContainer
from bathysphere.turn.skills import TurnSkill, container_wire
from bathysphere.turn.system_text import system_text
from bathysphere.turn.toolset import Toolset, upstream_tools
from bathysphere.turn.transcript import upstream_messages
from bathysphere.wire.blocks import ResponseBlock, ServerToolUseBlock, SubToolResultBlock, ToolUseBlock
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
    ``filenames`` are those of the uploads, ``headers`` the client's that an upstream may want. ``skills`` are those
    that the request names; the container has them.
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
        skills: Sequence[TurnSkill] = (),
    ) -> None:
        self._request = request
        self._answered = checked.answered
        self._pending = [_Call(block, block.input) for block in checked.pending]
        self._tools = (
            Toolset(checked.version, checked.code_tools, settings.sandbox) if checked.version is not None else None
        )
        self._waits = False
        """Whether a cell waits for the client's tools: then nothing more happens in this turn."""
        self._model = model
        self._open_container = container
        self._settings = settings
        self._filenames = filenames
        self._headers = dict(headers or {})
        self._container_used = container_used
        self._skills = skills
        self._content: list[ResponseBlock] = []
        self._call_ids = {
            block.id for message in request.messages for block in message.content if isinstance(block, ToolUseBlock)
        }
        self._index = 0
        self._usage = Usage(server_tool_use=ServerToolUsage() if self._tools else None)
        self._counted = Usage()
        self._started = False
        self.id = new_id("msg")

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn, as WIRE d orders them.

        Raises ApiError for what the upstream refuses; calls that fail are results, not exceptions. Closing the
        iterator early ends the upstream's request or the running command.
        """
        async with aclosing(self._go_on()) as results:
            async for event in results:
                yield event
        if self._waits:
            return
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
            if self._waits:
                stop = StopDelta(stop_reason="tool_use")
                break
            if not sampled.calls or cut_short:
                stop = sampled.stop
                if stop.stop_reason == "tool_use":
                    # No call came with it, so there is nothing that the client could answer.
                    stop = stop.model_copy(update={"stop_reason": "end_turn"})
                break
        yield MessageDelta(
            delta=stop.model_copy(update={"container": self._container_used}),
            usage=self._usage,
            context_management=self._edits(),
        )
        yield MessageStop()

    @property
    def usage(self) -> Usage:
        """What the upstream has reported and how many calls were carried out: it follows as the turn goes on."""
        return self._usage

    async def count_tokens(self) -> int:
        """How many input tokens the first sampling has; nothing is run or sampled. ``events`` is of no use after it.

        Calls that wait to be run stand there with a short result, since nobody knows theirs yet.
        """
        waiting = [call.block for call in self._pending]
        if self._answered is not None:
            waiting.insert(0, self._answered.cell)
        for block in waiting:
            assert self._tools is not None, "checked"
            self._content.append(self._tools.refuse(block, "unavailable"))
        return await self._model.count_tokens(self._sample_request(first=True))

    async def _go_on(self) -> AsyncGenerator[StreamEvent, None]:
        """What earlier requests have left to do: a cell whose calls have been answered, and calls that wait.

        When a cell waits again, nothing has been sampled, and the whole message is in its first event (WIRE d).
        """
        if self._answered is None and not self._pending:
            return
        if self._answered is None and all(call.block.name != "code_execution" for call in self._pending):
            yield self._start()
            async with aclosing(self._carry_out(self._pending, sent_back=True)) as results:
                async for event in results:
                    yield event
            return
        events: list[StreamEvent] = []
        if self._answered is not None:
            assert self._tools is not None, "checked"
            cell = self._answered.cell
            events += self._told(await self._tools.cells.go_on(cell.id, self._answered.answers, self._container))
        if not self._waits:
            async with aclosing(self._carry_out(self._pending, sent_back=True)) as results:
                events += [event async for event in results]
        if not self._waits:
            yield self._start()
            for event in events:
                yield event
            return
        yield MessageStart(
            message=Message(
                id=self.id,
                model=self._request.model,
                content=[*self._content],
                stop_reason="tool_use",
                stop_sequence=None,
                container=self._container_used,
                context_management=self._edits(),
                usage=self._usage,
            )
        )
        yield MessageStop()

    def _edits(self) -> dict[str, Any] | None:
        return {"applied_edits": []} if self._request.context_management is not None else None

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
        # Some upstreams number their calls anew in each sampling; what is sent back must have ids of its own.
        call_id = block.id if block.id not in self._call_ids else new_id("toolu")
        self._call_ids.add(call_id)
        return block.model_copy(update={"id": call_id, "input": {}, "caller": _DIRECT})

    def _is_sub_tool(self, name: str) -> bool:
        return self._tools is not None and name in self._tools

    def _keep(self, written: _Written, sampled: _Sampled) -> None:
        block = written.finish()
        self._content.append(block)
        if isinstance(block, ServerToolUseBlock):
            sampled.calls.append(_Call(block, written.given))
        elif isinstance(block, ToolUseBlock):
            sampled.client_calls += 1

    async def _carry_out(self, calls: list[_Call], *, sent_back: bool = False) -> AsyncGenerator[StreamEvent, None]:
        """Run calls one after another until one waits for the client; the others then wait too (WIRE c.5).

        ``sent_back``: they come from the request.
        """
        for number, call in enumerate(calls):
            assert self._tools is not None, "calls are only made of a declared tool"
            if number < MAX_CALLS:
                assert self._usage.server_tool_use is not None, "there are tools"
                self._usage.server_tool_use.code_execution_requests += 1
                outcome = await observed(
                    call.block, self._tools.run(call.block, call.given, self._container, sent_back=sent_back)
                )
            else:
                outcome = self._tools.refuse(call.block, "too_many_requests")
            for event in self._told(outcome):
                yield event
            if self._waits:
                break

    def _told(self, outcome: SubToolResultBlock | WaitingCell) -> list[StreamEvent]:
        """A result, as a whole block (WIRE d), or the calls that a waiting cell has made."""
        self._waits = isinstance(outcome, WaitingCell)
        events: list[StreamEvent] = []
        for block in outcome.calls if isinstance(outcome, WaitingCell) else (outcome,):
            self._content.append(block)
            if isinstance(block, ToolUseBlock):
                start = block.model_copy(update={"input": {}})
                events.append(ContentBlockStart(index=self._index, content_block=start))
                for piece in ("", json.dumps(block.input, ensure_ascii=False)):
                    events.append(ContentBlockDelta(index=self._index, delta=Delta.input_json(piece)))
            else:
                events.append(ContentBlockStart(index=self._index, content_block=block))
            events.append(ContentBlockStop(index=self._index))
            self._index += 1
        return events

    async def _container(self) -> Container:
        container = await self._open_container()
        self._container_used = container_wire(container, self._skills)
        return container

    def _sample_request(self, *, first: bool) -> SampleRequest:
        request = self._request
        messages = [*request.messages]
        if self._content:
            messages.append(InputMessage.model_construct(role="assistant", content=[*self._content]))
        system = [block.wire() for block in request.system or []]
        if self._tools is not None:
            text = system_text(self._tools.version, self._settings.sandbox, self._skills)
            system.append({"type": "text", "text": text})
        return SampleRequest(
            model=request.model,
            max_tokens=request.max_tokens if first else self._remaining_tokens(),
            messages=upstream_messages(messages, self._filenames),
            system=system,
            tools=upstream_tools(request.tools or [], self._tools),
            tool_choice=self._tool_choice(first=first),
            stop_sequences=request.stop_sequences or [],
            parameters=self._parameters(first=first),
            headers=self._headers,
        )

    def _tool_choice(self, *, first: bool) -> dict[str, Any] | None:
        choice = self._request.tool_choice
        if choice is None or self._tools is None:
            return choice
        if not first and choice.get("type") in ("any", "tool"):
            # What was forced has been done; forcing it again would never let the turn end.
            kept = {name: choice[name] for name in ("disable_parallel_tool_use",) if name in choice}
            return {"type": "auto", **kept}
        if choice.get("type") == "tool" and choice.get("name") == "code_execution":
            return {**choice, "name": self._tools.main}
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
