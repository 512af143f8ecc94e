"""The Models API and the count of tokens, on a real server (WIRE k.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.clients.asking import CODE_EXECUTION, Answer, get, post
from tests.clients.conftest import serving
from tests.models.scripted_upstream import ScriptedUpstream
from tests.server import Server

NAMES = [f"local-{number}" for number in range(5)]


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ScriptedUpstream]]:
    more: list[dict[str, Any]] = [{"match": name, "backend": "demo"} for name in NAMES]
    with serving(tmp_path_factory.mktemp("models-api"), more=more) as running:
        yield running.server, running.upstream


@pytest.fixture
def server(upstreams: tuple[Server, ScriptedUpstream]) -> Server:
    upstreams[1].clear()
    return upstreams[0]


def listing(server: Server, **query: Any) -> Any:
    answer = get(server, f"/v1/models?{urlencode(query, doseq=True)}")
    assert answer.status == 200, answer.body
    return answer.json()


def ids(page: Any) -> list[str]:
    return [model["id"] for model in page["data"]]


def message(answer: Answer, status: int) -> str:
    assert answer.status == status, answer.body
    return str(answer.json()["error"]["message"])


ALL = ["via-anthropic", "via-openai", *NAMES]


def test_everything_that_is_configured(server: Server) -> None:
    page = listing(server)
    assert ids(page) == ALL
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ALL[0], ALL[-1], False)
    assert all(model["type"] == "model" and model["lifecycle"] == "active" for model in page["data"])


def test_paging_both_ways(server: Server) -> None:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = listing(server, limit=3, **cursor)
        seen += ids(page)
        if not page["has_more"]:
            break
        cursor = {"after_id": page["last_id"]}
    assert seen == ALL
    back = listing(server, limit=2, before_id=ALL[5])
    assert ids(back) == ALL[3:5] and back["has_more"]
    assert ids(listing(server, after_id=ALL[1], before_id=ALL[4])) == ALL[2:4]
    assert listing(server, after_id=ALL[-1]) == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_stages(server: Server) -> None:
    assert ids(listing(server, **{"lifecycle[]": ["active", "deprecated"]})) == ALL
    assert ids(listing(server, lifecycle="retired")) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=0", "limit: Input should be greater than or equal to 1"),
        ("limit=1001", "limit: Input should be less than or equal to 1000"),
        ("limit=many", "limit: Input should be a valid integer"),
        ("after_id=gpt-9", "after_id: there is no model `gpt-9` in this list"),
        ("lifecycle=dead", "lifecycle: `dead` is none of active, deprecated, retired"),
    ],
)
def test_wrong_queries(server: Server, query: str, expected: str) -> None:
    assert message(get(server, f"/v1/models?{query}"), 400) == expected


def test_one_model(server: Server) -> None:
    model = get(server, "/v1/models/via-openai?beta=true").json()
    assert model["id"] == "via-openai" and model["created_at"] == "1970-01-01T00:00:00Z"
    assert set(model["capabilities"]) == {
        "batch", "citations", "code_execution", "context_management", "effort", "image_input", "pdf_input",
        "server_tools", "structured_outputs", "thinking",
    }  # fmt: skip
    assert message(get(server, "/v1/models/gpt-9"), 404).startswith("model: gpt-9 (this server knows: ")


def test_without_a_key(server: Server) -> None:
    for path in ("/v1/models", "/v1/models/local-1"):
        assert get(server, path, "wrong").status == 401
    assert post(server, "/v1/messages/count_tokens", {}, "wrong").status == 401


def counted(model: str, *content: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": list(content)}], **more}


HELLO = {"type": "text", "text": "Hello"}
COUNT = "/v1/messages/count_tokens?beta=true"


def test_the_upstream_counts_what_it_would_be_shown(upstreams: tuple[Server, ScriptedUpstream], server: Server) -> None:
    upstreams[1].count(321)
    answer = post(server, COUNT, counted("via-anthropic", HELLO, tools=[CODE_EXECUTION], system="Be brief."))
    assert answer.json() == {"input_tokens": 321}
    (request,) = upstreams[1].requests
    names = [tool["name"] for tool in request.body["tools"]]
    assert names == ["bash_code_execution", "text_editor_code_execution"]
    assert [block["text"][:9] for block in request.body["system"]] == ["Be brief.", "You can r"]


def test_tools_count(server: Server) -> None:
    plain = post(server, COUNT, counted("local-1", HELLO)).json()["input_tokens"]
    with_tools = post(server, COUNT, counted("local-1", HELLO, tools=[CODE_EXECUTION])).json()["input_tokens"]
    assert 0 < plain < 50 < with_tools


def test_nothing_is_edited(server: Server) -> None:
    answer = post(server, COUNT, counted("local-1", HELLO, context_management={"edits": []})).json()
    assert answer["context_management"] == {"original_input_tokens": answer["input_tokens"]}


def test_a_call_that_waits_is_counted_as_if_it_had_ended(
    upstreams: tuple[Server, ScriptedUpstream], server: Server
) -> None:
    upstreams[1].count(7)
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {"command": "ls"}}
    body = counted("via-anthropic", HELLO, tools=[CODE_EXECUTION])
    body["messages"].append({"role": "assistant", "content": [call]})
    assert post(server, COUNT, body).json() == {"input_tokens": 7}
    assert [block["type"] for block in upstreams[1].requests[0].body["messages"][-1]["content"]] == ["tool_result"]


def test_what_would_be_refused_is_refused(server: Server) -> None:
    upload = {"type": "container_upload", "file_id": "file_nowhere"}
    refused = counted("local-1", upload, tools=[CODE_EXECUTION])
    assert message(post(server, COUNT, refused), 404).startswith(
        "messages.0.content.0.container_upload: File `file_nowhere` not found."
    )
    assert message(post(server, COUNT, counted("gpt-9", HELLO)), 404).startswith("model: gpt-9")
    assert "messages" in message(post(server, COUNT, {"model": "local-1"}), 400)
    hop = post(server, COUNT, counted("local-1", HELLO), None, ("x-bathysphere-hop", "1"))
    assert "comes from a bathysphere" in message(hop, 400)
