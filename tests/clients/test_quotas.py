"""Quotas as clients meet them: what ran is kept and booked, the rest is refused, and a higher quota lets it go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic.types.shared.enforced_spend_limit_reached_error import EnforcedSpendLimitReachedError

from tests.clients.asking import ask, get, post, question
from tests.clients.events import streaming
from tests.clients.test_going_away import eventually, post_file
from tests.metering.books import Books
from tests.seeds import expectations
from tests.server import Server, running_server

HELLO = question("Hello") | {"tools": []}
DONE = "```bash\necho done\n```"
THREE_CALLS = "```bash\necho one\n```\n```bash\necho two\n```\n```bash\necho three\n```"


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("quotas")) as server:
        yield server


@pytest.fixture
def books(limited: Server) -> Iterator[Books]:
    """The server's, with the quotas of a test taken away at its end."""
    found = Books(limited.data)
    yield found
    found.clear_quotas()


def events_of(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    with streaming(server, body) as events:
        return list(events)


def test_a_quota_reached_in_the_middle_of_a_stream(limited: Server, books: Books) -> None:
    """Its first call books five minutes: the second one finds nothing left, and the model goes on without."""
    workspace = books.workspace_of_key(limited.key)
    hours = books.hours(workspace)
    books.set_quota(workspace, execution_hours=hours + 0.05)
    events = events_of(limited, question(THREE_CALLS))
    assert events[-1]["type"] == "message_stop"
    results = [
        event["content_block"]["content"]
        for event in events
        if event["type"] == "content_block_start" and event["content_block"]["type"].endswith("_tool_result")
    ]
    assert results[0]["stdout"] == "one\n"
    assert [result.get("error_code") for result in results[1:]] == ["too_many_requests"] * (len(results) - 1)
    assert len(results) > 1
    container = next(event for event in events if event["type"] == "message_delta")["delta"]["container"]["id"]
    assert books.seconds_of(container) == 300
    refused = post(limited, "/v1/messages", question("```bash\ntrue\n```", container=container))
    assert refused.status == 429
    error = refused.json()["error"]
    assert (error["type"], error["details"]["error_code"]) == ("rate_limit_error", "enforced_spend_limit_reached")
    assert "hours of execution a month of this workspace" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    sdk = anthropic.Anthropic(base_url=limited.base_url, api_key=limited.key)
    with pytest.raises(EnforcedSpendLimitReachedError, match="begins anew on"):
        sdk.messages.create(
            model="demo",
            max_tokens=1024,
            messages=[{"role": "user", "content": "Hello"}],
            tools=[{"type": "code_execution_20250825", "name": "code_execution"}],
        )
    run = post(limited, f"/bathysphere/v1/containers/{container}/run", {"language": "bash", "source": "true"})
    assert (run.status, run.json()["error"]["type"]) == (429, "rate_limit_error")
    without_code = post(limited, "/v1/messages", HELLO)
    assert without_code.status == 200, "what runs no code has nothing to do with it"
    assert "hours of execution" in without_code.headers["bathysphere-quota-warning"]
    assert ask(limited, "```bash\necho free\n```", limited.other_key)["container"]
    books.set_quota(workspace, execution_hours=hours + 100)
    again = ask(limited, "```bash\necho goes on\n```", container=container)
    assert expectations.output(again) == "goes on\n"
    assert books.agree()


def begun_batch(server: Server, count: int, content: Any = DONE, key: str | None = None) -> str:
    """Its path."""
    params = question(content)
    batch = {"requests": [{"custom_id": f"r{number}", "params": params} for number in range(count)]}
    return f"/v1/messages/batches/{post(server, '/v1/messages/batches', batch, key).json()['id']}"


def ended(server: Server, path: str, key: str | None = None) -> list[dict[str, Any]]:
    """The results of a batch, when it has come to its end."""
    assert eventually(lambda: get(server, path, key).json()["processing_status"] == "ended")
    lines = get(server, path + "/results", key).body.decode().splitlines()
    return [json.loads(line)["result"] for line in lines]


def test_a_batch_that_waits_for_room_keeps_nobody_else_waiting(limited: Server, books: Books) -> None:
    """Its requests are put off, also those that would bring a file into a container, and none is refused."""
    books.set_quota(books.id_of_key(limited.key), concurrent_containers=1)
    content = [{"type": "text", "text": DONE}, {"type": "container_upload", "file_id": post_file(limited)}]
    with streaming(limited, question("```bash\nsleep 253\n```")):
        assert eventually(lambda: bool(limited.processes("sleep 253")))
        waiting = begun_batch(limited, 12, content)
        other = begun_batch(limited, 3, key=limited.other_key)
        assert [one["type"] for one in ended(limited, other, limited.other_key)] == ["succeeded"] * 3
        assert get(limited, waiting).json()["processing_status"] == "in_progress"
    assert [one["type"] for one in ended(limited, waiting)] == ["succeeded"] * 12
    assert books.agree()


def test_a_quota_reached_in_the_middle_of_a_batch(limited: Server, books: Books) -> None:
    key = books.id_of_key(limited.key)
    books.set_quota(key, requests=books.requests(key) + 5)

    def carried_out(count: int) -> list[dict[str, Any]]:
        return ended(limited, begun_batch(limited, count))

    first = carried_out(8)
    assert sorted(result["type"] for result in first) == ["errored"] * 3 + ["succeeded"] * 5
    for result in first:
        if result["type"] == "errored":
            assert result["error"]["error"]["type"] == "rate_limit_error"
            assert "requests a month of this API key" in result["error"]["error"]["message"]
        else:
            assert expectations.output(result["message"]) == "done\n"
    assert post(limited, "/v1/messages", HELLO).status == 429
    assert post(limited, "/v1/messages", HELLO, limited.other_key).status == 200
    # One container at a time: the others of the batch wait, and none fails.
    books.set_quota(key, requests=books.requests(key) + 3, concurrent_containers=1)
    assert [result["type"] for result in carried_out(3)] == ["succeeded"] * 3
    assert books.agree()


def test_containers_and_storage(limited: Server, books: Books) -> None:
    workspace = books.workspace_of_key(limited.other_key)
    held = ask(limited, "```bash\ntrue\n```", limited.other_key)["container"]["id"]
    living = len(get(limited, "/bathysphere/v1/containers?limit=100", limited.other_key).json()["data"])
    books.set_quota(workspace, containers=living, storage_bytes=3)
    (call,) = expectations.results(ask(limited, "```bash\ntrue\n```", limited.other_key))
    assert call["error_code"] == "too_many_requests"
    made = post(limited, "/bathysphere/v1/containers", {}, limited.other_key)
    assert (made.status, made.json()["error"]["type"]) == (429, "rate_limit_error")
    too_large = ask(limited, "```bash\necho four > $OUTPUT_DIR/f.txt\n```", limited.other_key, container=held)
    assert "the storage for files is full" in json.dumps(too_large)
    books.set_quota(workspace, containers=living + 1, concurrent_containers=1)
    with streaming(limited, question("```bash\nsleep 254\n```", container=held), limited.other_key):
        assert eventually(lambda: bool(limited.processes("sleep 254")))
        (call,) = expectations.results(ask(limited, "```bash\ntrue\n```", limited.other_key))
        assert call["error_code"] == "too_many_requests"
    assert eventually(lambda: not limited.processes("sleep 254"))
    assert expectations.output(ask(limited, "```bash\necho room\n```", limited.other_key)) == "room\n"


def test_a_file_that_is_attached_is_booked_without_a_call(limited: Server, books: Books) -> None:
    content = [{"type": "text", "text": "Hello"}, {"type": "container_upload", "file_id": post_file(limited)}]
    answer = ask(limited, content)
    assert not expectations.results(answer)
    assert books.seconds_of(answer["container"]["id"]) == 300
    usage = books.last_request()
    assert (usage["tool_calls"], usage["outcome"], usage["model"]) == (0, "finished", answer["model"])
    assert usage["output_tokens"] == answer["usage"]["output_tokens"]
