"""Containers as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bathysphere.store import audit, containers
from bathysphere.store.database import Database
from bathysphere.store.workspaces import Workspace

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
MONTH = timedelta(days=30)


async def test_a_container_lasts_from_its_creation_on(database: Database, workspace: Workspace) -> None:
    made = await containers.create(database, workspace.id, MONTH, NOW)
    assert made.id.startswith("container_")
    assert made.expires_at == NOW + MONTH
    for days in (29, 28):
        call = audit.operator_call(made.id, workspace.id, "bash", NOW + timedelta(days=days))
        await audit.append(database, [call])
    found = await containers.get(database, workspace.id, made.id)
    assert found is not None
    assert (found.last_used_at, found.expires_at) == (NOW + timedelta(days=29), NOW + MONTH)
    assert not found.expired(NOW + MONTH - timedelta(microseconds=1))
    assert found.expired(NOW + MONTH)


async def test_another_workspace_does_not_see_it(
    database: Database, workspace: Workspace, other_workspace: Workspace
) -> None:
    made = await containers.create(database, workspace.id, MONTH)
    assert await containers.get(database, workspace.id, made.id) == made
    assert await containers.get(database, other_workspace.id, made.id) is None
    assert await containers.get(database, workspace.id, "container_unknown") is None


async def test_expired_ones_are_listed_until_their_disks_are_gone(database: Database, workspace: Workspace) -> None:
    short = await containers.create(database, workspace.id, timedelta(days=1), NOW)
    shorter = await containers.create(database, workspace.id, timedelta(hours=1), NOW)
    await containers.create(database, workspace.id, MONTH, NOW)
    later = NOW + timedelta(days=2)
    assert await containers.expired(database, NOW) == []
    assert await containers.expired(database, later) == [shorter, short]
    await containers.mark_deleted(database, shorter.id, later)
    await containers.mark_deleted(database, shorter.id, later + timedelta(days=1))
    assert await containers.expired(database, later) == [short]
    known = await containers.get(database, workspace.id, shorter.id)
    assert known is not None, "an expired id stays known"
    assert known.deleted_at == later
    assert known.expired(NOW), "without a disk it cannot be used, whatever its time"


async def test_placed_files_are_remembered_per_container(database: Database, workspace: Workspace) -> None:
    one = await containers.create(database, workspace.id, MONTH)
    two = await containers.create(database, workspace.id, MONTH)
    await containers.record_placed(database, one.id, {"file_a": "a.csv", "file_b": "b.csv"}, NOW)
    await containers.record_placed(database, one.id, {"file_a": "a (1).csv"}, NOW + timedelta(seconds=1))
    assert await containers.placed(database, one.id) == {"file_b": "b.csv", "file_a": "a (1).csv"}
    assert await containers.placed(database, two.id) == {}


async def test_the_list_is_newest_first_and_paged_without_gaps(
    database: Database, workspace: Workspace, other_workspace: Workspace
) -> None:
    made = [await containers.create(database, workspace.id, MONTH, NOW + timedelta(seconds=n // 3)) for n in range(7)]
    foreign = await containers.create(database, other_workspace.id, MONTH, NOW)
    await containers.mark_deleted(database, made[3].id, NOW)
    expected = sorted((c for c in made if c != made[3]), key=lambda c: (c.created_at, c.id), reverse=True)
    found: list[containers.Container] = []
    page = containers.Page([], more=True)
    while page.more:
        last = containers.Position(found[-1].created_at, found[-1].id) if found else None
        page = await containers.listing(database, workspace.id, 2, last)
        found += page.containers
    assert found == expected
    everything = await containers.listing(database, None, 100, deleted=True)
    assert {container.id for container in everything.containers} == {c.id for c in [*made, foreign]}
    assert not everything.more


async def test_what_should_have_a_disk_and_what_has_lost_it(database: Database, workspace: Workspace) -> None:
    old, gone = [await containers.create(database, workspace.id, MONTH, NOW) for _ in range(2)]
    await containers.create(database, workspace.id, MONTH, NOW + timedelta(hours=1))
    await containers.mark_deleted(database, gone.id, NOW)
    assert await containers.alive(database, NOW + timedelta(seconds=1)) == [old]
    await containers.mark_lost(database, [old.id, gone.id, "container_unknown"], NOW)
    found = await containers.known(database, [old.id, gone.id, "container_unknown"])
    assert {name: container.lost_at for name, container in found.items()} == {old.id: NOW, gone.id: None}
    await containers.mark_lost(database, [old.id], None)
    assert (await containers.find(database, old.id)) == old


async def test_a_copy_knows_what_it_was_copied_from(database: Database, workspace: Workspace) -> None:
    made = await containers.create(database, workspace.id, MONTH, NOW, forked_from="container_gone")
    found = await containers.get(database, workspace.id, made.id)
    assert found is not None
    assert found.forked_from == "container_gone"
