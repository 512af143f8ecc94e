"""A sampling in the terms of OpenAI's chat completions: the request's translation."""

from __future__ import annotations

import json
from typing import Any, Final

from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.wire.errors import InvalidRequest

Chat = dict[str, Any]

_LONGEST_DESCRIPTION: Final = 1024
"""Characters of a tool's description that the official API takes; longer ones are told in the system message."""

_PASSED_PARAMETERS: Final = ("temperature", "top_p")
# Most servers ignore these for models without reasoning; those of the official API refuse them there.
_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def chat_request(request: SampleRequest, model: str, *, official: bool) -> Chat:
    """The body of ``POST /chat/completions``, streaming.

    ``official`` is for api.openai.com, which takes ``max_completion_tokens`` only; others may know only
    ``max_tokens``. Raises InvalidRequest for content that this protocol cannot carry.
    """
    system, tools = (
        _long_descriptions_apart(request.system, request.tools) if official else (request.system, request.tools)
    )
    body: Chat = {
        "model": model,
        "messages": chat_messages(system, request.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens" if official else "max_tokens": max(1, request.max_tokens),
    }
    for name in _PASSED_PARAMETERS:
        if (value := request.parameters.get(name)) is not None:
            body[name] = value
    top_k = request.parameters.get("top_k")
    if top_k is not None and not official:
        body["top_k"] = top_k
    if request.stop_sequences:
        # The official API takes four at most; it stops at the others no more than at none.
        body["stop"] = request.stop_sequences[:4] if official else request.stop_sequences
    output = request.parameters.get("output_config") or {}
    if official and output.get("effort") in _EFFORTS:
        body["reasoning_effort"] = _EFFORTS[output["effort"]]
    schema = output.get("format") or {}
    if schema.get("type") == "json_schema" and "schema" in schema:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema["schema"], "strict": True},
        }
    body |= _tools(tools, request.tool_choice or {})
    return body


def _long_descriptions_apart(
    system: list[dict[str, Any]], tools: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    told = [*system]
    shown = []
    for tool in tools:
        described = str(tool.get("description") or "")
        if len(described) > _LONGEST_DESCRIPTION:
            told.append({"type": "text", "text": f"The tool {tool.get('name')}:\n\n{described}"})
            end = " ... (The system message describes this tool in full.)"
            shown.append({**tool, "description": described[: _LONGEST_DESCRIPTION - len(end)] + end})
        else:
            shown.append(tool)
    return told, shown


def _tools(tools: list[dict[str, Any]], choice: dict[str, Any]) -> Chat:
    if not tools:
        return {}
    body: Chat = {"tools": [_tool(index, tool) for index, tool in enumerate(tools)]}
    match choice.get("type"):
        case "any":
            body["tool_choice"] = "required"
        case "tool":
            body["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
        case "none":
            body["tool_choice"] = "none"
        case "auto":
            body["tool_choice"] = "auto"
    if choice.get("disable_parallel_tool_use"):
        body["parallel_tool_calls"] = False
    return body


def _tool(index: int, tool: dict[str, Any]) -> Chat:
    if tool.get("type") not in (None, "custom"):
        raise InvalidRequest(
            f"tools.{index}: the model behind this name does not know the tool {tool.get('type')}; "
            "declare it with an input_schema of your own"
        )
    function: Chat = {"name": tool["name"], "parameters": tool.get("input_schema") or {"type": "object"}}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def chat_messages(system: list[dict[str, Any]], messages: list[UpstreamMessage]) -> list[Chat]:
    """System text, then every message; a user message with tool results becomes several.

    Raises InvalidRequest for content that this protocol cannot carry.
    """
    told: list[Chat] = []
    if text := "\n\n".join(block["text"] for block in system if block.get("text")):
        told.append({"role": "system", "content": text})
    for index, message in enumerate(messages):
        match message.role:
            case "assistant":
                told.extend(_assistant(message.content))
            case "system":
                text = "\n\n".join(block.get("text", "") for block in message.content)
                told.append({"role": "system", "content": text})
            case _:
                told.extend(_user(message.content, f"messages.{index}.content"))
    return told


def _assistant(content: list[dict[str, Any]]) -> list[Chat]:
    # Thinking stays here: its signature means nothing to this upstream, and templates strip it anyway.
    text = "".join(block.get("text", "") for block in content if block.get("type") == "text")
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block.get("input") or {}, ensure_ascii=False)},
        }
        for block in content
        if block.get("type") == "tool_use"
    ]
    if calls:
        return [{"role": "assistant", "content": text or None, "tool_calls": calls}]
    return [{"role": "assistant", "content": text}] if text else []


def _user(content: list[dict[str, Any]], path: str) -> list[Chat]:
    results: list[Chat] = []
    parts: list[Chat] = []
    for index, block in enumerate(content):
        if block.get("type") != "tool_result":
            parts.append(_part(block, f"{path}.{index}"))
            continue
        inner = block.get("content") or []
        blocks = [{"type": "text", "text": inner}] if isinstance(inner, str) else inner
        texts: list[str] = []
        for position, item in enumerate(blocks):
            part = _part(item, f"{path}.{index}.content.{position}")
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                # A tool message carries text only: what else there is follows in a message of the user's.
                parts.append({"type": "text", "text": f"From the result of tool call {block['tool_use_id']}:"})
                parts.append(part)
                texts.append("(see the next message)")
        text = "\n".join(texts)
        if block.get("is_error"):
            text = f"Error: {text}"
        results.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": text})
    if not parts:
        return results
    if all(part["type"] == "text" for part in parts):
        # Many templates of small models take nothing but a plain string.
        return [*results, {"role": "user", "content": "\n\n".join(part["text"] for part in parts)}]
    return [*results, {"role": "user", "content": parts}]


def _part(block: dict[str, Any], path: str) -> Chat:  # noqa: PLR0911 - one per kind of block
    source = block.get("source") if isinstance(block.get("source"), dict) else {}
    assert source is not None
    match block.get("type"), source.get("type"):
        case "text", _:
            return {"type": "text", "text": str(block.get("text", ""))}
        case "image", "base64":
            url = f"data:{source.get('media_type')};base64,{source.get('data')}"
            return {"type": "image_url", "image_url": {"url": url}}
        case "image", "url":
            return {"type": "image_url", "image_url": {"url": source.get("url")}}
        case "document", "text":
            return {"type": "text", "text": _titled(block, str(source.get("data", "")))}
        case "document", "content":
            return {"type": "text", "text": _titled(block, _texts(source.get("content"), path))}
        case "document", "base64" if source.get("media_type") == "application/pdf":
            data = f"data:application/pdf;base64,{source.get('data')}"
            name = str(block.get("title") or "document.pdf")
            return {"type": "file", "file": {"filename": name, "file_data": data}}
        case "search_result", _:
            text = _texts(block.get("content"), path)
            return {"type": "text", "text": _titled({"title": block.get("title") or block.get("source")}, text)}
        case kind, source_type:
            what = f"{kind} with a source of type {source_type}" if source_type else f"block of type {kind}"
            raise InvalidRequest(f"{path}: the model behind this name cannot be given a {what}")


def _titled(block: dict[str, Any], text: str) -> str:
    heading = "\n".join(str(block[name]) for name in ("title", "context") if block.get(name))
    return f"{heading}\n\n{text}" if heading else text


def _texts(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    if any(block.get("type") != "text" for block in blocks):
        raise InvalidRequest(f"{path}: the model behind this name can be given only text inside a document")
    return "\n".join(str(block.get("text", "")) for block in blocks)
