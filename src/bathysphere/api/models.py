"""The Models API: what the configuration has (WIRE k.1)."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.datastructures import QueryParams

from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.described import cursors, failures, query
from bathysphere.api.services import Serving
from bathysphere.models.listing import described, listed
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.models import LIFECYCLES, LIST_LIMIT, LIST_LIMIT_DEFAULT, ModelInfo, ModelList

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=ProtectedRoute, responses=failures())

_LIMIT_TEXT: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_SHOWN: Final = 200

_PARAMETERS: Final = [
    *cursors("models", *LIST_LIMIT, LIST_LIMIT_DEFAULT),
    query(
        "lifecycle[]",
        "only models of these stages; without it, all but the retired",
        type="array",
        items={"enum": list(LIFECYCLES)},
    ),
]


@router.get("", response_model=ModelList, openapi_extra={"parameters": _PARAMETERS})
async def list_models(request: Request, caller: Caller, serving: Serving) -> Response:
    """The models of the configuration, most recently released first; retired ones only when they are asked for."""
    query = request.query_params
    stages = _lifecycles(query)
    models = listed(serving.models)
    # A cursor is a place in the whole list: what it names need not be of the stages that are asked for.
    places = {model.id: place for place, model in enumerate(models)}
    after = _place(query, "after_id", places)
    before = _place(query, "before_id", places)
    between = [
        model
        for model in models
        if model.lifecycle in stages
        and (after is None or places[model.id] > after)
        and (before is None or places[model.id] < before)
    ]
    limit = _limit(query.get("limit"))
    backwards = before is not None and after is None
    page = between[-limit:] if backwards else between[:limit]
    shown = ModelList(
        data=page,
        has_more=len(between) > limit,
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
    )
    return Response(shown.model_dump_json(), media_type="application/json")


@router.get("/{model_id:path}", response_model=ModelInfo, responses=failures(404))
async def retrieve_model(model_id: str, caller: Caller, serving: Serving) -> Response:
    """What is known of a name that a message can be asked of, also where it is not listed."""
    return Response(described(serving.models, model_id).model_dump_json(), media_type="application/json")


def _place(query: QueryParams, cursor: str, places: dict[str, int]) -> int | None:
    model_id = query.get(cursor)
    if model_id is None:
        return None
    if model_id not in places:
        raise InvalidRequest(f"{cursor}: there is no model `{model_id[:_SHOWN]}` in this list")
    return places[model_id]


def _limit(text: str | None) -> int:
    if text is None:
        return LIST_LIMIT_DEFAULT
    if not _LIMIT_TEXT.fullmatch(text):
        raise InvalidRequest("limit: Input should be a valid integer")
    least, most = LIST_LIMIT
    if not least <= int(text) <= most:
        bound = f"greater than or equal to {least}" if int(text) < least else f"less than or equal to {most}"
        raise InvalidRequest(f"limit: Input should be {bound}")
    return int(text)


def _lifecycles(query: QueryParams) -> set[str]:
    asked = query.getlist("lifecycle[]") + query.getlist("lifecycle")
    if unknown := [stage for stage in asked if stage not in LIFECYCLES]:
        raise InvalidRequest(f"lifecycle: `{unknown[0][:_SHOWN]}` is none of {', '.join(LIFECYCLES)}")
    return set(asked) or {"active", "deprecated"}
