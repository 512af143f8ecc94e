"""Cells that have waited for their tools' answers: in which container, and which files came of them in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, update

from bathysphere.store.audit import ProducedFile
from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, PausedCellRow

KEPT_FOR: Final = timedelta(days=1)
"""How long a row stays after the cell's first pause; it goes with its container before that."""

_BY_ID: Final = Prepared(select(PausedCellRow.__table__).where(PausedCellRow.id == bindparam("cell_id")))
_ADD: Final = Prepared(
    insert(Base.metadata.tables[PausedCellRow.__tablename__]).prefix_with("OR IGNORE"),
    ("id", "container_id", "created_at", "files"),
)


@dataclass(frozen=True, slots=True)
class PausedCell:
    """``files`` is None before the cell has ended with files."""

    container_id: str
    files: tuple[ProducedFile, ...] | None


async def add(database: Database, cell_id: str, container_id: str, now: datetime | None = None) -> None:
    """The cell waits in this container. Adding it again changes nothing. Raises DatabaseFull."""
    row = {"id": cell_id, "container_id": container_id, "created_at": now or datetime.now(UTC), "files": None}
    await database.write((_ADD, [row]))


def get(database: Database, cell_id: str) -> PausedCell | None:
    """Where a cell waits or has waited; None when that is not known (any more)."""
    row = database.one(_BY_ID, cell_id=cell_id)
    if row is None:
        return None
    files = None if row.files is None else tuple(ProducedFile(**file) for file in row.files)
    return PausedCell(row.container_id, files)


async def record_files(database: Database, cell_id: str, files: Sequence[ProducedFile]) -> None:
    """The files of a cell that has ended, so that a repeated request names the same. Raises DatabaseFull."""
    async with database.writing() as session:
        await session.execute(
            update(PausedCellRow).where(PausedCellRow.id == cell_id).values(files=[asdict(file) for file in files])
        )


async def forget(database: Database, now: datetime) -> int:
    """Remove the rows whose time is over; how many."""
    async with database.writing() as session:
        gone = await session.scalars(
            delete(PausedCellRow).where(PausedCellRow.created_at <= now - KEPT_FOR).returning(PausedCellRow.id)
        )
        return len(gone.all())
