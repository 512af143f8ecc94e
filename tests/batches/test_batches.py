"""The six calls of Message Batches (WIRE f)."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from anthropic import Anthropic
from anthropic.types.messages.batch_create_params import Request

from tests.batches.asking import PATH, bash, create, ended, request, results
from tests.clients.asking import CODE_EXECUTION, get, post, send
from tests.seeds import expectations
from tests.server import Server, peak_memory, reset_peak_memory, running_server

MEMBERS = {
    "id", "type", "processing_status", "request_counts", "created_at", "expires_at", "ended_at", "archived_at",
    "cancel_initiated_at", "results_url",
}  # fmt: skip


def counts(**given: int) -> dict[str, int]:
    return {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0} | given


def test_a_batch_runs_code_and_ends_with_a_line_for_each_request(server: Server) -> None:
    made = create(server, [request(f"r{n}", bash(f"echo {n} squared is $(({n} * {n}))")) for n in range(12)])
    assert set(made) == MEMBERS
    assert made["id"].startswith("msgbatch_")
    assert (made["processing_status"], made["request_counts"]) == ("in_progress", counts(processing=12))
    assert [made[name] for name in ("ended_at", "archived_at", "cancel_initiated_at", "results_url")] == [None] * 4

    batch = ended(server, made["id"])
    assert set(batch) == MEMBERS
    assert batch["request_counts"] == counts(succeeded=12)
    assert batch["results_url"] == f"{server.base_url}{PATH}/{made['id']}/results"
    lines = {line["custom_id"]: line["result"] for line in results(server, made["id"])}
    assert set(lines) == {f"r{n}" for n in range(12)}
    for n in range(12):
        message = lines[f"r{n}"]["message"]
        assert expectations.output(message).strip() == f"{n} squared is {n * n}"
        assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("bearer", [False, True])
def test_an_sdk_does_it_all(server: Server, bearer: bool) -> None:
    client = Anthropic(
        base_url=server.base_url,
        api_key=None if bearer else server.key,
        auth_token=server.key if bearer else None,
        max_retries=0,
    )
    params: Any = bash("echo by an SDK")
    made = client.messages.batches.create(requests=[Request(custom_id="only", params=params)])
    ended(server, made.id)
    assert client.messages.batches.retrieve(made.id).processing_status == "ended"
    assert made.id in [batch.id for batch in client.messages.batches.list(limit=2)]
    (line,) = client.messages.batches.results(made.id)
    assert line.result.type == "succeeded"
    assert "by an SDK" in line.result.message.to_json()
    assert client.messages.batches.cancel(made.id).processing_status == "ended"
    assert client.messages.batches.delete(made.id).type == "message_batch_deleted"
    assert get(server, f"{PATH}/{made.id}").status == 404
    assert get(server, f"{PATH}/{made.id}/results").status == 404


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, "model: Field required"),
        (bash("true", max_tokens="many"), "max_tokens: Input should be a valid integer"),
        (bash("true", stream=True), "stream: not allowed in a batch"),
        (bash("true", max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
        (bash("true", speed="fast"), "speed: `fast` is not allowed"),
        (bash("true", thread={"type": "create"}), "thread: not allowed in a batch"),
        (bash("true", container="container_01unknown"), "not found"),
        (bash("true", tools=[CODE_EXECUTION, CODE_EXECUTION]), "only one code execution tool"),
    ],
)
def test_params_are_checked_when_they_are_run(server: Server, params: Any, complaint: str) -> None:
    made = create(server, [request("bad", params), request("good", bash("true"))])
    assert ended(server, made["id"])["request_counts"] == counts(succeeded=1, errored=1)
    lines = {line["custom_id"]: line["result"] for line in results(server, made["id"])}
    assert lines["good"]["type"] == "succeeded"
    assert lines["bad"]["type"] == "errored"
    body = lines["bad"]["error"]
    assert (body["type"], body["request_id"]) == ("error", None)
    assert body["error"]["type"] in ("invalid_request_error", "not_found_error")
    assert complaint in body["error"]["message"]


GOOD = request("a", {})


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        (b"", 400, "not valid JSON: parse error: premature EOF"),
        (b'{"requests":[', 400, "not valid JSON"),
        (b'{"requests":[]} more', 400, "not valid JSON"),
        (b"[]", 400, "requests: List should have at least 1 item"),
        ({"requests": []}, 400, "requests: List should have at least 1 item"),
        ({"requests": [GOOD, {"custom_id": "b"}]}, 400, "requests.1.params: Field required"),
        ({"requests": [GOOD, request("b", [])]}, 400, "requests.1.params: Input should be a valid dictionary"),
        ({"requests": [request("", {})]}, 400, "requests.0.custom_id: String should match pattern"),
        ({"requests": [request("a" * 65, {})]}, 400, "requests.0.custom_id: String should match pattern"),
        ({"requests": [request("a b", {})]}, 400, "requests.0.custom_id: String should match pattern"),
        ({"requests": [request("a\n", {})]}, 400, "requests.0.custom_id: String should match pattern"),
        ({"requests": [7]}, 400, "requests.0: Input should be"),
        ({"requests": [GOOD, request("b", {}), GOOD]}, 400, "custom_id must be unique, and `a` is there twice"),
        ({"requests": [request(str(n), {}) for n in range(51)]}, 400, "requests: List should have at most 50 items"),
        (b'{"requests":[{"custom_id":"a","params":{"x":1e999}}]}', 400, "a number that is too large"),
        (b'{"requests":[{"custom_id":"a","params":{"x":%s}}]}' % (b"[" * 20_000 + b"]" * 20_000), 400, "nested deeper"),
        ({"requests": [request("a", {"x": "y" * 300_000})]}, 413, "requests.0: has more than 100000 bytes"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_as_a_whole(server: Server, body: Any, status: int, complaint: str) -> None:
    before = get(server, PATH).json()["first_id"]
    answer = post(server, PATH, body)
    assert answer.status == status, answer.body
    assert complaint in answer.json()["error"]["message"]
    assert get(server, PATH).json()["first_id"] == before


def test_the_size_of_a_batch_is_bounded_announced_or_not(taking: Server) -> None:
    big = json.dumps({"requests": [request(str(n), {"x": "y" * 1000}) for n in range(1000)]}).encode()
    before = get(taking, PATH).json()["first_id"]
    assert post(taking, PATH, big).status == 413
    connection = http.client.HTTPConnection("127.0.0.1", taking.port, timeout=60)
    with contextlib.closing(connection):
        parts = (big[start : start + 100_000] for start in range(0, len(big), 100_000))
        connection.request("POST", PATH, parts, {"x-api-key": taking.key}, encode_chunked=True)
        assert connection.getresponse().status == 413
    assert get(taking, PATH).json()["first_id"] == before


def test_a_batch_is_never_whole_in_the_server_s_memory(tmp_path: Path) -> None:
    """Neither on the way in nor on the way out: 40 MB of params, and as many results."""
    with running_server(tmp_path, tables={"batches": {"workers": 0}}) as server:
        create(server, [GOOD])  # what is loaded at the first time is loaded
        body = json.dumps({"requests": [request(f"r{n}", {"text": "x" * 4_000}) for n in range(10_000)]}).encode()
        before = reset_peak_memory(server.pid)
        made = post(server, PATH, body).json()
        assert made["request_counts"]["processing"] == 10_000
        post(server, f"{PATH}/{made['id']}/cancel", b"")
        assert ended(server, made["id"])["request_counts"] == counts(canceled=10_000)
        assert {line["custom_id"] for line in results(server, made["id"])} == {f"r{n}" for n in range(10_000)}
        assert peak_memory(server.pid) - before < 20_000_000


def test_what_waits_in_a_workspace_is_bounded(server: Server) -> None:
    slow = [create(server, [request(f"{n}", bash("sleep 2")) for n in range(30)]) for _ in range(2)]
    answer = post(server, PATH, {"requests": [request(f"{n}", bash("true")) for n in range(50)]})
    assert (answer.status, answer.headers["retry-after"]) == (429, "60")
    for batch in slow:
        post(server, f"{PATH}/{batch['id']}/cancel", b"")
    for batch in slow:
        ended(server, batch["id"])


def test_a_cancelled_batch_ends_without_what_had_not_begun(server: Server) -> None:
    made = create(server, [request(f"{n}", bash("sleep 1; echo done")) for n in range(40)])
    cancelled = post(server, f"{PATH}/{made['id']}/cancel", b"").json()
    assert cancelled["processing_status"] == "canceling"
    assert cancelled["request_counts"] == counts(processing=40)
    assert cancelled["cancel_initiated_at"] is not None
    again = post(server, f"{PATH}/{made['id']}/cancel", b"").json()
    assert again["cancel_initiated_at"] == cancelled["cancel_initiated_at"]
    assert post(server, f"{PATH}/{made['id']}/cancel", b"", server.other_key).status == 404

    batch = ended(server, made["id"])
    lines = results(server, made["id"])
    ran = [line for line in lines if line["result"]["type"] == "succeeded"]
    assert batch["request_counts"] == counts(succeeded=len(ran), canceled=40 - len(ran))
    assert len(ran) < 40
    assert all(expectations.output(line["result"]["message"]).strip() == "done" for line in ran), "they ran to the end"
    assert all(line["result"] == {"type": "canceled"} for line in lines if line not in ran)


def test_a_batch_is_deleted_only_when_it_has_ended(taking: Server) -> None:
    made = create(taking, [GOOD])
    path = f"{PATH}/{made['id']}"
    headers = [("x-api-key", taking.key), ("content-type", "application/json")]
    refused = send(taking, "DELETE", path, headers)
    assert refused.status == 400
    assert "cannot be deleted while" in refused.json()["error"]["message"]
    assert get(taking, f"{path}/results").status == 400
    assert get(taking, path).status == 200


def test_no_workspace_sees_the_batches_of_another(taking: Server) -> None:
    made = create(taking, [GOOD])
    path = f"{PATH}/{made['id']}"
    assert get(taking, PATH, taking.other_key).json() == {
        "data": [], "has_more": False, "first_id": None, "last_id": None
    }  # fmt: skip
    headers = [("x-api-key", taking.other_key)]
    for method, place in [("GET", path), ("GET", f"{path}/results"), ("DELETE", path), ("POST", f"{path}/cancel")]:
        answer = send(taking, method, place, headers)
        assert (answer.status, answer.json()["error"]["type"]) == (404, "not_found_error")
    assert send(taking, "GET", path, []).status == 401


def test_the_list_is_paged_by_cursors_in_both_directions(taking: Server) -> None:
    made = [create(taking, [GOOD])["id"] for _ in range(5)][::-1]
    first = get(taking, f"{PATH}?limit=2&beta=true").json()
    assert [batch["id"] for batch in first["data"]] == made[:2]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, made[0], made[1])
    second = get(taking, f"{PATH}?limit=2&after_id={made[1]}").json()
    assert [batch["id"] for batch in second["data"]] == made[2:4]
    back = get(taking, f"{PATH}?limit=2&before_id={made[3]}").json()
    assert [batch["id"] for batch in back["data"]] == made[1:3]
    assert back["has_more"]
    for query in ("limit=0", "limit=1001", "limit=x", "after_id=nothing", f"after_id={made[0]}&before_id={made[1]}"):
        assert get(taking, f"{PATH}?{query}").status == 400, query


@pytest.mark.parametrize(
    ("headers", "begins"),
    [
        ([("host", "api.example:8443")], "http://api.example:8443/v1/"),
        ([("host", "inner"), ("x-forwarded-host", "outer.example"), ("x-forwarded-proto", "https")],
         "https://outer.example/v1/"),
        ([("host", "inner"), ("x-forwarded-host", "a.example, b.example")], "http://a.example/v1/"),
        ([("host", "[::1]:80")], "http://[::1]:80/v1/"),
        ([("host", "x"), ("x-forwarded-host", 'evil"/path?')], "/v1/"),
        ([("host", "x"), ("x-forwarded-proto", "gopher")], "http://x/v1/"),
    ],
)  # fmt: skip
def test_results_are_found_where_the_client_came_from(
    server: Server, headers: list[tuple[str, str]], begins: str
) -> None:
    batch = next((found for found in get(server, PATH).json()["data"] if found["results_url"]), None)
    identifier = batch["id"] if batch else ended(server, create(server, [request("a", bash("true"))])["id"])["id"]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("GET", f"{PATH}/{identifier}", skip_host=True)
    for name, value in [*headers, ("x-api-key", server.key)]:
        connection.putheader(name, value)
    connection.endheaders()
    url = json.load(connection.getresponse())["results_url"]
    connection.close()
    assert url == f"{begins.removesuffix('/v1/')}{PATH}/{identifier}/results"


def test_a_create_that_is_sent_again_makes_no_second_batch(taking: Server) -> None:
    retry = ("x-stainless-retry-count", "1")
    body = [request("retried", {"n": 1})]
    made = create(taking, body)
    assert create(taking, body, None, retry)["id"] == made["id"]
    assert create(taking, body)["id"] != made["id"], "the same work may be wanted twice"
    assert create(taking, [request("retried", {"n": 2})], None, retry)["id"] != made["id"]
    assert create(taking, body, taking.other_key, retry)["id"] != made["id"]


def test_an_idempotency_key_means_one_batch(taking: Server) -> None:
    key = ("idempotency-key", "once")
    made = create(taking, [GOOD], None, key)
    assert create(taking, [GOOD], None, key)["id"] == made["id"]
    assert create(taking, [GOOD], taking.other_key, key)["id"] != made["id"]
    answer = post(taking, PATH, {"requests": [request("b", {})]}, None, key)
    assert answer.status == 400
    assert "another body" in answer.json()["error"]["message"]
