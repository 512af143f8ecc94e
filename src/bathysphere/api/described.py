"""What the description for machines (OpenAPI) says of routes beyond their signatures: failures, headers, parameters."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel

from bathysphere.wire.errors import ErrorType


class ErrorShape(BaseModel):
    """What went wrong."""

    type: ErrorType
    message: str
    details: dict[str, Any] | None = None


class ErrorAnswer(BaseModel):
    """Every failure, of every route."""

    type: Literal["error"] = "error"
    error: ErrorShape
    request_id: str | None


_FAILURES: Final = {
    400: "The request is wrong; the message says where, and why.",
    401: "There is no key, or one that is not known.",
    402: "The model's provider refuses for reasons of money.",
    403: "The thing is the server's own, or the model's provider does not allow this.",
    404: "There is no such thing in the workspace, or for an admin key the organisation, of the key.",
    409: "Another try of this request, or another use of the thing, stands in the way.",
    413: "The request is too large.",
    429: "Too many requests, or too many containers; `retry-after` says when to come again.",
    500: "A fault of the server, or of the model's provider.",
    504: "The model did not answer in time.",
    529: "The model, or the host of the containers, cannot take this up just now.",
}

_EVERYWHERE: Final = (400, 401, 500)


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For ``responses=``: the given statuses, and those that any route may answer with."""
    return {
        status: {"model": ErrorAnswer, "description": _FAILURES[status]} for status in sorted({*_EVERYWHERE, *statuses})
    }


def event_stream(*names: str) -> dict[str, Any]:
    """For ``content`` of an answer: the schema of each of its server-sent events, which have these names."""
    return {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "required": ["event", "data"],
                "properties": {
                    "event": {"enum": [*names, "ping", "error"]},
                    "data": {"type": "string", "contentMediaType": "application/json"},
                },
                "description": "Each event. The object in `data` has the event's name as its `type`.",
            }
        }
    }


def query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    """For ``parameters`` of ``openapi_extra``: a parameter that a route reads from the query by itself."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def cursors(things: str, least: int, most: int, usual: int) -> list[dict[str, Any]]:
    """The parameters of a list that is paged through by ids."""
    return [
        query("limit", f"how many {things} at most", type="integer", minimum=least, maximum=most, default=usual),
        query("after_id", "what follows this one in the list", type="string"),
        query("before_id", "what stands before this one in the list", type="string"),
    ]


def finish(description: dict[str, Any]) -> None:
    """Take out what FastAPI says of its own accord and is not so: that an invalid request is answered with 422."""
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        description["components"]["schemas"].pop(name, None)
