"""API keys: what is kept of them, and whom they let in."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bathysphere.store import keys, organizations, workspaces
from bathysphere.store.database import Database
from bathysphere.store.keys import Identity
from bathysphere.store.names import UnusableName
from bathysphere.store.workspaces import Workspace

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


async def test_a_secret_opens_its_workspace(database: Database, workspace: Workspace) -> None:
    key, secret = await keys.create(database, workspace, "laptop")
    assert await keys.authenticate(database, secret) == Identity(workspace.organization_id, workspace.id, key.id)


@pytest.mark.parametrize("wrong", ["", "sk-bathysphere-", "x" * 100_000, "\ud800", "' OR 1=1 --"])
async def test_nothing_else_opens_anything(database: Database, workspace: Workspace, wrong: str) -> None:
    await keys.create(database, workspace, "laptop")
    assert await keys.authenticate(database, wrong) is None


async def test_a_secret_must_fit_to_the_last_character(database: Database, workspace: Workspace) -> None:
    _, secret = await keys.create(database, workspace, "laptop")
    for wrong in (secret[:-1], secret + "A", secret.swapcase(), f" {secret}"):
        assert await keys.authenticate(database, wrong) is None


async def test_a_secret_has_256_random_bits_and_is_nowhere_on_disk(database: Database, workspace: Workspace) -> None:
    key, secret = await keys.create(database, workspace, "laptop")
    random = secret.removeprefix("sk-bathysphere-")
    assert len(base64.urlsafe_b64decode(random + "=")) == 32
    kept = b"".join(path.read_bytes() for path in Path(database.data).rglob("*") if path.is_file())
    assert random.encode() not in kept
    assert key.hint == f"sk-…{secret[-4:]}"


async def test_a_disabled_key_opens_nothing(database: Database, workspace: Workspace) -> None:
    key, secret = await keys.create(database, workspace, "laptop")
    _, still_good = await keys.create(database, workspace, "desktop")
    assert await keys.disable(database, key.id)
    assert await keys.disable(database, key.id), "twice is no error"
    assert await keys.authenticate(database, secret) is None
    assert await keys.authenticate(database, still_good) is not None
    assert not await keys.disable(database, "apikey_unknown")


async def test_the_time_of_last_use_is_written_at_most_once_a_minute(database: Database, workspace: Workspace) -> None:
    _, secret = await keys.create(database, workspace, "laptop")

    async def last_used_after(now: datetime) -> datetime | None:
        await keys.authenticate(database, secret, now)
        (key,) = await keys.list_all(database)
        return key.last_used_at

    assert await last_used_after(NOW) == NOW
    assert await last_used_after(NOW + timedelta(seconds=59)) == NOW
    assert await last_used_after(NOW + timedelta(seconds=60)) == NOW + timedelta(seconds=60)


async def test_the_list_names_every_key_in_order(database: Database, other_workspace: Workspace) -> None:
    default = await workspaces.default(database)
    made = [(await keys.create(database, w, f"key {n}"))[0] for n, w in enumerate([default, other_workspace, default])]
    assert await keys.list_all(database) == made
    assert [key.workspace_name for key in made] == ["default", "other", "default"]


async def test_a_workspace_is_made_once(database: Database) -> None:
    made = await asyncio.gather(*(workspaces.named(database, "lab") for _ in range(10)))
    assert len({workspace.id for workspace in made}) == 1
    default = await workspaces.default(database)
    assert default.organization_id == made[0].organization_id
    assert default.id != made[0].id


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[31m", "x" * 201])
async def test_a_name_must_be_readable(database: Database, workspace: Workspace, name: str) -> None:
    with pytest.raises(UnusableName):
        await keys.create(database, workspace, name)
    with pytest.raises(UnusableName):
        await workspaces.named(database, name)


async def test_organisations_have_workspaces_of_the_same_name(database: Database) -> None:
    ours = await workspaces.named(database, "lab")
    other = await organizations.named(database, "Deep Sea")
    assert await organizations.named(database, "Deep Sea") == other
    theirs = await workspaces.named(database, "lab", other.id)
    assert theirs.organization_id == other.id and theirs.id != ours.id
    assert await workspaces.named(database, "lab", other.id) == theirs
    assert await workspaces.named(database, "lab") == ours, "the oldest organisation's is meant where none is named"
    _, secret = await keys.create(database, theirs, "laptop")
    identity = await keys.authenticate(database, secret)
    assert identity is not None and identity.organization_id == other.id
    assert await workspaces.set_engine(database, theirs.id, "gvisor")
    assert [workspaces.engine(database, room.id) for room in (ours, theirs)] == [None, "gvisor"]
