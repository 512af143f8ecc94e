"""Containers as rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bathysphere.store import containers
from bathysphere.store.database import Database
from bathysphere.store.workspaces import Workspace

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
MONTH = timedelta(days=30)


async def test_a_container_lasts_from_its_creation_on(database: Database, workspace: Workspace) -> None:
    made = await containers.create(database, workspace.id, MONTH, NOW)
    assert made.id.startswith("container_")
    assert made.expires_at == NOW + MONTH
    await containers.touch(database, made.id, NOW + timedelta(days=29))
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
