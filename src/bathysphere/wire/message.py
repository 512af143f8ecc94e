"""The response to ``POST /v1/messages`` (WIRE c.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
)

from bathysphere.wire.blocks import ResponseBlock

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]


LARGEST_COUNT: Final = 2**53 - 1
"""Of tokens: what every reader of JSON can tell apart, and the books can hold."""

Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and ``Z``, as recorded (WIRE c.3)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class ContainerSkill(BaseModel):
    """A skill that the container was given, with the version that ``latest`` stood for."""

    type: Literal["anthropic", "custom"]
    skill_id: str
    version: str


class Container(BaseModel):
    """The container that a turn used. ``skills`` are those that its request named, in that order."""

    id: str
    expires_at: datetime
    skills: list[ContainerSkill] | None = None

    @model_serializer(mode="wrap")
    def _without_null(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As recorded, there is no ``skills`` when there are none."""
        body: dict[str, Any] = serialize(self)
        if self.skills is None:
            del body["skills"]
        return body

    @field_serializer("expires_at")
    def _expires_at(self, moment: datetime) -> str:
        return timestamp(moment)


class CacheCreation(BaseModel):
    """Tokens written to the upstream's prompt cache."""

    ephemeral_5m_input_tokens: Count = 0
    ephemeral_1h_input_tokens: Count = 0


class ServerToolUsage(BaseModel):
    """Calls of server tools; the first two are required ints in the SDKs (WIRE c.3)."""

    web_search_requests: int = 0
    web_fetch_requests: int = 0
    code_execution_requests: int = 0


class Usage(BaseModel):
    """Tokens as the upstream counted them, summed over the samplings of the turn."""

    model_config = ConfigDict(extra="allow")

    input_tokens: Count = 0
    cache_creation_input_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation: CacheCreation = CacheCreation()
    output_tokens: Count = 0
    server_tool_use: ServerToolUsage | None = None
    service_tier: str | None = "standard"
    inference_geo: str | None = "not_available"


class Message(BaseModel):
    """A finished message, or (in ``message_start``) one that is about to be written."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[ResponseBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    stop_details: dict[str, Any] | None = None
    container: Container | None = None
    context_management: dict[str, Any] | None = None
    diagnostics: None = None
    usage: Usage

    def wire(self) -> dict[str, Any]:
        """The message as JSON, with the members that are always present even when null."""
        body = self.model_dump(mode="json", exclude={"content"})
        body["content"] = [block.wire() for block in self.content]
        if self.context_management is None:
            del body["context_management"]
        return body
