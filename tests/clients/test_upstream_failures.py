"""Failures of an upstream reach each client as the error that it has for them (WIRE j)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import post, question
from tests.clients.conftest import BACKENDS, Upstreams
from tests.clients.environments import ALL, Sdk
from tests.models.scripted_upstream import Call, Say, Turn

AT_ONCE = {"retry-after": "0"}
ATTEMPTS = 3  # the first one and two retries
FAILURES = {
    429: (429, "rate_limit_error"),
    500: (500, "api_error"),
    503: (529, "overloaded_error"),
    529: (529, "overloaded_error"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["not streaming", "streaming"])
@pytest.mark.parametrize("status", FAILURES)
def test_status(upstreams: Upstreams, backend: str, status: int, stream: bool) -> None:
    """Before the first event it is the HTTP status, so that every client's own retries and exceptions work."""
    upstreams.upstream.fail(status, times=ATTEMPTS, headers=AT_ONCE)
    answer = post(upstreams.server, "/v1/messages", question("Hello", model=f"via-{backend}", stream=stream))
    expected, error_type = FAILURES[status]
    assert answer.status == expected, answer.body
    assert answer.json()["error"]["type"] == error_type
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert len(upstreams.upstream.requests) == ATTEMPTS
    assert b"key-of-the-operator" not in answer.body


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_that_passes_is_not_seen(upstreams: Upstreams, backend: str, status: int) -> None:
    upstreams.upstream.fail(status, times=ATTEMPTS - 1, headers=AT_ONCE).play(Turn(Say("Here I am.")))
    answer = post(upstreams.server, "/v1/messages", question("Hello", model=f"via-{backend}"))
    assert answer.status == 200
    assert answer.json()["content"][0]["text"] == "Here I am."


def test_operators_key_refused_by_the_upstream_is_not_the_clients_fault(upstreams: Upstreams, backend: str) -> None:
    """A client must not be told that its own key is wrong."""
    upstreams.upstream.fail(401, times=ATTEMPTS)
    answer = post(upstreams.server, "/v1/messages", question("Hello", model=f"via-{backend}"))
    assert answer.status >= 500
    assert answer.json()["error"]["type"] == "api_error"


def failing(body: dict[str, Any]) -> Turn:
    """The question names the failure: a stream that is cut in the middle of a text, or one that tells of an error."""
    if "cut" in str(body["messages"][-1]["content"]):
        return Turn(Say("This will never be finished"), piece=4, break_after=5)
    return Turn(Say("So far"), error={"type": "overloaded_error", "message": "Overloaded"})


@pytest.mark.parametrize("sdk", ALL, ids=str)
def test_stream_that_fails_in_the_middle(upstreams: Upstreams, tmp_path: Path, sdk: Sdk) -> None:
    upstreams.upstream.respond = failing
    outcomes = environments.run(sdk, "failing", upstreams.server, tmp_path, [f"via-{name}" for name in BACKENDS])
    assert len(outcomes) == len(BACKENDS) * 2 * 2
    for outcome in outcomes:
        assert "APIError" in outcome["classes"], outcome
        assert outcome["body"]["type"] == "error", outcome
        assert outcome["body"]["error"]["type"] in ("api_error", "overloaded_error"), outcome
        if outcome["mode"] == "stream":
            assert outcome["status"] == 200, outcome
            assert outcome["text_before"], "what had come before is not lost"
        else:
            assert outcome["status"] >= 500, outcome


def test_failure_after_a_result_keeps_the_container(upstreams: Upstreams, backend: str) -> None:
    """The command ran; the client learns of the failure, and the next request works."""
    call = Call("bash_code_execution", {"command": "echo ran"})
    upstreams.upstream.play(Turn(call)).fail(500, times=ATTEMPTS, headers=AT_ONCE)
    answer = post(upstreams.server, "/v1/messages", question("Hello", model=f"via-{backend}"))
    assert answer.status == 500
    upstreams.upstream.play(Turn(call), Turn(Say("Done.")))
    answer = post(upstreams.server, "/v1/messages", question("Hello", model=f"via-{backend}"))
    assert answer.status == 200


def test_model_that_no_entry_matches(upstreams: Upstreams) -> None:
    answer = post(upstreams.server, "/v1/messages", question("Hello", model="claude-unknown"))
    assert answer.status == 404
    assert "claude-unknown" in answer.json()["error"]["message"]
