"""The body of ``POST /v1/messages`` (WIRE c.1, c.2, c.7)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bathysphere.wire.blocks import Content, StopAtFirst, SystemText
from bathysphere.wire.tools import Tool

MAX_DEPTH: Final = 150
"""Levels of objects and arrays in a request."""


class InputMessage(BaseModel):
    """One message of the conversation. ``system`` messages came with API version 2026-10-21."""

    model_config = ConfigDict(extra="allow")

    role: Literal["user", "assistant", "system"]
    content: Content


def _latest(value: Any) -> Any:
    return "latest" if value is None else value


class SkillRequest(BaseModel):
    """A skill that the container is to have. ``version`` is an id, the version's own text, or ``latest``."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["anthropic", "custom"]
    skill_id: str = Field(min_length=1, max_length=64)
    version: Annotated[str, BeforeValidator(_latest)] = Field(default="latest", min_length=1, max_length=64)


class ContainerRequest(BaseModel):
    """Which container to use: an id, or a new one; and which skills it is to have: None leaves them as they are."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    skills: Annotated[list[SkillRequest], StopAtFirst()] | None = Field(default=None, max_length=20)


def _id_as_container(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


_CONTAINER: Final = BeforeValidator(_id_as_container, json_schema_input_type=str | ContainerRequest | None)


class MessagesRequest(BaseModel):
    """A request to sample. Members that we don't act on are kept, and passed to an upstream that knows them."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(min_length=1, max_length=256)
    max_tokens: int = Field(ge=0)
    messages: Annotated[list[InputMessage], StopAtFirst()] = Field(min_length=1, max_length=100_000)
    system: SystemText | None = None
    tools: Annotated[list[Tool], StopAtFirst()] | None = Field(default=None, max_length=10_000)
    tool_choice: dict[str, Any] | None = None
    stream: bool | None = None
    container: Annotated[
        ContainerRequest | None, BeforeValidator(_id_as_container, json_schema_input_type=str | ContainerRequest | None)
    ] = None
    stop_sequences: list[str] | None = None
    thinking: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    thread: Any = None
    mcp_servers: list[Any] | None = None
    fallbacks: Any = None

    @model_validator(mode="before")
    @classmethod
    def _check_values(cls, value: Any) -> Any:
        """What Python's JSON takes and nothing after it could carry: endless depth, halves of characters, NaN."""
        _check_carriable(value)
        return value


class CountTokensRequest(MessagesRequest):
    """The body of ``POST /v1/messages/count_tokens``: a request to sample that is never sampled."""

    max_tokens: int = Field(default=1, ge=0)


def _check_carriable(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item.values())
                following.extend(item)
            elif isinstance(item, list):
                following.extend(item)
            elif isinstance(item, str) and not item.isascii():
                try:
                    item.encode()
                except UnicodeEncodeError as error:
                    raise PydanticCustomError(
                        "lone_surrogate", "The request holds half of a surrogate pair, which is no character"
                    ) from error
            elif isinstance(item, float) and not math.isfinite(item):
                raise PydanticCustomError("no_number", "The request holds NaN or a number that is too large")
        if not following:
            return
        level = following
    raise PydanticCustomError("too_deep", "The request is nested deeper than {depth} levels", {"depth": MAX_DEPTH})
