"""One server, some real work, and what its operator sees of it: traces, metrics, logs; never anybody's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.batches.asking import create, ended, request
from tests.clients.asking import get, post, question
from tests.clients.events import streaming
from tests.models.scripted_upstream import Call, Failure, Say, Turn
from tests.telemetry.collector import Received
from tests.telemetry.observed import Observed, observed

SECRET = "xyzzy"
"""In everything that is anybody's own words: it must be in no span, no metric and no log."""

THEIR_TRACE = "0af7651916cd43dd8448eb211c80319c"
RUN = Call("bash_code_execution", {"command": f"echo {SECRET}; echo a > $OUTPUT_DIR/{SECRET}.txt"})
FAIL = Call("bash_code_execution", {"command": f"exit 3 # {SECRET}"})
EDIT = Call("text_editor_code_execution", {"command": "view", "path": f"/tmp/{SECRET}.md"})


@dataclass(frozen=True)
class Seen:
    """What is left to be seen of a server that has ended."""

    request_id: str
    spans: list[Received]
    before: dict[tuple[str, frozenset[tuple[str, str]]], float]
    metrics: dict[tuple[str, frozenset[tuple[str, str]]], float]
    output: str
    daemon_log: str

    def counted(self, name: str, **labels: str) -> float:
        """By how much a sample grew."""
        of = (name, frozenset(labels.items()))
        return self.metrics.get(of, 0.0) - self.before.get(of, 0.0)

    @property
    def trace(self) -> list[Received]:
        """The spans of the turn."""
        return [span for span in self.spans if span.trace == self.request_id.removeprefix("req_")]

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The server's log."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("observed")
    with observed(folder) as watched:
        before = watched.metrics()
        request_id = work(watched)
        metrics = watched.metrics()
        daemon_log = (folder / "data" / "host" / "host.log").read_text()
    output = watched.server.output()
    yield Seen(request_id, watched.collector.spans, before, metrics, output, daemon_log)


def work(watched: Observed) -> str:
    """A turn of four samplings, and what goes wrong in other ways; the turn's request id."""
    server, upstream = watched.server, watched.upstream
    upstream.fail(529, headers={"retry-after": "0"})
    upstream.play(Turn(Say(SECRET), RUN), Turn(FAIL), Turn(EDIT), Turn(Say(SECRET)))
    parent = ("traceparent", f"00-{THEIR_TRACE}-b7ad6b7169203331-01")
    answer = post(server, "/v1/messages", question(SECRET, model="via-anthropic"), None, parent)
    assert answer.status == 200, answer.body
    assert post(server, "/v1/messages", {"model": SECRET, "max_tokens": 1, "messages": []}).status == 400
    assert post(server, "/v1/messages", question(SECRET, model=SECRET)).status == 404
    assert get(server, f"/v1/{SECRET}", f"sk-{SECRET}").status == 404
    assert get(server, f"/v1/files/file_{SECRET}", f"sk-{SECRET}").status == 401
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": SECRET}}
    upstream.play(Failure(400, error))
    assert post(server, "/v1/messages", question(SECRET, model="via-openai")).status == 400
    upstream.play(Turn(Say(SECRET), error={"type": "overloaded_error", "message": SECRET}))
    with streaming(server, question(SECRET, model="via-anthropic")) as events:
        assert [*events][-1]["type"] == "error"
    upstream.play(Turn(RUN), Turn(Say(SECRET)), Turn(Say(SECRET)))
    made = create(server, [request(name, question(SECRET, model="via-anthropic")) for name in "ab"])
    ended(server, made["id"])
    return answer.headers["request-id"]


def test_a_turn_is_one_trace_through_every_layer_and_its_number_is_the_request_id(seen: Seen) -> None:
    trace = {span.id: span for span in seen.trace}
    (outermost,) = (span for span in trace.values() if not span.parent)
    assert (outermost.service, outermost.name) == ("bathysphere", "POST /v1/messages")
    assert outermost.attributes["bathysphere.request_id"] == seen.request_id
    assert outermost.links == (THEIR_TRACE,), "the caller's trace is linked, and not taken over"
    for span in trace.values():
        if span.service != "bathysphere":
            around = trace[span.parent]
            assert around.began <= span.began <= span.ended <= around.ended, (span, around)

    def path(span: Received) -> list[str]:
        above = path(trace[span.parent]) if span.parent else []
        return [*above, f"{span.service}: {span.name}"]

    paths = [path(span)[1:] for span in trace.values() if span.parent]
    turn, host, guest = "bathysphere: turn", "bathysphere-host", "bathysphere-guest"
    assert [one for one in paths if one[-1] == "bathysphere: sample"] == [[turn, "bathysphere: sample"]] * 4
    bash, editor = "bathysphere: bash_code_execution", "bathysphere: text_editor_code_execution"
    executed = [turn, bash, "bathysphere: host execute", f"{host}: execute", f"{host}: run", f"{guest}: execute"]
    assert paths.count(executed) == 2
    assert [turn, editor, "bathysphere: host edit", f"{host}: edit", f"{host}: run", f"{guest}: edit"] in paths
    started = [turn, bash, "bathysphere: host create", f"{host}: create", f"{host}: start the sandbox"]
    assert paths.count(started) == 1


def test_spans_say_what_was_spent(seen: Seen) -> None:
    guests = [span for span in seen.trace if span.service == "bathysphere-guest" and span.name == "execute"]
    assert [span.attributes["bathysphere.exit_code"] for span in sorted(guests, key=lambda span: span.began)] == [0, 3]
    samples = [span.attributes for span in seen.trace if span.name == "sample"]
    assert {sample["gen_ai.usage.output_tokens"] for sample in samples} == {7}
    assert {sample["gen_ai.request.model"] for sample in samples} == {"upstream-model"}


def test_each_request_of_a_batch_is_a_trace_of_its_own(seen: Seen) -> None:
    of_batch = [span for span in seen.spans if span.name == "batch request"]
    assert len({span.trace for span in of_batch}) == 2
    for span in of_batch:
        assert not span.parent and span.attributes["bathysphere.request_id"] == f"req_{span.trace}"
        assert any(other.trace == span.trace and other.name == "turn" for other in seen.spans)


def test_metrics_count_what_was_done(seen: Seen) -> None:
    messages = {"method": "POST", "route": "/v1/messages"}
    assert seen.counted("bathysphere_request_seconds_count", **messages, status="200") == 2
    assert seen.counted("bathysphere_request_seconds_count", **messages, status="400") == 2
    assert seen.counted("bathysphere_request_seconds_count", method="GET", route="unmatched", status="404") == 1
    assert seen.counted("bathysphere_denials_total", reason="authentication_error") == 1
    assert seen.counted("bathysphere_turn_seconds_count", source="request", end="end_turn") == 1
    assert seen.counted("bathysphere_turn_seconds_count", source="batch", end="end_turn") == 2
    assert seen.counted("bathysphere_turn_seconds_count", source="request", end="overloaded_error") == 1
    assert seen.counted("bathysphere_stream_errors_total", error="overloaded_error") == 1
    bash = {"tool": "bash_code_execution"}
    assert seen.counted("bathysphere_tool_call_seconds_count", **bash, outcome="completed") == 2
    assert seen.counted("bathysphere_tool_call_seconds_count", **bash, outcome="nonzero_exit") == 1
    editor = {"tool": "text_editor_code_execution", "outcome": "file_not_found"}
    assert seen.counted("bathysphere_tool_call_seconds_count", **editor) == 1
    model = {"backend": "anthropic", "match": "via-anthropic"}
    assert seen.counted("bathysphere_model_seconds_count", **model, outcome="completed") == 7
    assert seen.counted("bathysphere_model_tokens_total", **model, kind="output") == 7 * 7 + 1
    assert seen.counted("bathysphere_model_retries_total", error="overloaded_error") == 1
    failed = {"backend": "openai", "match": "via-openai", "error": "invalid_request_error"}
    assert seen.counted("bathysphere_model_errors_total", **failed) == 1
    assert seen.counted("bathysphere_pool_requests_total", outcome="miss") == 2
    assert seen.counted("bathysphere_container_start_seconds_count", how="cold") == 2
    assert seen.counted("bathysphere_batch_results_total", result="succeeded") == 2


def test_gauges_are_of_now(seen: Seen) -> None:
    values = {name: value for (name, labels), value in seen.metrics.items() if not labels}
    assert values["bathysphere_host_up"] == 1 and values["bathysphere_draining"] == 0
    assert values["bathysphere_requests_running"] == 0
    for name, label, kinds in (
        ("ready", "check", {"database", "host", "image", "disk", "serving"}),
        ("containers", "state", {"busy", "waiting", "idle", "suspended", "broken"}),
        ("disk_bytes", "kind", {"total", "used", "free", "reserve"}),
    ):
        shown = {dict(labels)[label] for found, labels in seen.metrics if found == f"bathysphere_{name}"}
        assert shown == kinds


def test_each_request_has_a_line_in_the_log(seen: Seen) -> None:
    line = next(line for line in seen.lines if line.get("request_id") == seen.request_id and "route" in line)
    assert (line["method"], line["route"], line["status"], line["model"]) == (
        "POST", "/v1/messages", 200, "via-anthropic",
    )  # fmt: skip
    assert line["workspace_id"].startswith("wrkspc_") and line["api_key_id"].startswith("apikey_")
    assert line["received_bytes"] > 0 and line["sent_bytes"] > 0


def test_the_daemon_s_log_has_the_same_form(seen: Seen) -> None:
    assert {json.loads(line)["level"] for line in seen.daemon_log.splitlines()} <= {"info", "warning"}


def test_nobody_s_words_are_seen(seen: Seen) -> None:
    """Not in a span, a metric or a log; a model's name that reached none is all that a log has of it."""
    assert SECRET not in repr(seen.spans)
    assert SECRET not in repr(seen.metrics)
    assert SECRET not in seen.daemon_log
    named = [line for line in seen.lines if SECRET in json.dumps(line)]
    assert all(line.pop("model", "") == SECRET for line in named)
    assert SECRET not in json.dumps(named)
