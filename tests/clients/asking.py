"""Requests without an SDK, for what no SDK would send and for preparing what an SDK then meets."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.server import Server

CODE_EXECUTION = {"type": "code_execution_20250825", "name": "code_execution"}


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(
    server: Server, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None = None
) -> Answer:
    """Send exactly these headers (one may stand there twice) and this body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        connection.putrequest(method, path)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


def post(server: Server, path: str, body: Any, key: str | None = None, *more: tuple[str, str]) -> Answer:
    """Post JSON with the server's key, or another one. Bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = [("x-api-key", key or server.key), ("anthropic-version", "2023-06-01"), *more]
    return send(server, "POST", path, [*headers, ("content-type", "application/json")], content)


def get(server: Server, path: str, key: str | None = None) -> Answer:
    """Get with the server's key, or another one."""
    return send(server, "GET", path, [("x-api-key", key or server.key), ("anthropic-version", "2023-06-01")])


def question(prompt: Any, **more: Any) -> dict[str, Any]:
    """The body of a request that asks one thing and offers the code execution tool."""
    body = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": prompt}],
        "tools": [CODE_EXECUTION],
    }
    return body | more


def ask(server: Server, prompt: Any, key: str | None = None, **more: Any) -> dict[str, Any]:
    """Ask one thing and return the message."""
    answer = post(server, "/v1/messages", question(prompt, **more), key)
    assert answer.status == 200, answer.body
    message: dict[str, Any] = answer.json()
    return message
