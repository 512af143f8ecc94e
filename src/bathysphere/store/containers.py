"""Containers as rows: whose they are, how long they last, and which uploads lie in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from bathysphere.store.database import Database, DatabaseFull
from bathysphere.store.schema import ContainerFileRow, ContainerRow
from bathysphere.wire.ids import new_id

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Container:
    """A container. ``deleted_at``: its disk is gone; the row stays, so that its id is known as expired."""

    id: str
    workspace_id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    deleted_at: datetime | None

    def expired(self, now: datetime) -> bool:
        """Whether it can no longer be used (WIRE c.6)."""
        return self.deleted_at is not None or self.expires_at <= now


async def create(database: Database, workspace_id: str, lifetime: timedelta, now: datetime | None = None) -> Container:
    """A new container that lasts for ``lifetime`` from now on."""
    now = now or datetime.now(UTC)
    row = ContainerRow(
        id=new_id("container"),
        workspace_id=workspace_id,
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
    )
    async with database.writing() as session:
        session.add(row)
    return _container(row)


async def get(database: Database, workspace_id: str, container_id: str) -> Container | None:
    """The container, also when it has expired; None when this workspace has none of that id."""
    async with database.reading() as session:
        row = await session.get(ContainerRow, container_id)
    return _container(row) if row is not None and row.workspace_id == workspace_id else None


async def touch(database: Database, container_id: str, now: datetime | None = None) -> None:
    """It is in use now. Its expiry stays: that counts from creation.

    A full disk must not keep anyone from the container in which they want to make room: then nothing is written.
    """
    now = now or datetime.now(UTC)
    try:
        async with database.writing() as session:
            await session.execute(update(ContainerRow).where(ContainerRow.id == container_id).values(last_used_at=now))
    except DatabaseFull:
        _log.warning("the time at which %s was last used could not be written: the disk is full", container_id)


async def expired(database: Database, now: datetime) -> list[Container]:
    """Those whose time is over and whose disks are still there, the longest expired first."""
    async with database.reading() as session:
        rows = await session.scalars(
            select(ContainerRow)
            .where(ContainerRow.deleted_at.is_(None), ContainerRow.expires_at <= now)
            .order_by(ContainerRow.expires_at, ContainerRow.id)
        )
        return [_container(row) for row in rows]


async def mark_deleted(database: Database, container_id: str, now: datetime | None = None) -> None:
    """Its disk is gone. Marking twice keeps the first time."""
    async with database.writing() as session:
        await session.execute(
            update(ContainerRow)
            .where(ContainerRow.id == container_id, ContainerRow.deleted_at.is_(None))
            .values(deleted_at=now or datetime.now(UTC))
        )


async def placed(database: Database, container_id: str) -> dict[str, str]:
    """The uploads in the container's input directory: file id to the name it has there."""
    async with database.reading() as session:
        rows = await session.execute(
            select(ContainerFileRow.file_id, ContainerFileRow.filename)
            .where(ContainerFileRow.container_id == container_id)
            .order_by(ContainerFileRow.placed_at, ContainerFileRow.file_id)
        )
        return {file_id: filename for file_id, filename in rows}  # noqa: C416 - rows are not plain pairs to the types


async def record_placed(
    database: Database, container_id: str, files: Mapping[str, str], now: datetime | None = None
) -> None:
    """These uploads (file id to name) now lie in the container. Recording one again sets its name."""
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        for file_id, filename in files.items():
            await session.merge(
                ContainerFileRow(container_id=container_id, file_id=file_id, filename=filename, placed_at=now)
            )


def _container(row: ContainerRow) -> Container:
    return Container(
        id=row.id,
        workspace_id=row.workspace_id,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        deleted_at=row.deleted_at,
    )
