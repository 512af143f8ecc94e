"""The list of files, in both shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import anthropic
import httpx2
import pytest

from tests.api.conftest import Server, Start

OLD = "files-api-2025-04-14"
AGENTS = "managed-agents-2026-04-01"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with no files but those of this module."""
    with ExitStack() as stack:
        yield Start(stack, tmp_path_factory)()


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    """Seven files, newest first."""
    with server.client() as client:
        made = [client.post("/v1/files", files={"file": (f"{n}.txt", b"x")}).json()["id"] for n in range(7)]
    return made[::-1]


@pytest.fixture
def client(server: Server) -> Iterator[httpx2.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def old(server: Server) -> Iterator[httpx2.Client]:
    with server.client(beta=OLD) as client:
        yield client


def listed(client: httpx2.Client, query: str = "", **headers: str) -> tuple[list[str], dict[str, object]]:
    response = client.get(f"/v1/files{query}", headers=headers)
    assert response.status_code == 200, response.text
    answer = response.json()
    return [file["id"] for file in answer.pop("data")], answer


def refused(client: httpx2.Client, query: str) -> str:
    response = client.get(f"/v1/files{query}")
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert isinstance(message, str)
    return message


def test_newest_first_in_both_shapes(client: httpx2.Client, old: httpx2.Client, ids: list[str]) -> None:
    assert listed(client) == (ids, {"next_page": None})
    assert listed(old, "?beta=true") == (ids, {"has_more": False, "first_id": ids[0], "last_id": ids[-1]})


def test_pages_follow_tokens(client: httpx2.Client, ids: list[str]) -> None:
    first, answer = listed(client, "?limit=3")
    assert first == ids[:3]
    second, answer = listed(client, f"?limit=3&page={answer['next_page']}")
    assert second == ids[3:6]
    third, answer = listed(client, f"?limit=3&page={answer['next_page']}")
    assert (third, answer) == (ids[6:], {"next_page": None})


def test_older_clients_page_in_both_directions(old: httpx2.Client, ids: list[str]) -> None:
    assert listed(old, f"?limit=2&after_id={ids[1]}") == (
        ids[2:4],
        {"has_more": True, "first_id": ids[2], "last_id": ids[3]},
    )
    assert listed(old, f"?limit=2&before_id={ids[5]}") == (
        ids[3:5],
        {"has_more": True, "first_id": ids[3], "last_id": ids[4]},
    )
    assert listed(old, f"?before_id={ids[2]}")[1]["has_more"] is False
    assert listed(old, f"?after_id={ids[-1]}") == ([], {"has_more": False, "first_id": None, "last_id": None})


def test_managed_agents_clients_have_both_ways(client: httpx2.Client, ids: list[str]) -> None:
    header = {"anthropic-beta": AGENTS}
    found, answer = listed(client, f"?limit=2&before_id={ids[4]}", **header)
    assert found == ids[2:4]
    assert (answer["has_more"], answer["first_id"], answer["last_id"]) == (True, ids[2], ids[3])
    assert listed(client, f"?limit=2&page={answer['next_page']}", **header)[0] == ids[4:6]
    both = {"anthropic-beta": f"{AGENTS},{OLD}"}
    assert set(listed(client, "", **both)[1]) == {"has_more", "first_id", "last_id"}


def test_chosen_ids_and_silence_about_unknown_ones(client: httpx2.Client, ids: list[str]) -> None:
    found, answer = listed(client, f"?ids[]={ids[3]}&ids[]=file_unknown&ids[]={ids[1]}")
    assert (found, answer) == ([ids[1], ids[3]], {"next_page": None})


def test_no_file_belongs_to_a_session(client: httpx2.Client, ids: list[str]) -> None:
    assert listed(client, "?scope_id=sesn_01")[0] == []


def test_the_official_client_walks_all_pages(server: Server, ids: list[str]) -> None:
    with anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0) as official:
        assert [file.id for file in official.files.list(limit=2)] == ids
        assert [file.id for file in official.files.list(ids=ids[:2])] == ids[:2]
        assert [file.id for file in official.beta.files.list(limit=3)] == ids


def test_another_workspace_sees_nothing(server: Server, ids: list[str]) -> None:
    with server.client(server.new_key("other")) as stranger:
        assert listed(stranger) == ([], {"next_page": None})
        assert listed(stranger, f"?ids[]={ids[0]}")[0] == []
        assert "not found" in stranger.get(f"/v1/files?after_id={ids[0]}", headers={"anthropic-beta": OLD}).text
        for method, path in [("GET", ""), ("GET", "/content"), ("DELETE", "")]:
            response = stranger.request(method, f"/v1/files/{ids[0]}{path}")
            assert response.status_code == 404
            assert response.json()["error"] == {
                "type": "not_found_error",
                "message": f"File `{ids[0]}` not found.",
            }
    with server.client() as owner:
        assert listed(owner)[0] == ids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?limit=0", "limit: Input should be greater than or equal to 1"),
        ("?limit=1001", "limit: Input should be less than or equal to 1000"),
        ("?limit=ten", "limit: Input should be a valid integer"),
        ("?limit=", "limit: Input should be a valid integer"),
        ("?limit=" + "9" * 5000, "limit: Input should be a valid integer"),
        ("?after_id=file_1", "after_id: "),
        ("?before_id=file_1", "before_id: "),
        ("?page=1", "page: "),
        ("?page=page_", "page: "),
        ("?page=page_%00", "page: "),
        ("?page=page_OTk5OTk5OTk5OTk5OTk5OTk5OmZpbGVfMQ", "page: "),
        ("?ids[]=file_1&limit=2", "ids[]: cannot be combined with limit"),
        ("?ids[]=file_1&page=page_1", "ids[]: cannot be combined with page"),
        ("?" + "&".join(["ids[]=file_1"] * 101), "ids[]: at most 100"),
    ],
)
def test_wrong_questions(client: httpx2.Client, query: str, message: str) -> None:
    assert refused(client, query).startswith(message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?page=page_1", "page: "),
        ("?ids[]=file_1", "ids[]: "),
        ("?before_id=file_1&after_id=file_2", "before_id: cannot be combined with after_id"),
        ("?after_id=file_unknown", "after_id: File `file_unknown` not found."),
        ("?before_id=%27%20OR%201=1", "before_id: "),
        ("?limit=0", "limit: "),
    ],
)
def test_wrong_questions_with_the_beta_header(old: httpx2.Client, query: str, message: str) -> None:
    assert refused(old, query).startswith(message)
