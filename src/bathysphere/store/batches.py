"""Message batches as their clients see them: received, listed, cancelled, deleted, and their results read.

A batch arrives in pieces, each in a transaction of its own, and nobody sees it before its last (``finish``). What
runs its requests is in ``batch_queue``, what ends and removes batches in ``batch_ageing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Select, Tuple, Update, and_, func, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, BatchRequestRow, MessageBatchRow
from bathysphere.store.timestamps import Moment
from bathysphere.wire.ids import new_id

RETRIED_WITHIN: Final = timedelta(hours=1)
"""How long after a batch was made the same body, sent as a retry, still means that batch."""

IDEMPOTENT_WITHIN: Final = timedelta(hours=24)
"""How long an ``Idempotency-Key`` is remembered."""

_INSERT_REQUEST: Final = Prepared(
    insert(Base.metadata.tables[BatchRequestRow.__tablename__]), ("batch_id", "custom_id", "state", "params")
)


class TooManyWaiting(Exception):
    """The workspace's batches hold more requests than may wait; nothing of the new one stays."""


class OtherBody(Exception):
    """The ``Idempotency-Key`` has been used with another body."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch. The counts are those of its end; ``requests`` is their sum."""

    id: str
    workspace_id: str
    api_key_id: str
    created_at: datetime
    expires_at: datetime
    cancel_initiated_at: datetime | None
    ended_at: datetime | None
    archived_at: datetime | None
    requests: int
    succeeded: int
    errored: int
    canceled: int
    expired: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Origin:
    """The request that makes a batch. ``began`` is when it arrived, ``retry`` whether it said to be one."""

    workspace_id: str
    api_key_id: str
    headers: Mapping[str, str]
    idempotency_key: str | None
    retry: bool
    began: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """How a request ended. ``result`` is the JSON of the protocol's ``result``; None for those that did not run."""

    number: int
    custom_id: str
    state: str
    result: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the list, newest first; ``more``: there are others in the direction of reading."""

    batches: list[Batch]
    more: bool


async def receive(database: Database, origin: Origin) -> str:
    """The id of a batch whose requests are about to arrive. Raises DatabaseFull."""
    batch_id = new_id("msgbatch")
    async with database.writing() as session:
        session.add(
            MessageBatchRow(
                id=batch_id,
                workspace_id=origin.workspace_id,
                api_key_id=origin.api_key_id,
                created_at=origin.began,
                expires_at=origin.began,
                ready=False,
                deleted=False,
                requests=0,
                headers=dict(origin.headers),
                idempotency_key=origin.idempotency_key,
                retry=origin.retry,
            )
        )
    return batch_id


async def add(database: Database, batch_id: str, requests: Iterable[tuple[str, str]]) -> None:
    """More requests of a batch, each its custom id and its params as JSON. Raises DatabaseFull."""
    rows = [{"batch_id": batch_id, "custom_id": name, "state": "queued", "params": text} for name, text in requests]
    await database.write((_INSERT_REQUEST, rows))


async def finish(
    database: Database,
    batch_id: str,
    origin: Origin,
    requests: int,
    body_sha256: str,
    lifetime: timedelta,
    most_waiting: int,
    now: datetime | None = None,
) -> Batch:
    """The batch is whole, and its requests may run. A create that was sent twice gives the batch of the first one.

    Raises TooManyWaiting, OtherBody and DatabaseFull.
    """
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        before = await _made_before(session, origin, body_sha256, now)
        if before is not None:
            await session.execute(_drop(batch_id))
            return before
        waiting = await session.scalar(
            select(func.sum(MessageBatchRow.requests)).where(
                MessageBatchRow.workspace_id == origin.workspace_id, MessageBatchRow.ended_at.is_(None), _seen()
            )
        )
        if int(waiting or 0) + requests > most_waiting:
            raise TooManyWaiting
        row = await session.get_one(MessageBatchRow, batch_id)
        row.ready = True
        row.requests = requests
        row.created_at = now
        row.expires_at = now + lifetime
        row.body_sha256 = body_sha256
    return batch_of(row)


async def abandon(database: Database, batch_id: str) -> None:
    """A batch that did not become one; its rows are removed by the next sweep."""
    async with database.writing() as session:
        await session.execute(_drop(batch_id))


async def get(database: Database, workspace_id: str, batch_id: str) -> Batch | None:
    """The batch; None when this workspace has none of that id."""
    async with database.reading() as session:
        row = await session.scalar(_of(workspace_id).where(MessageBatchRow.id == batch_id))
    return None if row is None else batch_of(row)


async def older(database: Database, workspace_id: str, limit: int, than: Batch | None = None) -> Page:
    """The newest ``limit`` batches, or the next ones after one of them."""
    query = _of(workspace_id)
    if than is not None:
        query = query.where(_row_place < _place(than))
    query = query.order_by(MessageBatchRow.created_at.desc(), MessageBatchRow.id.desc()).limit(limit + 1)
    async with database.reading() as session:
        found = [batch_of(row) for row in await session.scalars(query)]
    return Page(found[:limit], len(found) > limit)


async def newer(database: Database, workspace_id: str, limit: int, than: Batch) -> Page:
    """The ``limit`` batches just before one, newest first all the same."""
    query = _of(workspace_id).where(_row_place > _place(than))
    query = query.order_by(MessageBatchRow.created_at, MessageBatchRow.id).limit(limit + 1)
    async with database.reading() as session:
        found = [batch_of(row) for row in await session.scalars(query)]
    return Page(found[:limit][::-1], len(found) > limit)


async def cancel(database: Database, workspace_id: str, batch_id: str, now: datetime | None = None) -> Batch | None:
    """No more of its requests begin. The batch as it is now; None when this workspace has none of that id.

    Of a batch that has ended, or was cancelled before, nothing is changed.
    """
    async with database.writing() as session:
        row = await session.scalar(_of(workspace_id).where(MessageBatchRow.id == batch_id))
        if row is not None and row.ended_at is None and row.cancel_initiated_at is None:
            row.cancel_initiated_at = now or datetime.now(UTC)
    return None if row is None else batch_of(row)


async def delete(database: Database, workspace_id: str, batch_id: str) -> Batch | None:
    """Remove a batch if it has ended: the answer tells, by ``ended_at``. None when there is none of that id."""
    async with database.writing() as session:
        row = await session.scalar(_of(workspace_id).where(MessageBatchRow.id == batch_id))
        if row is not None and row.ended_at is not None:
            row.deleted = True
            database.deleted.set()
    return None if row is None else batch_of(row)


async def results(database: Database, batch_id: str, after: int, limit: int) -> Sequence[Result]:
    """The next results of a batch that has ended, in the order in which its requests came."""
    async with database.reading() as session:
        rows = await session.execute(
            select(BatchRequestRow.number, BatchRequestRow.custom_id, BatchRequestRow.state, BatchRequestRow.result)
            .where(BatchRequestRow.batch_id == batch_id, BatchRequestRow.number > after)
            .order_by(BatchRequestRow.number)
            .limit(limit)
        )
        return [Result(*row) for row in rows]


async def _made_before(session: AsyncSession, origin: Origin, body_sha256: str, now: datetime) -> Batch | None:
    """The batch that an earlier sending of the same request has made. Raises OtherBody."""
    query = _of(origin.workspace_id).where(MessageBatchRow.api_key_id == origin.api_key_id)
    if origin.idempotency_key is not None:
        row = await session.scalar(
            query.where(
                MessageBatchRow.idempotency_key == origin.idempotency_key,
                MessageBatchRow.created_at > now - IDEMPOTENT_WITHIN,
            )
        )
        if row is not None and row.body_sha256 != body_sha256:
            raise OtherBody
        return None if row is None else batch_of(row)
    if origin.retry:
        same = MessageBatchRow.created_at > now - RETRIED_WITHIN
    else:
        # The client gave this one up, and its retry was quicker.
        same = and_(MessageBatchRow.retry.is_(True), MessageBatchRow.created_at >= origin.began)
    row = await session.scalar(
        query.where(MessageBatchRow.idempotency_key.is_(None), MessageBatchRow.body_sha256 == body_sha256, same)
        .order_by(MessageBatchRow.created_at.desc())
        .limit(1)
    )
    return None if row is None else batch_of(row)


def _drop(batch_id: str) -> Update:
    return update(MessageBatchRow).where(MessageBatchRow.id == batch_id).values(deleted=True)


def _seen() -> ColumnElement[bool]:
    return and_(MessageBatchRow.ready.is_(True), MessageBatchRow.deleted.is_(False))


def _of(workspace_id: str) -> Select[MessageBatchRow]:
    return select(MessageBatchRow).where(MessageBatchRow.workspace_id == workspace_id, _seen())


_row_place: Final = tuple_(MessageBatchRow.created_at, MessageBatchRow.id)


def _place(batch: Batch) -> Tuple:
    # Bare values would be bound as a date's text, which SQLite compares with a number without complaint.
    return tuple_(literal(batch.created_at, Moment()), literal(batch.id))


def batch_of(row: MessageBatchRow) -> Batch:
    """The batch of a row."""
    return Batch(
        id=row.id,
        workspace_id=row.workspace_id,
        api_key_id=row.api_key_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        cancel_initiated_at=row.cancel_initiated_at,
        ended_at=row.ended_at,
        archived_at=row.archived_at,
        requests=row.requests,
        succeeded=row.succeeded or 0,
        errored=row.errored or 0,
        canceled=row.canceled or 0,
        expired=row.expired or 0,
        headers=row.headers,
    )
