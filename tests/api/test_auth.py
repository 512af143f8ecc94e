"""Who is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import anthropic
import httpx2
import pytest

from bathysphere.store import keys
from bathysphere.store.database import Database
from tests.api.conftest import Server


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": "{key}"},
        {"X-Api-Key": "{key}"},
        {"authorization": "Bearer {key}"},
        {"Authorization": "bearer  {key}"},
        {"x-api-key": "{key}", "authorization": "Bearer something-else"},
        {"x-api-key": "{key}", "authorization": "Basic eDp5"},
    ],
)
def test_both_styles_are_accepted_and_x_api_key_wins(
    server: Server, client: httpx2.Client, headers: dict[str, str]
) -> None:
    response = client.get("/v1/files", headers={name: v.format(key=server.key) for name, v in headers.items()})
    assert response.status_code == 200
    assert response.headers["anthropic-organization-id"].startswith("org_")
    assert response.headers["anthropic-workspace-id"].startswith("wrkspc_")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "x-api-key header is required"),
        ({"x-api-key": ""}, "x-api-key is empty"),
        ({"x-api-key": "", "authorization": "Bearer {key}"}, "x-api-key is empty"),
        ({"x-api-key": "wrong"}, "invalid x-api-key"),
        ({"x-api-key": "wrong", "authorization": "Bearer {key}"}, "invalid x-api-key"),
        ({"x-api-key": "{key}x"}, "invalid x-api-key"),
        ({"x-api-key": "x" * 10_000}, "invalid x-api-key"),
        ({"x-api-key": "kéy"}, "invalid x-api-key"),
        ({"authorization": "Bearer wrong"}, "invalid x-api-key"),
        ({"authorization": "Bearer"}, "no Bearer token"),
        ({"authorization": "Basic {key}"}, "no Bearer token"),
        ({"authorization": "{key}"}, "no Bearer token"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files"),
        ("POST", "/v1/files"),
        ("GET", "/v1/files/file_1"),
        ("GET", "/v1/files/file_1/content"),
        ("DELETE", "/v1/files/file_1"),
    ],
)
def test_nobody_else_gets_anywhere(
    server: Server, client: httpx2.Client, headers: dict[str, str], message: str, method: str, path: str
) -> None:
    sent = {name.encode(): value.format(key=server.key).encode() for name, value in headers.items()}
    response = client.request(method, path, headers=sent)
    assert response.status_code == 401
    answer = response.json()
    assert answer["error"]["type"] == "authentication_error"
    assert message in answer["error"]["message"]
    assert server.key not in response.text
    assert answer["request_id"] == response.headers["request-id"]
    assert "anthropic-organization-id" not in response.headers


@pytest.mark.parametrize("content", [b"{", b"{}", b"[" * 1_000_000])
def test_strangers_are_sent_away_before_their_body_is_read(client: httpx2.Client, content: bytes) -> None:
    response = client.post("/question", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 401


def test_a_route_learns_who_asks(server: Server, client: httpx2.Client) -> None:
    response = client.post(
        "/question", json={"max_tokens": 1, "content": "hi"}, headers={"authorization": f"Bearer {server.key}"}
    )
    assert response.json() == response.headers["anthropic-workspace-id"]


def test_the_official_client_is_told_what_is_wrong(server: Server) -> None:
    with (
        anthropic.Anthropic(api_key="sk-wrong", base_url=server.url) as official,
        pytest.raises(anthropic.AuthenticationError, match="not known to this server"),
    ):
        official.files.list()


def test_a_key_disabled_while_the_server_runs_is_refused_from_then_on(server: Server, client: httpx2.Client) -> None:
    secret = server.new_key("short-lived")
    assert client.get("/v1/files", headers={"x-api-key": secret}).status_code == 200

    async def disable() -> None:
        database = await Database.open(server.data)
        (key,) = [key for key in await keys.list_all(database) if key.workspace_name == "short-lived"]
        assert key.last_used_at is not None
        await keys.disable(database, key.id)
        await database.close()

    asyncio.run(disable())
    assert client.get("/v1/files", headers={"x-api-key": secret}).status_code == 401
