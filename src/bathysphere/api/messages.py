"""``POST /v1/messages`` (WIRE c, d)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from bathysphere.api.acting import Acting
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.disconnecting import unless_gone
from bathysphere.api.request_id import request_id
from bathysphere.api.services import Serving
from bathysphere.api.sse import HEADERS, MEDIA_TYPE, EventStream
from bathysphere.api.turns import begin_turn, forwarded
from bathysphere.models.base import HOP_HEADER
from bathysphere.turn.fold import fold
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import MessagesRequest

router = APIRouter(route_class=ProtectedRoute)


@router.post("/v1/messages")
async def create_message(request: Request, body: MessagesRequest, serving: Serving, acting: Acting) -> Response:
    """Sample a message, with code execution where the model asks for it; streamed when ``stream`` is true."""
    if HOP_HEADER in request.headers:
        raise InvalidRequest(
            "This request comes from a bathysphere, so a `base_url` of its models points to one, perhaps to itself. "
            "Point it to the model."
        )
    events = await begin_turn(serving, acting, body, forwarded(request.headers))
    if body.stream:
        stream = EventStream(events, request_id(request.scope), serving.settings.turn.ping_seconds)
        await stream.begin()
        return StreamingResponse(stream.body(), media_type=MEDIA_TYPE, headers=HEADERS)
    message = await unless_gone(request, fold(events))
    return JSONResponse(message.wire())
