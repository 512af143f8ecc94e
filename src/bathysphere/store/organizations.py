"""Organisations: whoever owns workspaces. A server that nobody told otherwise has one, which is made on first use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.names import check_name
from bathysphere.store.schema import OrganizationRow
from bathysphere.wire.ids import new_id

_DEFAULT_NAME: Final = "default"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation."""

    id: str
    name: str
    created_at: datetime


async def first(database: Database) -> Organization:
    """The oldest one, which is meant where none is named; made when there is none."""
    async with database.reading() as session:
        row = await _first(session)
    if row is None:
        async with database.writing() as session:
            row = await first_row(session, datetime.now(UTC))
    return _organization(row)


async def named(database: Database, name: str) -> Organization:
    """The organisation of this name, made when there is none. Raises UnusableName."""
    check_name(name)
    async with database.writing() as session:
        query = select(OrganizationRow).where(OrganizationRow.name == name).order_by(OrganizationRow.created_at)
        row = (await session.scalars(query.limit(1))).first()
        if row is None:
            row = OrganizationRow(id=new_id("org"), name=name, created_at=datetime.now(UTC))
            session.add(row)
    return _organization(row)


async def get(database: Database, organization_id: str) -> Organization | None:
    """The organisation of this id."""
    async with database.reading() as session:
        row = await session.get(OrganizationRow, organization_id)
    return None if row is None else _organization(row)


async def list_all(database: Database) -> list[Organization]:
    """Every organisation, oldest first."""
    async with database.reading() as session:
        rows = await session.scalars(select(OrganizationRow).order_by(OrganizationRow.created_at, OrganizationRow.id))
        return [_organization(row) for row in rows]


async def first_row(session: AsyncSession, now: datetime) -> OrganizationRow:
    """As ``first``, within a transaction that writes."""
    row = await _first(session)
    if row is None:
        row = OrganizationRow(id=new_id("org"), name=_DEFAULT_NAME, created_at=now)
        session.add(row)
        await session.flush()
    return row


async def _first(session: AsyncSession) -> OrganizationRow | None:
    return (await session.scalars(select(OrganizationRow).order_by(OrganizationRow.created_at).limit(1))).first()


def _organization(row: OrganizationRow) -> Organization:
    return Organization(row.id, row.name, row.created_at)
