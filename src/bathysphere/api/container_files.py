"""Files of any path in a container, uploaded and downloaded as a stream of plain bytes."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from bathysphere.api.acting import Acting
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.container_failures import as_answers
from bathysphere.api.container_shapes import Written
from bathysphere.api.containers import PREFIX, USED, ContainerId
from bathysphere.api.described import failures
from bathysphere.api.files import content_disposition
from bathysphere.api.services import Serving
from bathysphere.containers.host import HostError
from bathysphere.containers.loggable import loggable
from bathysphere.wire.errors import TooLarge

_log = logging.getLogger(__name__)

router = APIRouter(prefix=PREFIX, tags=["containers"], route_class=ProtectedRoute, responses=USED)

STREAMED: Final = r"/bathysphere/v1/containers/[^/]+/files"
"""The paths, as a regular expression, whose bodies are not read whole."""

_BYTES: Final[dict[str, Any]] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}

FilePath = Annotated[
    str,
    Query(
        min_length=1,
        max_length=4095,
        description="absolute, or relative to /home/user; `~`, `$INPUT_DIR` and `$OUTPUT_DIR` are put in",
    ),
]


@router.put(
    "/{container_id}/files",
    openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
    responses=failures(413),
)
async def upload_to_container(
    container_id: ContainerId, path: FilePath, request: Request, acting: Acting, serving: Serving
) -> Written:
    """Write a file: the body is its content. Missing directories are made; a file of that path is replaced.

    It appears whole or not at all. With the rights of the container's user, so only where its programs may write.
    """
    limit = serving.settings.sandbox.disk_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise TooLarge(f"The file is too large: a container's disk has {limit} bytes.")
    container = await serving.containers.open(acting, container_id)
    try:
        with as_answers():
            size = await container.upload(path, _body(request))
    except ConnectionAbortedError as error:
        raise ClientDisconnect from error
    return Written(path=path, size_bytes=size)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ConnectionAbortedError("the client went away in the middle of an upload") from error


@router.get(
    "/{container_id}/files",
    response_class=StreamingResponse,
    responses={200: {"content": _BYTES, "description": "The file's bytes."}},
)
async def download_from_container(
    container_id: ContainerId, path: FilePath, acting: Acting, serving: Serving
) -> Response:
    """Read a regular file that the container's user may read."""
    container = await serving.containers.open(acting, container_id)
    content = container.download(path)
    try:
        with as_answers():
            size = await anext(content)
    except BaseException:
        await content.aclose()
        raise
    assert isinstance(size, int), "a download begins with its size"
    return _Content(content, size, PurePosixPath(path).name or "file")


class _Content(StreamingResponse):
    """A file on its way out; the container is let go of whatever happens to the connection."""

    def __init__(self, content: AsyncGenerator[int | bytes, None], size: int, name: str) -> None:
        super().__init__(
            self._chunks(content),
            headers={
                "content-type": "application/octet-stream",
                "content-length": str(size),
                "content-disposition": content_disposition(name),
                # Made by a model's code: no browser shall take it for a page of this server.
                "x-content-type-options": "nosniff",
                "content-security-policy": "sandbox",
            },
        )
        self._content = content

    async def _chunks(self, content: AsyncGenerator[int | bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(content):
            async for item in content:
                assert isinstance(item, bytes)
                yield item

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        except HostError as error:
            # Too late for an answer: that it is cut short is told by the end of the connection.
            _log.warning("a download was broken off: %s", loggable(error))
        finally:
            await self._content.aclose()
