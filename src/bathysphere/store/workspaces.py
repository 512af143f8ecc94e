"""Workspaces."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store import organizations, paging
from bathysphere.store.database import Database
from bathysphere.store.names import UnusableName, check_name
from bathysphere.store.paging import Page, Window
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import OrganizationRow, WorkspaceRow
from bathysphere.wire.ids import new_id

DEFAULT_NAME: Final = "default"
_ENGINE: Final = Prepared(select(WorkspaceRow.engine).where(WorkspaceRow.id == bindparam("workspace_id")))
_ORGANIZATION: Final = Prepared(
    select(WorkspaceRow.organization_id).where(WorkspaceRow.id == bindparam("workspace_id"))
)


class NameTaken(Exception):
    """Another workspace of the organisation has this name, or had it when it was archived."""


class WorkspaceArchived(UnusableName):
    """The workspace has been archived: nothing can be made in it any more."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A closed room of an organisation: nothing in it can be seen from another workspace."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
    engine: str | None
    """Of its new containers; None is the host's own choice."""
    archived_at: datetime | None


async def default(database: Database) -> Workspace:
    """The workspace named ``default`` of the oldest organisation; both are made on first use."""
    return await named(database, DEFAULT_NAME)


async def named(database: Database, name: str, organization_id: str | None = None) -> Workspace:
    """The workspace of this name, made when there is none; of the oldest organisation, unless another one is given.

    Raises UnusableName and WorkspaceArchived.
    """
    check_name(name)
    async with database.reading() as session:
        row = await _find(session, name, organization_id)
    if row is None:
        async with database.writing() as session:
            # Another process may have made it since we looked; now nobody else can.
            row = await _find(session, name, organization_id)
            if row is None:
                now = datetime.now(UTC)
                owner = organization_id or (await organizations.first_row(session, now)).id
                row = WorkspaceRow(id=new_id("wrkspc"), organization_id=owner, name=name, created_at=now)
                session.add(row)
    if row.archived_at is not None:
        raise _archived(row)
    return _workspace(row)


async def create(database: Database, organization_id: str, name: str) -> Workspace:
    """A new workspace. Raises UnusableName and NameTaken."""
    check_name(name)
    row = WorkspaceRow(id=new_id("wrkspc"), organization_id=organization_id, name=name, created_at=datetime.now(UTC))
    async with database.writing() as session:
        await _check_free(session, organization_id, name)
        session.add(row)
    return _workspace(row)


async def get(database: Database, organization_id: str, workspace_id: str) -> Workspace | None:
    """A workspace of this organisation; None when it has none of that id."""
    async with database.reading() as session:
        row = await _row(session, organization_id, workspace_id)
    return None if row is None else _workspace(row)


async def find(database: Database, workspace: str) -> Workspace | None:
    """The workspace of this id, or of this name in the oldest organisation."""
    async with database.reading() as session:
        row = await session.get(WorkspaceRow, workspace) or await _find(session, workspace)
    return None if row is None else _workspace(row)


async def rename(database: Database, organization_id: str, workspace_id: str, name: str) -> Workspace | None:
    """Give a workspace another name; None when this organisation has none of that id.

    Raises UnusableName and NameTaken, and WorkspaceArchived for an archived one.
    """
    check_name(name)
    async with database.writing() as session:
        row = await _row(session, organization_id, workspace_id)
        if row is None:
            return None
        if row.archived_at is not None:
            raise _archived(row)
        if row.name != name:
            await _check_free(session, organization_id, name)
            row.name = name
    return _workspace(row)


async def page(
    database: Database,
    organization_id: str,
    window: Window,
    *,
    include_archived: bool = False,
    include_default: bool = True,
    ids: Collection[str] | None = None,
) -> Page[Workspace]:
    """A part of the list of an organisation's workspaces, or of those of them that have one of ``ids``."""
    query = select(WorkspaceRow).where(WorkspaceRow.organization_id == organization_id)
    if not include_archived:
        query = query.where(WorkspaceRow.archived_at.is_(None))
    if not include_default:
        query = query.where(WorkspaceRow.name != DEFAULT_NAME)
    if ids is not None:
        query = query.where(WorkspaceRow.id.in_(ids))
    async with database.reading() as session:
        found = await paging.read(session, query, WorkspaceRow.created_at, WorkspaceRow.id, window)
        return Page([_workspace(row) for (row,) in found.items], found.more)


async def list_all(database: Database) -> list[Workspace]:
    """Every workspace, by name."""
    async with database.reading() as session:
        rows = await session.scalars(select(WorkspaceRow).order_by(WorkspaceRow.name, WorkspaceRow.created_at))
        return [_workspace(row) for row in rows]


def engine(database: Database, workspace_id: str) -> str | None:
    """The engine of a workspace's new containers; None is the host's own choice."""
    row = database.one(_ENGINE, workspace_id=workspace_id)
    return None if row is None else row.engine


def organization_of(connection: sqlite3.Connection, workspace_id: str) -> str | None:
    """The organisation of a workspace, within a transaction; None when there is no such workspace."""
    found = _ORGANIZATION.first(connection, {"workspace_id": workspace_id})
    return None if found is None else found.organization_id


async def set_engine(database: Database, workspace: str, engine: str | None) -> bool:
    """Choose the engine of a workspace's new containers; those that exist keep theirs. False when there is none.

    ``workspace`` is its id, or the name of one of the oldest organisation.
    """
    async with database.writing() as session:
        row = await session.get(WorkspaceRow, workspace) or await _find(session, workspace)
        if row is None:
            return False
        row.engine = engine
        return True


async def names(database: Database) -> dict[str, str]:
    """The name of every workspace, by id."""
    async with database.reading() as session:
        found = await session.execute(select(WorkspaceRow.id, WorkspaceRow.name).order_by(WorkspaceRow.created_at))
        return {workspace_id: name for workspace_id, name in found}  # noqa: C416 - rows are not plain pairs to the types


async def check_open(session: AsyncSession, workspace_id: str) -> None:
    """Raises WorkspaceArchived. Meant for the transaction that makes something in the workspace."""
    row = await session.get(WorkspaceRow, workspace_id)
    if row is not None and row.archived_at is not None:
        raise _archived(row)


def _archived(row: WorkspaceRow) -> WorkspaceArchived:
    return WorkspaceArchived(f"the workspace {row.name} has been archived, and nothing can be made in it; use another")


def _workspace(row: WorkspaceRow) -> Workspace:
    return Workspace(row.id, row.organization_id, row.name, row.created_at, row.engine, row.archived_at)


async def _row(session: AsyncSession, organization_id: str, workspace_id: str) -> WorkspaceRow | None:
    return await session.scalar(
        select(WorkspaceRow).where(WorkspaceRow.organization_id == organization_id, WorkspaceRow.id == workspace_id)
    )


async def _check_free(session: AsyncSession, organization_id: str, name: str) -> None:
    query = select(WorkspaceRow.id).where(WorkspaceRow.organization_id == organization_id, WorkspaceRow.name == name)
    if await session.scalar(query) is not None:
        raise NameTaken


async def _find(session: AsyncSession, name: str, organization_id: str | None = None) -> WorkspaceRow | None:
    oldest = select(OrganizationRow.id).order_by(OrganizationRow.created_at).limit(1).scalar_subquery()
    return await session.scalar(
        select(WorkspaceRow).where(
            WorkspaceRow.organization_id == (oldest if organization_id is None else organization_id),
            WorkspaceRow.name == name,
        )
    )
