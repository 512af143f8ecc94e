"""Files: a row that says what it is, and a blob that holds its bytes.

The order of the two writes is what keeps them true to each other: the blob is durable before its row appears, and
the row is gone before its blob. A crash in between leaves a blob without a row, which ``sweep`` removes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Tuple, literal, select, tuple_

from bathysphere.settings import LimitSettings
from bathysphere.store.blobs import Blobs, forget
from bathysphere.store.database import Database
from bathysphere.store.quota import room, room_within
from bathysphere.store.schema import FileRow
from bathysphere.store.timestamps import Moment
from bathysphere.wire.files import mime_type_of, sanitised_filename
from bathysphere.wire.ids import new_id

_row_place = tuple_(FileRow.created_at, FileRow.id)


class FileTooLarge(Exception):
    """The file has more than ``file_bytes``."""


@dataclass(frozen=True, slots=True)
class File:
    """A file. ``blob_key`` is None once the bytes of an expired file have been removed."""

    id: str
    workspace_id: str
    filename: str
    mime_type: str
    size_bytes: int
    created_at: datetime
    downloadable: bool
    expires_at: datetime | None
    container_id: str | None
    blob_key: str | None

    def expired(self, now: datetime) -> bool:
        """Whether its bytes may no longer be had; its metadata may, for another 30 days."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the list of a workspace's files, which is ordered newest first."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list, newest first; ``more``: there are further files in the direction that was asked for."""

    files: list[File]
    more: bool


async def add(
    database: Database,
    blobs: Blobs,
    *,
    workspace_id: str,
    filename: str,
    mime_type: str,
    blob_key: str,
    size_bytes: int,
    downloadable: bool,
    storage_bytes: int,
    expires_in: timedelta | None = None,
    container_id: str | None = None,
    api_key_id: str | None = None,
    now: datetime | None = None,
) -> File:
    """Give a committed blob its row. Whatever goes wrong, a blob without a row is deleted.

    Raises StorageQuotaExceeded when the organisation's files would exceed ``storage_bytes``, or a quota.
    """
    now = now or datetime.now(UTC)
    row = FileRow(
        id=new_id("file"),
        workspace_id=workspace_id,
        filename=filename,
        mime_type=mime_type,
        size_bytes=size_bytes,
        created_at=now,
        downloadable=downloadable,
        expires_at=None if expires_in is None else now + expires_in,
        blob_key=blob_key,
        container_id=container_id,
        api_key_id=api_key_id,
    )
    try:
        async with database.writing() as session:
            (await room_within(session, workspace_id, api_key_id, storage_bytes)).check(size_bytes)
            session.add(row)
    except BaseException:
        await forget(blobs, blob_key)
        raise
    return _file(row)


async def produce(
    database: Database,
    blobs: Blobs,
    *,
    workspace_id: str,
    container_id: str,
    filename: str,
    content: AsyncIterator[bytes],
    limits: LimitSettings,
    api_key_id: str | None = None,
) -> File:
    """Store a file that code in a container made, whole or not at all; clients may download it.

    ``filename`` is what the sandbox called it: ``sanitised_filename`` makes it one that the protocol allows.
    Raises FileTooLarge, StorageQuotaExceeded, BlobStoreFull, BlobError, and whatever ``content`` raises.
    """
    name = sanitised_filename(filename)
    free = await room(database, workspace_id, api_key_id, limits.storage_bytes)
    async with blobs.writer() as writer:
        async for chunk in content:
            if writer.size + len(chunk) > limits.file_bytes:
                raise FileTooLarge
            free.check(writer.size + len(chunk))
            await writer.write(chunk)
        key = await writer.commit()
    return await add(
        database,
        blobs,
        workspace_id=workspace_id,
        filename=name,
        mime_type=mime_type_of(name),
        blob_key=key,
        size_bytes=writer.size,
        downloadable=True,
        storage_bytes=limits.storage_bytes,
        container_id=container_id,
        api_key_id=api_key_id,
    )


async def get(database: Database, workspace_id: str, file_id: str) -> File | None:
    """The file, also when it has expired; None when this workspace has none of that id."""
    async with database.reading() as session:
        row = await session.get(FileRow, file_id)
    return _file(row) if row is not None and row.workspace_id == workspace_id else None


async def get_many(database: Database, workspace_id: str, file_ids: Sequence[str]) -> list[File]:
    """Those of the files that this workspace has, newest first."""
    async with database.reading() as session:
        rows = await session.scalars(
            select(FileRow)
            .where(FileRow.workspace_id == workspace_id, FileRow.id.in_(file_ids))
            .order_by(FileRow.created_at.desc(), FileRow.id.desc())
        )
        return [_file(row) for row in rows]


async def older(database: Database, workspace_id: str, limit: int, than: Position | None = None) -> Page:
    """The newest ``limit`` files, or the next ones after a position (which need not exist any more)."""
    query = select(FileRow).where(FileRow.workspace_id == workspace_id)
    if than is not None:
        query = query.where(_row_place < _place(than))
    query = query.order_by(FileRow.created_at.desc(), FileRow.id.desc()).limit(limit + 1)
    async with database.reading() as session:
        found = [_file(row) for row in await session.scalars(query)]
    return Page(found[:limit], len(found) > limit)


async def newer(database: Database, workspace_id: str, limit: int, than: Position) -> Page:
    """The ``limit`` files just before a position, newest first all the same."""
    query = (
        select(FileRow)
        .where(
            FileRow.workspace_id == workspace_id,
            _row_place > _place(than),
        )
        .order_by(FileRow.created_at, FileRow.id)
        .limit(limit + 1)
    )
    async with database.reading() as session:
        found = [_file(row) for row in await session.scalars(query)]
    return Page(found[:limit][::-1], len(found) > limit)


async def delete(database: Database, blobs: Blobs, workspace_id: str, file_id: str) -> bool:
    """Remove a file, row and bytes, for good. False when this workspace has none of that id."""
    async with database.writing() as session:
        row = await session.get(FileRow, file_id)
        if row is None or row.workspace_id != workspace_id:
            return False
        await session.delete(row)
    database.deleted.set()
    if row.blob_key is not None:
        await forget(blobs, row.blob_key)
    return True


def _place(position: Position) -> Tuple:
    # Bare values would be bound as a date's text, which SQLite compares with a number without complaint.
    return tuple_(literal(position.created_at, Moment()), literal(position.id))


def _file(row: FileRow) -> File:
    return File(
        id=row.id,
        workspace_id=row.workspace_id,
        filename=row.filename,
        mime_type=row.mime_type,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
        downloadable=row.downloadable,
        expires_at=row.expires_at,
        container_id=row.container_id,
        blob_key=row.blob_key,
    )
