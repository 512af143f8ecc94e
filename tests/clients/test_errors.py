"""What goes wrong arrives as the SDKs' own exceptions, with a request id, and the next request works (WIRE j)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.asking import Answer, ask, get, post, question, send
from tests.clients.environments import ALL, Sdk
from tests.seeds import expectations
from tests.server import Server

EXPECTED = {
    "wrong_key": (401, "AuthenticationError", "authentication_error"),
    "wrong_key_files": (401, "AuthenticationError", "authentication_error"),
    "wrong_key_stream": (401, "AuthenticationError", "authentication_error"),
    "unknown_container": (404, "NotFoundError", "not_found_error"),
    "misshapen_container": (404, "NotFoundError", "not_found_error"),
    "neighbours_container": (404, "NotFoundError", "not_found_error"),
    "neighbours_file": (404, "NotFoundError", "not_found_error"),
    "neighbours_file_content": (404, "NotFoundError", "not_found_error"),
    "neighbours_file_deleted": (404, "NotFoundError", "not_found_error"),
    "neighbours_file_uploaded": (404, "NotFoundError", "not_found_error"),
    "unknown_file": (404, "NotFoundError", "not_found_error"),
    "not_downloadable": (400, "BadRequestError", "invalid_request_error"),
    "unknown_tool_version": (400, "BadRequestError", "invalid_request_error"),
    "two_code_execution_tools": (400, "BadRequestError", "invalid_request_error"),
    "empty_messages": (400, "BadRequestError", "invalid_request_error"),
    "bad_role": (400, "BadRequestError", "invalid_request_error"),
    "bad_file_name": (400, "BadRequestError", "invalid_request_error"),
    "too_large": (413, "APIError", "request_too_large"),
}


@pytest.fixture(scope="module")
def given(server: Server) -> dict[str, str]:
    """A container, an uploaded file and a produced file of the first workspace, and the key of another one."""
    message = ask(server, "```bash\necho made > made.txt\n```")
    boundary = "a-boundary"
    part = 'Content-Disposition: form-data; name="file"; filename="mine.txt"'
    body = f"--{boundary}\r\n{part}\r\nContent-Type: text/plain\r\n\r\nmine\r\n--{boundary}--\r\n".encode()
    headers = [("x-api-key", server.key), ("content-type", f"multipart/form-data; boundary={boundary}")]
    uploaded = send(server, "POST", "/v1/files", headers, body).json()
    return {
        "container_id": message["container"]["id"],
        "produced_id": expectations.file_ids(message)[0],
        "file_id": uploaded["id"],
        "other_key": server.other_key,
    }


@pytest.fixture(scope="module", params=ALL, ids=str)
def outcomes(
    request: pytest.FixtureRequest, server: Server, given: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What each scenario of the program led to, with one SDK."""
    sdk: Sdk = request.param
    return environments.run(sdk, "errors", server, tmp_path_factory.mktemp("errors"), [json.dumps(given)])


@pytest.mark.parametrize("scenario", EXPECTED)
def test_exception(outcomes: dict[str, Any], scenario: str) -> None:
    status, kind, error_type = EXPECTED[scenario]
    outcome = outcomes[scenario]
    assert "problem" not in outcome, outcome
    assert outcome["status"] == status
    assert kind in outcome["classes"] or (kind == "APIError" and "APIStatusError" in outcome["classes"])
    assert outcome["body"]["type"] == "error"
    assert outcome["body"]["error"]["type"] == error_type
    assert len(outcome["body"]["error"]["message"]) > 10
    assert outcome["request_id"].startswith("req_")
    assert outcome["body"]["request_id"] == outcome["request_id"]


def test_message_names_what_is_wrong(outcomes: dict[str, Any], given: dict[str, str]) -> None:
    def message(scenario: str) -> str:
        text: str = outcomes[scenario]["body"]["error"]["message"]
        return text

    assert "container_011CNha8iCJcU1wXNR6q4V8w" in message("unknown_container")
    assert given["file_id"] in message("neighbours_file")
    assert "code_execution_20991231" in message("unknown_tool_version")
    assert "messages.0.role" in message("bad_role")
    assert outcomes["not_downloadable"]["body"]["error"]["details"]["error_code"] == "file_not_downloadable"


def test_a_neighbour_learns_nothing_from_the_words(outcomes: dict[str, Any], given: dict[str, str]) -> None:
    """What belongs to another workspace is answered exactly like what never existed."""
    unknown, foreign = outcomes["unknown_container"]["body"]["error"], outcomes["neighbours_container"]["body"]["error"]
    replaced = foreign["message"].replace(given["container_id"], "container_011CNha8iCJcU1wXNR6q4V8w")
    assert unknown["message"] == replaced
    unknown, foreign = outcomes["unknown_file"]["body"]["error"], outcomes["neighbours_file"]["body"]["error"]
    assert unknown["message"] == foreign["message"].replace(given["file_id"], "file_011CNha8iCJcU1wXNR6q4V8w")


def test_the_neighbours_attempts_changed_nothing(
    outcomes: dict[str, Any], server: Server, given: dict[str, str]
) -> None:
    assert outcomes["neighbours_file_deleted"]["status"] == 404
    assert get(server, f"/v1/files/{given['file_id']}").status == 200
    message = ask(server, "```bash\ncat made.txt\n```", container=given["container_id"])
    assert expectations.output(message) == "made\n"


def check_error(answer: Answer, status: int, error_type: str) -> str:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert body["type"] == "error"
    assert body["error"]["type"] == error_type
    assert body["request_id"] == answer.headers["request-id"]
    message: str = body["error"]["message"]
    return message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b"[" * 100_000,
        b'{"model":"m","max_tokens":1e999}',
    ],
    ids=["empty", "cut", "list", "null", "string", "not-utf-8", "nan", "deep", "huge-number"],
)
def test_malformed_json(server: Server, body: bytes) -> None:
    check_error(post(server, "/v1/messages", body), 400, "invalid_request_error")


def test_oversize_body_is_refused_before_it_is_read(server: Server) -> None:
    """40 MB are more than the 32 MB of WIRE j; the client still gets the answer, not a broken connection."""
    message = check_error(post(server, "/v1/messages", b" " * (40 * 1024 * 1024)), 413, "request_too_large")
    assert "32" in message or "33554432" in message


def test_unknown_paths_and_methods(server: Server) -> None:
    headers = [("x-api-key", server.key)]
    check_error(send(server, "GET", "/v1/nothing", headers), 404, "not_found_error")
    check_error(send(server, "DELETE", "/v1/messages", headers), 405, "invalid_request_error")


def test_no_key_at_all(server: Server) -> None:
    check_error(send(server, "GET", "/v1/files", []), 401, "authentication_error")
    check_error(send(server, "POST", "/v1/messages", [], b"{}"), 401, "authentication_error")


def test_both_ways_to_send_a_key(server: Server) -> None:
    """WIRE 0.1: x-api-key or Bearer; if both come, x-api-key wins."""
    good, bad = server.key, "sk-ant-not-a-key"
    for headers, status in [
        ([("x-api-key", good)], 200),
        ([("authorization", f"Bearer {good}")], 200),
        ([("authorization", f"bearer {good}")], 200),
        ([("x-api-key", good), ("authorization", f"Bearer {bad}")], 200),
        ([("x-api-key", bad), ("authorization", f"Bearer {good}")], 401),
        ([("authorization", f"Basic {good}")], 401),
        ([("authorization", "Bearer")], 401),
    ]:
        assert send(server, "GET", "/v1/files", headers).status == status, headers


@pytest.mark.parametrize(
    "betas",
    [
        ["code-execution-2025-08-25,files-api-2025-04-14"],
        ["code-execution-2025-08-25, files-api-2025-04-14 "],
        ["code-execution-2025-08-25", "files-api-2025-04-14"],
        ["files-api-2025-04-14", "some-beta-nobody-knows-2027-01-01"],
    ],
)
@pytest.mark.parametrize("query", ["", "?beta=true"])
def test_beta_header_with_commas_and_repeated(server: Server, betas: list[str], query: str) -> None:
    headers = [("x-api-key", server.key), *(("anthropic-beta", beta) for beta in betas)]
    listed = send(server, "GET", f"/v1/files{query}", headers)
    assert listed.status == 200
    assert "has_more" in listed.json()
    answer = post(server, f"/v1/messages{query}", question("```bash\necho 1\n```"), None, *headers[1:])
    assert answer.status == 200
    assert expectations.output(answer.json()) == "1\n"


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21", None])
def test_both_protocol_versions(server: Server, version: str | None) -> None:
    headers = [("x-api-key", server.key), ("content-type", "application/json")]
    headers += [("anthropic-version", version)] if version else []
    body = json.dumps(question("```bash\necho 1\n```")).encode()
    assert send(server, "POST", "/v1/messages", headers, body).status == 200


def test_python_only_tool_version(server: Server) -> None:
    """``code_execution_20250522`` knows Python alone and has result blocks of its own (WIRE a.1)."""
    tools = [{"type": "code_execution_20250522", "name": "code_execution"}]
    message = ask(server, "```python\nprint(6 * 7)\n```", tools=tools)
    expectations.check_finished(message)
    ((call, result),) = expectations.calls(message)
    assert call["name"] == "code_execution"
    assert "print(6 * 7)" in call["input"]["code"]
    assert result["type"] == "code_execution_tool_result"
    assert result["content"] == {
        "type": "code_execution_result",
        "stdout": "42\n",
        "stderr": "",
        "return_code": 0,
        "content": [],
    }


def test_response_headers(server: Server, tmp_path: Path) -> None:
    answer = get(server, "/v1/files")
    assert answer.headers["request-id"].startswith("req_")
    assert answer.headers["anthropic-organization-id"]
    assert answer.headers["anthropic-workspace-id"].startswith("wrkspc_")


def test_a_server_that_is_its_own_upstream_finds_out(server: Server) -> None:
    answer = post(server, "/v1/messages", question("hi"), None, ("x-bathysphere-hop", "1"))
    assert answer.status == 400
    assert "base_url" in answer.json()["error"]["message"]
