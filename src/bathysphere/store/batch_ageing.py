"""What time and clients end of batches: cancelled and expired requests, old results, deleted batches.

All of it goes in pieces, each a short transaction: a batch may have 100 000 requests, and other writers wait.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from bathysphere.store.batch_queue import QUEUED, end_if_finished
from bathysphere.store.database import Database
from bathysphere.store.schema import BatchRequestRow, MessageBatchRow
from bathysphere.wire.batches import Outcome

_PIECE: Final = 1_000

# A body of 256 MB on a slow line: longer than any server lets a request last.
_ABANDONED: Final = timedelta(hours=24)


async def settle(database: Database, now: datetime | None = None) -> bool:
    """End what does not run any more: the requests of cancelled and expired batches that have not begun.

    Whether there was anything. Requests that run go on to their end.
    """
    now = now or datetime.now(UTC)
    async with database.reading() as session:
        rows = await session.execute(
            select(MessageBatchRow.id, MessageBatchRow.cancel_initiated_at).where(
                MessageBatchRow.ended_at.is_(None),
                MessageBatchRow.ready.is_(True),
                or_(MessageBatchRow.cancel_initiated_at.is_not(None), MessageBatchRow.expires_at <= now),
            )
        )
        due: list[tuple[str, Outcome]] = [
            (batch_id, "expired" if cancelled is None else "canceled") for batch_id, cancelled in rows
        ]
    for batch_id, outcome in due:
        while await _end_piece(database, batch_id, outcome, now):
            pass
    return bool(due)


async def _end_piece(database: Database, batch_id: str, outcome: Outcome, now: datetime) -> bool:
    """Whether more is left."""
    of_batch = BatchRequestRow.batch_id == batch_id
    claimed = and_(BatchRequestRow.worker_id.is_not(None), BatchRequestRow.state == "claimed")
    queued = select(BatchRequestRow.number).where(of_batch, QUEUED).limit(_PIECE)
    async with database.writing() as session:
        ended = 0
        conditions: tuple[ColumnElement[bool], ...] = (BatchRequestRow.number.in_(queued), and_(of_batch, claimed))
        for condition in conditions:
            rows = await session.scalars(
                update(BatchRequestRow)
                .where(condition)
                .values(state=outcome, params=None, worker_id=None)
                .returning(BatchRequestRow.number)
            )
            ended += len(rows.all())
        if ended < _PIECE:
            await end_if_finished(session, batch_id, now)
    return ended >= _PIECE


async def sweep(database: Database, results_for: timedelta, now: datetime | None = None) -> int:
    """Remove the results of batches older than ``results_for``, and deleted and abandoned batches; how many batches.

    Of an archived batch the row stays.
    """
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        archived = await session.scalars(
            update(MessageBatchRow)
            .where(
                MessageBatchRow.ended_at.is_not(None),
                MessageBatchRow.archived_at.is_(None),
                MessageBatchRow.created_at <= now - results_for,
            )
            .values(archived_at=now)
            .returning(MessageBatchRow.id)
        )
        touched = set(archived.all())
        abandoned = and_(MessageBatchRow.ready.is_(False), MessageBatchRow.created_at <= now - _ABANDONED)
        await session.execute(update(MessageBatchRow).where(abandoned).values(deleted=True))
        deleted = list(await session.scalars(select(MessageBatchRow.id).where(MessageBatchRow.deleted.is_(True))))
        # Also of those that were archived by a sweep that did not get to its end.
        left = await session.scalars(
            select(MessageBatchRow.id).where(
                MessageBatchRow.archived_at.is_not(None),
                select(BatchRequestRow.number).where(BatchRequestRow.batch_id == MessageBatchRow.id).exists(),
            )
        )
        touched.update(left)
    for batch_id in touched:
        while await _remove_piece(database, batch_id):
            pass
    await remove_deleted(database)
    return len(touched.union(deleted))


async def remove_deleted(database: Database) -> None:
    """Remove batches that clients have deleted, with their requests and results."""
    async with database.reading() as session:
        deleted = list(await session.scalars(select(MessageBatchRow.id).where(MessageBatchRow.deleted.is_(True))))
    for batch_id in deleted:
        while await _remove_piece(database, batch_id):
            pass
        async with database.writing() as session:
            await session.execute(delete(MessageBatchRow).where(MessageBatchRow.id == batch_id))


async def _remove_piece(database: Database, batch_id: str) -> bool:
    some = select(BatchRequestRow.number).where(BatchRequestRow.batch_id == batch_id).limit(_PIECE)
    async with database.writing() as session:
        gone = await session.scalars(
            delete(BatchRequestRow).where(BatchRequestRow.number.in_(some)).returning(BatchRequestRow.number)
        )
        return len(gone.all()) == _PIECE
