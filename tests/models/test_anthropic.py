"""The backend for Anthropic's protocol against a real HTTP server: what goes up, what comes down, what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bathysphere.models.anthropic import AnthropicModel, anthropic_client, bedrock_client, vertex_client
from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.failures import Upstream
from bathysphere.wire.errors import (
    ApiError,
    InvalidRequest,
    NotFound,
    Overloaded,
    RateLimited,
    ServerError,
    TooLarge,
    UpstreamTimeout,
)
from bathysphere.wire.events import MessageStart
from tests.models.folding import fold
from tests.models.scripted_upstream import Call, Failure, Say, ScriptedUpstream, Think, Turn

KEY = "sk-secret-of-the-operator"


def model_at(url: str, *, model: str | None = "upstream-name", max_retries: int = 2) -> AnthropicModel:
    where = Upstream(url, "UPSTREAM_KEY", KEY)
    return AnthropicModel(anthropic_client(KEY, url, 10.0), where, model=model, max_retries=max_retries)


@pytest.fixture
async def model(upstream: ScriptedUpstream) -> AsyncIterator[AnthropicModel]:
    made = model_at(upstream.url)
    yield made
    await made.close()


def asking(**changes: object) -> SampleRequest:
    given = {
        "model": "client-name",
        "max_tokens": 100,
        "messages": [UpstreamMessage("user", [{"type": "text", "text": "hello"}])],
    }
    return SampleRequest(**(given | changes))  # type: ignore[arg-type]


async def test_blocks_come_down_as_they_are(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Turn(Think("hmm"), Say("Listing."), Call("bash_code_execution", {"command": "ls -la"})))
    got = await fold(model.sample(asking()))
    assert got.content == [
        {"type": "thinking", "thinking": "hmm", "signature": "c2lnbmVk"},
        {"type": "text", "text": "Listing.", "citations": None},
        {"type": "tool_use", "id": "toolu_scripted1", "name": "bash_code_execution", "input": {"command": "ls -la"}},
    ]
    assert got.stop_reason == "tool_use"


async def test_calls_in_a_conversation_without_tools_go_up_with_their_names(
    upstream: ScriptedUpstream, model: AnthropicModel
) -> None:
    """The API refuses calls where no tools are defined; none of them may be called."""
    upstream.play(Turn(Say("ok")))
    call = {"type": "tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "srvtoolu_1", "content": "x"}
    await fold(model.sample(asking(messages=[UpstreamMessage("assistant", [call]), UpstreamMessage("user", [result])])))
    body = upstream.requests[0].body
    assert body["tools"] == [{"name": "bash_code_execution", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


async def test_the_request_goes_up_whole(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Turn(Say("ok")))
    messages = [
        UpstreamMessage("user", [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]),
        UpstreamMessage("assistant", [{"type": "thinking", "thinking": "t", "signature": "s"}]),
    ]
    tools = [{"name": "t", "input_schema": {"type": "object"}, "strict": True}]
    request = asking(
        messages=messages,
        system=[{"type": "text", "text": "be brief"}],
        tools=tools,
        tool_choice={"type": "auto"},
        stop_sequences=["STOP"],
        parameters={"thinking": {"type": "enabled", "budget_tokens": 1024}, "novelty": {"x": 1}, "model": "evil"},
    )
    await fold(model.sample(request))
    assert upstream.requests[0].body == {
        "model": "upstream-name",
        "max_tokens": 100,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "system": [{"type": "text", "text": "be brief"}],
        "tools": tools,
        "tool_choice": {"type": "auto"},
        "stop_sequences": ["STOP"],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "novelty": {"x": 1},
        "stream": True,
    }


async def test_the_clients_name_goes_up_when_none_is_configured(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("ok")))
    made = model_at(upstream.url, model=None)
    await fold(made.sample(asking()))
    await made.close()
    assert upstream.requests[0].body["model"] == "client-name"


@pytest.mark.parametrize(
    ("given", "version", "betas"),
    [
        ({}, "2026-10-21", None),
        ({"anthropic-version": "2023-06-01"}, "2023-06-01", None),
        ({"anthropic-version": "1999-01-01"}, "2026-10-21", None),
        ({"anthropic-beta": "code-execution-2025-08-25, files-api-2025-04-14,skills-2025-10-02"}, "2026-10-21", None),
        (
            {"anthropic-beta": "context-1m-2025-08-07,code-execution-2025-08-25 , interleaved-thinking-2025-05-14"},
            "2026-10-21",
            "context-1m-2025-08-07,interleaved-thinking-2025-05-14",
        ),
    ],
)
async def test_headers(
    upstream: ScriptedUpstream, model: AnthropicModel, given: dict[str, str], version: str, betas: str | None
) -> None:
    upstream.play(Turn(Say("ok")))
    await fold(model.sample(asking(headers=given)))
    sent = upstream.requests[0].headers
    assert sent["anthropic-version"] == version
    assert sent.get("anthropic-beta") == betas
    assert sent["x-api-key"] == KEY and sent["authorization"] == f"Bearer {KEY}"
    assert sent["x-bathysphere-hop"] == "1"


async def test_usage_is_cumulative_and_keeps_unknown_members(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Turn(Say("ok"), usage={"cache_read_input_tokens": 5, "cache_creation": None, "new_counter": 3}))
    got = await fold(model.sample(asking()))
    assert (got.usage.input_tokens, got.usage.output_tokens, got.usage.cache_read_input_tokens) == (11, 7, 5)
    assert (got.usage.model_extra or {})["new_counter"] == 3


async def test_a_server_that_gives_a_calls_input_at_once(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    events: list[dict[str, object] | str] = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1, "output_tokens": 0}}},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": "c1", "name": "t", "input": {"a": "é"}},
        },
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "something_new"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    upstream.play(Turn(events=events))
    got = await fold(model.sample(asking()))
    assert got.calls[0]["input"] == {"a": "é"}
    assert got.stop_reason == "end_turn"


async def test_bytes_may_be_split_anywhere() -> None:
    with ScriptedUpstream(split=1) as upstream:
        upstream.play(Turn(Say("schöne Tiefe 🌊"), Call("bash_code_execution", {"command": "echo 'ü'"})))
        made = model_at(upstream.url)
        got = await fold(made.sample(asking()))
        await made.close()
    assert got.text == "schöne Tiefe 🌊"
    assert got.calls[0]["input"] == {"command": "echo 'ü'"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, InvalidRequest),
        (404, NotFound),
        (413, TooLarge),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, ServerError),
        (502, ServerError),
        (503, Overloaded),
        (504, UpstreamTimeout),
        (529, Overloaded),
    ],
)
async def test_refusals_keep_their_kind_and_message(
    upstream: ScriptedUpstream, status: int, expected: type[ApiError]
) -> None:
    upstream.fail(status, message="because I say so")
    made = model_at(upstream.url, max_retries=0)
    with pytest.raises(expected, match="because I say so"):
        await fold(made.sample(asking()))
    await made.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_the_operators_fault(
    upstream: ScriptedUpstream, model: AnthropicModel, status: int
) -> None:
    upstream.fail(status, message=f"invalid key {KEY}")
    with pytest.raises(ServerError, match="UPSTREAM_KEY") as raised:
        await fold(model.sample(asking()))
    assert KEY not in raised.value.message
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_what_may_pass_is_tried_again(upstream: ScriptedUpstream, model: AnthropicModel, status: int) -> None:
    upstream.fail(status, times=2, headers={"retry-after": "0"}).play(Turn(Say("third time lucky")))
    assert (await fold(model.sample(asking()))).text == "third time lucky"
    assert len(upstream.requests) == 3


async def test_retries_end(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.fail(429, times=9, headers={"retry-after-ms": "1"})
    with pytest.raises(RateLimited) as raised:
        await fold(model.sample(asking()))
    assert raised.value.retry_after_seconds == 0.001
    assert len(upstream.requests) == 3


async def test_a_long_wait_is_told_to_the_client_at_once(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.fail(429, headers={"retry-after": "3600"})
    with pytest.raises(RateLimited) as raised:
        await fold(model.sample(asking()))
    assert raised.value.retry_after_seconds == 3600
    assert len(upstream.requests) == 1


async def test_what_is_wrong_with_the_request_is_not_tried_again(
    upstream: ScriptedUpstream, model: AnthropicModel
) -> None:
    upstream.fail(400, times=2)
    with pytest.raises(InvalidRequest):
        await fold(model.sample(asking()))
    assert len(upstream.requests) == 1


async def test_an_error_event_in_the_stream(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Turn(Say("so far"), error={"type": "overloaded_error", "message": "Overloaded"}))
    seen = []
    with pytest.raises(Overloaded, match="Overloaded"):
        async for event in model.sample(asking()):
            seen.append(event)
    assert isinstance(seen[0], MessageStart)
    assert len(upstream.requests) == 1, "part of the answer has been seen"


async def test_an_error_event_before_anything_else_is_tried_again(
    upstream: ScriptedUpstream, model: AnthropicModel
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.play(Turn(events=[error]), Turn(Say("ok")))
    assert (await fold(model.sample(asking()))).text == "ok"


@pytest.mark.parametrize("events", range(1, 8))
async def test_a_broken_stream_is_an_error(upstream: ScriptedUpstream, model: AnthropicModel, events: int) -> None:
    upstream.play(Turn(Say("twenty-four characters.."), break_after=events))
    with pytest.raises(ServerError, match="broke off"):
        await fold(model.sample(asking()))


async def test_a_connection_that_breaks_before_the_first_event_is_tried_again(
    upstream: ScriptedUpstream, model: AnthropicModel
) -> None:
    upstream.play(Turn(Say("lost"), break_after=0), Turn(Say("found")))
    assert (await fold(model.sample(asking()))).text == "found"


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use", "id": "x"}}],
        [{"type": "content_block_start", "index": "x", "content_block": {"type": "text", "text": ""}}],
        [{"type": "message_start", "message": 7}],
        [{"type": "message_start", "message": {"usage": {"input_tokens": -1}}}],
    ],
)
async def test_what_cannot_be_understood_is_an_error(
    upstream: ScriptedUpstream, model: AnthropicModel, events: list[dict[str, object] | str]
) -> None:
    upstream.play(Turn(events=events))
    with pytest.raises(ServerError, match="cannot be understood"):
        await fold(model.sample(asking()))


async def test_a_page_of_html_is_not_passed_on(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Failure(404, "<html>nginx</html>"))
    with pytest.raises(NotFound) as raised:
        await fold(model.sample(asking()))
    assert "nginx" not in raised.value.message and upstream.url in raised.value.message


async def test_nobody_listens() -> None:
    with ScriptedUpstream() as gone:
        url = gone.url
    made = model_at(url, max_retries=1)
    with pytest.raises(ServerError, match=f"No model server answers at {url}"):
        await fold(made.sample(asking()))
    await made.close()


async def test_closing_early_ends_the_upstreams_request(upstream: ScriptedUpstream, model: AnthropicModel) -> None:
    upstream.play(Turn(Say("never finished"), hang_after=4))
    events = model.sample(asking())
    assert isinstance(await anext(events), MessageStart)
    await events.aclose()
    assert await asyncio.to_thread(upstream.requests[0].closed_early.wait, 20)


async def test_a_silent_upstream_times_out(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("never"), hang_after=0))
    made = AnthropicModel(
        anthropic_client(KEY, upstream.url, 0.2), Upstream(upstream.url, "K"), model=None, max_retries=0
    )
    with pytest.raises(UpstreamTimeout):
        await fold(made.sample(asking()))
    await made.close()


async def test_bedrock(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("from Amazon"), Call("bash_code_execution", {"command": "ls"})))
    client = bedrock_client("bedrock-token", "eu-central-1", upstream.url, 10.0)
    made = AnthropicModel(client, Upstream(upstream.url, "K"), model="eu.anthropic.claude-opus-5", max_retries=0)
    got = await fold(made.sample(asking(headers={"anthropic-beta": "context-1m-2025-08-07"})))
    await made.close()
    assert got.text == "from Amazon" and got.calls[0]["input"] == {"command": "ls"}
    sent = upstream.requests[0]
    assert sent.path == "/model/eu.anthropic.claude-opus-5/invoke-with-response-stream"
    assert sent.headers["authorization"] == "Bearer bedrock-token"
    assert sent.body["anthropic_beta"] == ["context-1m-2025-08-07"]


async def test_vertex(upstream: ScriptedUpstream) -> None:
    upstream.play(Turn(Say("from Google")))
    client = vertex_client("google-token", "europe-west1", "my-project", upstream.url, 10.0)
    made = AnthropicModel(client, Upstream(upstream.url, "K"), model="claude-opus-5", max_retries=0)
    got = await fold(made.sample(asking()))
    await made.close()
    assert got.text == "from Google"
    sent = upstream.requests[0]
    where = "/projects/my-project/locations/europe-west1/publishers/anthropic/models/claude-opus-5"
    assert sent.path == f"{where}:streamRawPredict"
    assert sent.headers["authorization"] == "Bearer google-token"
