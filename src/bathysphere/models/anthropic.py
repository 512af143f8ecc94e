"""Models behind Anthropic's own protocol: api.anthropic.com or a compatible server, Amazon Bedrock, Vertex AI.

Events are passed on one to one, unknown members included; only what our side must count on is checked.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import aiohttp
import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncAnthropicBedrock, AsyncAnthropicVertex, AsyncStream
from pydantic import TypeAdapter, ValidationError

from bathysphere.models.base import HOP_HEADER, SampleRequest
from bathysphere.models.connections import CONNECTION_FAILURES, http_client
from bathysphere.models.estimating import estimated_tokens
from bathysphere.models.failures import Transient, Upstream
from bathysphere.models.retrying import retried
from bathysphere.wire.blocks import ResponseBlock
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    MessageStop,
    StopDelta,
    StreamEvent,
)
from bathysphere.wire.ids import new_id
from bathysphere.wire.message import Message, Usage

AnthropicClient = AsyncAnthropic | AsyncAnthropicBedrock | AsyncAnthropicVertex

VERSIONS: Final = frozenset(("2023-06-01", "2026-10-21"))
"""Values of ``anthropic-version`` that are forwarded (WIRE 0)."""

OUR_BETAS: Final = (
    "code-execution-",
    "files-api-",
    "skills-",
    "message-threads-",
    "advanced-tool-use-",
    "token-counting-",
    "message-batches-",
)
"""Beta features that bathysphere itself provides; the upstream is asked for plain sampling and need not know them."""

_COUNTED: Final = ("cache_control", "output_config", "output_format", "speed", "thinking")
"""Members of a request, beside the conversation and its tools, that are taken where tokens are counted (WIRE k.1)."""

_COUNTS_NOTHING: Final = frozenset((404, 405, 501))

_PASSED_BLOCKS: Final = frozenset(("text", "thinking", "redacted_thinking", "tool_use"))
_BLOCK: TypeAdapter[ResponseBlock] = TypeAdapter(ResponseBlock)


def anthropic_client(key: str | None, base_url: str | None, timeout_seconds: float) -> AsyncAnthropic:
    """A client of the Messages API; the SDK's default address when ``base_url`` is None.

    The SDK sends the key as a Bearer token only; older compatible servers know only ``x-api-key``. The real API
    takes both, and the same key in both does no harm (WIRE 0.1).
    """
    token = key or "none"
    return AsyncAnthropic(
        api_key=token,
        base_url=base_url,
        http_client=http_client(anthropic.DefaultAioHttpClient, timeout_seconds),
        max_retries=0,
        default_headers={"x-api-key": token, HOP_HEADER: "1"},
    )


def bedrock_client(
    key: str | None, region: str | None, base_url: str | None, timeout_seconds: float
) -> AsyncAnthropicBedrock:
    """A client of Amazon Bedrock; without ``key``, credentials come the way the AWS SDK finds them.

    Raises ValueError when no region is given and none is configured for AWS.
    """
    return AsyncAnthropicBedrock(
        api_key=key,
        aws_region=region,
        base_url=base_url,
        http_client=http_client(anthropic.DefaultAioHttpClient, timeout_seconds),
        max_retries=0,
        default_headers={HOP_HEADER: "1"},
    )


def vertex_client(
    key: str | None, region: str | None, project: str | None, base_url: str | None, timeout_seconds: float
) -> AsyncAnthropicVertex:
    """A client of Vertex AI; ``key`` is an access token, without it Google's default credentials are used.

    Raises ValueError when neither ``region`` nor the environment's ``CLOUD_ML_REGION`` says where.
    """
    return AsyncAnthropicVertex(
        access_token=key,
        region=region or anthropic.NOT_GIVEN,
        project_id=project or anthropic.NOT_GIVEN,
        base_url=base_url,
        http_client=http_client(anthropic.DefaultAioHttpClient, timeout_seconds),
        max_retries=0,
        default_headers={HOP_HEADER: "1"},
    )


def _headers(given: dict[str, str]) -> dict[str, str]:
    """The client's protocol headers that make sense upstream."""
    lower = {name.lower(): value for name, value in given.items()}
    kept: dict[str, str] = {}
    if (version := lower.get("anthropic-version")) in VERSIONS and version is not None:
        kept["anthropic-version"] = version
    betas = [beta.strip() for beta in lower.get("anthropic-beta", "").split(",")]
    if wanted := [beta for beta in betas if beta and not beta.startswith(OUR_BETAS)]:
        kept["anthropic-beta"] = ",".join(dict.fromkeys(wanted))
    return kept


def _body(request: SampleRequest, model: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        **request.parameters,
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "stream": True,
    }
    for name in ("system", "tools", "tool_choice", "stop_sequences"):
        if value := getattr(request, name):
            body[name] = value
    if not request.tools and (called := _called(request)):
        # Upstreams refuse calls in a conversation without any tools. The client has left its tools out by now.
        body["tools"] = [{"name": name, "input_schema": {"type": "object"}} for name in called]
        body["tool_choice"] = {"type": "none"}
    return body


def _called(request: SampleRequest) -> list[str]:
    """The names of the tools that the conversation holds calls of."""
    blocks = (block for message in request.messages for block in message.content)
    return list(dict.fromkeys(str(block["name"]) for block in blocks if block.get("type") == "tool_use"))


def _counted_body(request: SampleRequest, model: str) -> dict[str, Any]:
    body = _body(request, model)
    for name in (*request.parameters, "max_tokens", "stream", "stop_sequences"):
        if name not in _COUNTED:
            body.pop(name, None)
    return body


class _Mapping:
    """Maps the upstream's events to ours, keeping the usage that is cumulative over the whole message."""

    def __init__(self, upstream: Upstream, model: str) -> None:
        self._upstream = upstream
        self._model = model
        self._usage: dict[str, Any] = {}
        self.complete = False

    def _known(self, usage: Any) -> Usage:
        # Members may be null where the upstream does not count; ours are numbers always.
        given = usage if isinstance(usage, dict) else {}
        self._usage |= {name: value for name, value in given.items() if value is not None}
        return Usage.model_validate(self._usage)

    def events(self, data: Any) -> list[StreamEvent]:
        """Our events for one of the upstream's. Raises ServerError when it cannot be understood."""
        try:
            return self._events(data)
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            raise self._upstream.not_understood(f"{type(error).__name__} in {str(data)[:200]}") from error

    def _events(self, data: Any) -> list[StreamEvent]:  # noqa: PLR0911 - one per event
        match data["type"]:
            case "message_start":
                given = data["message"]
                message = Message(
                    id=given.get("id") or new_id("msg"),
                    model=given.get("model") or self._model,
                    content=[],
                    stop_reason=None,
                    stop_sequence=None,
                    usage=self._known(given.get("usage")),
                )
                return [MessageStart(message=message)]
            case "content_block_start":
                return self._block_start(data["index"], dict(data["content_block"]))
            case "content_block_delta":
                return [ContentBlockDelta(index=data["index"], delta=Delta.model_validate(data["delta"]))]
            case "content_block_stop":
                return [ContentBlockStop(index=data["index"])]
            case "message_delta":
                return [
                    MessageDelta(
                        delta=_stop(data["delta"]),
                        usage=self._known(data.get("usage")),
                        context_management=data.get("context_management"),
                    )
                ]
            case "message_stop":
                self.complete = True
                return [MessageStop()]
            case _:
                return []

    def _block_start(self, index: int, block: dict[str, Any]) -> list[StreamEvent]:
        kind = block["type"]
        if kind not in _PASSED_BLOCKS:
            raise TypeError(f"a block of type {kind}")
        if kind == "thinking":
            block.setdefault("signature", "")
        if kind != "tool_use":
            return [ContentBlockStart(index=index, content_block=_BLOCK.validate_python(block))]
        # Some compatible servers give the whole input here and no deltas.
        whole = block.get("input")
        block["input"] = {}
        start = ContentBlockStart(index=index, content_block=_BLOCK.validate_python(block))
        if not whole:
            return [start]
        piece = Delta.input_json(json.dumps(whole, ensure_ascii=False))
        return [start, ContentBlockDelta(index=index, delta=piece)]


_REASONS: Final = frozenset(
    ("end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded")
)


def _stop(delta: dict[str, Any]) -> StopDelta:
    # A reason that is not known yet still ends the turn.
    reason = delta.get("stop_reason")
    return StopDelta(
        stop_reason=reason if reason in _REASONS else "end_turn",
        stop_sequence=delta.get("stop_sequence"),
        stop_details=delta.get("stop_details"),
    )


class AnthropicModel:
    """A model behind the Messages API, by one of the SDK's clients. It owns the client.

    ``model`` is the name sent upstream; the client's own name when it is None.
    """

    def __init__(self, client: AnthropicClient, upstream: Upstream, *, model: str | None, max_retries: int) -> None:
        self._client = client
        self._upstream = upstream
        self._model = model
        self._max_retries = max_retries

    def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See ``Model.sample``."""
        return retried(lambda: self._attempt(request), self._max_retries)

    async def _open(self, request: SampleRequest) -> AsyncStream[object]:
        try:
            return await self._client.post(
                "/v1/messages",
                body=_body(request, self._model or request.model),
                options={"headers": _headers(request.headers)},
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except ValueError as error:
            # The clients of Bedrock and Vertex put the model's name into the address, and refuse some.
            raise self._upstream.refused(400, str(error), {}) from error

    async def _attempt(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        mapping = _Mapping(self._upstream, request.model)
        begun = False
        try:
            stream = await self._open(request)
            try:
                async for data in stream:
                    for event in mapping.events(data):
                        begun = True
                        yield event
            finally:
                await stream.close()
        except (anthropic.AnthropicError, *CONNECTION_FAILURES, ValueError) as error:
            raise self._meaning(error, begun=begun) from error
        if not mapping.complete:
            broken = self._upstream.broken_off()
            raise broken if begun else Transient(broken)

    def _meaning(self, error: Exception, *, begun: bool) -> Exception:
        """What a failure of the SDK's, or one below it, means to our client."""
        match error:
            case anthropic.APITimeoutError() | httpx2.TimeoutException():
                return self._upstream.too_slow()
            case anthropic.APIStatusError():
                return self._upstream.refused(error.status_code, error.body, error.response.headers)
            case anthropic.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError():
                return self._upstream.broken_off() if begun else self._upstream.unreachable(error)
            case _:
                return self._upstream.not_understood(str(error))

    async def count_tokens(self, request: SampleRequest) -> int:
        """See ``Model.count_tokens``. Estimated for Bedrock, whose client cannot ask, and servers that don't know."""
        if isinstance(self._client, AsyncAnthropicBedrock):
            return estimated_tokens(request)
        async with aclosing(retried(lambda: self._count(request), self._max_retries)) as counts:
            return await anext(counts)

    async def _count(self, request: SampleRequest) -> AsyncGenerator[int, None]:
        model = self._model or request.model
        try:
            answer = await self._client.post(
                "/v1/messages/count_tokens",
                body=_counted_body(request, model),
                options={"headers": _headers(request.headers)},
                cast_to=object,
            )
        except anthropic.APIStatusError as error:
            # A model that is not there is a 404 too, but its message says so.
            if error.status_code not in _COUNTS_NOTHING or "model" in str(error.body):
                raise self._meaning(error, begun=False) from error
            yield estimated_tokens(request)
            return
        except (anthropic.AnthropicError, *CONNECTION_FAILURES, ValueError) as error:
            raise self._meaning(error, begun=False) from error
        counted = answer.get("input_tokens") if isinstance(answer, dict) else None
        if not isinstance(counted, int) or counted < 0:
            raise self._upstream.not_understood(f"a count of tokens without input_tokens: {str(answer)[:200]}")
        yield max(1, counted)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
