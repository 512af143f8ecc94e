"""Message Batches (WIRE f): create, list, show, cancel, delete, and the results."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.batch_upload import receive_batch
from bathysphere.api.described import cursors, failures
from bathysphere.api.public_url import public_url
from bathysphere.api.services import Storage, Storing
from bathysphere.settings import BatchSettings
from bathysphere.store import batches
from bathysphere.store.batches import Batch, Page
from bathysphere.store.database import Database
from bathysphere.wire.batches import (
    CUSTOM_ID,
    LIST_LIMIT,
    LIST_LIMIT_DEFAULT,
    REQUESTS,
    RESULTS_MEDIA_TYPE,
    MessageBatch,
    MessageBatchDeleted,
    MessageBatchList,
    RequestCounts,
)
from bathysphere.wire.errors import InvalidRequest, NotFound

PREFIX: Final = "/v1/messages/batches"
"""The one path of this API whose body is streamed, and has a bound of its own."""

router = APIRouter(prefix=PREFIX, tags=["message batches"], route_class=ProtectedRoute, responses=failures())

_SHOWN_ID: Final = 100
_LIMIT_TEXT: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)

_PAGE_BYTES: Final = 4 * 1024 * 1024
_FIRST_PAGE: Final = 20
_LARGEST_PAGE: Final = 500

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["requests"],
                "properties": {
                    "requests": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": REQUESTS,
                        "items": {
                            "type": "object",
                            "required": ["custom_id", "params"],
                            "properties": {
                                "custom_id": {"type": "string", "pattern": f"^{CUSTOM_ID.pattern}$"},
                                "params": {"type": "object", "description": "those of a message"},
                            },
                        },
                    }
                },
            }
        }
    },
}


@router.post("", openapi_extra={"requestBody": _BODY}, responses=failures(413, 429))
async def create_batch(request: Request, caller: Caller, storing: Storing) -> MessageBatch:
    """Take up to 100 000 requests, to be run one after the other. Their params are checked when they are run."""
    batch = await receive_batch(request, caller, storing)
    storing.batches_waiting.set()
    return _shown(batch, request, storing.settings.batches)


@router.get("", openapi_extra={"parameters": cursors("batches", *LIST_LIMIT, LIST_LIMIT_DEFAULT)})
async def list_batches(request: Request, caller: Caller, storing: Storing) -> MessageBatchList:
    """The batches of the workspace, newest first."""
    page = await _page(request, caller.workspace_id, storing)
    data = [_shown(batch, request, storing.settings.batches) for batch in page.batches]
    return MessageBatchList(
        data=data,
        has_more=page.more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )


@router.get("/{message_batch_id}", responses=failures(404))
async def show_batch(message_batch_id: str, request: Request, caller: Caller, storing: Storing) -> MessageBatch:
    """How a batch stands."""
    return _shown(await _found(storing, caller.workspace_id, message_batch_id), request, storing.settings.batches)


@router.post("/{message_batch_id}/cancel", responses=failures(404))
async def cancel_batch(message_batch_id: str, request: Request, caller: Caller, storing: Storing) -> MessageBatch:
    """Let no more requests of a batch begin; those that run go on to their end. Twice, or too late, is no error."""
    batch = await batches.cancel(storing.database, caller.workspace_id, message_batch_id)
    if batch is None:
        raise _not_found(message_batch_id)
    return _shown(batch, request, storing.settings.batches)


@router.delete("/{message_batch_id}", responses=failures(404))
async def delete_batch(message_batch_id: str, caller: Caller, storing: Storing) -> MessageBatchDeleted:
    """Remove a batch that has ended, and its results."""
    batch = await batches.delete(storing.database, caller.workspace_id, message_batch_id)
    if batch is None:
        raise _not_found(message_batch_id)
    if batch.ended_at is None:
        raise InvalidRequest(
            f"Message batch `{batch.id}` cannot be deleted while it is being processed. Cancel it, and delete it "
            "when it has ended."
        )
    return MessageBatchDeleted(id=batch.id)


@router.get(
    "/{message_batch_id}/results",
    response_class=Response,
    responses={
        200: {"content": {RESULTS_MEDIA_TYPE: {}}, "description": "one JSON object a line"},
        **failures(404),
    },
)
async def batch_results(message_batch_id: str, caller: Caller, storing: Storing) -> Response:
    """A line of JSON for each request of a batch that has ended."""
    batch = await _found(storing, caller.workspace_id, message_batch_id)
    if batch.ended_at is None:
        raise InvalidRequest(f"Message batch `{batch.id}` has no results yet: it has not ended.")
    if batch.archived_at is not None:
        raise NotFound(
            f"The results of message batch `{batch.id}` are gone: they are kept for "
            f"{storing.settings.batches.results_days:g} days."
        )
    return StreamingResponse(
        _lines(storing.database, batch),
        media_type=RESULTS_MEDIA_TYPE,
        headers={
            "content-disposition": f'attachment; filename="{batch.id}_results.jsonl"',
            "x-content-type-options": "nosniff",
        },
    )


async def _lines(database: Database, batch: Batch) -> AsyncIterator[str]:
    """The results, a few megabytes in memory at a time. Raises LookupError, which cuts the answer, when some go."""
    after = sent = 0
    limit = _FIRST_PAGE
    while sent < batch.requests:
        found = await batches.results(database, batch.id, after, limit)
        if not found:
            raise LookupError(f"the results of {batch.id} were removed while they were read")
        lines = [
            f'{{"custom_id":"{row.custom_id}","result":{row.result or _without_running(row.state)}}}\n' for row in found
        ]
        page = "".join(lines)
        yield page
        after = found[-1].number
        sent += len(found)
        limit = max(1, min(_LARGEST_PAGE, _PAGE_BYTES * len(found) // len(page)))


def _without_running(state: str) -> str:
    return f'{{"type":"{state}"}}'


async def _found(storing: Storage, workspace_id: str, batch_id: str) -> Batch:
    batch = await batches.get(storing.database, workspace_id, batch_id)
    if batch is None:
        raise _not_found(batch_id)
    return batch


def _not_found(batch_id: str) -> NotFound:
    return NotFound(f"Message batch `{batch_id[:_SHOWN_ID]}` not found.")


async def _page(request: Request, workspace_id: str, storing: Storage) -> Page:
    query = request.query_params
    limit = _limit(query.get("limit"))
    cursors = [name for name in ("before_id", "after_id") if name in query]
    if len(cursors) > 1:
        raise InvalidRequest("before_id: cannot be combined with after_id")
    if not cursors:
        return await batches.older(storing.database, workspace_id, limit)
    at = await batches.get(storing.database, workspace_id, query[cursors[0]])
    if at is None:
        raise InvalidRequest(f"{cursors[0]}: Message batch `{query[cursors[0]][:_SHOWN_ID]}` not found.")
    if cursors[0] == "before_id":
        return await batches.newer(storing.database, workspace_id, limit, at)
    return await batches.older(storing.database, workspace_id, limit, at)


def _limit(text: str | None) -> int:
    if text is None:
        return LIST_LIMIT_DEFAULT
    least, most = LIST_LIMIT
    if not _LIMIT_TEXT.fullmatch(text):
        raise InvalidRequest("limit: Input should be a valid integer")
    if int(text) < least:
        raise InvalidRequest(f"limit: Input should be greater than or equal to {least}")
    if int(text) > most:
        raise InvalidRequest(f"limit: Input should be less than or equal to {most}")
    return int(text)


def _shown(batch: Batch, request: Request, settings: BatchSettings) -> MessageBatch:
    if batch.ended_at is None:
        counts = RequestCounts(processing=batch.requests)
    else:
        counts = RequestCounts(
            processing=0,
            succeeded=batch.succeeded,
            errored=batch.errored,
            canceled=batch.canceled,
            expired=batch.expired,
        )
    readable = batch.ended_at is not None and batch.archived_at is None
    return MessageBatch(
        id=batch.id,
        processing_status="ended" if batch.ended_at else "canceling" if batch.cancel_initiated_at else "in_progress",
        request_counts=counts,
        created_at=batch.created_at,
        expires_at=batch.expires_at,
        ended_at=batch.ended_at,
        archived_at=batch.archived_at,
        cancel_initiated_at=batch.cancel_initiated_at,
        results_url=public_url(request, f"{PREFIX}/{batch.id}/results", settings) if readable else None,
    )
