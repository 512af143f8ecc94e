"""Every failure in the protocol's shape, with a request id, telling nothing of the inside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, ValidationError

from bathysphere.api.errors import invalid_request
from tests.api.conftest import Server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


def error(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    answer = response.json()
    assert set(answer) == {"type", "error", "request_id"}
    assert answer["type"] == "error"
    assert answer["request_id"] == response.headers["request-id"]
    found: dict[str, Any] = answer["error"]
    return found


def test_every_answer_has_an_id_of_its_own(client: httpx2.Client) -> None:
    paths = ["/v1/files", "/v1/files", "/nowhere", "/broken", "/busy"]
    found = [client.get(path).headers["request-id"] for path in paths]
    assert len(set(found)) == len(paths)
    assert all(identifier.startswith("req_") for identifier in found)


def test_an_unknown_path(client: httpx2.Client) -> None:
    assert error(client.get("/v1/nowhere"), 404) == {
        "type": "not_found_error",
        "message": "Not found: there is no /v1/nowhere here.",
    }


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        (
            "/messages",
            "there is no /messages here. The client does not add /v1 itself: the base URL has to end with it.",
        ),
        (
            "/v1/v1/messages",
            "there is no /v1/v1/messages here. The client adds /v1 itself: leave it out of the base URL.",
        ),
    ],
)
def test_a_base_url_of_the_other_shape(client: httpx2.Client, path: str, advice: str) -> None:
    assert error(client.post(path), 404)["message"] == f"Not found: {advice}"


def test_a_method_that_is_not_there(client: httpx2.Client) -> None:
    response = client.put("/v1/files")
    assert error(response, 405)["type"] == "invalid_request_error"
    assert response.headers["allow"]


@pytest.mark.parametrize("path", ["/broken"])
def test_what_nobody_foresaw_tells_nothing_of_the_inside(client: httpx2.Client, path: str) -> None:
    response = client.get(path)
    assert error(response, 500) == {"type": "api_error", "message": "Internal server error"}
    assert "launch code" not in response.text
    assert client.get("/v1/files").status_code == 200


def test_an_answer_that_breaks_halfway_is_cut_and_not_completed(client: httpx2.Client) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/breaks-halfway")
    assert client.get("/v1/files").status_code == 200


def test_when_to_come_again(client: httpx2.Client) -> None:
    response = client.get("/busy")
    assert error(response, 529)["type"] == "overloaded_error"
    assert response.headers["retry-after"] == "2"
    assert response.headers["x-should-retry"] == "true"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"max_tokens": 1', "The request body is not valid JSON: Expecting ',' delimiter at character 16"),
        ("", "Field required"),
        ("nonsense", "The request body is not valid JSON: Expecting value at character 0"),
        ("[1, 2]", "The request body must be a JSON object"),
        ("[" * 100_000, ""),
        ("\udcff", ""),
    ],
)
def test_a_body_that_is_not_json(client: httpx2.Client, body: str, message: str) -> None:
    response = client.post(
        "/question", content=body.encode("utf-8", "surrogateescape"), headers={"content-type": "application/json"}
    )
    found = error(response, 400)
    assert found["type"] == "invalid_request_error"
    assert message in found["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "max_tokens: Field required; content: Field required"),
        ({"max_tokens": "many", "content": "hi"}, "max_tokens: Input should be a valid integer, "),
        ({"max_tokens": 1, "content": [5]}, "content.0: Input should be a valid dictionary"),
        ({"max_tokens": 1, "content": "hi", "top": 1}, "top: Extra inputs are not permitted"),
        (
            {"max_tokens": 1, "content": [{"type": "text", "text": "x"}, {"type": "text"}]},
            "content.1.text: Field required",
        ),
        ({f"field{n}": n for n in range(1000)}, "and 997 more"),
        ({"max_tokens": 1, "content": "hi", "x" * 1_000_000: 1}, "xxx…: Extra inputs"),
    ],
)
def test_a_body_with_the_wrong_fields_is_answered_with_their_paths(
    client: httpx2.Client, body: dict[str, Any], message: str
) -> None:
    found = error(client.post("/question", json=body), 400)
    assert message in found["message"]
    assert len(found["message"]) < 4000


def test_a_body_that_does_not_say_it_is_json_is_told_to(client: httpx2.Client) -> None:
    response = client.post("/question", content='{"max_tokens": 1}', headers={"content-type": "text/plain"})
    assert "Content-Type: application/json" in error(response, 400)["message"]


def test_no_class_of_ours_is_named(client: httpx2.Client) -> None:
    bodies: list[Any] = [[], {"max_tokens": 1, "content": [5]}, {"max_tokens": {}, "content": {}}]
    for body in bodies:
        response = client.post("/question", json=body)
        assert error(response, 400)
        assert not re.search("Question|Block|instance|extract", response.text)


class Tree(BaseModel):
    messages: list[dict[str, int]]


def test_paths_are_those_of_the_client() -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"messages": [{"a": 1}, {"b": "no"}]})
    message = invalid_request(caught.value.errors()).message
    assert message.startswith("messages.1.b: Input should be a valid integer")
