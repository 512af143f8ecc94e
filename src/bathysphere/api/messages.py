"""``POST /v1/messages`` (WIRE c, d)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from bathysphere.api.acting import Acting
from bathysphere.api.attempts import attempt, idempotency_key
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.described import event_stream, failures
from bathysphere.api.disconnecting import unless_gone
from bathysphere.api.observing import note_model
from bathysphere.api.request_id import answer_headers, request_id
from bathysphere.api.services import Services, Serving
from bathysphere.api.shared_turn import SharedTurn
from bathysphere.api.sse import HEADERS, MEDIA_TYPE, EventStream
from bathysphere.api.turns import TurnWork, forwarded
from bathysphere.models.base import HOP_HEADER
from bathysphere.telemetry import tracing
from bathysphere.turn.fold import fold
from bathysphere.wire.errors import InvalidRequest, RateLimited
from bathysphere.wire.events import StreamEvent
from bathysphere.wire.message import Message
from bathysphere.wire.requests import MessagesRequest

QUOTA_WARNING: Final = "bathysphere-quota-warning"
"""The header of an answer that says which quota is nearly used up."""

router = APIRouter(tags=["messages"], route_class=ProtectedRoute)

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": Message,
        "description": "The message; or, with `stream`, its events.",
        "content": event_stream(
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ),
    },
    **failures(402, 403, 404, 409, 413, 429, 504, 529),
}


@router.post("/v1/messages", response_model=None, responses=_ANSWERS)
async def create_message(request: Request, body: MessagesRequest, serving: Serving, acting: Acting) -> Response:
    """Sample a message, with code execution where the model asks for it; streamed when ``stream`` is true."""
    if HOP_HEADER in request.headers:
        raise InvalidRequest(
            "This request comes from a bathysphere, so a `base_url` of its models points to one, perhaps to itself. "
            "Point it to the model."
        )
    note_model(request.scope, body.model)
    work = TurnWork(serving, acting, body, forwarded(request.headers))
    if warning := serving.containers.quotas.warning(acting):
        answer_headers(request.scope)[QUOTA_WARNING] = warning
    if not work.can_run_code and idempotency_key(request) is None:
        serving.rate_limits.request(acting, answer_headers(request.scope))
        return await _answer_once(request, body, serving, work.events())
    this = await attempt(request, acting)
    turn = await serving.retries.find(this)
    if turn is None:
        try:
            serving.rate_limits.request(acting, answer_headers(request.scope))
        except RateLimited:
            serving.retries.failed(this)
            raise
        if work.container_id is not None:
            serving.retries.give_way(this.owner, work.container_id)
        turn = serving.retries.begin(this, work, streamed=bool(body.stream))
    else:
        tracing.current().set(answered_by=turn.request_id)
    try:
        return await _answer_shared(request, serving, turn)
    except Exception:
        if turn.leaves_traces:
            # An SDK would send it again by itself, and have the code run twice.
            answer_headers(request.scope)["x-should-retry"] = "false"
        raise


async def _answer_once(
    request: Request, body: MessagesRequest, serving: Services, events: AsyncGenerator[StreamEvent, None]
) -> Response:
    """The answer of a turn that ends with its client."""
    if body.stream:
        return await _streamed(request, serving, events)
    message = await unless_gone(request, fold(events), serving.draining)
    return JSONResponse(message.wire())


async def _answer_shared(request: Request, serving: Services, turn: SharedTurn) -> Response:
    """The answer of a turn that may have begun with an earlier try of the request, and may go on for the next one."""
    if not turn.streamed:
        whole = await unless_gone(request, turn.whole(), serving.draining)
        return Response(whole, media_type="application/json")
    if turn.answer is not None:
        return Response(
            await unless_gone(request, turn.whole(), serving.draining), media_type=MEDIA_TYPE, headers=HEADERS
        )
    return await _streamed(request, serving, turn.events())


async def _streamed(
    request: Request, serving: Services, events: AsyncGenerator[StreamEvent, None]
) -> StreamingResponse:
    stream = EventStream(events, request_id(request.scope), serving.settings.turn.ping_seconds, serving.draining)
    await stream.begin()
    return StreamingResponse(stream.body(), media_type=MEDIA_TYPE, headers=HEADERS)
