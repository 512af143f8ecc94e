"""Stream events (WIRE d). A turn yields these; an answer that is not streamed is the same events, folded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, model_validator

from bathysphere.wire.blocks import ResponseBlock
from bathysphere.wire.message import Container, Message, StopReason, Usage


class MessageStart(BaseModel):
    """First event of a message; its content is empty except in the re-pause of a programmatic call (WIRE d)."""

    type: Literal["message_start"] = "message_start"
    message: Message


class ContentBlockStart(BaseModel):
    """A block begins. Result blocks are whole here; calls have ``input: {}``; text and thinking are empty."""

    type: Literal["content_block_start"] = "content_block_start"
    index: int
    content_block: ResponseBlock


class Delta(BaseModel):
    """A piece of a block: text, tool input as JSON, thinking, its signature, citations."""

    model_config = ConfigDict(extra="allow")

    type: str

    @classmethod
    def text(cls, text: str) -> Delta:
        """A piece of text."""
        return cls.model_validate({"type": "text_delta", "text": text})

    @model_validator(mode="before")
    @classmethod
    def _whole_characters(cls, value: Any) -> Any:
        """Models write halves of surrogate pairs, which no answer can carry."""
        if isinstance(value, dict):
            for name, member in value.items():
                if isinstance(member, str) and not member.isascii():
                    value = {**value, name: member.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}
        return value

    @classmethod
    def input_json(cls, partial_json: str) -> Delta:
        """A piece of the JSON of a call's input."""
        return cls.model_validate({"type": "input_json_delta", "partial_json": partial_json})

    @classmethod
    def thinking(cls, thinking: str) -> Delta:
        """A piece of thinking."""
        return cls.model_validate({"type": "thinking_delta", "thinking": thinking})

    def get(self, name: str) -> str:
        """A text member by its name; empty when it is absent."""
        value = (self.model_extra or {}).get(name, "")
        return value if isinstance(value, str) else ""


class ContentBlockDelta(BaseModel):
    """A piece of the block at ``index``."""

    type: Literal["content_block_delta"] = "content_block_delta"
    index: int
    delta: Delta


class ContentBlockStop(BaseModel):
    """The block at ``index`` is complete."""

    type: Literal["content_block_stop"] = "content_block_stop"
    index: int


class StopDelta(BaseModel):
    """How the message ended, and the container it used."""

    stop_reason: StopReason
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    container: Container | None = None


class MessageDelta(BaseModel):
    """The end of a message: stop reason, container and cumulative usage."""

    type: Literal["message_delta"] = "message_delta"
    delta: StopDelta
    usage: Usage
    context_management: dict[str, Any] | None = None


class MessageStop(BaseModel):
    """Last event of a message."""

    type: Literal["message_stop"] = "message_stop"


class Ping(BaseModel):
    """A sign of life while nothing else is to be said."""

    type: Literal["ping"] = "ping"


StreamEvent = Annotated[
    MessageStart | ContentBlockStart | ContentBlockDelta | ContentBlockStop | MessageDelta | MessageStop | Ping,
    Discriminator("type"),
]


def names_container(event: StreamEvent) -> bool:
    """Whether it tells the container that the turn used: the last but one, or the first with all in it (WIRE d)."""
    return isinstance(event, MessageDelta) or (isinstance(event, MessageStart) and event.message.container is not None)


def event_wire(event: BaseModel) -> dict[str, Any]:
    """The event as the JSON of its ``data:`` line; one that is not of the protocol is told as it is."""
    match event:
        case ContentBlockDelta(index=index, delta=delta):
            # Most of what is told; its members came as JSON, or are text.
            return {
                "type": "content_block_delta",
                "index": index,
                "delta": {"type": delta.type, **(delta.model_extra or {})},
            }
        case MessageStart(message=message):
            return {"type": "message_start", "message": message.wire()}
        case ContentBlockStart(index=index, content_block=block):
            return {"type": "content_block_start", "index": index, "content_block": block.wire()}
        case MessageDelta():
            body = event.model_dump(mode="json")
            if event.context_management is None:
                del body["context_management"]
            return body
        case _:
            return event.model_dump(mode="json")
