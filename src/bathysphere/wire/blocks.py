"""Content blocks (WIRE b), as they stand in requests, in responses and in stream events.

One class serves both directions. In requests unknown members are kept and passed on, because SDKs add some;
what we answer is built from these classes with every documented member set.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, FailFast, Field


class Block(BaseModel):
    """What all blocks share: members that are not listed are allowed and kept."""

    model_config = ConfigDict(extra="allow")

    def wire(self) -> dict[str, Any]:
        """The block as JSON: its type, and the other members that are set; all are JSON values already."""
        fields = type(self).model_fields
        members = {name: value for name in fields if (value := getattr(self, name)) != fields[name].default}
        return {"type": getattr(self, "type"), **members, **(self.model_extra or {})}  # noqa: B009


class TextBlock(Block):
    """Text of either side."""

    type: Literal["text"] = "text"
    text: str


class ThinkingBlock(Block):
    """The model's thinking; ``signature`` belongs to the upstream that made it."""

    type: Literal["thinking"] = "thinking"
    thinking: str
    signature: str


class RedactedThinkingBlock(Block):
    """Thinking that the upstream has encrypted."""

    type: Literal["redacted_thinking"] = "redacted_thinking"
    data: str


class ImageBlock(Block):
    """An image; passed to the upstream."""

    type: Literal["image"] = "image"
    source: dict[str, Any]


class DocumentBlock(Block):
    """A document; passed to the upstream."""

    type: Literal["document"] = "document"
    source: dict[str, Any]


class SearchResultBlock(Block):
    """A search result of the client's; passed to the upstream."""

    type: Literal["search_result"] = "search_result"


class ToolUseBlock(Block):
    """A call of a client tool, by the model itself or by its code (WIRE b.1)."""

    type: Literal["tool_use"] = "tool_use"
    id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    name: str = Field(max_length=200)
    input: dict[str, Any]
    caller: dict[str, Any] | None = None

    @property
    def cell_id(self) -> str | None:
        """The ``server_tool_use`` whose code made the call; None when the model made it."""
        caller = self.caller or {}
        if str(caller.get("type", "direct")) == "direct":
            return None
        return str(caller.get("tool_id"))


class ToolResultBlock(Block):
    """The client's answer to a ``tool_use``; ``content`` is text or a list of blocks."""

    type: Literal["tool_result"] = "tool_result"
    tool_use_id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None


class ContainerUploadBlock(Block):
    """A file to be placed at ``$INPUT_DIR/<filename>`` (WIRE b.5)."""

    type: Literal["container_upload"] = "container_upload"
    file_id: str


class ServerToolUseBlock(Block):
    """A call of a sub-tool (WIRE b.1)."""

    type: Literal["server_tool_use"] = "server_tool_use"
    id: str = Field(pattern=r"^srvtoolu_[a-zA-Z0-9_]+$", max_length=128)
    name: str
    input: dict[str, Any]


class BashResultBlock(Block):
    """WIRE b.2. ``content`` is a ``bash_code_execution_result`` or the error form."""

    type: Literal["bash_code_execution_tool_result"] = "bash_code_execution_tool_result"
    tool_use_id: str
    content: dict[str, Any]


class EditorResultBlock(Block):
    """WIRE b.3. ``content`` is one of the three results or the error form; the seeds' older names are read too."""

    type: Literal["text_editor_code_execution_tool_result"] = "text_editor_code_execution_tool_result"
    tool_use_id: str
    content: dict[str, Any]


class CodeResultBlock(Block):
    """WIRE b.4. ``content`` is a ``code_execution_result`` or the error form."""

    type: Literal["code_execution_tool_result"] = "code_execution_tool_result"
    tool_use_id: str
    content: dict[str, Any]


SubToolResultBlock = BashResultBlock | EditorResultBlock | CodeResultBlock

ResponseBlock = Annotated[
    TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ServerToolUseBlock | SubToolResultBlock,
    Discriminator("type"),
]

RequestBlock = Annotated[
    TextBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ToolUseBlock
    | ToolResultBlock
    | ContainerUploadBlock
    | ServerToolUseBlock
    | SubToolResultBlock,
    Discriminator("type"),
]


class StopAtFirst(FailFast):
    """Stop at the first wrong item: an error for each would take a thousand times the room of a hostile list."""

    def __hash__(self) -> int:
        return hash(type(self))


def _text_as_blocks(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Content = Annotated[
    list[RequestBlock],
    StopAtFirst(),
    BeforeValidator(_text_as_blocks, json_schema_input_type=str | list[RequestBlock]),
]
"""Content of a message: a string stands for one text block."""

SystemText = Annotated[
    list[TextBlock],
    StopAtFirst(),
    BeforeValidator(_text_as_blocks, json_schema_input_type=str | list[TextBlock]),
]
"""A system prompt: a string stands for one text block."""

__all__ = [
    "BashResultBlock",
    "Block",
    "CodeResultBlock",
    "ContainerUploadBlock",
    "Content",
    "DocumentBlock",
    "EditorResultBlock",
    "ImageBlock",
    "RedactedThinkingBlock",
    "RequestBlock",
    "ResponseBlock",
    "SearchResultBlock",
    "ServerToolUseBlock",
    "StopAtFirst",
    "SubToolResultBlock",
    "SystemText",
    "TextBlock",
    "ThinkingBlock",
    "ToolResultBlock",
    "ToolUseBlock",
]
