"""Code in the container calls the client's tools, over HTTP: who may answer, and what is refused (WIRE c.5, d, h)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.asking import Answer, post, question
from tests.server import Server

TOOLS = [
    {"type": "code_execution_20260120", "name": "code_execution"},
    {
        "name": "get_weather",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        "allowed_callers": ["code_execution_20260120"],
    },
]
# The demo model runs the Python of the prompt.
PROMPT = "```python\nfor city in ('Oslo', 'Rome'):\n    print(city, await get_weather({'city': city}))\n```"


class Conversation:
    """What a client has of a conversation."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.body: dict[str, Any] = question(PROMPT, tools=TOOLS)

    def send(self, **changes: Any) -> Answer:
        return post(self.server, "/v1/messages", self.body | changes)

    def advance(self) -> dict[str, Any]:
        """Send, and take the answer into the conversation."""
        answer = self.send()
        assert answer.status == 200, answer.body
        message: dict[str, Any] = answer.json()
        self.body["messages"] = [*self.body["messages"], {"role": "assistant", "content": message["content"]}]
        self.body["container"] = message["container"]["id"]
        return message

    def answer(self, text: str) -> None:
        """The result of the only call."""
        (call,) = [block for block in self.body["messages"][-1]["content"] if block["type"] == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": text}
        self.body["messages"] = [*self.body["messages"], {"role": "user", "content": [result]}]


@pytest.fixture
def paused(server: Server) -> Conversation:
    """A conversation whose code waits, with the result that the client would send."""
    conversation = Conversation(server)
    assert conversation.advance()["stop_reason"] == "tool_use"
    conversation.answer("cold")
    return conversation


def test_from_the_pause_to_the_end(paused: Conversation) -> None:
    again = paused.advance()
    assert [block["type"] for block in again["content"]] == ["tool_use"]
    assert (again["usage"]["input_tokens"], again["usage"]["output_tokens"]) == (0, 0)
    paused.answer("warm")
    ended = paused.advance()
    assert ended["stop_reason"] == "end_turn"
    assert ended["content"][0]["content"]["stdout"] == "Oslo cold\nRome warm\n"
    assert "Rome warm" in ended["content"][1]["text"]


def test_a_re_pause_as_a_stream_is_two_events(paused: Conversation) -> None:
    lines = paused.send(stream=True).body.decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["type"] for event in events if event["type"] != "ping"] == ["message_start", "message_stop"]
    message = events[0]["message"]
    assert message["content"][0]["input"] == {"city": "Rome"}
    assert (message["stop_reason"], message["container"]["id"]) == ("tool_use", paused.body["container"])


def test_sent_twice_it_gets_the_same_twice(paused: Conversation) -> None:
    one, other = paused.send().json(), paused.send().json()
    assert one["content"] == other["content"]


def test_without_the_container_it_is_refused(paused: Conversation) -> None:
    answer = paused.send(container=None)
    assert answer.status == 400
    assert "container_id is required" in answer.json()["error"]["message"]


def test_a_result_for_another_containers_code_is_refused(paused: Conversation) -> None:
    other = Conversation(paused.server)
    other.advance()
    answer = paused.send(container=other.body["container"])
    assert answer.status == 400
    message = answer.json()["error"]["message"]
    assert "waits in another container" in message
    assert paused.body["container"] not in message
    # It was given to neither: both go on as if nothing had been.
    paused.advance()
    paused.answer("warm")
    assert paused.advance()["content"][0]["content"]["stdout"] == "Oslo cold\nRome warm\n"


def test_another_workspace_finds_no_such_container(paused: Conversation) -> None:
    assert post(paused.server, "/v1/messages", paused.body, paused.server.other_key).status == 404


def test_a_second_cell_is_told_that_the_first_one_waits(paused: Conversation) -> None:
    body = question("```python\n1\n```", tools=TOOLS, container=paused.body["container"])
    answer = post(paused.server, "/v1/messages", body).json()
    (result,) = [block for block in answer["content"] if block["type"] == "code_execution_tool_result"]
    assert result["content"] == {"type": "code_execution_tool_result_error", "error_code": "too_many_requests"}


class TestWhatIsTooLarge:
    """It is refused with what to do, and takes nothing from the code that waits."""

    def test_results(self, paused: Conversation) -> None:
        right = paused.body["messages"]
        (result,) = right[-1]["content"]
        large = {"role": "user", "content": [{**result, "content": "\u00e9" * (4 << 20)}]}
        answer = paused.send(messages=[*right[:-1], large])
        assert answer.status == 400, answer.body
        assert "MiB" in answer.json()["error"]["message"]
        assert paused.advance()["stop_reason"] == "tool_use"

    def test_code_that_was_sent_back(self, server: Server) -> None:
        call = {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "code_execution",
            "input": {"code": "x = '" + "\U0001f600" * 900_000 + "'"},
        }
        body = question(PROMPT, tools=TOOLS)
        body["messages"] = [*body["messages"], {"role": "assistant", "content": [call]}]
        answer = post(server, "/v1/messages", body)
        assert answer.status == 200, answer.body
        assert answer.json()["content"][0]["content"]["error_code"] == "invalid_tool_input"

    def test_ids(self, server: Server) -> None:
        call = {
            "type": "server_tool_use",
            "id": "srvtoolu_" + "a" * 200,
            "name": "code_execution",
            "input": {"code": "1"},
        }
        body = question(PROMPT, tools=TOOLS)
        body["messages"] = [*body["messages"], {"role": "assistant", "content": [call]}]
        answer = post(server, "/v1/messages", body)
        assert answer.status == 400, answer.body
        assert "server_tool_use.id" in answer.json()["error"]["message"]
