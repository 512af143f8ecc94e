"""The versions of skills (WIRE g): create, list, show, delete and download them, in both shapes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from bathysphere.api.auth import Caller, ProtectedRoute
from bathysphere.api.described import failures
from bathysphere.api.services import Storage, Storing
from bathysphere.api.skill_download import SkillDownload
from bathysphere.api.skill_shapes import (
    check_changeable,
    is_old,
    limit,
    next_page,
    not_found,
    position,
    version_not_found,
    version_shape,
)
from bathysphere.api.skill_upload import receive_skill, stored
from bathysphere.api.skills import FILES_SCHEMA, PAGING, PREFIX, answer, found_skill
from bathysphere.store import skills
from bathysphere.store.blobs import BlobMissing
from bathysphere.store.quota import StorageQuotaExceeded
from bathysphere.store.skills import LATEST, OnlyVersion, OtherName, Position
from bathysphere.wire.errors import InvalidRequest
from bathysphere.wire.skills import (
    LIST_LIMIT,
    SkillVersion,
    SkillVersionBeta,
    SkillVersionDeleted,
    SkillVersionList,
    SkillVersionListBeta,
    version_reference,
)

router = APIRouter(
    prefix=f"{PREFIX}/{{skill_id}}/versions", tags=["skills"], route_class=ProtectedRoute, responses=failures(404)
)

_Shape = SkillVersionBeta | SkillVersion
_Shapes = SkillVersionListBeta | SkillVersionList

_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["files[]"], "properties": {"files[]": FILES_SCHEMA}}
        }
    },
}


@router.post("", response_model=_Shape, openapi_extra={"requestBody": _BODY}, responses=failures(403, 404, 413))
async def create_skill_version(skill_id: str, request: Request, caller: Caller, storing: Storing) -> Response:
    """Store a new version of a skill: all its files, under the same name in ``SKILL.md``."""
    check_changeable(await found_skill(storing, caller.workspace_id, skill_id))
    old = is_old(request.headers)
    upload = await receive_skill(request, storing, old=old)
    try:
        version = await skills.add_version(
            storing.database,
            storing.blobs,
            workspace_id=caller.workspace_id,
            skill_id=skill_id,
            snapshot=await stored(upload, storing.blobs),
            storage_bytes=storing.settings.limits.storage_bytes,
            api_key_id=caller.api_key_id,
        )
    except OtherName as error:
        raise InvalidRequest(
            f"files: SKILL.md: name: this skill is called {error}, and a version cannot be called "
            f"{upload.bundle.name}; make a new skill for it."
        ) from error
    except StorageQuotaExceeded as error:
        raise InvalidRequest(str(error), error_code="storage_quota_exceeded") from error
    if version is None:
        raise not_found(skill_id)
    return answer(version_shape(version, old=old))


@router.get("", response_model=_Shapes, openapi_extra={"parameters": PAGING})
async def list_skill_versions(skill_id: str, request: Request, caller: Caller, storing: Storing) -> Response:
    """The versions of a skill, newest first; with the beta header oldest first."""
    old = is_old(request.headers)
    query = request.query_params
    most = limit(query, LIST_LIMIT)
    after = position(query)
    await found_skill(storing, caller.workspace_id, skill_id)
    page = await skills.versions(storing.database, skill_id, most, oldest_first=old, after=after)
    following = None
    if page.versions:
        following = next_page(Position(page.versions[-1].created_at, page.versions[-1].id), more=page.more)
    data = [version_shape(version, old=old) for version in page.versions]
    if old:
        shown = [version for version in data if isinstance(version, SkillVersionBeta)]
        return answer(SkillVersionListBeta(data=shown, has_more=page.more, next_page=following))
    return answer(SkillVersionList(data=data, next_page=following))


@router.get("/{version}", response_model=_Shape)
async def show_skill_version(
    skill_id: str, version: str, request: Request, caller: Caller, storing: Storing
) -> Response:
    """A version by its id, by its number in the older shape, or as ``latest``."""
    found = await _found(storing, caller.workspace_id, skill_id, version)
    return answer(version_shape(found, old=is_old(request.headers)))


@router.get(
    "/{version}/content",
    response_class=Response,
    responses={
        200: {
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
            "description": "the files, in a folder of the skill's name",
        }
    },
)
async def skill_version_content(skill_id: str, version: str, caller: Caller, storing: Storing) -> Response:
    """The files of a version as a zip."""
    found = await _found(storing, caller.workspace_id, skill_id, version)
    try:
        return SkillDownload(found, await storing.blobs.open(found.blob_key))
    except BlobMissing as error:
        # Deleted since its row was read.
        raise version_not_found(skill_id, version) from error


@router.delete("/{version}", response_model=SkillVersionDeleted, responses=failures(403, 404))
async def delete_skill_version(
    skill_id: str, version: str, request: Request, caller: Caller, storing: Storing
) -> Response:
    """Remove a version for good. The only one can be removed with the beta header alone."""
    check_changeable(await found_skill(storing, caller.workspace_id, skill_id))
    if version == LATEST:
        raise InvalidRequest("version: `latest` cannot be deleted; name the version by its id.")
    old = is_old(request.headers)
    try:
        deleted = await skills.delete_version(
            storing.database,
            storing.blobs,
            caller.workspace_id,
            skill_id,
            version_reference(version),
            keep_one=not old,
        )
    except OnlyVersion as error:
        raise InvalidRequest(
            f"Cannot delete version `{version}`: it is the only one of skill `{skill_id}`. Delete the skill instead."
        ) from error
    if deleted is None:
        raise version_not_found(skill_id, version)
    return answer(SkillVersionDeleted(id=deleted.version if old else deleted.id))


async def _found(storing: Storage, workspace_id: str, skill_id: str, version: str) -> skills.SkillVersion:
    await found_skill(storing, workspace_id, skill_id)
    found = await skills.get_version(storing.database, workspace_id, skill_id, version_reference(version))
    if found is None:
        raise version_not_found(skill_id, version)
    return found
