"""Pieces of conversations for the tests of the turn."""

from __future__ import annotations

from typing import Any

from bathysphere.wire.requests import MessagesRequest

BASH_TOOL = {"type": "code_execution_20250825", "name": "code_execution"}
CELL_TOOL = {"type": "code_execution_20260120", "name": "code_execution"}
PYTHON_TOOL = {"type": "code_execution_20250522", "name": "code_execution"}
WEATHER_TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}


def request(*messages: dict[str, Any], **members: Any) -> MessagesRequest:
    body: dict[str, Any] = {"model": "m", "max_tokens": 1000, "messages": list(messages), "tools": [BASH_TOOL]}
    return MessagesRequest.model_validate(body | members)


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": [text(part) if isinstance(part, str) else part for part in content]}


def assistant(*content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [text(part) if isinstance(part, str) else part for part in content]}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def bash_call(name: str, command: str = "ls") -> dict[str, Any]:
    return {
        "type": "server_tool_use",
        "id": f"srvtoolu_{name}",
        "name": "bash_code_execution",
        "input": {"command": command},
        "caller": {"type": "direct"},
    }


def bash_result(name: str, stdout: str = "") -> dict[str, Any]:
    return {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": f"srvtoolu_{name}",
        "content": {
            "type": "bash_code_execution_result",
            "stdout": stdout,
            "stderr": "",
            "return_code": 0,
            "content": [{"type": "bash_code_execution_output", "file_id": "file_1"}],
        },
    }


def tool_call(name: str, tool: str = "get_weather") -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": {}, "caller": {"type": "direct"}}


def tool_result(name: str, content: str = "sunny") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{name}", "content": content}


def tool_from_code(
    name: str,
    properties: dict[str, Any] | None = None,
    required: list[str] | None = None,
    callers: tuple[str, ...] = ("code_execution_20260120",),
    **members: Any,
) -> dict[str, Any]:
    """A client's tool that code may call."""
    schema = {"type": "object", "properties": properties or {}, "required": required or []}
    return {"name": name, "input_schema": schema, "allowed_callers": list(callers), **members}


def cell_call(name: str, code: str = "pass") -> dict[str, Any]:
    return {
        "type": "server_tool_use",
        "id": f"srvtoolu_{name}",
        "name": "code_execution",
        "input": {"code": code},
        "caller": {"type": "direct"},
    }


def cell_result(name: str, stdout: str = "") -> dict[str, Any]:
    content = {"type": "code_execution_result", "stdout": stdout, "stderr": "", "return_code": 0, "content": []}
    return {"type": "code_execution_tool_result", "tool_use_id": f"srvtoolu_{name}", "content": content}


def call_from_code(name: str, cell: str, tool: str = "get_weather") -> dict[str, Any]:
    caller = {"type": "code_execution_20260120", "tool_id": f"srvtoolu_{cell}"}
    return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": {}, "caller": caller}
