"""A model server whose turns are written by the test: real HTTP and real SSE on loopback, in both protocols.

    with ScriptedUpstream() as upstream:
        upstream.play(Turn(Say("Let me look."), Call("bash_code_execution", {"command": "ls"})), Turn(Say("Done.")))
        ... point a client at upstream.url (Anthropic's protocol) or upstream.openai_url ...
        assert upstream.requests[0].body["model"] == "..."

Turns are played in order, one per request; ``respond`` takes a function instead. A server lives in a thread of its
own, so synchronous and asynchronous tests can use it, as can servers in other processes.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


@dataclass(frozen=True)
class Say:
    """A text block."""

    text: str


@dataclass(frozen=True)
class Think:
    """A thinking block; OpenAI's protocol carries it as ``reasoning_content``."""

    text: str
    signature: str = "c2lnbmVk"


@dataclass(frozen=True)
class Call:
    """A tool call; ``input`` may be a text, which is then sent as it is."""

    name: str
    input: dict[str, Any] | str
    id: str = "toolu_scripted1"

    @property
    def json(self) -> str:
        return self.input if isinstance(self.input, str) else json.dumps(self.input)


class Turn:
    """One answer: its blocks, and how it is told.

    ``piece`` is the length of the pieces of text and JSON. ``break_after`` closes the connection after so many
    events, ``hang_after`` keeps it open and silent, until ``resume`` is set if there is one. ``events`` replaces
    the rendered ones by raw ``data`` members (a text goes out as it is). ``error`` is told as an error event after
    the blocks.
    """

    def __init__(
        self,
        *blocks: Say | Think | Call,
        stop_reason: str | None = None,
        stop_sequence: str | None = None,
        piece: int = 8,
        break_after: int | None = None,
        hang_after: int | None = None,
        resume: threading.Event | None = None,
        events: list[dict[str, Any] | str] | None = None,
        error: dict[str, Any] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        self.blocks = blocks
        called = any(isinstance(block, Call) for block in blocks)
        self.stop_reason = stop_reason or ("tool_use" if called else "end_turn")
        self.stop_sequence = stop_sequence
        self.piece = piece
        self.break_after = break_after
        self.hang_after = hang_after
        self.resume = resume
        self.events = events
        self.error = error
        self.usage = {"input_tokens": 11, "output_tokens": 7} | (usage or {})


@dataclass(frozen=True)
class Failure:
    """An answer that is an error."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Recorded:
    """A request as it arrived; ``closed_early`` is set when the client went away before the end."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    closed_early: threading.Event = field(default_factory=threading.Event)


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def anthropic_events(turn: Turn, model: str) -> Iterator[dict[str, Any] | str]:
    """The turn in Anthropic's protocol (WIRE d)."""
    if turn.events is not None:
        yield from turn.events
        return
    message = {"id": "msg_scripted", "type": "message", "role": "assistant", "model": model, "content": []}
    opening = {"stop_reason": None, "stop_sequence": None, "usage": turn.usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": message | opening}
    yield {"type": "ping"}
    for index, block in enumerate(turn.blocks):
        match block:
            case Say(text=text):
                start: dict[str, Any] = {"type": "text", "text": "", "citations": None}
                deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(text, turn.piece)]
            case Think(text=text, signature=signature):
                start = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(text, turn.piece)]
                deltas.append({"type": "signature_delta", "signature": signature})
            case Call():
                start = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
                parts = ["", *_pieces(block.json, turn.piece)]
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if turn.error is not None:
        yield {"type": "error", "error": turn.error}
        return
    stop = {"stop_reason": turn.stop_reason, "stop_sequence": turn.stop_sequence}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": turn.usage["output_tokens"]}}
    yield {"type": "message_stop"}


_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}


def openai_chunks(turn: Turn, model: str) -> Iterator[dict[str, Any] | str]:
    """The turn in OpenAI's protocol, the way most servers send it."""
    if turn.events is not None:
        yield from turn.events
        return

    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    calls = 0
    for block in turn.blocks:
        match block:
            case Say(text=text):
                yield from (chunk({"content": piece}) for piece in _pieces(text, turn.piece))
            case Think(text=text):
                yield from (chunk({"reasoning_content": piece}) for piece in _pieces(text, turn.piece))
            case Call():
                opening = {"name": block.name, "arguments": ""}
                yield chunk({"tool_calls": [{"index": calls, "id": block.id, "type": "function", "function": opening}]})
                for piece in _pieces(block.json, turn.piece):
                    yield chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]})
                calls += 1
    if turn.error is not None:
        yield {"error": turn.error}
        return
    yield chunk({}, _FINISH.get(turn.stop_reason, turn.stop_reason))
    usage = {"prompt_tokens": turn.usage["input_tokens"], "completion_tokens": turn.usage["output_tokens"]}
    yield {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage}
    yield "[DONE]"


def _sse(event: dict[str, Any] | str, *, named: bool) -> bytes:
    if isinstance(event, str):
        return f"data: {event}\n\n".encode()
    name = f"event: {event['type']}\n" if named and "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def _aws_frame(event: dict[str, Any] | str) -> bytes:
    """One message of Amazon's event stream encoding: prelude, headers, payload, checksums."""
    raw = event if isinstance(event, str) else json.dumps(event)
    payload = json.dumps({"bytes": base64.b64encode(raw.encode()).decode()}).encode()
    names = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in names.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    whole = prelude + headers + payload
    return whole + struct.pack(">I", binascii.crc32(whole))


async def _silence(resume: threading.Event | None) -> None:
    """Wait for the test; looked at every few milliseconds, so that the wait ends with the client's going."""
    while resume is None or not resume.is_set():
        await asyncio.sleep(0.005)


class _Break(Exception):
    """Ends a response in the middle: the server closes the connection without the last chunk."""


class ScriptedUpstream:
    """See the module. ``split`` cuts every stream into chunks of so many bytes; ``models`` is what it lists."""

    def __init__(self, *, split: int | None = None, models: list[str] | None = None, port: int = 0) -> None:
        self.split = split
        self.models = models if models is not None else ["scripted-1"]
        self.requests: list[Recorded] = []
        self.respond: Callable[[dict[str, Any]], Turn | Failure] | None = None
        self._script: deque[Turn | Failure] = deque()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        app = Starlette(
            routes=[
                Route("/v1/models", self._list_models),
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._messages, methods=["POST"]),
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
                Route("/model/{model:path}/invoke-with-response-stream", self._bedrock, methods=["POST"]),
                Route("/projects/{rest:path}", self._messages, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="scripted-upstream")

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._socket]))

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """The base URL for Anthropic's protocol."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI's protocol."""
        return f"{self.url}/v1"

    def play(self, *turns: Turn | Failure) -> Self:
        """Queue answers, one per request."""
        self._script.extend(turns)
        return self

    def fail(
        self, status: int, *, times: int = 1, message: str | None = None, headers: dict[str, str] | None = None
    ) -> Self:
        """Queue errors with a body as both protocols have it."""
        error = {"type": "scripted_error", "message": message or f"scripted {status}"}
        body = {"type": "error", "error": error}
        self._script.extend(Failure(status, body, headers or {}) for _ in range(times))
        return self

    def count(self, tokens: int) -> Self:
        """Queue the answer to a question for the number of tokens."""
        self._script.append(Failure(200, {"input_tokens": tokens}))
        return self

    def clear(self) -> None:
        """Forget the script and what was recorded."""
        self._script.clear()
        self.requests.clear()
        self.respond = None

    def __enter__(self) -> Self:
        # The socket listens at once: a client that connects before the server runs waits in its queue.
        self._socket.listen(128)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _list_models(self, _: Request) -> Response:
        listed = [{"id": name, "object": "model", "owned_by": "test"} for name in self.models]
        return JSONResponse({"object": "list", "data": listed})

    async def _next(self, request: Request) -> tuple[Recorded, Turn | Failure]:
        body = await request.json()
        recorded = Recorded(request.url.path, dict(request.headers), body)
        self.requests.append(recorded)
        if self.respond is not None:
            return recorded, self.respond(body)
        if not self._script:
            return recorded, Failure(500, {"error": {"type": "api_error", "message": "the script is at its end"}})
        return recorded, self._script.popleft()

    async def _messages(self, request: Request) -> Response:
        recorded, turn = await self._next(request)
        if isinstance(turn, Failure):
            return JSONResponse(turn.body, turn.status, turn.headers)
        model = str(recorded.body.get("model", ""))
        frames = [_sse(event, named=True) for event in anthropic_events(turn, model)]
        return self._stream(recorded, turn, frames, "text/event-stream")

    async def _bedrock(self, request: Request) -> Response:
        recorded, turn = await self._next(request)
        if isinstance(turn, Failure):
            return JSONResponse(turn.body, turn.status, turn.headers)
        model = request.path_params["model"]
        frames = [_aws_frame(event) for event in anthropic_events(turn, model)]
        return self._stream(recorded, turn, frames, "application/vnd.amazon.eventstream")

    async def _completions(self, request: Request) -> Response:
        recorded, turn = await self._next(request)
        if isinstance(turn, Failure):
            return JSONResponse(turn.body, turn.status, turn.headers)
        frames = [_sse(event, named=False) for event in openai_chunks(turn, str(recorded.body.get("model", "")))]
        return self._stream(recorded, turn, frames, "text/event-stream")

    def _stream(self, recorded: Recorded, turn: Turn, frames: list[bytes], media_type: str) -> Response:
        async def body() -> AsyncIterator[bytes]:
            finished = False
            try:
                for number, frame in enumerate(frames):
                    if number == turn.break_after:
                        finished = True
                        raise _Break
                    if number == turn.hang_after:
                        await _silence(turn.resume)
                    step = self.split or len(frame)
                    for start in range(0, len(frame), step):
                        yield frame[start : start + step]
                finished = True
            finally:
                if not finished:
                    recorded.closed_early.set()

        return StreamingResponse(body(), media_type=media_type)
