"""A proxy that passes everything on and looks at nothing: what speaking HTTP twice in Python costs by itself.

python -m bench.streams.proxy PORT UPSTREAM_PORT
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_CONNECTION = ("host", "transfer-encoding", "connection")
"""Headers that are about one of the two connections only."""


def application(upstream_port: int) -> Starlette:
    """The proxy, as an ASGI application."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=1024)
    client = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{upstream_port}", limits=limits, timeout=120)

    async def messages(request: Request) -> StreamingResponse:
        headers = {name: value for name, value in request.headers.items() if name not in _CONNECTION}
        sent = client.build_request("POST", request.url.path, headers=headers, content=await request.body())
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async with aclosing(answer):
                async for piece in answer.aiter_raw():
                    yield piece

        kept = {name: value for name, value in answer.headers.items() if name not in _CONNECTION}
        return StreamingResponse(body(), answer.status_code, kept)

    return Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])


if __name__ == "__main__":
    uvicorn.run(
        application(int(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False
    )
