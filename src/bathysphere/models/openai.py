"""Models behind any OpenAI-compatible endpoint: OpenAI, vLLM, llama.cpp, Ollama, LM Studio and the like."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from pydantic import ValidationError

from bathysphere.models.base import HOP_HEADER, SampleRequest
from bathysphere.models.connections import CONNECTION_FAILURES, http_client
from bathysphere.models.estimating import estimated_tokens
from bathysphere.models.failures import Transient, Upstream
from bathysphere.models.openai_chunks import ChunkTranslation
from bathysphere.models.openai_messages import chat_request
from bathysphere.models.retrying import retried
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.events import StreamEvent

_TOO_LONG: Final = re.compile(
    r"context[ _](length|size|window)|maximum context|available context|prompt is too long", re.I
)


def openai_client(key: str | None, base_url: str | None, timeout_seconds: float) -> AsyncOpenAI:
    """A client; OpenAI's own address when ``base_url`` is None. Local servers ask for no key, but the SDK does."""
    return AsyncOpenAI(
        api_key=key or "none",
        base_url=base_url,
        http_client=http_client(openai.DefaultAioHttpClient, timeout_seconds),
        max_retries=0,
        default_headers={HOP_HEADER: "1"},
    )


def _never_connected(error: BaseException) -> bool:
    """The SDK's transport takes a connection that was refused for one that took too long."""
    cause = error.__cause__
    return cause is not None and isinstance(cause.__cause__, aiohttp.ClientConnectorError)


def _adapted(body: dict[str, Any], complaint: str) -> dict[str, Any] | None:
    """The body without what a server has just complained of; None when nothing can be done about it."""
    changed = dict(body)
    if "stream_options" in body and "stream_options" in complaint:
        del changed["stream_options"]
    elif "max_tokens" in body and "max_completion_tokens" in complaint:
        changed["max_completion_tokens"] = changed.pop("max_tokens")
    elif "max_completion_tokens" in body and "max_completion_tokens" in complaint:
        changed["max_tokens"] = changed.pop("max_completion_tokens")
    elif "parallel_tool_calls" in body and "parallel_tool_calls" in complaint:
        del changed["parallel_tool_calls"]
    else:
        return None
    return changed


class OpenAIModel:
    """A model behind ``/chat/completions``. It owns the client.

    ``model`` is the name sent upstream; the client's own name when it is None.
    """

    def __init__(self, client: AsyncOpenAI, upstream: Upstream, *, model: str | None, max_retries: int) -> None:
        self._client = client
        self._upstream = upstream
        self._model = model
        self._max_retries = max_retries
        self._official = urlsplit(str(client.base_url)).hostname == "api.openai.com"

    def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """See ``Model.sample``. InvalidRequest also for content that this protocol cannot carry."""
        return retried(lambda: self._attempt(request), self._max_retries)

    async def _open(self, body: dict[str, Any]) -> AsyncStream[object]:
        while True:
            try:
                return await self._client.post(
                    "/chat/completions", body=body, cast_to=object, stream=True, stream_cls=AsyncStream[object]
                )
            except openai.BadRequestError as error:
                adapted = _adapted(body, str(error.body or error.message))
                if adapted is None:
                    raise
                body = adapted

    def _refused(self, status: int, body: object, headers: httpx2.Headers) -> Exception:
        refusal = self._upstream.refused(status, body, headers)
        told = refusal.error if isinstance(refusal, Transient) else refusal
        if status not in (401, 403, 429) and _TOO_LONG.search(told.message):
            return InvalidRequest(f"prompt is too long: {told.message}")
        return refusal

    async def _attempt(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        body = chat_request(request, self._model or request.model, official=self._official)
        thinking = (request.parameters.get("thinking") or {}).get("type") in ("enabled", "adaptive")
        translation = ChunkTranslation(request.model, with_thinking=thinking, stop_sequences=request.stop_sequences)
        begun = False
        try:
            stream = await self._open(body)
            try:
                async for data in stream:
                    for event in self._events(translation, data):
                        begun = True
                        yield event
            finally:
                await stream.close()
        except (openai.OpenAIError, *CONNECTION_FAILURES, ValueError) as error:
            # What follows the reason for stopping is only usage: an answer without it is still whole.
            if not (translation.ended and isinstance(error, (openai.APIConnectionError, *CONNECTION_FAILURES))):
                raise self._meaning(error, begun=begun) from error
        if not translation.ended:
            broken = self._upstream.broken_off()
            raise broken if begun else Transient(broken)
        for event in translation.finish():
            yield event

    def _events(self, translation: ChunkTranslation, data: object) -> list[StreamEvent]:
        try:
            if not isinstance(data, dict):
                raise TypeError("a chunk that is no object")
            return translation.chunk(data)
        except (ValidationError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._upstream.not_understood(f"{type(error).__name__} in {str(data)[:200]}") from error

    def _meaning(self, error: Exception, *, begun: bool) -> Exception:
        """What a failure of the SDK's, or one below it, means to our client."""
        match error:
            case openai.APITimeoutError() if _never_connected(error):
                return self._upstream.unreachable(error)
            case openai.APITimeoutError() | httpx2.TimeoutException():
                return self._upstream.too_slow()
            case openai.APIStatusError():
                return self._refused(error.status_code, error.body, error.response.headers)
            case openai.APIConnectionError() | httpx2.HTTPError() | aiohttp.ClientError():
                return self._upstream.broken_off() if begun else self._upstream.unreachable(error)
            case openai.APIError():
                # An error inside the stream: its body may carry an HTTP status as ``code``.
                code = error.body.get("code") if isinstance(error.body, dict) else None
                status = code if isinstance(code, int) and 400 <= code < 600 else 500
                return self._refused(status, error.body or error.message, httpx2.Headers())
            case _:
                return self._upstream.not_understood(str(error))

    async def count_tokens(self, request: SampleRequest) -> int:
        """See ``Model.count_tokens``; estimated, since this protocol has no way to ask."""
        return estimated_tokens(request)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()
