"""``POST /v1/messages/count_tokens``: what a request would cost to read (WIRE k.1)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from bathysphere.api.acting import Acting
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.described import failures
from bathysphere.api.disconnecting import unless_gone
from bathysphere.api.named_skills import named_skills
from bathysphere.api.services import Serving
from bathysphere.api.turns import forwarded, lost_upload
from bathysphere.containers.container import Container
from bathysphere.models.base import HOP_HEADER
from bathysphere.store import files
from bathysphere.turn.checks import check
from bathysphere.turn.loop import Turn
from bathysphere.turn.model_support import check_support
from bathysphere.wire.blocks import ContainerUploadBlock
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.requests import CountTokensRequest

router = APIRouter(tags=["messages"], route_class=ProtectedRoute)


@router.post("/v1/messages/count_tokens", responses=failures(402, 403, 404, 413, 429, 504, 529))
async def count_tokens(request: Request, body: CountTokensRequest, serving: Serving, acting: Acting) -> dict[str, Any]:
    """Count the input tokens of a request as the model would be shown it, with the sub-tools and what it is told."""
    if HOP_HEADER in request.headers:
        raise InvalidRequest(
            "This request comes from a bathysphere, so a `base_url` of its models points to one, perhaps to itself. "
            "Point it to the model."
        )
    checked = check(body)
    model, choice = serving.models.choose(body.model)
    check_support(body.model, choice, checked)
    headers = forwarded(request.headers)
    named = await named_skills(serving.database, acting.workspace_id, body, headers)
    turn = Turn(
        body,
        checked,
        model,
        _no_container,
        serving.settings,
        filenames=await _filenames(serving, acting.workspace_id, body),
        headers=headers,
        skills=named.shown if named is not None else (),
    )
    counted = await unless_gone(request, turn.count_tokens(), serving.draining)
    if body.context_management is None:
        return {"input_tokens": counted}
    # Nothing is edited here, so there was as much before.
    return {"input_tokens": counted, "context_management": {"original_input_tokens": counted}}


async def _no_container() -> Container:
    raise AssertionError("nothing is run where tokens are counted")


async def _filenames(serving: Serving, workspace_id: str, body: CountTokensRequest) -> dict[str, str]:
    """The names of the uploads. Raises NotFound for a file that this workspace doesn't have.

    A request that names a container may refer to an upload that has been deleted since: then its id stands for it.
    """
    names: dict[str, str] = {}
    for number, message in enumerate(body.messages):
        for place, block in enumerate(message.content):
            if not isinstance(block, ContainerUploadBlock) or block.file_id in names:
                continue
            file = await files.get(serving.database, workspace_id, block.file_id)
            if file is None and (body.container is None or body.container.id is None):
                raise lost_upload(number, place, f"File `{block.file_id[:200]}` not found.")
            names[block.file_id] = block.file_id if file is None else file.filename
    return names
