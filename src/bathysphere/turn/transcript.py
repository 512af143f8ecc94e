"""The transcript: a conversation on the wire, told again as an ordinary model understands it.

On the wire a turn is one assistant message in which calls of sub-tools and their results alternate. A model
knows only client tools: a call ends the assistant's message, and the results open the user's next one. Calls and
results are paired by id, since a result may stand in a later message than its call (WIRE b.7, c.4, c.5).

What code asked of the client's tools, and what it was answered, is left out: a model sees its code, and then the
code's result (WIRE h.4).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bathysphere.models.base import UpstreamMessage
from bathysphere.turn.results import ERROR_MEANING
from bathysphere.wire.blocks import (
    BashResultBlock,
    Block,
    CodeResultBlock,
    ContainerUploadBlock,
    EditorResultBlock,
    ServerToolUseBlock,
    SubToolResultBlock,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from bathysphere.wire.requests import InputMessage

_OF_THE_WIRE: Final = frozenset(("caller", "parsed_output"))
"""Members that upstreams refuse: whose call it is, and what SDKs make of a text and send back."""


def upstream_messages(messages: Iterable[InputMessage], filenames: Mapping[str, str]) -> list[UpstreamMessage]:
    """The conversation for the upstream.

    ``filenames`` gives the name in ``$INPUT_DIR`` of every uploaded ``file_id``. Every call in ``messages`` has its
    result (``turn.checks`` has seen to it, and pending calls have been run).
    """
    return _Transcript(list(messages), filenames).tell()


class _Transcript:
    def __init__(self, messages: list[InputMessage], filenames: Mapping[str, str]) -> None:
        self._messages = messages
        self._filenames = filenames
        self._results = {block.tool_use_id: block for block in _sub_tool_results(messages)}
        self._from_code = {
            block.id
            for message in messages
            for block in message.content
            if isinstance(block, ToolUseBlock) and block.cell_id is not None
        }
        self._told: list[UpstreamMessage] = []
        self._assistant: list[dict[str, Any]] = []
        self._calls: dict[str, None] = {}
        self._answered = False
        """Whether a result of the open calls has been passed: then what follows is a new sampling's."""

    def tell(self) -> list[UpstreamMessage]:
        system: list[InputMessage] = []
        for message in self._messages:
            if message.role == "assistant":
                self._tell_assistant(message)
            elif message.role == "system" and self._asks_client():
                # Nothing may stand between a call and its result upstream; to us it stands beside them.
                system.append(message)
            elif shown := [block for block in message.content if not self._is_from_code(block)]:
                self._end_assistant()
                self._add(message.role, [self._told_block(block) for block in shown])
                while system:
                    self._add("system", [self._told_block(block) for block in system.pop(0).content])
        self._end_assistant()
        return self._told

    def _asks_client(self) -> bool:
        return any(block["type"] == "tool_use" and block["id"] not in self._calls for block in self._assistant)

    def _is_from_code(self, block: Block) -> bool:
        match block:
            case ToolUseBlock(id=call_id) | ToolResultBlock(tool_use_id=call_id):
                return call_id in self._from_code
        return False

    def _tell_assistant(self, message: InputMessage) -> None:
        for block in message.content:
            if isinstance(block, SubToolResultBlock):
                self._answered = self._answered or block.tool_use_id in self._calls
                continue  # told right after its call
            if isinstance(block, TextBlock) and not block.text:
                continue  # upstreams refuse empty text
            if self._is_from_code(block):
                continue
            if self._answered:
                self._end_assistant()
            if isinstance(block, ServerToolUseBlock):
                self._calls[block.id] = None
                self._assistant.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.input})
            else:
                self._assistant.append(self._told_block(block))

    def _end_assistant(self) -> None:
        """Close the assistant's message and open the user's with the results of its calls."""
        if self._assistant:
            self._add("assistant", self._assistant)
        results = [told_result(self._results[call]) for call in self._calls if call in self._results]
        if results:
            self._add("user", results)
        self._assistant, self._calls, self._answered = [], {}, False

    def _add(self, role: Any, content: list[dict[str, Any]]) -> None:
        """Add content; users' messages that follow each other are one, in which results come first."""
        if self._told and self._told[-1].role == role == "user":
            joined = self._told[-1].content + content
            joined.sort(key=lambda block: block["type"] != "tool_result")
            self._told[-1].content[:] = joined
        elif content:
            self._told.append(UpstreamMessage(role, list(content)))

    def _told_block(self, block: Block) -> dict[str, Any]:
        if isinstance(block, ContainerUploadBlock):
            name = self._filenames[block.file_id]
            return {
                "type": "text",
                "text": f'The file "{name}" has been uploaded to the container at $INPUT_DIR/{name}.',
            }
        return {name: value for name, value in block.wire().items() if value is not None and name not in _OF_THE_WIRE}


def _sub_tool_results(messages: list[InputMessage]) -> Iterable[SubToolResultBlock]:
    for message in messages:
        for block in message.content:
            if isinstance(block, SubToolResultBlock):
                yield block


def told_result(block: BashResultBlock | EditorResultBlock | CodeResultBlock) -> dict[str, Any]:
    """A sub-tool's result as the ``tool_result`` a model sees.

    The list of produced files is not shown (WIRE b.6); an image that the editor opened is shown as an image.
    """
    content = block.content
    kind = str(content.get("type", ""))
    told: dict[str, Any] = {"type": "tool_result", "tool_use_id": block.tool_use_id}
    if kind.endswith("_tool_result_error"):
        code = str(content.get("error_code"))
        message = content.get("error_message") or ERROR_MEANING.get(code, "The call failed.")
        return told | {
            "is_error": True,
            "content": [_json_text({"error_code": code, "message": message})],
        }
    if content.get("file_type") == "pdf":
        source = {"type": "base64", "media_type": "application/pdf", "data": str(content.get("content", ""))}
        return told | {"content": [{"type": "document", "source": source}]}
    if content.get("file_type") == "image":
        data = str(content.get("content", ""))
        source = {"type": "base64", "media_type": _image_type(data), "data": data}
        return told | {"content": [{"type": "image", "source": source}]}
    camel_case = {name for name in content if name != name.lower()} if isinstance(block, EditorResultBlock) else set()
    hidden = {"type"} | camel_case
    if not isinstance(block, EditorResultBlock):
        hidden.add("content")
    return told | {"content": [_json_text({name: value for name, value in content.items() if name not in hidden})]}


def _json_text(value: dict[str, Any]) -> dict[str, Any]:
    # Clients send members back in an order of their own; an upstream's cache wants what it was sent the first time.
    return {"type": "text", "text": json.dumps(value, ensure_ascii=False, sort_keys=True)}


def _image_type(base64_data: str) -> str:
    """The media type by the first bytes, as base64 shows them."""
    starts = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lGO": "image/gif", "UklGR": "image/webp"}
    return next((kind for start, kind in starts.items() if base64_data.startswith(start)), "image/png")
