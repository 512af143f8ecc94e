"""The queue of batch requests: claimed many at a time under a lease, begun durably, finished in groups.

A request goes from ``queued`` over ``claimed`` and ``begun`` to its result. Whoever runs it marks it as begun first,
in a transaction that says so only if it still holds it. So after a death those that were only claimed go back to the
queue, and those that had begun are never run again: what they had done by then nobody knows
(docs/decisions/batch-requests-once.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.batches import Batch, batch_of
from bathysphere.store.database import Database
from bathysphere.store.schema import Base, BatchRequestRow, BatchWorkerRow, MessageBatchRow
from bathysphere.wire.batches import Outcome

# Written out, not bound: only so does SQLite know that the index of these rows alone will do.
QUEUED: Final[ColumnElement[bool]] = BatchRequestRow.state == literal_column("'queued'")

_REQUESTS: Final = Base.metadata.tables[BatchRequestRow.__tablename__]
_BATCHES: Final = Base.metadata.tables[MessageBatchRow.__tablename__]

# Put together once: that takes as long as carrying them out, and each request needs them.
_FINISH: Final = (
    update(_REQUESTS)
    .where(_REQUESTS.c.number == bindparam("of"), _REQUESTS.c.worker_id == bindparam("worker"))
    .where(_REQUESTS.c.state == "begun")
    .values(state=bindparam("outcome"), result=bindparam("text"), params=None, worker_id=None)
)
_BEGIN: Final = (
    update(_REQUESTS)
    .where(_REQUESTS.c.number.in_(bindparam("numbers", expanding=True)), _REQUESTS.c.worker_id == bindparam("worker"))
    .where(_REQUESTS.c.state == "claimed")
    .values(state="begun")
    .returning(_REQUESTS.c.number, _REQUESTS.c.custom_id, _REQUESTS.c.params)
)
_OF_ENDED: Final = _REQUESTS.c.batch_id == bindparam("ended")


def _counted(outcome: Outcome) -> ColumnElement[int]:
    counted = select(func.count()).select_from(_REQUESTS).where(_OF_ENDED, _REQUESTS.c.state == outcome)
    return counted.scalar_subquery()


_END: Final = (
    update(_BATCHES)
    .where(_BATCHES.c.id == bindparam("ended"), _BATCHES.c.ended_at.is_(None), _BATCHES.c.ready.is_(True))
    .where(~exists().where(_OF_ENDED, QUEUED), ~exists().where(_OF_ENDED, _REQUESTS.c.worker_id.is_not(None)))
    .values(
        ended_at=bindparam("now"),
        succeeded=_counted("succeeded"),
        errored=_counted("errored"),
        canceled=_counted("canceled"),
        expired=_counted("expired"),
    )
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A request that is ours to begin."""

    number: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that has begun, and which nobody else will ever run. ``params`` are JSON."""

    number: int
    custom_id: str
    params: str


@dataclass(frozen=True, slots=True)
class Done:
    """A result, as JSON."""

    number: int
    batch_id: str
    outcome: Outcome
    result: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What was found in the hands of the dead: back in the queue, and given up."""

    queued: int = 0
    given_up: int = 0


async def renew(database: Database, worker_id: str, lease: timedelta, now: datetime | None = None) -> None:
    """This worker lives. Whoever does not say so in time is taken over."""
    async with database.writing() as session:
        await _renew(session, worker_id, (now or datetime.now(UTC)) + lease)


async def claim(
    database: Database,
    worker_id: str,
    most: int,
    lease: timedelta,
    after_workspace: str = "",
    now: datetime | None = None,
    *,
    without_workspaces: Collection[str] = (),
) -> list[Claimed]:
    """Take up to ``most`` queued requests, of each workspace alike and of each of its batches alike.

    They come in turns: one of each workspace, then the next of each. ``after_workspace`` is whose turn was the last,
    which matters where there are more workspaces than ``most``. ``without_workspaces`` are passed over.
    """
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        waiting = exists().where(BatchRequestRow.batch_id == MessageBatchRow.id, QUEUED)
        rows = await session.scalars(
            select(MessageBatchRow)
            .where(
                MessageBatchRow.ended_at.is_(None),
                MessageBatchRow.ready.is_(True),
                MessageBatchRow.deleted.is_(False),
                MessageBatchRow.cancel_initiated_at.is_(None),
                MessageBatchRow.expires_at > now,
                MessageBatchRow.workspace_id.not_in(list(without_workspaces)),
                waiting,
            )
            .order_by(MessageBatchRow.created_at, MessageBatchRow.id)
        )
        batches = [batch_of(row) for row in rows]
        if not batches:
            return []
        await _renew(session, worker_id, now + lease)
        taken: dict[str, list[list[Claimed]]] = {}
        for batch, share in _shares(batches, most, after_workspace):
            next_ones = (
                select(BatchRequestRow.number)
                .where(BatchRequestRow.batch_id == batch.id, QUEUED)
                .order_by(BatchRequestRow.number)
                .limit(share)
            )
            numbers = await session.scalars(
                update(BatchRequestRow)
                .where(BatchRequestRow.number.in_(next_ones))
                .values(state="claimed", worker_id=worker_id)
                .returning(BatchRequestRow.number)
            )
            taken.setdefault(batch.workspace_id, []).append([Claimed(number, batch) for number in sorted(numbers)])
    return _in_turns([_in_turns(of_batches) for of_batches in taken.values()])


def _shares(batches: Sequence[Batch], most: int, after_workspace: str) -> Iterable[tuple[Batch, int]]:
    """How many requests of which batch, beginning with the workspace whose turn it is."""
    by_workspace: dict[str, list[Batch]] = {}
    for batch in batches:
        by_workspace.setdefault(batch.workspace_id, []).append(batch)
    turns = sorted(by_workspace, key=lambda name: (name <= after_workspace, name))
    left = most
    for index, name in enumerate(turns):
        of_workspace = left // (len(turns) - index) or min(left, 1)
        left -= of_workspace
        own = by_workspace[name]
        for place, batch in enumerate(own):
            share = of_workspace // (len(own) - place) or min(of_workspace, 1)
            of_workspace -= share
            if share:
                yield batch, share


def _in_turns(lists: list[list[Claimed]]) -> list[Claimed]:
    longest = max(map(len, lists), default=0)
    return [items[place] for place in range(longest) for items in lists if place < len(items)]


async def commit(
    database: Database,
    worker_id: str,
    begin: Sequence[int],
    done: Sequence[Done],
    now: datetime | None = None,
) -> Mapping[int, Begun]:
    """Write results, and mark claimed requests as begun, in one transaction. Those that have begun, by number.

    A request that is missing there is not ours any more: it was cancelled, has expired, or was taken over. So is
    the result of one that was taken over dropped. Raises DatabaseFull.
    """
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        connection = await session.connection()
        if done:
            results = [
                {"of": result.number, "worker": worker_id, "outcome": result.outcome, "text": result.result}
                for result in done
            ]
            await connection.execute(_FINISH, results)
        begun: dict[int, Begun] = {}
        if begin:
            rows = await connection.execute(_BEGIN, {"numbers": list(begin), "worker": worker_id})
            begun = {number: Begun(number, custom_id, params or "{}") for number, custom_id, params in rows}
        for batch_id in dict.fromkeys(result.batch_id for result in done):
            await end_if_finished(session, batch_id, now)
    return begun


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What is to be done of all workspaces' batches: requests in the queue, and in the hands of servers."""

    open_batches: int
    queued: int
    claimed: int
    begun: int


async def counts(database: Database) -> QueueCounts:
    """How much there is to do."""
    held = select(func.count()).select_from(_REQUESTS).where(_REQUESTS.c.worker_id.is_not(None))
    query = select(
        select(func.count()).select_from(_BATCHES).where(_BATCHES.c.ended_at.is_(None)).scalar_subquery(),
        select(func.count()).select_from(_REQUESTS).where(QUEUED).scalar_subquery(),
        held.where(_REQUESTS.c.state == "claimed").scalar_subquery(),
        held.where(_REQUESTS.c.state == "begun").scalar_subquery(),
    )
    async with database.reading() as session:
        return QueueCounts(*(await session.execute(query)).one())


async def release(database: Database, worker_id: str) -> None:
    """This worker ends: what it had claimed goes back to the queue. Its results have been written before.

    Where one could not be, the worker stays known until its lease is over, and that request is taken over.
    """
    async with database.writing() as session:
        await _requeue(session, [worker_id])
        unwritten = exists().where(_held_by([worker_id]))
        await session.execute(delete(BatchWorkerRow).where(BatchWorkerRow.id == worker_id, ~unwritten))


async def take_over(database: Database, result: str, now: datetime | None = None) -> TakenOver:
    """What dead workers held: requests that had not begun are queued again, the others end with ``result``."""
    now = now or datetime.now(UTC)
    async with database.reading() as session:
        if await session.scalar(select(BatchWorkerRow.id).where(BatchWorkerRow.lease_until < now).limit(1)) is None:
            return TakenOver()
    async with database.writing() as session:
        dead = list(await session.scalars(select(BatchWorkerRow.id).where(BatchWorkerRow.lease_until < now)))
        queued = await _requeue(session, dead)
        rows = await session.scalars(
            update(BatchRequestRow)
            .where(_held_by(dead), BatchRequestRow.state == "begun")
            .values(state="errored", result=result, params=None, worker_id=None)
            .returning(BatchRequestRow.batch_id)
        )
        batch_ids = list(rows)
        for batch_id in dict.fromkeys(batch_ids):
            await end_if_finished(session, batch_id, now)
        await session.execute(delete(BatchWorkerRow).where(BatchWorkerRow.id.in_(dead)))
    return TakenOver(queued, len(batch_ids))


async def end_if_finished(session: AsyncSession, batch_id: str, now: datetime) -> None:
    """The batch ends when none of its requests waits or runs; then they are counted."""
    await (await session.connection()).execute(_END, {"ended": batch_id, "now": now})


async def _renew(session: AsyncSession, worker_id: str, until: datetime) -> None:
    statement = insert(BatchWorkerRow).values(id=worker_id, lease_until=until)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"lease_until": until}))


async def _requeue(session: AsyncSession, workers: list[str]) -> int:
    rows = await session.scalars(
        update(BatchRequestRow)
        .where(_held_by(workers), BatchRequestRow.state == "claimed")
        .values(state="queued", worker_id=None)
        .returning(BatchRequestRow.number)
    )
    return len(rows.all())


def _held_by(workers: list[str]) -> ColumnElement[bool]:
    return BatchRequestRow.worker_id.is_not(None) & BatchRequestRow.worker_id.in_(workers)
