"""What time and crashes leave behind: unfinished blobs, blobs without a row, expired files, cells long gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update

from bathysphere.store import paused_cells
from bathysphere.store.blobs import Blobs
from bathysphere.store.database import Database
from bathysphere.store.schema import FileRow, SkillVersionRow

METADATA_AFTER_EXPIRY: Final = timedelta(days=30)
"""How long an expired file's metadata stays (WIRE e)."""

# A row follows its blob within moments. Only a blob that has waited far longer has been abandoned.
_ABANDONED: Final = timedelta(hours=1)
_ROWS: Final = 500


@dataclass(frozen=True, slots=True)
class Swept:
    """How much was removed."""

    unfinished: int
    orphans: int
    expired_blobs: int
    expired_rows: int
    paused_cells: int = 0


async def sweep(database: Database, blobs: Blobs, now: datetime | None = None) -> Swept:
    """Remove it all. Meant for the start and then once an hour; safe beside running uploads, of other processes too.

    Raises BlobError.
    """
    now = now or datetime.now(UTC)
    unfinished = await blobs.sweep()
    expired_blobs = await _forget_expired_blobs(database, blobs, now)
    async with database.writing() as session:
        gone = await session.scalars(
            delete(FileRow)
            .where(FileRow.expires_at <= now - METADATA_AFTER_EXPIRY, FileRow.blob_key.is_(None))
            .returning(FileRow.id)
        )
        expired_rows = len(gone.all())
    cells = await paused_cells.forget(database, now)
    return Swept(unfinished, await _remove_orphans(database, blobs, now), expired_blobs, expired_rows, cells)


async def _forget_expired_blobs(database: Database, blobs: Blobs, now: datetime) -> int:
    async with database.writing() as session:
        due = FileRow.expires_at <= now, FileRow.blob_key.is_not(None)
        keys = [key for key in await session.scalars(select(FileRow.blob_key).where(*due)) if key is not None]
        if keys:
            await session.execute(update(FileRow).where(*due).values(blob_key=None))
    for key in keys:
        await blobs.delete(key)
    return len(keys)


async def _remove_orphans(database: Database, blobs: Blobs, now: datetime) -> int:
    removed = 0
    batch: list[str] = []
    async for key, modified in blobs.listing():
        if modified <= now - _ABANDONED:
            batch.append(key)
        if len(batch) == _ROWS:
            removed += await _remove_unknown(database, blobs, batch)
            batch = []
    return removed + await _remove_unknown(database, blobs, batch)


async def _remove_unknown(database: Database, blobs: Blobs, keys: list[str]) -> int:
    async with database.reading() as session:
        known: set[str | None] = set()
        for column in (FileRow.blob_key, SkillVersionRow.blob_key):
            known.update(await session.scalars(select(column).where(column.in_(keys))))
    unknown = [key for key in keys if key not in known]
    for key in unknown:
        await blobs.delete(key)
    return len(unknown)
