"""The interface to a model: "here is the conversation and the tools, sample"."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from bathysphere.wire.events import StreamEvent

HOP_HEADER: Final = "x-bathysphere-hop"
"""Sent with every request to an upstream, so that a server whose upstream is itself finds out."""


@dataclass(frozen=True, slots=True)
class UpstreamMessage:
    """A message as an ordinary model understands it: no server tools, no containers.

    ``content`` holds wire blocks as JSON, of the types ``text``, ``image``, ``document``, ``search_result``,
    ``thinking``, ``redacted_thinking``, ``tool_use`` and ``tool_result``. Calls of sub-tools stand there as
    ``tool_use`` and their results as ``tool_result`` in a user message of their own, each call answered.
    """

    role: Literal["user", "assistant", "system"]
    content: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One sampling.

    ``model`` is the name the client sent; an implementation replaces it by the configured one. ``tools`` are
    wire JSON: ordinary client tools with ``name``, ``description`` and ``input_schema`` (the sub-tools among
    them), or client tools with a ``type`` of Anthropic's. ``parameters`` holds the request's other members that
    an upstream may understand (``temperature``, ``thinking``, ``metadata``, ``output_config`` ...), as they came.
    ``headers`` are the client's ``anthropic-version`` and ``anthropic-beta`` for upstreams of the same protocol.
    """

    model: str
    max_tokens: int
    messages: list[UpstreamMessage]
    system: list[dict[str, Any]] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    tool_choice: dict[str, Any] | None = None
    stop_sequences: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Model(Protocol):
    """A model that can be sampled. Implementations hold no state of a conversation and may be used concurrently."""

    def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        """Sample once; the events of one message, as WIRE d orders them, passed on as they arrive.

        Blocks are ``text``, ``thinking``, ``redacted_thinking`` and ``tool_use`` (never server tools), indexes
        count from 0, the joined ``partial_json`` of a ``tool_use`` is whatever the model wrote: the caller
        checks it. ``message_start`` carries the usage known by then, ``message_delta`` the cumulative one.

        Raises ``wire.errors.ApiError`` subclasses, before the first event or between events: what the upstream
        refused keeps its type and message; 429, 5xx and 529 have been retried before the first event. Closing
        the iterator early ends the upstream's request.
        """

    async def count_tokens(self, request: SampleRequest) -> int:
        """How many input tokens ``sample`` would be charged for this request; at least 1.

        The upstream is asked where its protocol can tell, else it is estimated (``models.estimating``), so that
        there is always an answer. ``max_tokens`` and ``stop_sequences`` don't matter. Raises as ``sample``.
        """

    async def close(self) -> None:
        """Close connections."""
