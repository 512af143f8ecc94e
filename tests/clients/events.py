"""Reading a stream as it comes, without an SDK."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.server import Server


@contextmanager
def streaming(server: Server, body: dict[str, Any], key: str | None = None) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a streamed answer, each as soon as it is there. Leaving the block closes the connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        sent = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
        headers = {"x-api-key": key or server.key, **sent}
        connection.request("POST", "/v1/messages", json.dumps(body | {"stream": True}), headers)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield _events(response)
    finally:
        connection.close()


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    name = ""
    while line := response.readline():
        if line.startswith(b"event:"):
            name = line[6:].strip().decode()
        elif line.startswith(b"data:"):
            event: dict[str, Any] = json.loads(line[5:])
            assert event["type"] == name, "every record names its event"
            yield event
