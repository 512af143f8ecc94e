"""Every member of a request that the newest SDK knows is taken, but for those that are refused by name (WIRE c.7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.asking import post
from tests.server import Server

EPHEMERAL = {"type": "ephemeral", "ttl": "5m"}
CITATION = {
    "cited_text": "The grass is green.", "document_index": 0, "document_title": "x", "end_char_index": 0,
    "start_char_index": 0, "type": "char_location",
}  # fmt: skip
EVERYTHING: dict[str, Any] = {
    "model": "claude-opus-5-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Hello, world"}],
    "billing_policy": {"type": "billing_policy", "bill_to": "self"},
    "cache_control": EPHEMERAL,
    "compaction": {"type": "summarize", "instructions": "instructions"},
    "container": {"id": None, "skills": None},
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 0}}]},
    "diagnostics": {"previous_message_id": "previous_message_id"},
    "fallback_credit_token": "x",
    "inference_geo": "inference_geo",
    "mcp_servers": [],
    "metadata": {"user_id": "13803d75-b4b5-4c3e-b2a2-6f21399b021b"},
    "output_config": {
        "effort": "low",
        "format": {"schema": {"foo": "bar"}, "type": "json_schema"},
        "task_budget": {"total": 1024, "type": "tokens", "remaining": 0},
    },
    "service_tier": "auto",
    "speed": "standard",
    "stop_sequences": ["string"],
    "stream": False,
    "system": [{"text": "It is June.", "type": "text", "cache_control": EPHEMERAL, "citations": [CITATION]}],
    "temperature": 1,
    "thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "error"}, "display": "summarized"},
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "tools": [
        {
            "input_schema": {"type": "object", "properties": {"location": "bar"}, "required": ["location"]},
            "name": "name",
            "allowed_callers": ["direct"],
            "cache_control": EPHEMERAL,
            "defer_loading": True,
            "description": "Get the current weather in a given location",
            "eager_input_streaming": True,
            "input_examples": [{"foo": "bar"}],
            "strict": True,
            "type": "custom",
        }
    ],
    "top_k": 5,
    "top_p": 0.7,
}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"])
def test_everything_at_once(server: Server, path: str) -> None:
    answer = post(server, path, EVERYTHING, None, ("anthropic-beta", "computer-use-2024-10-22"))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("thread", {"type": "create"}, "thread_unsupported_request"),
        ("mcp_servers", [{"name": "name", "type": "url", "url": "url"}], None),
        ("fallbacks", "default", None),
        ("fallbacks", [{"model": "m"}], None),
    ],
)
def test_what_is_refused_by_name(server: Server, path: str, name: str, value: Any, code: str | None) -> None:
    answer = post(server, path, EVERYTHING | {name: value})
    assert answer.status == 400
    error = answer.json()["error"]
    assert error["message"].startswith(name)
    assert error.get("details", {}).get("error_code") == code


def test_a_thread_is_refused_as_such_whatever_else_is_asked_for(server: Server) -> None:
    """The SDKs' tool runners go on without one on exactly this answer (WIRE k.5)."""
    answer = post(server, "/v1/messages", EVERYTHING | {"thread": {"type": "create"}, "fallbacks": "default"})
    assert answer.json()["error"]["details"] == {"error_code": "thread_unsupported_request"}
