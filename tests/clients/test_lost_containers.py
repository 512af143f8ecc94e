"""Containers and files that are gone: the answer says where and what to do, and what it says leads on (WIRE c.6, e)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.asking import Answer, ask, post, question, send
from tests.clients.test_code_calls_tools import Conversation
from tests.seeds import expectations
from tests.server import Server

UNKNOWN = "container_011CNha8iCJcU1wXNR6q4V8w"


def upload(server: Server) -> dict[str, Any]:
    """A block that uploads a file of ours."""
    part = 'Content-Disposition: form-data; name="file"; filename="mine.txt"'
    body = f"--x\r\n{part}\r\nContent-Type: text/plain\r\n\r\nmine\r\n--x--\r\n".encode()
    headers = [("x-api-key", server.key), ("content-type", "multipart/form-data; boundary=x")]
    return {"type": "container_upload", "file_id": send(server, "POST", "/v1/files", headers, body).json()["id"]}


def delete(server: Server, path: str) -> None:
    assert send(server, "DELETE", path, [("x-api-key", server.key)]).status == 200


def refused(answer: Answer, status: int) -> dict[str, Any]:
    assert answer.status == status, answer.body
    error: dict[str, Any] = answer.json()["error"]
    return error


@pytest.fixture
def talk(server: Server) -> dict[str, Any]:
    """A conversation over an uploaded file, whose container was deleted after the answer."""
    block = upload(server)
    asked = {"role": "user", "content": [{"type": "text", "text": "```bash\ncat $INPUT_DIR/mine.txt\n```"}, block]}
    message = ask(server, asked["content"])
    assert expectations.output(message) == "mine"
    delete(server, f"/bathysphere/v1/containers/{message['container']['id']}")
    answered = {"role": "assistant", "content": message["content"]}
    more = {"role": "user", "content": "```bash\nls $INPUT_DIR\n```"}
    return question("") | {"messages": [asked, answered, more], "container": message["container"]["id"]}


def test_without_the_lost_container_the_conversation_goes_on_with_its_uploads(
    server: Server, talk: dict[str, Any]
) -> None:
    error = refused(post(server, "/v1/messages", talk), 404)
    assert error["details"] == {"error_code": "container_expired"}
    assert "Leave out `container`" in error["message"]
    unknown = refused(post(server, "/v1/messages", talk | {"container": UNKNOWN}), 404)
    assert unknown["details"] == {"error_code": "container_not_found"}
    assert "Leave out `container`" in unknown["message"]
    answer = post(server, "/v1/messages", talk | {"container": None})
    assert expectations.output(answer.json()) == "mine.txt\n"


def test_a_file_that_is_lost_too_is_named_with_its_place(server: Server, talk: dict[str, Any]) -> None:
    block = talk["messages"][0]["content"][1]
    delete(server, f"/v1/files/{block['file_id']}")
    error = refused(post(server, "/v1/messages", talk | {"container": None}), 404)
    assert error["message"].startswith(
        f"messages.0.content.1.container_upload: File `{block['file_id']}` not found. Leave this block out, or"
    )
    del talk["messages"][0]["content"][1]
    assert post(server, "/v1/messages", talk | {"container": None}).status == 200


def test_a_deleted_file_that_lies_in_the_container_is_no_matter(server: Server) -> None:
    block = upload(server)
    message = ask(server, [{"type": "text", "text": "```bash\ntrue\n```"}, block])
    delete(server, f"/v1/files/{block['file_id']}")
    content = [{"type": "text", "text": "```bash\ncat $INPUT_DIR/mine.txt\n```"}, block]
    assert expectations.output(ask(server, content, container=message["container"]["id"])) == "mine"


def test_code_that_waited_in_a_lost_container_is_left_out(server: Server) -> None:
    conversation = Conversation(server)
    conversation.advance()
    conversation.answer("cold")
    delete(server, f"/bathysphere/v1/containers/{conversation.body['container']}")
    error = refused(conversation.send(), 404)
    assert error["details"] == {"error_code": "container_expired"}
    assert "Leave out messages.1 and what follows it, too" in error["message"]
    assert "leave out messages.1 and what follows it" in refused(conversation.send(container=None), 400)["message"]
    conversation.body["messages"] = conversation.body["messages"][:1]
    assert conversation.send(container=None).json()["stop_reason"] == "tool_use"
