"""Rate limits as clients meet them (WIRE j): headers, refusals, and the tool error when containers are short."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.asking import ask, post, question
from tests.clients.events import streaming
from tests.clients.test_going_away import eventually
from tests.seeds import expectations
from tests.server import Server, running_server

PREFIX = "anthropic-ratelimit-requests-"
HELLO = question("Hello") | {"tools": []}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tables = {"rate_limits": {"key_requests": 12, "key_turns": 2, "key_containers": 1}}
    with running_server(tmp_path_factory.mktemp("limited"), tables=tables) as server:
        yield server


def runs(server: Server, command: str) -> bool:
    return bool(server.processes(command))


def test_turns_and_containers_at_the_same_time(limited: Server) -> None:
    container = ask(limited, "```bash\ntrue\n```")["container"]["id"]
    with streaming(limited, question("```bash\nsleep 255\n```", container=container)):
        assert eventually(lambda: runs(limited, "sleep 255"))
        (call,) = expectations.results(ask(limited, "```bash\ntrue\n```"))
        assert call["error_code"] == "too_many_requests"
        # In the same container, where it waits for the first one.
        with streaming(limited, question("```bash\nsleep 256\n```", container=container)) as second:
            assert next(second)["type"] == "message_start"
            refused = [post(limited, "/v1/messages", body) for body in (HELLO, question("Hello", stream=True))]
            assert ask(limited, "Hello", limited.other_key)["stop_reason"] == "end_turn"
    for answer in refused:
        assert answer.status == 429
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert int(answer.headers["retry-after"]) > 0
    assert eventually(lambda: not runs(limited, "sleep 255"))
    assert expectations.output(ask(limited, "```bash\necho room again\n```")) == "room again\n"


def test_requests_per_minute(limited: Server) -> None:
    answers = [post(limited, "/v1/messages", HELLO, limited.other_key) for _ in range(40)]
    assert {answer.status for answer in answers} == {200, 429}
    for answer in answers:
        assert answer.headers[PREFIX + "limit"] == "12"
        assert answer.headers[PREFIX + "reset"].endswith("Z")
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.headers[PREFIX + "remaining"] == "0"
    assert 0 < int(refused.headers["retry-after"]) <= 5
    assert refused.json()["error"]["type"] == "rate_limit_error"
