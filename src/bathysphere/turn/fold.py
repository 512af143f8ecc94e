"""Folding: the events of a turn made into one message, for answers that are not streamed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from bathysphere.wire.blocks import (
    ResponseBlock,
    ServerToolUseBlock,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    StreamEvent,
)
from bathysphere.wire.message import Message


class OpenBlock:
    """A block that is being written: takes its deltas, and gives the whole block at its end."""

    def __init__(self, block: ResponseBlock) -> None:
        self._block = block
        self._text: list[str] = []
        self._signature: list[str] = []
        self._citations: list[Any] = []

    def take(self, delta: Delta) -> None:
        """Add a piece. Kinds that we don't know are passed over."""
        match delta.type:
            case "text_delta":
                self._text.append(delta.get("text"))
            case "input_json_delta":
                self._text.append(delta.get("partial_json"))
            case "thinking_delta":
                self._text.append(delta.get("thinking"))
            case "signature_delta":
                self._signature.append(delta.get("signature"))
            case "citations_delta":
                self._citations.append((delta.model_extra or {}).get("citation"))

    def finish(self) -> ResponseBlock:
        """The whole block. The pieces of a call's input make a JSON object (``call_input`` has seen to it)."""
        block = self._block
        text = "".join(self._text)
        if isinstance(block, TextBlock):
            changes: dict[str, Any] = {"text": block.text + text}
            if self._citations:
                changes["citations"] = self._citations
            return block.model_copy(update=changes)
        if isinstance(block, ThinkingBlock):
            return block.model_copy(
                update={
                    "thinking": block.thinking + text,
                    "signature": block.signature + "".join(self._signature),
                }
            )
        if isinstance(block, ServerToolUseBlock | ToolUseBlock) and text:
            return block.model_copy(update={"input": json.loads(text)})
        return block


async def fold(events: AsyncIterator[StreamEvent]) -> Message:
    """The message that the events of one turn make. Exceptions of the turn pass through."""
    collected = [event async for event in events]
    return fold_events(collected)


def fold_events(events: Iterable[StreamEvent]) -> Message:
    """The message that these events make, in order, from ``message_start`` on."""
    message: Message | None = None
    blocks: list[ResponseBlock] = []
    opened: OpenBlock | None = None
    for event in events:
        match event:
            case MessageStart():
                message = event.message
                blocks = list(message.content)
            case ContentBlockStart():
                opened = OpenBlock(event.content_block)
            case ContentBlockDelta():
                assert opened is not None, "a delta follows its block's start"
                opened.take(event.delta)
            case ContentBlockStop():
                assert opened is not None, "a stop follows its block's start"
                blocks.append(opened.finish())
                opened = None
            case MessageDelta():
                assert message is not None, "message_start comes first"
                message = message.model_copy(
                    update={
                        "stop_reason": event.delta.stop_reason,
                        "stop_sequence": event.delta.stop_sequence,
                        "stop_details": event.delta.stop_details,
                        "container": event.delta.container,
                        "context_management": event.context_management,
                        "usage": event.usage,
                    }
                )
    assert message is not None, "a turn has a message_start"
    return message.model_copy(update={"content": blocks})
