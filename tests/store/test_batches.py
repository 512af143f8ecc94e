"""Batches in the store: who may claim what, what a death leaves, and what time removes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from bathysphere.store import batch_ageing, batch_queue, batches
from bathysphere.store.batch_queue import Done
from bathysphere.store.batches import Batch, Origin
from bathysphere.store.database import Database
from bathysphere.store.schema import BatchRequestRow, BatchWorkerRow
from bathysphere.store.workspaces import Workspace

LEASE = timedelta(seconds=10)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
RESULT = '{"type":"succeeded","message":{}}'


async def made(database: Database, workspace: Workspace, requests: int, now: datetime = NOW) -> Batch:
    origin = Origin(workspace.id, "apikey_1", {}, None, False, now)
    batch_id = await batches.receive(database, origin)
    await batches.add(database, batch_id, ((f"r{number}", '{"n": 1}') for number in range(requests)))
    digest = batch_id  # any text that no other batch has
    return await batches.finish(database, batch_id, origin, requests, digest, DAY, 1_000_000, now)


async def claim(database: Database, worker: str, most: int, after: str = "", now: datetime = NOW) -> list[str]:
    """Claim, and tell the batches of what was got."""
    return [one.batch.id for one in await batch_queue.claim(database, worker, most, LEASE, after, now)]


async def states(database: Database, batch: Batch) -> Counter[str]:
    async with database.reading() as session:
        rows = await session.scalars(select(BatchRequestRow.state).where(BatchRequestRow.batch_id == batch.id))
        return Counter(rows)


async def seen(database: Database, batch: Batch) -> Batch:
    found = await batches.get(database, batch.workspace_id, batch.id)
    assert found is not None
    return found


async def test_no_request_is_claimed_twice(database: Database, workspace: Workspace) -> None:
    await made(database, workspace, 500)

    async def worker(name: str) -> list[int]:
        numbers: list[int] = []
        while found := await batch_queue.claim(database, name, 7, LEASE, now=NOW):
            numbers += [one.number for one in found]
        return numbers

    claimed = [number for numbers in await asyncio.gather(*map(worker, "abcd")) for number in numbers]
    assert len(claimed) == len(set(claimed)) == 500


async def test_workspaces_take_turns(database: Database, workspace: Workspace, other_workspace: Workspace) -> None:
    large = await made(database, workspace, 100)
    also = await made(database, workspace, 100, NOW + timedelta(seconds=1))
    small = await made(database, other_workspace, 3)
    got = await claim(database, "w", 12)
    assert Counter(got) == {large.id: 3, also.id: 3, small.id: 3}, "half of the twelve for each workspace"
    assert small.id in got[:2]


async def test_with_less_to_claim_than_workspaces_each_has_its_turn(
    database: Database, workspace: Workspace, other_workspace: Workspace
) -> None:
    mine = await made(database, workspace, 10)
    theirs = await made(database, other_workspace, 10)
    of = {mine.id: workspace.id, theirs.id: other_workspace.id}
    turns = []
    after = ""
    for _ in range(6):
        (batch_id,) = await claim(database, "w", 1, after)
        after = of[batch_id]
        turns.append(batch_id)
    assert Counter(turns) == {mine.id: 3, theirs.id: 3}
    assert turns[0] != turns[1]


async def test_what_a_dead_worker_had_only_claimed_runs_again_and_what_had_begun_never(
    database: Database, workspace: Workspace
) -> None:
    batch = await made(database, workspace, 10)
    numbers = [one.number for one in await batch_queue.claim(database, "dead", 6, LEASE, now=NOW)]
    await batch_queue.commit(database, "dead", numbers[:2], [], NOW)
    assert await batch_queue.take_over(database, "{}", NOW + LEASE / 2) == batch_queue.TakenOver()

    late = NOW + LEASE * 2
    assert await batch_queue.take_over(database, '{"type":"errored"}', late) == batch_queue.TakenOver(4, 2)
    assert await states(database, batch) == {"queued": 8, "errored": 2}

    # It was only slow: nothing of what it held is its any more.
    assert await batch_queue.commit(database, "dead", numbers[2:], [], late) == {}
    await batch_queue.commit(database, "dead", [], [Done(numbers[0], batch.id, "succeeded", RESULT)], late)
    assert await states(database, batch) == {"queued": 8, "errored": 2}
    assert len(await claim(database, "other", 100, now=late)) == 8


async def test_a_worker_that_says_so_lives(database: Database, workspace: Workspace) -> None:
    await made(database, workspace, 3)
    await claim(database, "w", 3)
    await batch_queue.renew(database, "w", LEASE, NOW + LEASE)
    assert await batch_queue.take_over(database, "{}", NOW + LEASE * 1.5) == batch_queue.TakenOver()


async def test_a_batch_ends_with_its_last_result(database: Database, workspace: Workspace) -> None:
    batch = await made(database, workspace, 3)
    numbers = [one.number for one in await batch_queue.claim(database, "w", 3, LEASE, now=NOW)]
    begun = await batch_queue.commit(database, "w", numbers, [], NOW)
    assert [one.custom_id for one in begun.values()] == ["r0", "r1", "r2"]
    assert {json.loads(one.params)["n"] for one in begun.values()} == {1}
    two = [Done(numbers[0], batch.id, "succeeded", RESULT), Done(numbers[1], batch.id, "errored", "{}")]
    await batch_queue.commit(database, "w", [], two, NOW)
    assert (await seen(database, batch)).ended_at is None
    later = NOW + timedelta(minutes=1)
    await batch_queue.commit(database, "w", [], [Done(numbers[2], batch.id, "succeeded", RESULT)], later)
    found = await seen(database, batch)
    assert (found.ended_at, found.succeeded, found.errored) == (later, 2, 1)
    lines = await batches.results(database, batch.id, 0, 2)
    assert [line.custom_id for line in lines] == ["r0", "r1"]
    assert [line.custom_id for line in await batches.results(database, batch.id, lines[-1].number, 2)] == ["r2"]


@pytest.mark.parametrize("why", ["canceled", "expired"])
async def test_what_has_not_begun_ends_when_a_batch_is_cancelled_or_expires(
    database: Database, workspace: Workspace, why: str
) -> None:
    batch = await made(database, workspace, 2_500)
    running, held, *_ = [one.number for one in await batch_queue.claim(database, "w", 20, LEASE, now=NOW)]
    await batch_queue.commit(database, "w", [running], [], NOW)
    now = NOW + DAY
    if why == "canceled":
        now = NOW + timedelta(minutes=1)
        cancelled = await batches.cancel(database, workspace.id, batch.id, now)
        assert cancelled is not None
        assert cancelled.cancel_initiated_at == now
    assert await claim(database, "x", 10, now=now) == []
    assert await batch_ageing.settle(database, now)
    assert await states(database, batch) == {why: 2_499, "begun": 1}
    assert await batch_queue.commit(database, "w", [held], [], now) == {}, "claimed is not begun"
    assert (await seen(database, batch)).ended_at is None
    await batch_queue.commit(database, "w", [], [Done(running, batch.id, "succeeded", RESULT)], now)
    found = await seen(database, batch)
    assert found.ended_at == now
    assert (found.succeeded, found.canceled + found.expired) == (1, 2_499)
    assert not await batch_ageing.settle(database, now)


async def test_results_go_after_their_time_and_the_batch_stays(database: Database, workspace: Workspace) -> None:
    batch = await made(database, workspace, 1_200)
    await batches.cancel(database, workspace.id, batch.id, NOW)
    await batch_ageing.settle(database, NOW)
    kept = timedelta(days=29)
    assert await batch_ageing.sweep(database, kept, NOW + kept - timedelta(seconds=1)) == 0
    assert await batch_ageing.sweep(database, kept, NOW + kept) == 1
    found = await seen(database, batch)
    assert (found.archived_at, found.canceled) == (NOW + kept, 1_200)
    assert await states(database, batch) == {}


async def test_deleted_and_abandoned_batches_leave_no_rows(database: Database, workspace: Workspace) -> None:
    deleted = await made(database, workspace, 30)
    assert (await batches.delete(database, workspace.id, deleted.id) or deleted).ended_at is None
    assert await batches.get(database, workspace.id, deleted.id) is not None, "it has not ended"
    await batches.cancel(database, workspace.id, deleted.id, NOW)
    await batch_ageing.settle(database, NOW)
    await batches.delete(database, workspace.id, deleted.id)
    assert await batches.get(database, workspace.id, deleted.id) is None

    origin = Origin(workspace.id, "apikey_1", {}, None, False, NOW)
    for abandon in (True, False):
        batch_id = await batches.receive(database, origin)
        await batches.add(database, batch_id, [("a", "{}")])
        if abandon:
            await batches.abandon(database, batch_id)
        assert await batches.get(database, workspace.id, batch_id) is None
        assert await claim(database, "w", 10) == []
    assert await batch_ageing.sweep(database, timedelta(days=29), NOW) == 2
    assert await batch_ageing.sweep(database, timedelta(days=29), NOW + DAY) == 1
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(BatchRequestRow)) == 0


async def test_a_worker_that_ends_gives_back_what_it_had_claimed(database: Database, workspace: Workspace) -> None:
    batch = await made(database, workspace, 5)
    numbers = [one.number for one in await batch_queue.claim(database, "w", 5, LEASE, now=NOW)]
    await batch_queue.commit(database, "w", numbers[:1], [], NOW)
    await batch_queue.release(database, "w")
    assert await states(database, batch) == {"queued": 4, "begun": 1}
    async with database.reading() as session:
        known = list(await session.scalars(select(BatchWorkerRow.id)))
    assert known == ["w"], "what it could not finish is taken over when its lease is over"
    assert await batch_queue.take_over(database, "{}", NOW + LEASE * 2) == batch_queue.TakenOver(0, 1)


async def test_a_retry_that_was_quicker_is_the_batch(database: Database, workspace: Workspace) -> None:
    """The first create was given up by its client while it was still being taken in."""
    first = Origin(workspace.id, "apikey_1", {}, None, False, NOW)
    second = Origin(workspace.id, "apikey_1", {}, None, True, NOW + timedelta(seconds=5))
    ids = [await batches.receive(database, origin) for origin in (first, second)]
    for batch_id in ids:
        await batches.add(database, batch_id, [("a", "{}")])
    later = NOW + timedelta(seconds=6)
    quicker = await batches.finish(database, ids[1], second, 1, "same", DAY, 10, later)
    assert quicker.id == ids[1]
    assert (await batches.finish(database, ids[0], first, 1, "same", DAY, 10, later)).id == ids[1]
    assert [batch.id for batch in (await batches.older(database, workspace.id, 10)).batches] == [ids[1]]
