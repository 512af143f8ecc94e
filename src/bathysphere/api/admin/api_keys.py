"""API keys of an organisation: listed, changed; and, which only this server has, made and given another secret."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from bathysphere.api.admin import lists
from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.lists import USUAL, AfterId, BeforeId, Limit, not_found
from bathysphere.api.described import failures
from bathysphere.api.services import Storing
from bathysphere.store import keys as store
from bathysphere.store import workspaces
from bathysphere.store.keys import ApiKey, KeyArchived
from bathysphere.store.names import UnusableName
from bathysphere.store.workspaces import WorkspaceArchived
from bathysphere.wire.admin import (
    ApiKeyChange,
    ApiKeyCreation,
    ApiKeyInfo,
    ApiKeyWithSecret,
    KeyScope,
    KeyStatus,
    Page,
)
from bathysphere.wire.errors import InvalidRequest, NotFound

router = APIRouter(prefix=f"{PREFIX}/api_keys", tags=["admin"], route_class=AdminRoute, responses=failures())


@router.get("")
async def list_api_keys(
    admin: Admin,
    storing: Storing,
    limit: Limit = USUAL,
    after_id: AfterId = None,
    before_id: BeforeId = None,
    status: Annotated[KeyStatus | Literal["expired"] | None, Query(description="only those of this status")] = None,
    workspace_id: Annotated[str | None, Query(description="only those of this workspace")] = None,
    created_by_user_id: Annotated[str | None, Query(description="only those that a user has made: none")] = None,
) -> Page[ApiKeyInfo]:
    """The API keys of the organisation, newest first."""
    if status == "expired" or created_by_user_id is not None:
        return Page(data=[], has_more=False, first_id=None, last_id=None)

    async def find(key_id: str) -> ApiKey | None:
        return await store.get(storing.database, admin.organization_id, key_id)

    window = await lists.window(limit, after_id, before_id, find)
    page = await store.page(storing.database, admin.organization_id, window, status, workspace_id)
    data = [_shown(key) for key in page.items]
    return Page(
        data=data,
        has_more=page.more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )


@router.post("", responses=failures(404))
async def create_api_key(body: ApiKeyCreation, admin: Admin, storing: Storing) -> ApiKeyWithSecret:
    """Make an API key. Its secret is in this answer, and nowhere else."""
    workspace = await workspaces.get(storing.database, admin.organization_id, body.workspace_id)
    if workspace is None:
        raise NotFound(not_found("Workspace", body.workspace_id))
    try:
        key, secret = await store.create(storing.database, workspace, body.name)
    except WorkspaceArchived as error:
        raise InvalidRequest(f"workspace_id: {error}") from error
    except UnusableName as error:
        raise InvalidRequest(f"name: {error}") from error
    return _with_secret(key, secret)


@router.get("/{api_key_id}", responses=failures(404))
async def show_api_key(api_key_id: str, admin: Admin, storing: Storing) -> ApiKeyInfo:
    """One API key."""
    found = await store.get(storing.database, admin.organization_id, api_key_id)
    if found is None:
        raise NotFound(not_found("API key", api_key_id))
    return _shown(found)


@router.post("/{api_key_id}", responses=failures(404))
async def update_api_key(api_key_id: str, body: ApiKeyChange, admin: Admin, storing: Storing) -> ApiKeyInfo:
    """Rename a key, or close it: `inactive` until it is made active again, `archived` for good."""
    try:
        changed = await store.change(storing.database, admin.organization_id, api_key_id, body.name, body.status)
    except UnusableName as error:
        raise InvalidRequest(f"name: {error}") from error
    except KeyArchived as error:
        raise InvalidRequest(f"status: API key `{api_key_id}` has been archived, which is for good.") from error
    if changed is None:
        raise NotFound(not_found("API key", api_key_id))
    return _shown(changed)


@router.post("/{api_key_id}/rotate", responses=failures(404))
async def rotate_api_key(api_key_id: str, admin: Admin, storing: Storing) -> ApiKeyWithSecret:
    """Give a key another secret, which is in this answer and nowhere else. The old one opens nothing from now on."""
    try:
        rotated = await store.rotate(storing.database, admin.organization_id, api_key_id)
    except KeyArchived as error:
        raise InvalidRequest(f"API key `{api_key_id}` has been archived, which is for good.") from error
    if rotated is None:
        raise NotFound(not_found("API key", api_key_id))
    return _with_secret(*rotated)


def _shown(key: ApiKey) -> ApiKeyInfo:
    return ApiKeyInfo(
        id=key.id,
        name=key.name,
        status=key.status,
        workspace_id=key.workspace_id,
        scope=KeyScope(workspace_id=key.workspace_id),
        partial_key_hint=key.hint,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )


def _with_secret(key: ApiKey, secret: str) -> ApiKeyWithSecret:
    return ApiKeyWithSecret(**_shown(key).model_dump(), secret=secret)
