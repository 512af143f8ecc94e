"""The demo model as a ``Model``: decides what to say or call, and streams it in pieces within the limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator

from bathysphere.models.base import SampleRequest
from bathysphere.models.composing import Composer
from bathysphere.models.demo.conversation import Conversation
from bathysphere.models.demo.guidance import NOTICE, guidance
from bathysphere.models.demo.plan import Call, Toolbox
from bathysphere.models.demo.repertoire import plan_for
from bathysphere.models.estimating import estimated_tokens
from bathysphere.wire.events import StreamEvent
from bathysphere.wire.message import StopReason, Usage

CHARACTERS_PER_TOKEN = 4
"""The demo model has no tokeniser: its counts of what it writes, and ``max_tokens``, are this rough estimate."""

_TEXT_PIECE = 24
_JSON_PIECE = 96


def _tokens(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _cut(text: str, stop_sequences: list[str]) -> tuple[str, str | None]:
    """The text up to the first stop sequence in it, and which one that was."""
    found = [(at, stop) for stop in stop_sequences if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop


def _decide(request: SampleRequest) -> tuple[str, Call | None]:
    """What to say now, and the call to make after it."""
    conversation = Conversation.read(request)
    forbidden = (request.tool_choice or {}).get("type") == "none"
    names = frozenset() if forbidden else frozenset(str(tool.get("name")) for tool in request.tools)
    toolbox = Toolbox(names)
    plan = plan_for(conversation, toolbox) if toolbox.can_run else None
    call = plan.next_call(conversation.outcomes) if plan else None
    if plan is None:
        said = guidance(can_run=toolbox.can_run, forbidden=forbidden)
    else:
        said = call.say if call else plan.report(conversation.outcomes)
    return (f"{NOTICE}\n\n{said}" if conversation.is_first_answer else said), call


class DemoModel:
    """No language model: it recognises the documented prompts and fenced code, and reports real output only."""

    async def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See ``Model.sample``; raises nothing."""
        said, call = _decide(request)
        said, stopped_by = _cut(said, request.stop_sequences)
        budget = request.max_tokens * CHARACTERS_PER_TOKEN
        arguments = json.dumps(call.input) if call and stopped_by is None else ""
        reason: StopReason = "stop_sequence" if stopped_by is not None else "tool_use" if call else "end_turn"
        if len(said) + len(arguments) > budget:
            reason, stopped_by = "max_tokens", None
        said, arguments = said[:budget], arguments[: max(0, budget - len(said))]

        composer = Composer()
        usage = Usage(input_tokens=estimated_tokens(request), output_tokens=min(1, request.max_tokens))
        yield composer.start(request.model, usage)
        for piece in _pieces(said, _TEXT_PIECE):
            for event in composer.text(piece):
                yield event
            await asyncio.sleep(0)
        if call and arguments:
            for event in composer.call(call.tool):
                yield event
            for piece in _pieces(arguments, _JSON_PIECE):
                for event in composer.input_json(piece):
                    yield event
                await asyncio.sleep(0)
        final = usage.model_copy(update={"output_tokens": _tokens(len(said) + len(arguments))})
        for event in composer.finish(reason, final, stopped_by):
            yield event

    async def count_tokens(self, request: SampleRequest) -> int:
        """See ``Model.count_tokens``; the estimate that its answers carry too."""
        return estimated_tokens(request)

    async def close(self) -> None:
        """Nothing to close."""
