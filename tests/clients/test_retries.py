"""Requests that are sent again: their code runs once, whoever sends them, and they get the whole answer."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import Answer, ask, post, question
from tests.clients.environments import ALL, Sdk
from tests.clients.events import streaming
from tests.clients.test_code_calls_tools import TOOLS
from tests.clients.test_going_away import containers, eventually
from tests.clients.test_upstream_failures import AT_ONCE
from tests.models.scripted_upstream import Call, Failure, Say, ScriptedUpstream, Turn
from tests.seeds import expectations
from tests.server import Server, create_key, running_server

RETRY = ("x-stainless-retry-count", "1")


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as played:
        yield played


@pytest.fixture(scope="module")
def patient(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose turns go on for a minute without their clients; it sends the model ``upstream`` there."""
    entry = {"match": "upstream", "backend": "anthropic", "base_url": upstream.url, "api_key_env": "UPSTREAM_KEY"}
    models: list[dict[str, Any]] = [entry | {"max_retries": 0}, {"backend": "demo"}]
    tables = {"retries": {"grace_seconds": 60}}
    with running_server(tmp_path_factory.mktemp("patient"), models, tables, {"UPSTREAM_KEY": "k"}) as server:
        yield server


def runs_once(container: str | None = None, seconds: float = 1.5, **more: Any) -> dict[str, Any]:
    """A request whose command takes a while and says how often it has begun in its container."""
    command = f"echo run >> /tmp/runs; sleep {seconds}; wc -l < /tmp/runs"
    named = {} if container is None else {"container": container}
    return question(f"```bash\n{command}\n```", **named, **more)


def new_container(server: Server, key: str | None = None) -> str:
    identifier: str = ask(server, "```bash\ntrue\n```", key)["container"]["id"]
    return identifier


def leave(server: Server, body: dict[str, Any], when: Callable[[], bool], *more: tuple[str, str]) -> None:
    """Send a request, and go away when the time has come."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"x-api-key": server.key, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps(body), headers | dict(more))
    assert eventually(when)
    connection.close()


def running(server: Server, what: str) -> Callable[[], bool]:
    return lambda: bool(server.processes(what))


def again(server: Server, body: dict[str, Any], *more: tuple[str, str], key: str | None = None) -> Answer:
    return post(server, "/v1/messages", body, key, *more)


def events_of(answer: Answer) -> list[dict[str, Any]]:
    lines = answer.body.decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


@pytest.mark.parametrize("sdk", ALL, ids=str)
def test_an_sdk_that_does_not_wait_gets_the_answer_of_its_first_try(patient: Server, tmp_path: Path, sdk: Sdk) -> None:
    container = new_container(patient)
    ran = environments.run(sdk, "retrying", patient, tmp_path, [json.dumps(runs_once(container, seconds=4))])
    assert ran["retries"] >= 1
    assert expectations.output(ran["message"]) == "1\n"
    assert ran["message"]["container"]["id"] == container


def test_a_retry_finds_the_answer_of_a_turn_that_ended_without_its_client(patient: Server) -> None:
    container = new_container(patient)
    body = runs_once(container, seconds=1.611)
    leave(patient, body, running(patient, "sleep 1.611"))
    assert eventually(lambda: not running(patient, "sleep 1.611")())
    answers = [again(patient, body, RETRY).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert expectations.output(answers[0]) == "1\n"
    assert expectations.output(again(patient, body).json()) == "2\n", "sent anew, it is done anew"


def test_a_new_container_is_the_same_one_in_the_retry(patient: Server) -> None:
    body = runs_once(seconds=1.612)
    before = containers(patient)
    leave(patient, body, running(patient, "sleep 1.612"))
    message = again(patient, body, RETRY).json()
    assert containers(patient) - before == {message["container"]["id"]}
    assert expectations.output(message) == "1\n"


def test_a_streamed_turn_is_told_from_its_beginning(patient: Server) -> None:
    container = new_container(patient)
    body = runs_once(container, seconds=1.613, stream=True)
    with streaming(patient, body) as events:
        first = next(events)
        assert eventually(running(patient, "sleep 1.613"))
    live, recorded = (events_of(again(patient, body, RETRY)) for _ in range(2))
    for whole in (live, recorded):
        told = [event for event in whole if event["type"] != "ping"]
        assert told[0] == first
        assert told[-1]["type"] == "message_stop"
        indexes = [event["index"] for event in told if event["type"] == "content_block_start"]
        assert indexes == list(range(len(indexes)))
        results = [event["content_block"] for event in told if event["type"] == "content_block_start"]
        (result,) = (block for block in results if block["type"] == "bash_code_execution_tool_result")
        assert result["content"]["stdout"] == "1\n"
        written = "".join(
            event["delta"]["partial_json"]
            for event in told
            if event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta"
        )
        assert "sleep 1.613" in json.loads(written)["command"]


def test_an_idempotency_key_stands_for_one_request(patient: Server) -> None:
    container = new_container(patient)
    body = runs_once(container, seconds=0.1)
    key = ("idempotency-key", "0b9a8c5e-once")
    first, second = again(patient, body, key).json(), again(patient, body, key).json()
    assert first == second
    assert expectations.output(first) == "1\n"
    other = again(patient, runs_once(container, seconds=0.2), key)
    assert (other.status, other.json()["error"]["type"]) == (400, "invalid_request_error")
    assert "Idempotency-Key" in other.json()["error"]["message"]
    assert expectations.output(again(patient, body, ("idempotency-key", "another")).json()) == "2\n"


def test_an_idempotency_key_holds_for_turns_without_code_too(patient: Server) -> None:
    body = question("Hello") | {"tools": []}
    key = ("idempotency-key", "no-code")
    assert again(patient, body, key).json()["id"] == again(patient, body, key).json()["id"]
    assert again(patient, body, RETRY).json()["id"] != again(patient, body, RETRY).json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_what_cannot_be_an_idempotency_key_is_refused(patient: Server, key: str) -> None:
    assert again(patient, question("Hello"), ("idempotency-key", key)).status == 400


def test_another_key_of_the_workspace_never_gets_the_answer(patient: Server) -> None:
    body = runs_once(seconds=0.1)
    header = ("idempotency-key", "shared-by-chance")
    mine = again(patient, body, header).json()
    colleague = create_key(patient.data, patient.environment)
    for key in (colleague, patient.other_key):
        for headers in ([RETRY], [header]):
            assert again(patient, body, *headers, key=key).json()["id"] != mine["id"]


def test_a_failure_is_tried_again(patient: Server, upstream: ScriptedUpstream) -> None:
    body, key = question("go", model="upstream"), ("idempotency-key", "one")
    upstream.clear()
    upstream.play(Failure(529, headers=AT_ONCE))
    assert again(patient, body, key).status == 529
    upstream.play(Turn(Call("bash_code_execution", {"command": "echo hi"})), Turn(Say("Done.")))
    assert expectations.output(again(patient, body, key, RETRY).json()) == "hi\n"
    assert len(upstream.requests) == 3


def test_after_code_has_run_in_a_container_that_stays_a_failure_asks_for_no_retry(
    patient: Server, upstream: ScriptedUpstream
) -> None:
    container = new_container(patient)
    for named, should_retry in ((container, "false"), (None, None)):
        upstream.clear()
        upstream.play(Turn(Call("bash_code_execution", {"command": "true"})), Failure(529, headers=AT_ONCE))
        failed = again(patient, question("go", model="upstream", container=named))
        assert (failed.status, failed.headers.get("x-should-retry")) == (529, should_retry)


def test_the_pause_of_a_cell_whose_first_answer_was_lost(patient: Server) -> None:
    """Else nobody could answer its calls, and other cells would be refused for as long as it waits for them."""
    container = new_container(patient)
    command = "echo run >> /tmp/runs; sleep 1.617"
    code = f"import subprocess\nsubprocess.run(['sh', '-c', {command!r}])\nprint(await get_weather({{'city': 'Oslo'}}))"
    body = question(f"```python\n{code}\n```", tools=TOOLS, container=container)
    leave(patient, body, running(patient, "sleep 1.617"))
    paused = again(patient, body, RETRY).json()
    assert paused == again(patient, body, RETRY).json()
    call = paused["content"][-1]
    assert (paused["stop_reason"], call["name"]) == ("tool_use", "get_weather")
    body["messages"] += [
        {"role": "assistant", "content": paused["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "cold"}]},
    ]
    ended = again(patient, body, RETRY).json()
    assert ended["content"][0]["content"]["stdout"] == "cold\n"
    assert expectations.output(ask(patient, "```bash\ncat /tmp/runs\n```", container=container)) == "run\n"


def test_without_code_the_upstreams_request_ends_with_the_client(patient: Server, upstream: ScriptedUpstream) -> None:
    upstream.clear()
    upstream.play(Turn(Say("Let me think."), hang_after=3))
    leave(patient, question("go", model="upstream"), lambda: len(upstream.requests) == 1)
    assert upstream.requests[0].closed_early.wait(30)


def test_tool_input_is_streamed_as_it_is_written(patient: Server, upstream: ScriptedUpstream) -> None:
    """The upstream stands still in the middle of a call's input until its first half has arrived here."""
    resume = threading.Event()
    call = Call("bash_code_execution", {"command": "echo one; echo two; echo three"})
    upstream.clear()
    upstream.play(Turn(call, piece=8, hang_after=6, resume=resume), Turn(Say("Done.")))
    with streaming(patient, question("go", model="upstream")) as events:
        written = ""
        for event in events:
            delta = event.get("delta", {})
            written += delta.get("partial_json", "")
            if "command" in written:
                resume.set()
            assert event["type"] != "ping" or resume.is_set(), "the first half is held back"
            if event["type"] == "content_block_stop":
                break
        assert json.loads(written) == call.input


def test_nothing_between_holds_a_stream_back(patient: Server) -> None:
    for body in (question("```bash\ntrue\n```", stream=True), question("Hello", stream=True) | {"tools": []}):
        for headers in ([], [("idempotency-key", f"headers-{len(body['tools'])}")] * 1):
            for _ in range(2):  # the second time, with a key, it is what was kept
                answer = again(patient, body, *headers)
                assert answer.headers["content-type"].startswith("text/event-stream")
                assert answer.headers["cache-control"] == "no-cache, no-transform"
                assert answer.headers["x-accel-buffering"] == "no"
                assert "content-encoding" not in answer.headers


def test_without_a_retry_the_command_is_stopped_and_not_run_again(server: Server) -> None:
    """This server's turns go on for two seconds."""
    container = new_container(server)
    body = runs_once(container, seconds=254)
    leave(server, body, running(server, "sleep 254"))
    assert eventually(lambda: not running(server, "sleep 254")())
    assert eventually(lambda: again(server, body, RETRY).status == 409)
    refused = again(server, body, RETRY)
    assert refused.headers["x-should-retry"] == "false"
    assert container in refused.json()["error"]["message"]
    assert expectations.output(ask(server, "```bash\nwc -l < /tmp/runs\n```", container=container)) == "1\n"
