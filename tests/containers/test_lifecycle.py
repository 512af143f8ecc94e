"""Expiry, deletion, and what a crash between the store and the host leaves behind."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from bathysphere.containers.host import Command, DiskFull, HostUnavailable, UnknownContainer
from bathysphere.containers.lifecycle import Swept, sweep
from bathysphere.settings import ContainerSettings
from bathysphere.store import audit
from bathysphere.store import containers as rows
from bathysphere.store.database import DatabaseFull
from bathysphere.store.schema import ContainerRow
from bathysphere.wire.errors import NotFound
from tests.containers.conftest import Parts
from tests.host.conftest import MakeHost

SETTINGS = ContainerSettings()
SECOND = timedelta(seconds=1)


async def hosted(parts: Parts) -> list[str]:
    return [container.id for container in await parts.host.list()]


async def state(parts: Parts, container_id: str) -> str:
    row = await rows.find(parts.database, container_id)
    assert row is not None
    (seen,) = await parts.containers.overviews([row])
    return seen.state


async def expire(parts: Parts, container_id: str, ago: timedelta) -> None:
    """As if it had been made a lifetime earlier."""
    async with parts.database.writing() as session:
        moment = datetime.now(UTC) - ago
        await session.execute(update(ContainerRow).where(ContainerRow.id == container_id).values(expires_at=moment))


async def test_an_expired_container_is_refused_at_once_and_its_disk_goes_after_the_grace_period(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await parts.containers.records.flush()
    await expire(parts, container.id, timedelta(days=7) - timedelta(hours=1))
    for use in (parts.containers.open, parts.containers.fork):
        with pytest.raises(NotFound) as refused:
            await use(parts.actor, container.id)
        assert refused.value.details == {"error_code": "container_expired"}
        assert refused.value.message.startswith(f"Container not found: `{container.id}` expired at")
    assert await state(parts, container.id) == "expired"

    assert await sweep(parts.database, parts.host, SETTINGS) == Swept()
    assert await hosted(parts) == [container.id], "still in the grace period"
    later = datetime.now(UTC) + timedelta(hours=2)
    assert await sweep(parts.database, parts.host, SETTINGS, later) == Swept(expired=1)
    assert await hosted(parts) == []
    assert await state(parts, container.id) == "expired"
    calls = await audit.latest(parts.database, container.id, 10)
    assert [(call.action, call.api_key_id) for call in calls] == [("expire", None), ("create", "apikey_1")]
    assert await sweep(parts.database, parts.host, SETTINGS, later) == Swept(), "once is enough"

    much_later = later + timedelta(days=SETTINGS.record_days) + SECOND
    assert await sweep(parts.database, parts.host, SETTINGS, much_later) == Swept(forgotten=1)
    with pytest.raises(NotFound):
        await parts.containers.open(parts.actor, container.id)


async def test_an_expired_container_can_be_deleted_before_its_grace_period_ends(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await expire(parts, container.id, SECOND)
    await parts.containers.delete(parts.actor, container.id)
    assert await hosted(parts) == []


async def test_user_ids_come_free_again(make_host: MakeHost, tmp_path: Path) -> None:
    """With two ids for containers, more than two can be made one after the other."""
    host = make_host(tmp_path / "few", host={"uid_count": 2})
    for number in range(5):
        await host.create(f"container_{number}")
        await host.delete(f"container_{number}")
    assert await host.list() == []


async def test_a_disk_that_nobody_knows_is_removed_when_it_is_old_enough(parts: Parts) -> None:
    await parts.host.create("container_stray")
    await parts.host.create("spare-1")
    assert await sweep(parts.database, parts.host, SETTINGS) == Swept(), "its row may be about to be written"
    aged = Aged(parts)
    assert await sweep(parts.database, aged, SETTINGS) == Swept(stray=1)  # type: ignore[arg-type]
    assert await hosted(parts) == ["spare-1"], "what is no container is the host's own business"


class Aged:
    """The host, two hours later."""

    def __init__(self, parts: Parts) -> None:
        self._host = parts.host
        self.delete = parts.host.delete

    async def list(self) -> object:
        return [replace(container, age_seconds=container.age_seconds + 7200) for container in await self._host.list()]


async def test_the_disk_of_a_deleted_container_is_removed_whatever_its_age(parts: Parts) -> None:
    """As after a deletion while the host could not be reached."""
    container = await parts.containers.create(parts.actor)
    await rows.mark_deleted(parts.database, container.id)
    assert await sweep(parts.database, parts.host, SETTINGS) == Swept(stray=1)
    assert await hosted(parts) == []


async def test_a_container_without_a_disk_is_lost_and_can_be_found_again(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await parts.host.delete(container.id)
    assert await sweep(parts.database, parts.host, SETTINGS) == Swept(), "it may just be about to be made"
    later = datetime.now(UTC) + timedelta(hours=2)
    assert await sweep(parts.database, parts.host, SETTINGS, later) == Swept(lost=1)
    assert await sweep(parts.database, parts.host, SETTINGS, later) == Swept(), "it is said once"
    assert await state(parts, container.id) == "broken"
    with pytest.raises(NotFound, match="lost its disk"):
        await parts.containers.open(parts.actor, container.id)
    await parts.host.create(container.id)
    assert await sweep(parts.database, parts.host, SETTINGS, later) == Swept(found_again=1)
    await parts.containers.open(parts.actor, container.id)


async def test_nothing_is_judged_when_the_host_cannot_be_asked(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)

    class Silent:
        async def list(self) -> object:
            raise HostUnavailable("not now")

    later = datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(HostUnavailable):
        await sweep(parts.database, Silent(), SETTINGS, later)  # type: ignore[arg-type]
    assert await state(parts, container.id) != "broken"


async def test_a_copy_that_fails_leaves_nothing(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    await parts.host.delete(container.id)
    with pytest.raises(UnknownContainer):
        await parts.containers.fork(parts.actor, container.id)
    assert await hosted(parts) == []
    page = await rows.listing(parts.database, parts.actor.workspace_id, 10)
    assert [row.id for row in page.containers] == [container.id]


async def test_a_container_whose_row_cannot_be_written_leaves_nothing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_steps: object) -> None:
        raise DatabaseFull("The disk of the data directory is full; make room on it.")

    with monkeypatch.context() as patched:
        patched.setattr(parts.database, "write", full)
        with pytest.raises(DiskFull, match="make room"):
            await parts.containers.create(parts.actor)
    assert await hosted(parts) == []
    assert (await rows.listing(parts.database, parts.actor.workspace_id, 10, deleted=True)).containers == []


@pytest.mark.parametrize("steps", range(12))
async def test_whenever_its_maker_is_cancelled_nothing_of_a_container_is_left(parts: Parts, steps: int) -> None:
    making = asyncio.create_task(parts.containers.create(parts.actor))
    for _ in range(steps):
        await asyncio.sleep(0.001)
    making.cancel()
    await asyncio.wait([making])
    if making.cancelled():
        assert await hosted(parts) == []
        assert (await rows.listing(parts.database, parts.actor.workspace_id, 10)).containers == []
    else:
        assert await hosted(parts) == [making.result().id]


async def test_a_container_that_is_cancelled_while_its_row_is_written_is_removed(parts: Parts) -> None:
    """The row is there by then, and is marked as deleted; the record says who wanted it."""
    held = threading.Event()
    parts.database._thread.submit(held.wait)
    making = asyncio.create_task(parts.containers.create(parts.actor))
    while not parts.database._write_lock.locked():
        await asyncio.sleep(0.001)
    making.cancel()
    await asyncio.sleep(0)
    held.set()
    await asyncio.wait([making])
    assert making.cancelled()
    assert await hosted(parts) == []
    page = await rows.listing(parts.database, parts.actor.workspace_id, 10, deleted=True)
    (row,) = page.containers
    assert row.deleted_at is not None
    await parts.containers.records.flush()
    (call,) = await audit.latest(parts.database, row.id, 10)
    assert (call.action, call.outcome) == ("create", "cancelled")


async def test_the_record_of_one_that_is_cancelled_on_the_host_comes_after_its_row(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, asked = threading.Event(), asyncio.Event()

    async def create(container_id: str, engine: str | None) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(parts.containers._host, "create", create)
    making = asyncio.create_task(parts.containers.create(parts.actor))
    await asked.wait()
    parts.database._thread.submit(held.wait)
    making.cancel()
    for _ in range(1000):
        await asyncio.sleep(0)
    flushing = asyncio.create_task(parts.containers.records.flush())
    await asyncio.sleep(0)
    held.set()
    await asyncio.wait([making, flushing])
    await parts.containers.records.flush()
    (row,) = (await rows.listing(parts.database, parts.actor.workspace_id, 10, deleted=True)).containers
    (call,) = await audit.latest(parts.database, row.id, 10)
    assert (call.action, call.outcome) == ("create", "cancelled")


async def test_states_are_seen(parts: Parts) -> None:
    container = await parts.containers.create(parts.actor)
    assert await state(parts, container.id) == "idle"
    async for _ in container.stream(Command("bash", "echo x; sleep 60", 60)):
        assert await state(parts, container.id) == "busy"
        break
    await parts.containers.delete(parts.actor, container.id)
    assert await state(parts, container.id) == "deleted"
