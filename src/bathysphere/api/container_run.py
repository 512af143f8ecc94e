"""Running a command in a container, with its output live or at the end."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from bathysphere.api.acting import Acting
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.container_failures import as_answers
from bathysphere.api.container_shapes import RunEnd, RunOutput, RunRequest, RunResult, ended
from bathysphere.api.containers import PREFIX, ContainerId
from bathysphere.api.described import event_stream, failures
from bathysphere.api.disconnecting import unless_gone
from bathysphere.api.request_id import request_id
from bathysphere.api.services import Serving
from bathysphere.api.sse import HEADERS, MEDIA_TYPE, EventStream
from bathysphere.containers.container import CommandEnd, Container
from bathysphere.containers.host import Command
from bathysphere.host.operations import LARGEST_SOURCE
from bathysphere.wire.errors import InvalidRequest

router = APIRouter(prefix=PREFIX, tags=["containers"], route_class=ProtectedRoute)

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": RunResult,
        "description": (
            "The whole run; or, with `stream`, the events `run_output` (RunOutput), `ping`, and at the end `run_end` "
            "(RunEnd) or `error`."
        ),
        "content": event_stream("run_output", "run_end"),
    },
    **failures(404, 413, 429, 529),
}


@router.post("/{container_id}/run", response_model=None, responses=_ANSWERS)
async def run_in_container(
    container_id: ContainerId, body: RunRequest, request: Request, acting: Acting, serving: Serving
) -> Response:
    """Run a command and get what it wrote, how it ended and which files it produced.

    Calls to one container are carried out one after the other. When the client goes away, the command is ended.
    """
    command = _command(body, serving.settings.sandbox.command_seconds)
    container = await serving.containers.open(acting, container_id)
    if body.stream:
        seconds = serving.settings.turn.ping_seconds
        stream = EventStream(_live(container, command), request_id(request.scope), seconds, serving.draining)
        await stream.begin()
        return StreamingResponse(stream.body(), media_type=MEDIA_TYPE, headers=HEADERS)
    result = await unless_gone(request, _whole(container, command), serving.draining)
    return Response(result.model_dump_json(), media_type="application/json")


def _command(body: RunRequest, most_seconds: float) -> Command:
    seconds = most_seconds if body.timeout_seconds is None else body.timeout_seconds
    if seconds > most_seconds:
        raise InvalidRequest(f"timeout_seconds: Input should be less than or equal to {most_seconds:g}")
    if len(body.source.encode("utf-8", "replace")) > LARGEST_SOURCE:
        raise InvalidRequest(f"source: at most {LARGEST_SOURCE} bytes")
    return Command(body.language, body.source, seconds)


async def _whole(container: Container, command: Command) -> RunResult:
    with as_answers():
        stdout, stderr, end = await container.collect(command)
    return RunResult(stdout=stdout, stderr=stderr, **ended(end))


async def _live(container: Container, command: Command) -> AsyncGenerator[BaseModel, None]:
    # A character may be cut by the end of a chunk; its beginning waits for the next one of the same stream.
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
    with as_answers():
        async with aclosing(container.stream(command)) as stream:
            async for item in stream:
                if not isinstance(item, CommandEnd):
                    if text := decoders[item.stream].decode(item.data):
                        yield RunOutput(stream=item.stream, text=text)
                    continue
                for name in ("stdout", "stderr"):
                    if text := decoders[name].decode(b"", final=True):
                        yield RunOutput(stream="stdout" if name == "stdout" else "stderr", text=text)
                yield RunEnd(**ended(item))
