"""A disk without room: said as such, nothing half-written, and no one kept from what needs no room."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from bathysphere.store import containers, keys, workspaces
from bathysphere.store.blobs import BlobStoreFull
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database, DatabaseFull

MONTH = timedelta(days=30)


async def fill(database: Database) -> None:
    """Let the file grow no further: SQLite then fails just as it does on a full disk."""
    async with database.reading() as session:
        pages = (await session.execute(text("PRAGMA page_count"))).scalar_one()

    database._writer.execute(f"PRAGMA max_page_count = {pages}").close()

    @event.listens_for(database._engine.sync_engine, "checkout")
    def _(connection: Any, _record: object, _proxy: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}").close()


@pytest.fixture
async def full(tmp_path: Path) -> Any:
    database = await Database.open(tmp_path / "data")
    workspace = await workspaces.default(database)
    container = await containers.create(database, workspace.id, MONTH)
    _, secret = await keys.create(database, workspace, "key")
    await fill(database)
    with pytest.raises(DatabaseFull, match="disk"):
        for _ in range(10_000):
            await containers.create(database, workspace.id, MONTH)
    yield database, workspace, container, secret
    await database.close()


async def test_what_is_there_can_still_be_used(full: Any) -> None:
    database, workspace, container, secret = full
    found = await containers.get(database, workspace.id, container.id)
    assert found == container
    assert await keys.authenticate(database, secret) is not None


async def test_what_is_reserved_of_the_disk_is_not_taken(tmp_path: Path) -> None:
    blobs = await LocalBlobs.open_folder(tmp_path / "blobs", reserve_bytes=1 << 60)
    with pytest.raises(BlobStoreFull):
        async with blobs.writer() as writer:
            await writer.write(b"x")
            await writer.commit()
    assert [key async for key, _ in blobs.listing()] == []
    assert list((tmp_path / "blobs" / ".unfinished").iterdir()) == []
