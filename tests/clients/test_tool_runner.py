"""The SDKs' own loop over client tools, with a model behind either protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import post, question
from tests.clients.conftest import Upstreams
from tests.clients.environments import ALL, PYTHON_1, Sdk
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.seeds import expectations
from tests.server import Server


def weather_model(body: dict[str, Any]) -> Turn | Failure:
    """Asks for two cities at once, then counts in the container if there is one, then answers."""
    results = check_history(body)
    if not results:
        cities = [Call("get_weather", {"city": city}, id=f"toolu_{city}") for city in ("Oslo", "Rome")]
        return Turn(Say("I ask."), *cities)
    if len(results) == 2 and "bash_code_execution" in str(body["tools"]):
        return Turn(Call("bash_code_execution", {"command": "echo counted"}, id="toolu_count"))
    return Turn(Say(" and ".join(results)))


@pytest.mark.parametrize("sdk", ALL, ids=str)
def test_tool_runner_finishes(upstreams: Upstreams, backend: str, tmp_path: Path, sdk: Sdk) -> None:
    """The newest runners first ask for a thread, are told that there is none, and go on without (WIRE k.5)."""
    upstreams.upstream.respond = weather_model
    ran = environments.run(sdk, "tool_runner", upstreams.server, tmp_path, [], {"MODEL": f"via-{backend}"})
    assert ran["cities"] == ["Oslo", "Rome"]
    first, last = ran["messages"]
    assert first["stop_reason"] == "tool_use"
    assert last["stop_reason"] == "end_turn"
    assert expectations.text(last).startswith("Sunny in Oslo and Sunny in Rome")
    if sdk is PYTHON_1:
        assert len(upstreams.upstream.requests) == 2
    else:
        expectations.check_finished(last)
        assert expectations.output(last) == "counted\n"
        assert "counted" in expectations.text(last)
        assert len(upstreams.upstream.requests) == 3
    for request in upstreams.upstream.requests:
        assert "Be brief." in str(request.body)
        assert "get_weather" in str(request.body["tools"])


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_01abc"}])
def test_threads_are_refused_with_the_code_that_clients_understand(server: Server, thread: dict[str, Any]) -> None:
    answer = post(server, "/v1/messages", question("Hello", thread=thread))
    assert answer.status == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["details"]["error_code"] == "thread_unsupported_request"
