"""Counting tokens: the upstream is asked where it can tell, else they are estimated."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from bathysphere.models.anthropic import AnthropicModel, anthropic_client
from bathysphere.models.base import SampleRequest, UpstreamMessage
from bathysphere.models.demo import DemoModel
from bathysphere.models.estimating import IMAGE_TOKENS, estimated_tokens
from bathysphere.models.failures import Upstream
from bathysphere.wire.errors import ApiError, NotFound, RateLimited, ServerError
from tests.models.folding import fold
from tests.models.scripted_upstream import ScriptedUpstream


def asking(*content: dict[str, Any]) -> SampleRequest:
    return SampleRequest("m", 100, [UpstreamMessage("user", list(content))])


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def model(upstream: ScriptedUpstream, max_retries: int = 0) -> AnthropicModel:
    client = anthropic_client("k", upstream.url, 20.0)
    return AnthropicModel(client, Upstream(upstream.url, "K"), model=None, max_retries=max_retries)


async def test_only_what_is_counted_is_sent(upstream: ScriptedUpstream) -> None:
    upstream.count(3)
    request = replace(
        asking(text("hi")),
        parameters={"temperature": 1, "thinking": {"type": "adaptive"}, "metadata": {"user_id": "u"}},
        headers={"anthropic-beta": "token-counting-2024-11-01,computer-use-2025-01-24"},
        tool_choice={"type": "auto"},
    )
    assert await model(upstream).count_tokens(request) == 3
    (sent,) = upstream.requests
    assert sent.path == "/v1/messages/count_tokens"
    assert set(sent.body) == {"model", "messages", "thinking", "tool_choice"}
    assert sent.headers["anthropic-beta"] == "computer-use-2025-01-24"


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_that_cannot_count_is_estimated_for(upstream: ScriptedUpstream, status: int) -> None:
    upstream.fail(status, message="Not Found")
    request = asking(text("What is the square root of two?"))
    assert await model(upstream).count_tokens(request) == estimated_tokens(request)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [(404, "model: m", NotFound), (429, "slow down", RateLimited), (401, "key", ServerError)],
)
async def test_other_refusals_are_told(
    upstream: ScriptedUpstream, status: int, message: str, kind: type[ApiError]
) -> None:
    upstream.fail(status, message=message)
    with pytest.raises(kind):
        await model(upstream).count_tokens(asking(text("hi")))


async def test_what_may_pass_is_tried_again(upstream: ScriptedUpstream) -> None:
    upstream.fail(529, headers={"retry-after": "0"}).count(5)
    assert await model(upstream, max_retries=1).count_tokens(asking(text("hi"))) == 5


async def test_an_answer_without_a_number_is_not_understood(upstream: ScriptedUpstream) -> None:
    upstream.fail(200)
    with pytest.raises(ServerError, match="without input_tokens"):
        await model(upstream).count_tokens(asking(text("hi")))


async def test_the_demo_model_says_the_same_in_its_answers() -> None:
    request = asking(text("Hello there. " * 50))
    demo = DemoModel()
    assert (await fold(demo.sample(request))).usage.input_tokens == await demo.count_tokens(request)


def test_text_goes_by_its_bytes() -> None:
    short, long = (estimated_tokens(asking(text("word" * count))) for count in (10, 1010))
    assert long - short == 1000
    chinese = estimated_tokens(asking(text("字" * 1000)))
    assert 700 < chinese < 800


def image(size: int) -> dict[str, Any]:
    data = base64.b64encode(bytes(size)).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def test_a_picture_is_a_picture_however_many_bytes_it_has() -> None:
    nothing = estimated_tokens(asking(text("x")))
    for size in (10, 1_000_000):
        assert 0 < estimated_tokens(asking(text("x"), image(size))) - nothing - IMAGE_TOKENS < 5
    inside = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image(1_000_000)]}
    assert estimated_tokens(asking(inside)) < IMAGE_TOKENS + 100


def test_a_pdf_file_goes_by_its_size() -> None:
    def pdf(size: int) -> dict[str, Any]:
        data = base64.b64encode(bytes(size)).decode()
        return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}

    small, large = estimated_tokens(asking(pdf(1000))), estimated_tokens(asking(pdf(1_000_000)))
    assert 2000 < small < 2100
    assert large - small == 9 * 2000
