"""The body of ``POST /v1/messages`` (WIRE c.1, c.2, c.7)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bathysphere.wire.blocks import Content, SystemText
from bathysphere.wire.tools import Tool


class InputMessage(BaseModel):
    """One message of the conversation. ``system`` messages came with API version 2026-10-21."""

    model_config = ConfigDict(extra="allow")

    role: Literal["user", "assistant", "system"]
    content: Content


class ContainerRequest(BaseModel):
    """Which container to use: an id, or a new one."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    skills: list[dict[str, Any]] | None = None


def _id_as_container(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class MessagesRequest(BaseModel):
    """A request to sample. Members that we don't act on are kept, and passed to an upstream that knows them."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, max_length=256)
    max_tokens: int = Field(ge=0)
    messages: list[InputMessage] = Field(min_length=1, max_length=100_000)
    system: SystemText | None = None
    tools: list[Tool] | None = None
    tool_choice: dict[str, Any] | None = None
    stream: bool | None = None
    container: Annotated[ContainerRequest | None, BeforeValidator(_id_as_container)] = None
    stop_sequences: list[str] | None = None
    thinking: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    thread: Any = None
    mcp_servers: list[Any] | None = None
    fallbacks: list[Any] | None = None
