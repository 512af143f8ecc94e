"""How requests of batches are run: the higher loop limit, patience with upstreams, what a stopped server leaves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from tests.batches.asking import bash, create, ended, request, results
from tests.clients.asking import ask, question
from tests.clients.conftest import Upstreams
from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.seeds import expectations
from tests.server import running_server, start_again

ECHO = Call("bash_code_execution", {"command": "echo again"})


def asked(upstreams: Upstreams, *requests: dict[str, Any]) -> dict[str, Any]:
    """The results of a batch of these, by custom id."""
    made = create(upstreams.server, requests)
    ended(upstreams.server, made["id"])
    return {line["custom_id"]: line["result"] for line in results(upstreams.server, made["id"])}


def test_the_loop_has_a_limit_of_its_own(upstreams: Upstreams) -> None:
    """This server samples once for a message, and twice in a batch (WIRE c.4)."""
    upstreams.upstream.respond = lambda _: Turn(Say("Once more."), ECHO)
    message = ask(upstreams.server, "go on", model="via-anthropic")
    assert (message["stop_reason"], len(upstreams.upstream.requests)) == ("pause_turn", 1)
    upstreams.upstream.requests.clear()
    result = asked(upstreams, request("a", question("go on", model="via-anthropic")))["a"]
    assert (result["message"]["stop_reason"], len(upstreams.upstream.requests)) == ("pause_turn", 2)


def test_an_upstream_at_its_limit_only_makes_it_slower(upstreams: Upstreams) -> None:
    """The model's own retries are three tries in all; here the fifth succeeds, in the middle of a turn."""
    soon = {"retry-after": "0"}
    upstreams.upstream.play(Turn(ECHO))
    upstreams.upstream.fail(429, times=4, headers=soon).fail(529, times=3, headers=soon).play(Turn(Say("There.")))
    result = asked(upstreams, request("a", question("try", model="via-anthropic")))["a"]
    assert result["type"] == "succeeded"
    assert expectations.output(result["message"]).strip() == "again"
    assert len(upstreams.upstream.requests) == 9


def test_an_upstream_s_refusal_is_the_result(upstreams: Upstreams) -> None:
    error = {"type": "invalid_request_error", "message": "too many words"}
    upstreams.upstream.respond = lambda _: Failure(400, {"type": "error", "error": error})
    result = asked(upstreams, request("a", question("words", model="via-anthropic")))["a"]
    assert result == {"type": "errored", "error": {"type": "error", "error": error, "request_id": None}}


def test_the_client_s_betas_reach_the_upstream(upstreams: Upstreams) -> None:
    upstreams.upstream.play(Turn(Say("Yes.")))
    beta = ("anthropic-beta", "something-new-2026-01-01")
    made = create(upstreams.server, [request("a", question("x", model="via-anthropic"))], None, beta)
    ended(upstreams.server, made["id"])
    assert upstreams.upstream.requests[0].headers["anthropic-beta"] == "something-new-2026-01-01"


def test_a_small_batch_need_not_wait_for_another_workspace_s_large_one(tmp_path: Path) -> None:
    with running_server(tmp_path, tables={"batches": {"workers": 1, "claimed": 4}}) as server:
        large = create(server, [request(f"{n}", bash("date +%s%N")) for n in range(60)])
        answer = create(server, [request("only", bash("date +%s%N"))], server.other_key)
        ended(server, large["id"])
        order = sorted(int(expectations.output(line["result"]["message"])) for line in results(server, large["id"]))
        server.key, server.other_key = server.other_key, server.key
        ended(server, answer["id"])
        (line,) = results(server, answer["id"])
        assert int(expectations.output(line["result"]["message"])) < order[-20]


def test_a_server_that_is_stopped_ends_what_runs_and_leaves_the_rest(tmp_path: Path) -> None:
    tables = {"batches": {"workers": 2}, "host": {"linger_seconds": 60}}
    with running_server(tmp_path, tables=tables) as server:
        container = ask(server, "```bash\ntrue\n```")["container"]["id"]
        marks = "echo mark >> marks; sleep 1; cat marks | wc -l"
        made = create(server, [request(f"{n}", bash(marks, container=container)) for n in range(6)])
        began = threading.Event()
        while not began.is_set():
            if (
                expectations.output(
                    ask(server, "```bash\ntouch marks; wc -l < marks\n```", container=container)
                ).strip()
                != "0"
            ):
                began.set()
        server.process.terminate()
        assert server.process.wait(60) in (0, 130, -15)
        start_again(server)
        assert ended(server, made["id"])["request_counts"]["succeeded"] == 6
        printed = sorted(int(expectations.output(line["result"]["message"])) for line in results(server, made["id"]))
        assert printed == [1, 2, 3, 4, 5, 6], "each ran once, one after the other"
