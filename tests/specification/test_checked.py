"""What the tests' servers are watched with sees what is wrong, and lets pass what is right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.specification.answers import apply, shapes
from tests.specification.checked import AGAINST, Checked
from tests.specification.deviations import DEVIATIONS, Deviation
from tests.specification.extract import SHAPES

ID = "req_1"
TEXT = {"type": "text", "text": "deep"}
CALL = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {"command": "ls"}}
USAGE = {
    "input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    "cache_creation": None, "inference_geo": None, "server_tool_use": None, "service_tier": None,
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [TEXT], "stop_reason": "end_turn",
    "stop_sequence": None, "stop_details": None, "container": None, "usage": USAGE,
}  # fmt: skip
LINE = {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}}
NOT_FOUND = {"type": "error", "error": {"type": "not_found_error", "message": "no"}, "request_id": ID}
START = {"type": "message_start", "message": MESSAGE | {"content": [], "stop_reason": None}}
BEGIN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "deep"}}
INPUT = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a'}}
STOP = {"type": "content_block_stop", "index": 0}
CALLING = BEGIN | {"content_block": CALL | {"caller": {"type": "direct"}, "input": {}}}
END: list[dict[str, Any]] = [
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None, "container": None},
        "usage": {name: USAGE[name] for name in USAGE if name not in ("cache_creation", "inference_geo")},
    },
    {"type": "message_stop"},
]


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


async def watched(
    capsys: pytest.CaptureFixture[str], call: str, body: Any, status: int = 200, kind: str = "application/json"
) -> list[str]:
    """What is said of an answer that comes in pieces of a few bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [(b"content-type", kind.encode()), (b"request-id", ID.encode())]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for at in range(0, len(content), 7):
            await send({"type": "http.response.body", "body": content[at : at + 7], "more_body": True})
        await send({"type": "http.response.body"})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    method, path = call.split()
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    await Checked(app)(scope, receive, send)
    assert b"".join(message.get("body", b"") for message in sent) == content
    return [line.partition(f"{AGAINST}: ")[2] for line in capsys.readouterr().err.splitlines()]


POST = "POST /v1/messages"
STREAM = "text/event-stream; charset=utf-8"
LINES = "application/x-jsonl"
RESULTS = "GET /v1/messages/batches/b/results"
RIGHT: list[tuple[Any, ...]] = [
    (POST, MESSAGE),
    (POST, sse(START, BEGIN, DELTA, {"type": "ping"}, STOP, *END), 200, STREAM),
    (POST, sse(START | {"message": MESSAGE}, END[-1]), 200, STREAM),
    (RESULTS, json.dumps(LINE).encode() + b"\n", 200, LINES),
    ("GET /nowhere", NOT_FOUND, 404),
]
WRONG: list[tuple[Any, ...]] = [
    ("content.0", POST, MESSAGE | {"content": [{"type": "text"}]}),
    ('content.0: "caller"', POST, MESSAGE | {"content": [CALL]}),
    ("content.0.type", POST, MESSAGE | {"content": [{"type": "invented"}]}),
    ("usage", POST, MESSAGE | {"usage": {}}),
    ("stop_reason", POST, MESSAGE | {"stop_reason": "tired"}),
    ("text/plain", POST, MESSAGE, 200, "text/plain"),
    ("stands after nothing", POST, sse(BEGIN, STOP, *END), 200, STREAM),
    ("block 1", POST, sse(START, BEGIN | {"index": 1}), 200, STREAM),
    ("inside of block 0", POST, sse(START, BEGIN, *END), 200, STREAM),
    ("no JSON", POST, sse(START, CALLING, INPUT, STOP, *END), 200, STREAM),
    ("ends after content_block_stop", POST, sse(START, BEGIN, STOP), 200, STREAM),
    ("invented", POST, sse(START, {"type": "invented"}, *END), 200, STREAM),
    ("fields", POST, sse(START).replace(b"event: message_start\n", b"") + sse(*END), 200, STREAM),
    ("custom_id", RESULTS, json.dumps({"result": LINE["result"]}).encode() + b"\n", 200, LINES),
    ("no end", RESULTS, json.dumps(LINE).encode(), 200, LINES),
    ("'not_found_error' with status 400", POST, NOT_FOUND, 400),
    ("request_id", POST, NOT_FOUND | {"request_id": "req_2"}, 404),
    ("error.type", POST, NOT_FOUND | {"error": {"type": "odd", "message": ""}}, 404),
    ("expires_at", "GET /v1/files/f", {"id": "f", "type": "file"}),
    ("lifecycle", "GET /v1/models/m", {"id": "m", "type": "model"}),
]


@pytest.mark.parametrize("answer", RIGHT, ids=lambda answer: answer[0])
async def test_what_is_right_passes(capsys: pytest.CaptureFixture[str], answer: tuple[Any, ...]) -> None:
    assert await watched(capsys, *answer) == []


@pytest.mark.parametrize(("named", "answer"), [(one[0], one[1:]) for one in WRONG], ids=[one[0] for one in WRONG])
async def test_what_is_wrong_is_named(capsys: pytest.CaptureFixture[str], named: str, answer: tuple[Any, ...]) -> None:
    said = await watched(capsys, *answer)
    assert any(named in line for line in said), said


@pytest.mark.parametrize("deviation", DEVIATIONS, ids=lambda deviation: deviation.schemas[0])
def test_each_deviation_is_one(deviation: Deviation) -> None:
    """It changes what it names, and says why and where that is written."""
    document = json.loads(SHAPES.read_text())
    changed = json.loads(SHAPES.read_text())
    apply(deviation, changed)
    assert {name for name in document if document[name] != changed[name]} == set(deviation.schemas)
    assert deviation.source.startswith("WIRE ") and deviation.why
    assert set(shapes()) == set(document)
