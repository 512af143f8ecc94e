"""Clients that go away in the middle of a turn."""

from __future__ import annotations

import http.client
import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.clients.asking import ask, post, question, send
from tests.clients.conftest import Upstreams
from tests.clients.events import streaming
from tests.clients.test_upstream_failures import AT_ONCE
from tests.models.scripted_upstream import Failure, Say, Turn
from tests.seeds import expectations
from tests.server import Server


def containers(server: Server) -> set[str]:
    """Containers that the server knows of."""
    with closing(sqlite3.connect(server.data / "store" / "bathysphere.sqlite3")) as database:
        return {name for (name,) in database.execute("SELECT id FROM containers WHERE deleted_at IS NULL")}


def disks(server: Server) -> set[str]:
    """Containers that have a disk."""
    return {path.name for path in (server.data / "host" / "disks").iterdir()}


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_command_ends_with_its_client(server: Server) -> None:
    """Calls of one container are carried out one after another, so the next one would wait for it."""
    container = ask(server, "```bash\ntrue\n```")["container"]["id"]
    endless = question("```bash\nsleep 250\n```", container=container)
    with streaming(server, endless) as events:
        next(event for event in events if event.get("content_block", {}).get("type") == "server_tool_use")
        next(event for event in events if event["type"] == "content_block_stop")
    message = ask(server, "```bash\npgrep -c sleep\n```", container=container)
    assert expectations.output(message) == "0\n"


def test_a_command_ends_with_its_client_without_streaming_too(server: Server) -> None:
    container = ask(server, "```bash\ntrue\n```")["container"]["id"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = json.dumps(question("```bash\nsleep 251\n```", container=container))
    connection.request("POST", "/v1/messages", body, {"x-api-key": server.key, "content-type": "application/json"})

    def runs() -> bool:
        return any("sleep 251" in command for command in server.processes().values())

    assert eventually(runs)
    connection.close()
    assert eventually(lambda: not runs())
    assert expectations.output(ask(server, "```bash\necho works\n```", container=container)) == "works\n"


def test_a_container_that_nobody_heard_of_is_removed(server: Server) -> None:
    before = containers(server)
    with streaming(server, question("```bash\nsleep 252\n```")) as events:
        next(event for event in events if event.get("content_block", {}).get("type") == "server_tool_use")
        assert eventually(lambda: len(containers(server) - before) == 1)
        (made,) = containers(server) - before
    assert eventually(lambda: made not in containers(server) | disks(server))


@pytest.mark.parametrize("stream", [False, True])
def test_tries_that_fail_leave_no_containers(upstreams: Upstreams, stream: bool) -> None:
    """An upload brings a container before the model is asked; SDKs try again after a failure."""
    server = upstreams.server
    uploaded = post_file(server)
    before = containers(server) | disks(server)
    for _ in range(3):
        upstreams.upstream.respond = lambda body: Failure(529, headers=AT_ONCE)
        content = [{"type": "text", "text": "look"}, {"type": "container_upload", "file_id": uploaded}]
        answer = post(server, "/v1/messages", question(content, model="via-anthropic", stream=stream))
        assert answer.status == 529, answer.body
    assert eventually(lambda: containers(server) | disks(server) == before)

    upstreams.upstream.respond = lambda body: Turn(Say("I see it."))
    content = [{"type": "text", "text": "look"}, {"type": "container_upload", "file_id": uploaded}]
    assert post(server, "/v1/messages", question(content, model="via-anthropic")).json()["container"][
        "id"
    ] in containers(server)


def post_file(server: Server) -> str:
    body = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
    headers = [("x-api-key", server.key), ("content-type", "multipart/form-data; boundary=x")]
    answer = send(server, "POST", "/v1/files", headers, body)
    assert answer.status == 200, answer.body
    identifier: str = answer.json()["id"]
    return identifier
