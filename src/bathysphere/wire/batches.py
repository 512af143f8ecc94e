"""Message Batches as the protocol has them (WIRE f)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, PlainSerializer

from bathysphere.wire.errors import ApiError, InvalidRequest
from bathysphere.wire.message import timestamp

REQUESTS: Final = 100_000
CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
LIST_LIMIT: Final = (1, 1_000)
LIST_LIMIT_DEFAULT: Final = 20
RESULTS_MEDIA_TYPE: Final = "application/x-jsonl"

Status = Literal["in_progress", "canceling", "ended"]
Outcome = Literal["succeeded", "errored", "canceled", "expired"]

_Moment = Annotated[datetime, PlainSerializer(timestamp, return_type=str)]

_SHOWN: Final = 100


class RequestCounts(BaseModel):
    """How the requests of a batch stand. Until it ends, all of them are ``processing``."""

    processing: int
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class MessageBatch(BaseModel):
    """A batch: always with all ten members."""

    id: str
    type: Literal["message_batch"] = "message_batch"
    processing_status: Status
    request_counts: RequestCounts
    created_at: _Moment
    expires_at: _Moment
    ended_at: _Moment | None
    archived_at: _Moment | None
    cancel_initiated_at: _Moment | None
    results_url: str | None


class MessageBatchList(BaseModel):
    """A page of the list, newest first."""

    data: list[MessageBatch]
    has_more: bool
    first_id: str | None
    last_id: str | None


class MessageBatchDeleted(BaseModel):
    """The answer to a deletion."""

    id: str
    type: Literal["message_batch_deleted"] = "message_batch_deleted"


class BatchRequest(BaseModel):
    """One request of a batch. ``params`` are those of a message; they are checked when it is run."""

    custom_id: str = Field(pattern=f"^{CUSTOM_ID.pattern}$")
    params: dict[str, Any]


def check_params(params: dict[str, Any]) -> None:
    """Refuse what a message may have and a request of a batch may not (WIRE f). Raises InvalidRequest."""
    if params.get("stream"):
        raise InvalidRequest("stream: not allowed in a batch")
    if params.get("max_tokens") == 0:
        raise InvalidRequest("max_tokens: Input should be greater than or equal to 1 in a batch")
    if params.get("speed") == "fast":
        raise InvalidRequest("speed: `fast` is not allowed in a batch")
    if params.get("thread") is not None:
        raise InvalidRequest("thread: not allowed in a batch", error_code="thread_unsupported_request")


def succeeded(message: dict[str, Any]) -> dict[str, Any]:
    """The ``result`` of a request that was answered with this message."""
    return {"type": "succeeded", "message": message}


def errored(error: ApiError) -> dict[str, Any]:
    """The ``result`` of a request that failed."""
    return {"type": "errored", "error": error.body(None)}


def duplicate(custom_id: str) -> InvalidRequest:
    """The refusal of a batch in which an id is there twice."""
    return InvalidRequest(f"requests: custom_id must be unique, and `{custom_id[:_SHOWN]}` is there twice")
