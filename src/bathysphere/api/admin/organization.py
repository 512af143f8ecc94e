"""``GET /v1/organizations/me``, and the people of an organisation, of whom there are none here.

See docs/decisions/no-people.md.
"""

from __future__ import annotations

from fastapi import APIRouter

from bathysphere.api.admin.administrator import PREFIX, Admin, AdminRoute
from bathysphere.api.admin.lists import not_found
from bathysphere.api.described import failures
from bathysphere.api.services import Storing
from bathysphere.store import organizations, workspaces
from bathysphere.wire.admin import Nobody, OrganizationInfo
from bathysphere.wire.errors import NotFound

router = APIRouter(prefix=PREFIX, tags=["admin"], route_class=AdminRoute, responses=failures())


@router.get("/me")
async def show_organization(admin: Admin, storing: Storing) -> OrganizationInfo:
    """The organisation of the admin key."""
    found = await organizations.get(storing.database, admin.organization_id)
    assert found is not None  # its key refers to it
    return OrganizationInfo(id=found.id, name=found.name)


@router.get("/users")
async def list_users(admin: Admin) -> Nobody:
    """Nobody: this server knows keys, no people."""
    return Nobody()


@router.get("/invites")
async def list_invites(admin: Admin) -> Nobody:
    """None: this server knows keys, no people."""
    return Nobody()


@router.get("/workspaces/{workspace_id}/members", responses=failures(404))
async def list_workspace_members(workspace_id: str, admin: Admin, storing: Storing) -> Nobody:
    """Nobody: this server knows keys, no people."""
    if await workspaces.get(storing.database, admin.organization_id, workspace_id) is None:
        raise NotFound(not_found("Workspace", workspace_id))
    return Nobody()
