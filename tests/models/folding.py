"""Folds the events of one sampling into a message, and insists on the order of WIRE d while doing so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    StreamEvent,
    event_wire,
)
from bathysphere.wire.message import Usage

_GROWS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("signature", "signature"),
}


@dataclass
class Sampled:
    """One sampling: its blocks as JSON (a call's ``input`` parsed), how it ended, and the events themselves."""

    content: list[dict[str, Any]] = field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage = field(default_factory=Usage)
    events: list[StreamEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def thinking(self) -> str:
        return "".join(block["thinking"] for block in self.content if block["type"] == "thinking")

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [block for block in self.content if block["type"] == "tool_use"]

    @property
    def text_deltas(self) -> list[str]:
        deltas = [event.delta for event in self.events if isinstance(event, ContentBlockDelta)]
        return [delta.get("text") for delta in deltas if delta.type == "text_delta"]


async def fold(events: AsyncIterable[StreamEvent], *, whole_input: bool = True) -> Sampled:
    """The whole sampling; AssertionError where the order is broken.

    With ``whole_input`` false a call's input may be cut short, and stays text.
    """
    sampled = Sampled()
    open_index: int | None = None
    raw_input = ""
    state = "before"
    async for event in events:
        sampled.events.append(event)
        event_wire(event)
        assert state != "stopped", f"{event.type} after message_stop"
        match event:
            case Ping():
                assert state != "before"
            case MessageStart(message=message):
                assert state == "before", "a second message_start"
                assert message.content == [] and message.stop_reason is None and message.stop_sequence is None
                state = "open"
            case ContentBlockStart(index=index, content_block=block):
                assert state == "open" and open_index is None, "a block began inside another"
                assert index == len(sampled.content), "indexes count from 0 without gaps"
                open_index, raw_input = index, ""
                sampled.content.append(block.wire())
                assert block.type in ("text", "thinking", "redacted_thinking", "tool_use")
            case ContentBlockDelta(index=index, delta=delta):
                assert state == "open" and index == open_index, "a delta for a block that is not open"
                current = sampled.content[index]
                if delta.type == "input_json_delta":
                    assert current["type"] == "tool_use"
                    raw_input += delta.get("partial_json")
                elif delta.type in _GROWS:
                    into, source = _GROWS[delta.type]
                    current[into] = current.get(into, "") + delta.get(source)
            case ContentBlockStop(index=index):
                assert index == open_index, "the wrong block ended"
                current = sampled.content[index]
                if current["type"] == "tool_use":
                    current["input"] = json.loads(raw_input or "{}") if whole_input else raw_input
                open_index = None
            case MessageDelta(delta=delta, usage=usage):
                assert state == "open" and open_index is None, "message_delta while a block is open"
                sampled.stop_reason, sampled.stop_sequence = delta.stop_reason, delta.stop_sequence
                assert isinstance(usage.input_tokens, int) and isinstance(usage.output_tokens, int)
                sampled.usage = usage
                state = "ended"
            case MessageStop():
                assert state == "ended", "message_stop without message_delta"
                state = "stopped"
    assert state == "stopped", "the stream ended without message_stop"
    return sampled
