"""Streams: the SDKs put together what they would have got without one (WIRE d), and can send it back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.environments import ALL
from tests.seeds import expectations
from tests.server import Server

PROMPT = """Two programs:

```bash
echo kept > kept.txt; echo Grüße; echo oops >&2
```

```python
print("from", "python", 6 * 7)
```
"""
FOLLOW_UP = "```bash\ncat kept.txt\n```"


def without_ids(value: Any) -> Any:
    """The same JSON with every identifier replaced, and without the empty members that the Python helpers add."""
    if isinstance(value, dict):
        return {key: without_ids(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_ids(inner) for inner in value]
    if isinstance(value, str):
        return re.sub(r"\b(srvtoolu|container|file|msg)_[0-9a-zA-Z]{8,}", r"\1_ID", value)
    return value


@pytest.fixture(
    scope="module",
    params=[(sdk, namespace) for sdk in ALL for namespace in ("ga", "beta")],
    ids=lambda chosen: f"{chosen[0]}-{chosen[1]}",
)
def ran(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the program brought back with one SDK and namespace."""
    sdk, namespace = request.param
    folder = tmp_path_factory.mktemp("streaming")
    answers = environments.run(sdk, "streaming", server, folder, [namespace, PROMPT, FOLLOW_UP])
    return {"sdk": sdk, "namespace": namespace, **answers}


def test_streams(ran: dict[str, Any]) -> None:
    created, streamed, continued = ran["created"], ran["streamed"], ran["continued"]

    expectations.check_finished(created)
    assert expectations.output(created) == "Grüße\nfrom python 42\n"
    assert expectations.results(created)[0]["stderr"] == "oops\n"
    assert without_ids(streamed["content"]) == without_ids(created["content"])
    for name in ("stop_reason", "stop_sequence", "role", "model", "type"):
        assert streamed[name] == created[name]
    assert streamed["usage"]["output_tokens"] == created["usage"]["output_tokens"]
    assert ran["request_id"].startswith("req_")

    # The first generation's GA accumulation leaves the container out; its events carry it.
    if ran["sdk"].generation == 1 and ran["namespace"] == "ga":
        streamed["container"] = ran["streamed_container"]
    assert streamed["container"] == ran["streamed_container"]
    expectations.check_finished(streamed)

    expectations.check_finished(continued)
    assert continued["container"]["id"] == streamed["container"]["id"]
    assert expectations.output(continued) == "kept\n"


def test_order_of_events(ran: dict[str, Any]) -> None:
    """WIRE d: calls are streamed as JSON fragments, results arrive whole, the container comes at the end."""
    events = ran["raw_events"]
    assert events[0]["type"] == "message_start"
    assert events[0]["message"]["content"] == []
    assert events[0]["message"].get("container") is None
    assert events[0]["message"]["stop_reason"] is None
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["delta"]["stop_reason"] == "end_turn"
    assert events[-2]["delta"]["container"]["id"].startswith("container_")
    assert events[-2]["usage"]["output_tokens"] > 0

    block, blocks_seen = None, 0
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert block is None
            assert event["index"] == blocks_seen
            block = event["content_block"]
            if block["type"] == "server_tool_use":
                assert block["input"] == {}
            if block["type"] == "text":
                assert block["text"] == ""
        elif event["type"] == "content_block_delta":
            assert block is not None
            assert event["index"] == blocks_seen
            kinds = {"text": "text_delta", "server_tool_use": "input_json_delta"}
            assert event["delta"]["type"] == kinds[block["type"]]
        else:
            assert event["type"] == "content_block_stop"
            assert event["index"] == blocks_seen
            block, blocks_seen = None, blocks_seen + 1
    assert blocks_seen >= 5
