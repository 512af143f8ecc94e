"""The Skills API (WIRE g): create, list, show and delete skills, in both shapes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.described import failures, query
from bathysphere.api.services import Storage, Storing
from bathysphere.api.skill_shapes import (
    check_changeable,
    is_old,
    limit,
    next_page,
    not_found,
    position,
    skill_shape,
)
from bathysphere.api.skill_upload import receive_skill, stored
from bathysphere.store import skills
from bathysphere.store.quota import StorageQuotaExceeded
from bathysphere.store.skills import HasVersions, Listed, Position, TitleTaken
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.skills import (
    DISPLAY_NAME_CHARACTERS,
    LIST_LIMIT,
    LIST_LIMIT_BETA,
    LIST_LIMIT_DEFAULT,
    SKILLS_BETA,
    SOURCES,
    Skill,
    SkillBeta,
    SkillDeleted,
    SkillList,
    SkillListBeta,
)

PREFIX: Final = "/v1/skills"

STREAMED: Final = f"{PREFIX}(/[^/]+/versions)?"
"""The paths of this API whose bodies are streamed, and have a bound of their own."""

router = APIRouter(prefix=PREFIX, tags=["skills"], route_class=ProtectedRoute, responses=failures())

_Shape = Skill | SkillBeta

PAGING: Final = [
    query("limit", "how many at most", type="integer", minimum=1, maximum=LIST_LIMIT[1], default=LIST_LIMIT_DEFAULT),
    query("page", "the `next_page` of the page before", type="string"),
]
_PARAMETERS: Final = [*PAGING, query("source", "only these: `custom` or `anthropic`", type="string")]

FILES_SCHEMA: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string", "format": "binary"},
    "description": "each with its path as its filename, in one folder or in none; or one zip",
}

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["files[]"],
                "properties": {
                    "files[]": FILES_SCHEMA,
                    "display_name": {"type": "string", "minLength": 1, "maxLength": DISPLAY_NAME_CHARACTERS},
                },
            }
        }
    },
}


@router.post("", response_model=_Shape, openapi_extra={"requestBody": _BODY}, responses=failures(413))
async def create_skill(request: Request, caller: Caller, storing: Storing) -> Response:
    """Store a new skill and its first version: a folder with a ``SKILL.md`` at its top, as files or as one zip."""
    old = is_old(request.headers)
    upload = await receive_skill(request, storing, old=old)
    try:
        skill, version = await skills.add(
            storing.database,
            storing.blobs,
            workspace_id=caller.workspace_id,
            display_title=upload.title or upload.bundle.name,
            snapshot=await stored(upload, storing.blobs),
            storage_bytes=storing.settings.limits.storage_bytes,
            api_key_id=caller.api_key_id,
            title_unique=old and upload.title is not None,
        )
    except TitleTaken as error:
        raise InvalidRequest(
            f"display_title: another skill of this workspace is called {upload.title!r}; choose another title, or make "
            "a new version of that skill."
        ) from error
    except StorageQuotaExceeded as error:
        raise InvalidRequest(str(error), error_code="storage_quota_exceeded") from error
    return answer(skill_shape(Listed(skill, version.version), old=old))


@router.get("", response_model=SkillListBeta | SkillList, openapi_extra={"parameters": _PARAMETERS})
async def list_skills(request: Request, caller: Caller, storing: Storing) -> Response:
    """The skills of the workspace and those that the server brings along, newest first."""
    old = is_old(request.headers)
    query = request.query_params
    source = query.get("source")
    if source is not None and source not in SOURCES and not old:
        # Sources of other servers' skills: there are none of them here.
        return answer(SkillList(data=[], next_page=None))
    page = await skills.older(
        storing.database,
        caller.workspace_id,
        limit(query, LIST_LIMIT_BETA if old else LIST_LIMIT),
        source=source,
        than=position(query),
    )
    following = None
    if page.skills:
        last = page.skills[-1].skill
        following = next_page(Position(last.created_at, last.id), more=page.more)
    shown = [skill_shape(listed, old=old) for listed in page.skills]
    if old:
        data = [skill for skill in shown if isinstance(skill, SkillBeta)]
        return answer(SkillListBeta(data=data, has_more=page.more, next_page=following))
    return answer(SkillList(data=[skill for skill in shown if isinstance(skill, Skill)], next_page=following))


@router.get("/{skill_id}", response_model=_Shape, responses=failures(404))
async def show_skill(skill_id: str, request: Request, caller: Caller, storing: Storing) -> Response:
    """A skill: its name for display, where it comes from and what its latest version is."""
    return answer(skill_shape(await found_skill(storing, caller.workspace_id, skill_id), old=is_old(request.headers)))


@router.delete("/{skill_id}", response_model=SkillDeleted, responses=failures(403, 404))
async def delete_skill(skill_id: str, request: Request, caller: Caller, storing: Storing) -> Response:
    """Remove a skill with all its versions, for good. With the beta header its versions must be deleted first."""
    check_changeable(await found_skill(storing, caller.workspace_id, skill_id))
    try:
        deleted = await skills.delete_skill(
            storing.database,
            storing.blobs,
            caller.workspace_id,
            skill_id,
            with_versions=not is_old(request.headers),
        )
    except HasVersions as error:
        raise InvalidRequest(
            f"Cannot delete skill `{skill_id}`: it still has versions. Delete them first, or leave out the beta header "
            f"`{SKILLS_BETA}`."
        ) from error
    if not deleted:
        raise not_found(skill_id)
    return answer(SkillDeleted(id=skill_id))


async def found_skill(storing: Storage, workspace_id: str, skill_id: str) -> Listed:
    """A skill that this workspace can see. Raises NotFound."""
    found = await skills.get(storing.database, workspace_id, skill_id)
    if found is None:
        raise not_found(skill_id)
    return found


def answer(body: BaseModel) -> Response:
    """The answer to a call."""
    return Response(body.model_dump_json(), media_type="application/json")
