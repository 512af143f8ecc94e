"""The Containers API: ours, beside the protocol. Containers made, listed, shown, copied, deleted, and their record."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query

from bathysphere.api.acting import Acting
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.container_failures import as_answers
from bathysphere.api.container_shapes import (
    CallInfo,
    CallList,
    ContainerDeleted,
    ContainerInfo,
    ContainerList,
)
from bathysphere.api.described import failures
from bathysphere.api.page_tokens import read_token, token
from bathysphere.api.services import Services, Serving
from bathysphere.containers.overview import Overview, State
from bathysphere.containers.recording import Actor
from bathysphere.store import audit
from bathysphere.store import containers as rows

PREFIX: Final = "/bathysphere/v1/containers"

FOUND: Final = failures(404)
USED: Final = failures(404, 429, 529)
"""Failures of routes that look for a container, and of those that need it to run."""

_LARGEST_NUMBER: Final = 2**63 - 1
"""What the store can count to."""

ContainerId = Annotated[str, Path(min_length=1, max_length=128, description="the container's id")]

router = APIRouter(prefix=PREFIX, tags=["containers"], route_class=ProtectedRoute, responses=failures())


@router.get("")
async def list_containers(
    acting: Acting,
    serving: Serving,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    page: Annotated[str | None, Query(max_length=300, description="the `next_page` of the page before")] = None,
    deleted: Annotated[bool, Query(description="also those whose disk is gone")] = False,
) -> ContainerList:
    """The containers of the workspace, newest first; those of conversations too."""
    position = None if page is None else rows.Position(*read_token(page))
    await serving.containers.records.settle()
    found = await rows.listing(serving.database, acting.workspace_id, limit, position, deleted)
    last = found.containers[-1] if found.more else None
    return ContainerList(
        data=await _shown(serving, found.containers), next_page=last and token(last.created_at, last.id)
    )


@router.post("", responses=failures(429, 529))
async def create_container(acting: Acting, serving: Serving) -> ContainerInfo:
    """Make an empty container."""
    with as_answers():
        container = await serving.containers.create(acting)
    return await _made(serving, acting, container.id, "idle")


@router.get("/{container_id}", responses=FOUND)
async def show_container(container_id: ContainerId, acting: Acting, serving: Serving) -> ContainerInfo:
    """One container; also one that has expired or was deleted, for as long as its record is kept."""
    return await _info(serving, acting.workspace_id, container_id)


@router.delete("/{container_id}", responses=failures(404, 529))
async def delete_container(container_id: ContainerId, acting: Acting, serving: Serving) -> ContainerDeleted:
    """End a container, also in the middle of a call, and remove its disk for good. Twice is no error."""
    with as_answers():
        await serving.containers.delete(acting, container_id)
    return ContainerDeleted(id=container_id)


@router.post("/{container_id}/fork", responses=USED)
async def fork_container(container_id: ContainerId, acting: Acting, serving: Serving) -> ContainerInfo:
    """Make a container whose disk is a copy of this one's; it has a record and a lifetime of its own."""
    with as_answers():
        container = await serving.containers.fork(acting, container_id)
    return await _made(serving, acting, container.id, "suspended")


@router.get("/{container_id}/calls", responses=FOUND)
async def list_container_calls(
    container_id: ContainerId,
    acting: Acting,
    serving: Serving,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=_LARGEST_NUMBER, description="the `next_before` of the page before")
    ] = None,
) -> CallList:
    """The record of a container: every call in it, newest first."""
    row = await serving.containers.find(acting.workspace_id, container_id)
    await serving.containers.records.settle()
    calls = list(await audit.latest(serving.database, row.id, limit + 1, before))
    more = len(calls) > limit
    return CallList(
        data=[CallInfo.of(call) for call in calls[:limit]], next_before=calls[limit - 1].number if more else None
    )


async def _made(serving: Services, acting: Actor, container_id: str, state: State) -> ContainerInfo:
    """A container that has just been made: what there is to say of it is known, and the host need not be asked."""
    row = await serving.containers.find(acting.workspace_id, container_id)
    return ContainerInfo.of(Overview(row, state, None, 1), serving.settings.sandbox.disk_bytes)


async def _info(serving: Services, workspace_id: str, container_id: str) -> ContainerInfo:
    await serving.containers.records.settle()
    row = await serving.containers.find(workspace_id, container_id)
    (shown,) = await _shown(serving, [row])
    return shown


async def _shown(serving: Services, containers: list[rows.Container]) -> list[ContainerInfo]:
    limit = serving.settings.sandbox.disk_bytes
    return [ContainerInfo.of(seen, limit) for seen in await serving.containers.overviews(containers)]
