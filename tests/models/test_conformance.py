"""What every Model keeps, whatever stands behind it. ``fold`` insists on the order of events (WIRE d)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bathysphere.models.anthropic import AnthropicModel, anthropic_client, bedrock_client, vertex_client
from bathysphere.models.base import Model, SampleRequest, UpstreamMessage
from bathysphere.models.demo import DemoModel
from bathysphere.models.failures import Upstream
from bathysphere.models.openai import OpenAIModel, openai_client
from bathysphere.models.prompted_tools import PromptedTools
from bathysphere.wire.events import MessageStart
from tests.models.folding import fold
from tests.models.scripted_upstream import Call, Say, ScriptedUpstream, Turn

BASH = {"name": "bash_code_execution", "description": "Run", "input_schema": {"type": "object"}}
KINDS = ("demo", "anthropic", "bedrock", "vertex", "openai", "prompted")
COMMAND = "echo deep"


def build(kind: str, upstream: ScriptedUpstream) -> Model:
    where = Upstream(upstream.url, "K")
    match kind:
        case "demo":
            return DemoModel()
        case "anthropic":
            return AnthropicModel(anthropic_client("k", upstream.url, 20.0), where, model="m", max_retries=0)
        case "bedrock":
            return AnthropicModel(bedrock_client("k", "r", upstream.url, 20.0), where, model="m", max_retries=0)
        case "vertex":
            return AnthropicModel(vertex_client("k", "r", "p", upstream.url, 20.0), where, model="m", max_retries=0)
        case _:
            chat = OpenAIModel(openai_client("k", upstream.openai_url, 20.0), where, model="m", max_retries=0)
            return PromptedTools(chat) if kind == "prompted" else chat


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def model(kind: str, upstream: ScriptedUpstream) -> AsyncIterator[Model]:
    made = build(kind, upstream)
    yield made
    await made.close()


def asking() -> SampleRequest:
    text = f"Run this:\n```bash\n{COMMAND}\n```"
    return SampleRequest("m", 500, [UpstreamMessage("user", [{"type": "text", "text": text}])], tools=[BASH])


def turn(kind: str) -> Turn:
    """The same answer, in the way that this kind of upstream gives it."""
    if kind == "prompted":
        return Turn(Say(f"Running it.\n```bash\n{COMMAND}\n```\n"))
    return Turn(Say("Running it."), Call("bash_code_execution", {"command": COMMAND}))


async def test_text_and_a_call(kind: str, model: Model, upstream: ScriptedUpstream) -> None:
    upstream.play(turn(kind))
    got = await fold(model.sample(asking()))
    assert [block["type"] for block in got.content] == ["text", "tool_use"]
    assert got.calls[0]["name"] == "bash_code_execution" and got.calls[0]["input"] == {"command": COMMAND}
    assert got.calls[0]["id"]
    assert got.stop_reason == "tool_use" and got.stop_sequence is None
    assert len(got.text_deltas) > 1, "text streams"
    assert got.usage.input_tokens > 0 and got.usage.output_tokens > 0


async def test_no_state_is_shared_between_samplings(kind: str, model: Model, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda _: turn(kind)
    answers = await asyncio.gather(*(fold(model.sample(asking())) for _ in range(12)))
    assert all(answer.calls[0]["input"] == {"command": COMMAND} for answer in answers)


async def test_closing_early(kind: str, model: Model, upstream: ScriptedUpstream) -> None:
    hanging = turn(kind)
    hanging.hang_after = 3
    upstream.play(hanging, turn(kind))
    events = model.sample(asking())
    assert isinstance(await anext(events), MessageStart)
    await events.aclose()
    if upstream.requests:
        assert await asyncio.to_thread(upstream.requests[0].closed_early.wait, 20)
    assert (await fold(model.sample(asking()))).calls, "the model goes on working"


async def test_tokens_are_always_counted(kind: str, model: Model, upstream: ScriptedUpstream) -> None:
    upstream.count(4711)
    counted = await model.count_tokens(asking())
    assert counted == 4711 if kind in ("anthropic", "vertex") else 10 < counted < 200
    if kind in ("anthropic", "vertex"):
        (request,) = upstream.requests
        assert request.body["tools"] == [BASH]
        assert {"max_tokens", "stream", "stop_sequences"}.isdisjoint(request.body)
