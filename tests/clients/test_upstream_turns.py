"""Turns with a model behind either protocol: tokens as they come, pauses, and client tools beside the server's."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.clients.asking import CODE_EXECUTION, post, question
from tests.clients.conftest import Upstreams
from tests.clients.events import streaming
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import Call, Say, Turn
from tests.seeds import expectations
from tests.seeds.expectations import Message

WEATHER = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def asked(upstreams: Upstreams, backend: str, messages: list[dict[str, Any]], **more: Any) -> Message:
    body = question("", model=f"via-{backend}", **more) | {"messages": messages}
    answer = post(upstreams.server, "/v1/messages", body)
    assert answer.status == 200, answer.body
    message: Message = answer.json()
    return message


def test_text_is_passed_on_before_the_upstream_has_finished(upstreams: Upstreams, backend: str) -> None:
    """The upstream says its second half only after the client has read the first one."""
    go_on = threading.Event()
    upstreams.upstream.play(Turn(Say("first half, second half"), piece=11, hang_after=4, resume=go_on))
    text = ""
    with streaming(upstreams.server, question("Hello", model=f"via-{backend}")) as events:
        for event in events:
            if event["type"] == "content_block_delta":
                text += event["delta"]["text"]
                if text.startswith("first half"):
                    go_on.set()
    assert text == "first half, second half"


def test_a_call_is_passed_on_before_it_runs_and_its_result_before_the_next_sampling(
    upstreams: Upstreams, backend: str
) -> None:
    go_on = threading.Event()
    call = Call("bash_code_execution", {"command": "echo ran"})
    upstreams.upstream.play(Turn(Say("Now."), call), Turn(Say("Done."), hang_after=0, resume=go_on))
    seen = []
    with streaming(upstreams.server, question("Hello", model=f"via-{backend}")) as events:
        for event in events:
            seen.append(event["type"])
            if event["type"] == "content_block_start" and event["content_block"]["type"].endswith("_tool_result"):
                assert event["content_block"]["content"]["stdout"] == "ran\n"
                go_on.set()
    assert go_on.is_set()
    assert seen[-1] == "message_stop"


def test_a_client_that_goes_away_ends_the_upstreams_request(upstreams: Upstreams, backend: str) -> None:
    upstreams.upstream.play(Turn(Say("first half, second half"), piece=11, hang_after=4))
    with streaming(upstreams.server, question("Hello", model=f"via-{backend}")) as events:
        next(event for event in events if event["type"] == "content_block_delta")
    assert upstreams.upstream.requests[0].closed_early.wait(30)


def test_ten_samplings_then_a_pause_and_the_paused_turn_goes_on(upstreams: Upstreams, backend: str) -> None:
    """WIRE c.4: the answer is sent back as it is, without a new message of the user."""
    call = Call("bash_code_execution", {"command": "echo x >> count; wc -l < count"})
    upstreams.upstream.respond = lambda body: Turn(Say(f"After {len(check_history(body))}."), call)
    start = {"role": "user", "content": "Count"}
    paused = asked(upstreams, backend, [start])
    assert paused["stop_reason"] == "pause_turn"
    assert len(upstreams.upstream.requests) == 10
    counted = [result["stdout"] for result in expectations.results(paused)]
    assert counted == [f"{number}\n" for number in range(1, len(counted) + 1)]

    upstreams.upstream.respond = lambda body: Turn(Say(f"Finished after {len(check_history(body))}."))
    container = paused["container"]["id"]
    answer = {"role": "assistant", "content": paused["content"]}
    finished = asked(upstreams, backend, [start, answer], container=container)
    assert finished["stop_reason"] == "end_turn"
    assert finished["container"]["id"] == container
    assert expectations.text(finished) == "Finished after 10."


@pytest.fixture
def mixed(upstreams: Upstreams, backend: str) -> tuple[dict[str, Any], Message]:
    """A question, and an answer in which a server tool and a client tool were called side by side."""
    bash = Call("bash_code_execution", {"command": "echo from the server"}, id="toolu_b1")
    weather = Call("get_weather", {"city": "Oslo"}, id="toolu_w1")
    upstreams.upstream.play(Turn(Say("Both."), bash, weather))
    start = {"role": "user", "content": "Both at once"}
    return start, asked(upstreams, backend, [start], tools=[CODE_EXECUTION, WEATHER])


def answered(call_id: str, *more: dict[str, Any]) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": call_id, "content": "Sunny"}
    return {"role": "user", "content": [result, *more]}


def test_server_tool_beside_a_client_tool_waits_for_the_clients_answer(
    upstreams: Upstreams, backend: str, mixed: tuple[dict[str, Any], Message]
) -> None:
    """WIRE c.5: both calls, no result; then the result of the server's tool opens the next answer."""
    start, answer = mixed
    assert answer["stop_reason"] == "tool_use"
    kinds = [block["type"] for block in answer["content"]]
    assert kinds == ["text", "server_tool_use", "tool_use"]
    _, server_call, client_call = answer["content"]
    assert client_call["name"] == "get_weather"
    assert client_call["input"] == {"city": "Oslo"}

    upstreams.upstream.respond = lambda body: Turn(Say("; ".join(check_history(body))))
    conversation = [start, {"role": "assistant", "content": answer["content"]}, answered(client_call["id"])]
    finished = asked(upstreams, backend, conversation, tools=[CODE_EXECUTION, WEATHER])
    first, last = finished["content"][0], finished["content"][-1]
    assert first["type"] == "bash_code_execution_tool_result"
    assert first["tool_use_id"] == server_call["id"]
    assert first["content"]["stdout"] == "from the server\n"
    server_result, client_result = last["text"].rsplit("; ", 1)
    assert "from the server" in server_result
    assert client_result == "Sunny"
    assert finished["stop_reason"] == "end_turn"

    whole = [*conversation, {"role": "assistant", "content": finished["content"]}, {"role": "user", "content": "And?"}]
    again = asked(upstreams, backend, whole, tools=[CODE_EXECUTION, WEATHER])
    assert "Sunny" in expectations.text(again)


def test_words_after_the_clients_answer_leave_the_servers_call_open(
    upstreams: Upstreams, backend: str, mixed: tuple[dict[str, Any], Message]
) -> None:
    start, answer = mixed
    server_call, client_call = answer["content"][1:]
    words = answered(client_call["id"], {"type": "text", "text": "Go on"})
    messages = [start, {"role": "assistant", "content": answer["content"]}, words]
    body = question("", model=f"via-{backend}", tools=[CODE_EXECUTION, WEATHER]) | {"messages": messages}
    refused = post(upstreams.server, "/v1/messages", body)
    assert refused.status == 400
    wanted = (
        f"`bash_code_execution` tool use with id `{server_call['id']}` was found without a corresponding "
        "`bash_code_execution_tool_result` block"
    )
    assert wanted in refused.json()["error"]["message"]


def test_the_clients_answer_must_be_there(
    upstreams: Upstreams, backend: str, mixed: tuple[dict[str, Any], Message]
) -> None:
    start, answer = mixed
    client_call = answer["content"][2]
    messages = [start, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "Well?"}]
    body = question("", model=f"via-{backend}", tools=[CODE_EXECUTION, WEATHER]) | {"messages": messages}
    refused = post(upstreams.server, "/v1/messages", body)
    assert refused.status == 400
    wanted = f"`tool_use` ids were found without `tool_result` blocks immediately after: {client_call['id']}"
    assert wanted in refused.json()["error"]["message"]


def test_calls_side_by_side_have_their_results_side_by_side(upstreams: Upstreams, backend: str) -> None:
    """WIRE b.7: the calls first, then their results in the same order."""
    calls = [Call("bash_code_execution", {"command": f"echo {word}"}, id=f"toolu_{word}") for word in ("one", "two")]
    upstreams.upstream.play(Turn(Say("Two."), *calls), Turn(Say("Done.")))
    message = asked(upstreams, backend, [{"role": "user", "content": "Two at once"}])
    kinds = [block["type"] for block in message["content"]]
    result = "bash_code_execution_tool_result"
    assert kinds == ["text", "server_tool_use", "server_tool_use", result, result, "text"]
    assert expectations.output(message) == "one\ntwo\n"
    assert len(check_history(upstreams.upstream.requests[-1].body)) == 2


@pytest.mark.parametrize(
    "written", ['{"command": "echo', "[]", '{"command": 7}', "{}"], ids=["cut", "list", "number", "missing"]
)
def test_input_that_cannot_be_used_is_told_to_the_model(upstreams: Upstreams, backend: str, written: str) -> None:
    upstreams.upstream.play(Turn(Call("bash_code_execution", written)), Turn(Say("I see.")))
    message = asked(upstreams, backend, [{"role": "user", "content": "Do it"}])
    (result,) = expectations.results(message)
    assert result == {"type": "bash_code_execution_tool_result_error", "error_code": "invalid_tool_input"}
    assert message["stop_reason"] == "end_turn"
    (told,) = check_history(upstreams.upstream.requests[-1].body)
    assert "invalid_tool_input" in told
