"""Organisations and workspaces."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import OrganizationRow, WorkspaceRow
from bathysphere.wire.ids import new_id

DEFAULT_NAME: Final = "default"
_NAME_CHARACTERS: Final = 200
_ENGINE: Final = Prepared(select(WorkspaceRow.engine).where(WorkspaceRow.id == bindparam("workspace_id")))
_ORGANIZATION: Final = Prepared(
    select(WorkspaceRow.organization_id).where(WorkspaceRow.id == bindparam("workspace_id"))
)


class UnusableName(ValueError):
    """A name that is empty, too long or not printable; the message says which."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A closed room of an organisation: nothing in it can be seen from another workspace."""

    id: str
    organization_id: str
    name: str
    created_at: datetime
    engine: str | None
    """Of its new containers; None is the host's own choice."""


async def default(database: Database) -> Workspace:
    """The workspace named ``default`` of the one organisation; both are made on first use."""
    return await named(database, DEFAULT_NAME)


async def named(database: Database, name: str) -> Workspace:
    """The workspace of this name, made when there is none. Raises UnusableName."""
    check_name(name)
    async with database.reading() as session:
        row = await _find(session, name)
    if row is None:
        async with database.writing() as session:
            # Another process may have made it since we looked; now nobody else can.
            row = await _find(session, name)
            if row is None:
                now = datetime.now(UTC)
                organization_id = await _organization(session, now)
                row = WorkspaceRow(id=new_id("wrkspc"), organization_id=organization_id, name=name, created_at=now)
                session.add(row)
    return _workspace(row)


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


async def set_engine(database: Database, name: str, engine: str | None) -> bool:
    """Choose the engine of a workspace's new containers; those that exist keep theirs. False when there is none."""
    async with database.writing() as session:
        row = await _find(session, name)
        if row is None:
            return False
        row.engine = engine
        return True


def _workspace(row: WorkspaceRow) -> Workspace:
    return Workspace(row.id, row.organization_id, row.name, row.created_at, row.engine)


async def names(database: Database) -> dict[str, str]:
    """The name of every workspace, by id."""
    async with database.reading() as session:
        found = await session.execute(select(WorkspaceRow.id, WorkspaceRow.name).order_by(WorkspaceRow.created_at))
        return {workspace_id: name for workspace_id, name in found}  # noqa: C416 - rows are not plain pairs to the types


def check_name(name: str) -> None:
    """Raises UnusableName for what cannot name a workspace or a key."""
    if not name.strip():
        raise UnusableName("a name cannot be empty")
    if len(name) > _NAME_CHARACTERS:
        raise UnusableName(f"a name has at most {_NAME_CHARACTERS} characters, this one has {len(name)}")
    if not name.isprintable():
        raise UnusableName("a name holds printable characters only")


async def _find(session: AsyncSession, name: str) -> WorkspaceRow | None:
    return (
        await session.scalars(
            select(WorkspaceRow).where(WorkspaceRow.name == name).order_by(WorkspaceRow.created_at).limit(1)
        )
    ).first()


async def _organization(session: AsyncSession, now: datetime) -> str:
    found = await session.scalar(select(OrganizationRow.id).order_by(OrganizationRow.created_at).limit(1))
    if found is not None:
        return found
    row = OrganizationRow(id=new_id("org"), name=DEFAULT_NAME, created_at=now)
    session.add(row)
    await session.flush()
    return row.id
