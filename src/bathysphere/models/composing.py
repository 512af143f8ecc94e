"""Puts pieces of an answer into the events of one message, in the order that WIRE d demands."""

from __future__ import annotations

from bathysphere.wire.blocks import ResponseBlock, TextBlock, ThinkingBlock, ToolUseBlock
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    MessageStop,
    StopDelta,
    StreamEvent,
)
from bathysphere.wire.ids import new_id
from bathysphere.wire.message import Message, StopReason, Usage


class Composer:
    """One message in the making: keeps block indexes, opens and closes blocks as the kind of piece changes."""

    def __init__(self) -> None:
        self._index = -1
        self._open: str | None = None
        self.calls = 0
        """How many tool calls have been begun."""

    def start(self, model: str, usage: Usage) -> MessageStart:
        """The first event; ``usage`` is what is known by now."""
        return MessageStart(
            message=Message(
                id=new_id("msg"), model=model, content=[], stop_reason=None, stop_sequence=None, usage=usage
            )
        )

    @property
    def is_text(self) -> bool:
        """Whether a block of text is open."""
        return self._open == "text"

    def close(self) -> list[StreamEvent]:
        """Close the open block, if there is one; the next piece opens a new one."""
        if self._open is None:
            return []
        self._open = None
        return [ContentBlockStop(index=self._index)]

    def begin(self, block: ResponseBlock) -> list[StreamEvent]:
        """Begin a block of any kind, as another model gave it."""
        events = self.close()
        self._index += 1
        self._open = block.type
        events.append(ContentBlockStart(index=self._index, content_block=block))
        return events

    def delta(self, delta: Delta) -> StreamEvent:
        """A piece of the open block, of any kind."""
        return ContentBlockDelta(index=self._index, delta=delta)

    def text(self, piece: str) -> list[StreamEvent]:
        """A piece of text; an empty one gives nothing."""
        if not piece:
            return []
        events = self.begin(TextBlock(text="")) if self._open != "text" else []
        return [*events, self.delta(Delta.text(piece))]

    def thinking(self, piece: str) -> list[StreamEvent]:
        """A piece of thinking, unsigned; an empty one gives nothing."""
        if not piece:
            return []
        block = ThinkingBlock(thinking="", signature="")
        events = self.begin(block) if self._open != "thinking" else []
        return [*events, self.delta(Delta.thinking(piece))]

    def call(self, name: str, call_id: str | None = None) -> list[StreamEvent]:
        """Begin a tool call; a fresh id unless the upstream gave one."""
        self.calls += 1
        block = ToolUseBlock(id=call_id or new_id("toolu"), name=name, input={})
        return [*self.begin(block), self.delta(Delta.input_json(""))]

    def input_json(self, piece: str) -> list[StreamEvent]:
        """A piece of the JSON of the open call's input; an empty one gives nothing."""
        return [self.delta(Delta.input_json(piece))] if piece else []

    def finish(self, stop_reason: StopReason, usage: Usage, stop_sequence: str | None = None) -> list[StreamEvent]:
        """Close what is open and end the message."""
        stop = StopDelta(stop_reason=stop_reason, stop_sequence=stop_sequence)
        return [*self.close(), MessageDelta(delta=stop, usage=usage), MessageStop()]
