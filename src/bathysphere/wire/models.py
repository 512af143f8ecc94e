"""Models as ``GET /v1/models`` lists them (WIRE k.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel, field_serializer

LIST_LIMIT: Final = (1, 1000)
LIST_LIMIT_DEFAULT: Final = 20
LIFECYCLES: Final = ("active", "deprecated", "retired")


class Support(BaseModel):
    """Whether a capability is supported."""

    supported: bool


class ContextManagement(Support):
    """Strategies of context management; the names are the protocol's."""

    clear_thinking_20251015: Support
    clear_tool_uses_20250919: Support
    compact_20260112: Support


class Effort(Support):
    """Levels of ``output_config.effort``."""

    low: Support
    medium: Support
    high: Support
    xhigh: Support
    max: Support


class ThinkingTypes(BaseModel):
    """Values of ``thinking.type``."""

    enabled: Support
    disabled: Support
    adaptive: Support
    between_tools: Support


class Thinking(Support):
    """Extended thinking."""

    types: ThinkingTypes


class ServerTools(Support):
    """Tools that the server carries out."""

    code_execution: Support
    web_search: Support


class Capabilities(BaseModel):
    """``code_execution`` means that code can call the request's other tools; the tool is in ``server_tools``."""

    batch: Support
    citations: Support
    code_execution: Support
    context_management: ContextManagement
    effort: Effort
    image_input: Support
    pdf_input: Support
    server_tools: ServerTools
    structured_outputs: Support
    thinking: Thinking


class ModelInfo(BaseModel):
    """One model. ``created_at`` is 1970-01-01 where the release is not known."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: datetime
    lifecycle: Literal["active", "deprecated", "retired"]
    line: str | None = None
    deprecated_at: datetime | None = None
    retires_at: datetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    capabilities: Capabilities
    allowed_fallback_models: list[str] = []

    @field_serializer("created_at", "deprecated_at", "retires_at")
    def _moment(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class ModelList(BaseModel):
    """A page of models."""

    data: list[ModelInfo]
    has_more: bool
    first_id: str | None
    last_id: str | None
