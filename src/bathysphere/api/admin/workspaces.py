"""Workspaces of an organisation: made, listed, renamed, archived."""

from __future__ import annotations

import colorsys
import zlib
from typing import Annotated

from fastapi import APIRouter, Query, Request

from bathysphere.api.admin import lists
from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.lists import USUAL, AfterId, BeforeId, Limit, not_found
from bathysphere.api.described import failures, query
from bathysphere.api.services import Storage, Storing
from bathysphere.store import archiving
from bathysphere.store import workspaces as store
from bathysphere.store.admin_keys import Administrator
from bathysphere.store.names import UnusableName
from bathysphere.store.workspaces import NameTaken, Workspace, WorkspaceArchived
from bathysphere.wire.admin import LIST_IDS, Page, WorkspaceChange, WorkspaceInfo, WorkspaceName
from bathysphere.wire.errors import Conflict, InvalidRequest, NotFound

router = APIRouter(prefix=f"{PREFIX}/workspaces", tags=["admin"], route_class=AdminRoute, responses=failures())

_IDS = query("ids[]", "only these", type="array", items={"type": "string"}, maxItems=LIST_IDS)


@router.get("", openapi_extra={"parameters": [_IDS]})
async def list_workspaces(
    request: Request,
    admin: Admin,
    storing: Storing,
    limit: Limit = USUAL,
    after_id: AfterId = None,
    before_id: BeforeId = None,
    include_archived: Annotated[bool, Query(description="also archived ones")] = False,
    include_default: Annotated[bool, Query(description="also the one named `default`")] = False,
) -> Page[WorkspaceInfo]:
    """The workspaces of the organisation, newest first."""
    ids = request.query_params.getlist("ids[]") + request.query_params.getlist("ids")
    if len(ids) > LIST_IDS:
        raise InvalidRequest(f"ids[]: at most {LIST_IDS} ids, {len(ids)} were given")

    async def find(workspace_id: str) -> Workspace | None:
        return await store.get(storing.database, admin.organization_id, workspace_id)

    page = await store.page(
        storing.database,
        admin.organization_id,
        await lists.window(limit, after_id, before_id, find),
        include_archived=include_archived,
        include_default=include_default,
        ids=ids or None,
    )
    data = [_shown(workspace) for workspace in page.items]
    return Page(
        data=data,
        has_more=page.more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )


@router.post("", responses=failures(409))
async def create_workspace(body: WorkspaceName, admin: Admin, storing: Storing) -> WorkspaceInfo:
    """Make a workspace."""
    try:
        return _shown(await store.create(storing.database, admin.organization_id, body.name))
    except UnusableName as error:
        raise InvalidRequest(f"name: {error}") from error
    except NameTaken as error:
        raise _taken(body.name) from error


@router.get("/{workspace_id}", responses=failures(404))
async def show_workspace(workspace_id: str, admin: Admin, storing: Storing) -> WorkspaceInfo:
    """One workspace; also an archived one, and the default one."""
    return _shown(await _found(workspace_id, admin, storing))


@router.post("/{workspace_id}", responses=failures(404, 409))
async def update_workspace(workspace_id: str, body: WorkspaceChange, admin: Admin, storing: Storing) -> WorkspaceInfo:
    """Rename a workspace."""
    before = await _found(workspace_id, admin, storing)
    if body.name is None or body.name == before.name:
        return _shown(before)
    _check_not_default(before, "renamed")
    try:
        renamed = await store.rename(storing.database, admin.organization_id, workspace_id, body.name)
    except WorkspaceArchived as error:
        raise InvalidRequest(f"Workspace `{workspace_id}` cannot be renamed: it has been archived.") from error
    except UnusableName as error:
        raise InvalidRequest(f"name: {error}") from error
    except NameTaken as error:
        raise _taken(body.name) from error
    if renamed is None:
        raise NotFound(not_found("Workspace", workspace_id))
    return _shown(renamed)


@router.post("/{workspace_id}/archive", responses=failures(404))
async def archive_workspace(workspace_id: str, admin: Admin, storing: Storing) -> WorkspaceInfo:
    """Close a workspace for good; twice is no error.

    Its keys open nothing any more, its batches begin no further requests. Its containers expire at once, its files
    after 30 days, and both are removed from disk within the hour after that and `containers.grace_days`.
    """
    _check_not_default(await _found(workspace_id, admin, storing), "archived")
    await archiving.archive(storing.database, admin.organization_id, workspace_id)
    return _shown(await _found(workspace_id, admin, storing))


async def _found(workspace_id: str, admin: Administrator, storing: Storage) -> Workspace:
    found = await store.get(storing.database, admin.organization_id, workspace_id)
    if found is None:
        raise NotFound(not_found("Workspace", workspace_id))
    return found


def _check_not_default(workspace: Workspace, done: str) -> None:
    if workspace.name == store.DEFAULT_NAME:
        raise InvalidRequest(
            f"The workspace `{store.DEFAULT_NAME}` cannot be {done}: the server's commands rely on it."
        )


def _taken(name: str) -> Conflict:
    return Conflict(
        f"name: a workspace of this organization is named `{name}` already, or was when it was archived. "
        "Choose another name.",
        should_retry=False,
    )


def _shown(workspace: Workspace) -> WorkspaceInfo:
    return WorkspaceInfo(
        id=workspace.id,
        name=workspace.name,
        created_at=workspace.created_at,
        archived_at=workspace.archived_at,
        display_color=_color(workspace.id),
        compartment_id=workspace.id,
    )


def _color(workspace_id: str) -> str:
    """The same for a workspace at all times, and another one for most others."""
    hue = zlib.crc32(workspace_id.encode()) / 2**32
    return "#" + "".join(f"{round(part * 255):02X}" for part in colorsys.hls_to_rgb(hue, 0.5, 0.5))
