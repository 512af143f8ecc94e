"""Containers as rows: whose they are, how long they last, and which uploads lie in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import String, bindparam, delete, func, insert, literal, select, tuple_, update

from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, ContainerFileRow, ContainerRow, PausedCellRow
from bathysphere.store.timestamps import Moment
from bathysphere.wire.ids import new_id

# A statement may have some 32 000 variables.
_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Container:
    """A container. ``deleted_at``: its disk is gone; the row stays, so that its id is known as expired.

    ``lost_at``: its host was found to have no disk for it. ``forked_from``: the container it is a copy of.
    ``api_key_id``: whose key made it.
    """

    id: str
    workspace_id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    deleted_at: datetime | None
    lost_at: datetime | None = None
    forked_from: str | None = None
    api_key_id: str | None = None

    def expired(self, now: datetime) -> bool:
        """Whether it can no longer be used (WIRE c.6)."""
        return self.deleted_at is not None or self.expires_at <= now


_BY_ID: Final = Prepared(select(ContainerRow.__table__).where(ContainerRow.id == bindparam("container_id")))
_COLUMNS: Final = tuple(column.name for column in fields(Container))
_INSERT: Final = Prepared(insert(Base.metadata.tables[ContainerRow.__tablename__]), _COLUMNS)
_INSERT_LYING: Final = Prepared(
    insert(Base.metadata.tables[ContainerFileRow.__tablename__]).from_select(
        ["container_id", "file_id", "filename", "placed_at"],
        select(
            bindparam("copy_id", type_=String()),
            ContainerFileRow.file_id,
            ContainerFileRow.filename,
            bindparam("now", type_=Moment()),
        ).where(ContainerFileRow.container_id == bindparam("origin_id")),
    )
)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list of containers, which is ordered newest first."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list, newest first; ``more``: there are older ones."""

    containers: list[Container]
    more: bool


async def create(
    database: Database,
    workspace_id: str,
    lifetime: timedelta,
    now: datetime | None = None,
    forked_from: str | None = None,
    container_id: str | None = None,
    deleted: bool = False,
    api_key_id: str | None = None,
) -> Container:
    """A new container that lasts for ``lifetime`` from now on. A copy has the uploads of its origin in it too.

    ``deleted``: it could not be made, and is known for the record of that only. Raises DatabaseFull.
    """
    now = now or datetime.now(UTC)
    made = Container(
        id=container_id or new_id("container"),
        workspace_id=workspace_id,
        created_at=now,
        last_used_at=now,
        expires_at=now + lifetime,
        deleted_at=now if deleted else None,
        forked_from=forked_from,
        api_key_id=api_key_id,
    )
    lying = [] if forked_from is None else [{"copy_id": made.id, "origin_id": forked_from, "now": now}]
    await database.write((_INSERT, [{name: getattr(made, name) for name in _COLUMNS}]), (_INSERT_LYING, lying))
    return made


async def get(database: Database, workspace_id: str, container_id: str) -> Container | None:
    """The container, also when it has expired; None when this workspace has none of that id."""
    row = database.one(_BY_ID, container_id=container_id)
    return _container(row) if row is not None and row.workspace_id == workspace_id else None


async def find(database: Database, container_id: str) -> Container | None:
    """The container, whosever it is: for the operator."""
    async with database.reading() as session:
        row = await session.get(ContainerRow, container_id)
    return None if row is None else _container(row)


async def counts(database: Database, now: datetime) -> dict[str, int]:
    """How many containers are ``usable``, ``expired`` with their disk still kept, or ``lost``."""
    kept = ContainerRow.deleted_at.is_(None)
    there = ContainerRow.lost_at.is_(None)
    lasting = ContainerRow.expires_at > now
    query = select(
        func.count().filter(kept, there, lasting),
        func.count().filter(kept, there, ~lasting),
        func.count().filter(kept, ~there),
    )
    async with database.reading() as session:
        usable, expired, lost = (await session.execute(query)).one()
    return {"usable": usable, "expired": expired, "lost": lost}


async def listing(
    database: Database,
    workspace_id: str | None,
    limit: int,
    older_than: Position | None = None,
    deleted: bool = False,
) -> Page:
    """The newest ``limit`` containers of a workspace (None: of all), or the next ones after a position.

    Those whose disk is gone are left out, unless ``deleted``.
    """
    query = select(ContainerRow)
    if workspace_id is not None:
        query = query.where(ContainerRow.workspace_id == workspace_id)
    if not deleted:
        query = query.where(ContainerRow.deleted_at.is_(None))
    if older_than is not None:
        place = tuple_(literal(older_than.created_at, Moment()), literal(older_than.id))
        query = query.where(tuple_(ContainerRow.created_at, ContainerRow.id) < place)
    async with database.reading() as session:
        rows = await session.scalars(
            query.order_by(ContainerRow.created_at.desc(), ContainerRow.id.desc()).limit(limit + 1)
        )
        found = [_container(row) for row in rows]
    return Page(found[:limit], more=len(found) > limit)


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
    """Its disk is gone. Marking twice keeps the first time. The names of what lay in it go at once."""
    async with database.writing() as session:
        await session.execute(
            update(ContainerRow)
            .where(ContainerRow.id == container_id, ContainerRow.deleted_at.is_(None))
            .values(deleted_at=now or datetime.now(UTC))
        )
        for row in (ContainerFileRow, PausedCellRow):
            await session.execute(delete(row).where(row.container_id == container_id))
    database.deleted.set()


async def known(database: Database, container_ids: Iterable[str]) -> dict[str, Container]:
    """Those of the containers that there are rows for."""
    wanted = list(container_ids)
    found: dict[str, Container] = {}
    async with database.reading() as session:
        for start in range(0, len(wanted), _IDS):
            rows = await session.scalars(select(ContainerRow).where(ContainerRow.id.in_(wanted[start : start + _IDS])))
            found.update((row.id, _container(row)) for row in rows)
    return found


async def alive(database: Database, made_before: datetime) -> list[Container]:
    """Every container that should have a disk, made before a moment."""
    async with database.reading() as session:
        rows = await session.scalars(
            select(ContainerRow).where(ContainerRow.deleted_at.is_(None), ContainerRow.created_at < made_before)
        )
        return [_container(row) for row in rows]


async def mark_lost(database: Database, container_ids: Iterable[str], lost_at: datetime | None) -> None:
    """Their host has no disk for them; None: it has one after all."""
    wanted = list(container_ids)
    async with database.writing() as session:
        for start in range(0, len(wanted), _IDS):
            await session.execute(
                update(ContainerRow)
                .where(ContainerRow.id.in_(wanted[start : start + _IDS]), ContainerRow.deleted_at.is_(None))
                .values(lost_at=lost_at)
            )


async def forget(database: Database, deleted_before: datetime) -> int:
    """Remove the rows of containers that were deleted before a moment, with all records about them; how many."""
    async with database.writing() as session:
        gone = await session.scalars(
            delete(ContainerRow).where(ContainerRow.deleted_at < deleted_before).returning(ContainerRow.id)
        )
        return len(gone.all())


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


def _container(row: ContainerRow | Any) -> Container:
    return Container(
        id=row.id,
        workspace_id=row.workspace_id,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        deleted_at=row.deleted_at,
        lost_at=row.lost_at,
        forked_from=row.forked_from,
    )
