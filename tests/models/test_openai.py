"""The backend for OpenAI-compatible endpoints against a real HTTP server: both directions of the translation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.failures import Upstream
from bathysphere.models.openai import OpenAIModel, openai_client
from bathysphere.models.openai_chunks import ChunkTranslation
from bathysphere.models.openai_messages import chat_request
from bathysphere.wire.errors import ApiError, InvalidRequest, NotFound, Overloaded, RateLimited, ServerError
from bathysphere.wire.events import MessageStart, StreamEvent
from tests.models.folding import Sampled, fold
from tests.models.scripted_upstream import Call, Failure, Say, ScriptedUpstream, Think, Turn

BASH = {"name": "bash_code_execution", "description": "Run", "input_schema": {"type": "object"}}


def model_at(url: str, *, max_retries: int = 2) -> OpenAIModel:
    return OpenAIModel(openai_client("key", url, 10.0), Upstream(url, "K"), model="local", max_retries=max_retries)


@pytest.fixture
async def model(upstream: ScriptedUpstream) -> AsyncIterator[OpenAIModel]:
    made = model_at(upstream.openai_url)
    yield made
    await made.close()


def asking(*messages: UpstreamMessage, **changes: Any) -> SampleRequest:
    asked = list(messages) or [UpstreamMessage("user", [{"type": "text", "text": "hello"}])]
    return SampleRequest(**{"model": "claude", "max_tokens": 100, "messages": asked, **changes})


async def _given(events: list[StreamEvent]) -> AsyncIterator[StreamEvent]:
    for event in events:
        yield event


def translated(chunks: list[dict[str, Any]], *, with_thinking: bool = False, stop: list[str] | None = None) -> Sampled:
    translation = ChunkTranslation("m", with_thinking=with_thinking, stop_sequences=stop or [])
    events = [event for chunk in chunks for event in translation.chunk(chunk)] + translation.finish()
    return asyncio.run(fold(_given(events)))


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(index: int | None, arguments: Any = None, *, call_id: str | None = None, name: str | None = None) -> Any:
    entry: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        entry["index"] = index
    if call_id is not None:
        entry["id"] = call_id
    if name is not None:
        entry["function"]["name"] = name
    return chunk(tool_calls=[entry])


async def test_text_and_a_call_stream(upstream: ScriptedUpstream, model: OpenAIModel) -> None:
    upstream.play(Turn(Say("Let me list the files."), Call("bash_code_execution", {"command": "ls"}, id="call_7")))
    got = await fold(model.sample(asking(tools=[BASH])))
    assert got.text == "Let me list the files." and len(got.text_deltas) > 1
    assert got.calls == [
        {"type": "tool_use", "id": "call_7", "name": "bash_code_execution", "input": {"command": "ls"}}
    ]
    assert got.stop_reason == "tool_use"
    assert (got.usage.input_tokens, got.usage.output_tokens) == (11, 7)
    sent = upstream.requests[0].body
    assert sent["model"] == "local" and sent["stream"] is True and sent["max_tokens"] == 100


async def test_bytes_may_be_split_anywhere() -> None:
    with ScriptedUpstream(split=1) as upstream:
        upstream.play(Turn(Say("Tiefe 🌊"), Call("bash_code_execution", {"command": "echo 'ü'"})))
        made = model_at(upstream.openai_url)
        got = await fold(made.sample(asking()))
        await made.close()
    assert got.text == "Tiefe 🌊" and got.calls[0]["input"] == {"command": "echo 'ü'"}


def test_the_conversation_goes_up_translated() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1"}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    conversation = [
        UpstreamMessage("user", [{"type": "text", "text": "look"}, image]),
        UpstreamMessage(
            "assistant",
            [
                {"type": "thinking", "thinking": "secret", "signature": "s"},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "c1", "name": "t", "input": {"a": "ü"}},
            ],
        ),
        UpstreamMessage("user", [result | {"content": [{"type": "text", "text": "no"}, image], "is_error": True}]),
        UpstreamMessage("system", [{"type": "text", "text": "be brief"}]),
        UpstreamMessage(
            "user",
            [
                {"type": "document", "title": "Notes", "source": {"type": "text", "data": "deep"}},
                {"type": "text", "text": "and now?"},
            ],
        ),
    ]
    body = chat_request(asking(*conversation, system=[{"type": "text", "text": "S"}]), "m", official=False)
    url = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert body["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, url]},
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a": "ü"}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Error: no\n(see the next message)"},
        {"role": "user", "content": [{"type": "text", "text": "From the result of tool call c1:"}, url]},
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "Notes\n\ndeep\n\nand now?"},
    ]


def test_what_cannot_be_carried_is_refused_by_its_path() -> None:
    video = UpstreamMessage("user", [{"type": "video", "source": {"type": "base64"}}])
    with pytest.raises(InvalidRequest, match=r"messages\.0\.content\.0: .* video"):
        chat_request(asking(video), "m", official=False)
    typed = [{"type": "bash_20250124", "name": "bash"}]
    with pytest.raises(InvalidRequest, match=r"tools\.0: .* bash_20250124"):
        chat_request(asking(tools=typed), "m", official=False)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "t"}, {"type": "function", "function": {"name": "t"}}),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: Any) -> None:
    choice = choice | {"disable_parallel_tool_use": True}
    body = chat_request(asking(tools=[BASH], tool_choice=choice), "m", official=False)
    assert body["tool_choice"] == expected
    assert body["parallel_tool_calls"] is False
    assert body["tools"][0]["function"] == {
        "name": BASH["name"],
        "description": "Run",
        "parameters": {"type": "object"},
    }


def test_parameters() -> None:
    request = asking(stop_sequences=list("abcde"), parameters={"temperature": 0, "top_k": 5, "metadata": {}})
    body = chat_request(request, "m", official=False)
    assert (body["temperature"], body["top_k"], body["stop"]) == (0, 5, list("abcde"))
    assert "metadata" not in body
    official = chat_request(request, "m", official=True)
    assert official["max_completion_tokens"] == 100 and "max_tokens" not in official and len(official["stop"]) == 4


async def test_thinking_comes_only_when_asked_for(upstream: ScriptedUpstream, model: OpenAIModel) -> None:
    upstream.play(Turn(Think("hmm"), Say("42")), Turn(Think("hmm"), Say("42")))
    assert (await fold(model.sample(asking()))).thinking == ""
    got = await fold(model.sample(asking(parameters={"thinking": {"type": "enabled", "budget_tokens": 1024}})))
    assert (got.thinking, got.text) == ("hmm", "42")


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal"), ("tool_calls", "end_turn")],
)
def test_why_it_stopped(finish: str, reason: str) -> None:
    assert translated([chunk(content="a"), chunk(finish)]).stop_reason == reason


def test_a_stop_sequence_is_told_where_the_server_tells_it() -> None:
    ending = {"choices": [{"delta": {}, "finish_reason": "stop", "stop_reason": "END"}]}
    got = translated([chunk(content="a"), ending], stop=["END"])
    assert (got.stop_reason, got.stop_sequence) == ("stop_sequence", "END")


def test_interleaved_calls_become_one_after_another() -> None:
    chunks = [
        piece(0, '{"a"', call_id="x", name="one"),
        piece(1, '{"b"', call_id="y", name="two"),
        piece(0, ": 1}"),
        piece(1, ": 2}"),
        chunk("tool_calls"),
    ]
    got = translated(chunks)
    assert [(call["id"], call["name"], call["input"]) for call in got.calls] == [
        ("x", "one", {"a": 1}),
        ("y", "two", {"b": 2}),
    ]


@pytest.mark.parametrize("index", [None, 0])
def test_whole_calls_in_single_chunks_without_a_usable_index(index: int | None) -> None:
    chunks = [
        piece(index, '{"a": 1}', call_id="x", name="one"),
        piece(index, '{"b": 2}', call_id="y", name="two"),
        chunk("stop"),
    ]
    got = translated(chunks)
    assert [call["input"] for call in got.calls] == [{"a": 1}, {"b": 2}]
    assert got.stop_reason == "tool_use"


def test_missing_and_unusable_ids_are_replaced() -> None:
    got = translated([piece(0, "{}", name="one"), piece(1, None, call_id="functions.two:1", name="two"), chunk("stop")])
    assert all(call["id"].startswith("toolu_") for call in got.calls)
    assert [call["input"] for call in got.calls] == [{}, {}]


def test_arguments_may_be_an_object() -> None:
    assert translated([piece(0, {"a": 1}, name="one"), chunk("stop")]).calls[0]["input"] == {"a": 1}


def test_text_after_a_call_is_not_lost() -> None:
    got = translated([piece(0, "{}", name="one"), chunk(content="done"), chunk("stop")])
    assert [block["type"] for block in got.content] == ["tool_use", "text"] and got.text == "done"


def test_cached_tokens_are_counted_apart() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 8}}
    got = translated([chunk(content="a"), chunk("stop"), {"choices": [], "usage": usage}])
    assert (got.usage.input_tokens, got.usage.cache_read_input_tokens, got.usage.output_tokens) == (2, 8, 3)


@given(st.data())
def test_arguments_split_anywhere_and_mixed_in_any_order_give_the_same_calls(data: st.DataObject) -> None:
    inputs = data.draw(st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20)), min_size=1, max_size=4))
    waiting: list[list[Any]] = []
    for index, value in enumerate(inputs):
        raw = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
        parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
        first = piece(index, parts[0], call_id=f"c{index}", name=f"tool{index}")
        waiting.append([first, *(piece(index, part) for part in parts[1:])])
    chunks = []
    # A call's number is given out when it begins, so calls begin in order; their pieces mix freely after that.
    chunks += [queue.pop(0) for queue in waiting]
    while any(waiting):
        queue = data.draw(st.sampled_from([queue for queue in waiting if queue]))
        chunks.append(queue.pop(0))
    got = translated([*chunks, chunk("tool_calls")])
    assert [(call["name"], call["input"]) for call in got.calls] == [(f"tool{i}", v) for i, v in enumerate(inputs)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, InvalidRequest), (404, NotFound), (429, RateLimited), (500, ServerError), (503, Overloaded)],
)
async def test_refusals(upstream: ScriptedUpstream, status: int, expected: type[ApiError]) -> None:
    upstream.fail(status, message="because")
    made = model_at(upstream.openai_url, max_retries=0)
    with pytest.raises(expected, match="because"):
        await fold(made.sample(asking()))
    await made.close()


@pytest.mark.parametrize("status", [400, 500])
async def test_a_prompt_that_is_too_long_is_the_clients_fault(
    upstream: ScriptedUpstream, model: OpenAIModel, status: int
) -> None:
    upstream.fail(status, message="the request exceeds the available context size")
    with pytest.raises(InvalidRequest, match="prompt is too long"):
        await fold(model.sample(asking()))


@pytest.mark.parametrize(
    ("complaint", "gone", "there"),
    [
        ("stream_options is not supported", "stream_options", "stream"),
        ("Use 'max_completion_tokens' instead", "max_tokens", "max_completion_tokens"),
    ],
)
async def test_what_a_server_does_not_take_is_left_out(
    upstream: ScriptedUpstream, model: OpenAIModel, complaint: str, gone: str, there: str
) -> None:
    upstream.fail(400, message=complaint).play(Turn(Say("ok")))
    assert (await fold(model.sample(asking()))).text == "ok"
    assert gone not in upstream.requests[1].body and there in upstream.requests[1].body


async def test_what_may_pass_is_tried_again(upstream: ScriptedUpstream, model: OpenAIModel) -> None:
    upstream.fail(503, times=2, headers={"retry-after": "0"}).play(Turn(Say("ok")))
    assert (await fold(model.sample(asking()))).text == "ok"


async def test_an_error_in_the_stream(upstream: ScriptedUpstream, model: OpenAIModel) -> None:
    upstream.play(Turn(Say("so far"), error={"message": "out of memory", "type": "server_error"}))
    with pytest.raises(ServerError, match="out of memory"):
        await fold(model.sample(asking()))


@pytest.mark.parametrize("raw", ["{not json", "[]", '{"choices": [7]}'])
async def test_what_cannot_be_understood(upstream: ScriptedUpstream, model: OpenAIModel, raw: str) -> None:
    upstream.play(Turn(events=[raw]))
    with pytest.raises(ServerError, match="cannot be understood"):
        await fold(model.sample(asking()))


async def test_a_broken_stream_is_an_error_until_the_reason_for_stopping(
    upstream: ScriptedUpstream, model: OpenAIModel
) -> None:
    upstream.play(Turn(Say("abc"), break_after=2), Turn(Say("abc"), break_after=3))
    with pytest.raises(ServerError, match="broke off"):
        await fold(model.sample(asking()))
    assert (await fold(model.sample(asking()))).text == "abc"


async def test_a_key_is_not_told(upstream: ScriptedUpstream) -> None:
    upstream.play(Failure(401, {"error": {"message": "Incorrect API key provided: sk-1234"}}))
    made = model_at(upstream.openai_url)
    with pytest.raises(ServerError) as raised:
        await fold(made.sample(asking()))
    await made.close()
    assert "sk-1234" not in raised.value.message


async def test_closing_early_ends_the_upstreams_request(upstream: ScriptedUpstream, model: OpenAIModel) -> None:
    upstream.play(Turn(Say("never finished"), hang_after=2))
    events = model.sample(asking())
    assert isinstance(await anext(events), MessageStart)
    await events.aclose()
    assert await asyncio.to_thread(upstream.requests[0].closed_early.wait, 20)


def test_a_long_description_is_told_in_the_system_message_where_the_api_takes_no_long_ones() -> None:
    tools = [
        {"name": "code_execution", "description": "x" * 5000, "input_schema": {}},
        {"name": "b", "description": "y"},
    ]
    request = asking(UpstreamMessage("user", [{"type": "text", "text": "hi"}]), tools=tools)
    official = chat_request(request, "m", official=True)
    described = [tool["function"].get("description") for tool in official["tools"]]
    assert len(described[0]) <= 1024
    assert described[1] == "y"
    assert "x" * 5000 in official["messages"][0]["content"]
    assert official["messages"][0]["role"] == "system"
    other = chat_request(request, "m", official=False)
    assert other["tools"][0]["function"]["description"] == "x" * 5000
