"""Files: rows and blobs that stay true to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bathysphere.settings import LimitSettings
from bathysphere.store import files
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.files import File, FileTooLarge, Position
from bathysphere.store.quota import StorageQuotaExceeded, room
from bathysphere.store.workspaces import Workspace, named

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LIMITS = LimitSettings(file_bytes=1000, storage_bytes=2500)


async def stored(
    database: Database, blobs: LocalBlobs, workspace: Workspace, content: bytes = b"", now: datetime = NOW
) -> File:
    async with blobs.writer() as writer:
        await writer.write(content)
        key = await writer.commit()
    return await files.add(
        database,
        blobs,
        workspace_id=workspace.id,
        filename="a.csv",
        mime_type="text/csv",
        blob_key=key,
        size_bytes=len(content),
        downloadable=False,
        storage_bytes=LIMITS.storage_bytes,
        now=now,
    )


async def produced(database: Database, blobs: LocalBlobs, workspace: Workspace, filename: str, *chunks: bytes) -> File:
    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return await files.produce(
        database,
        blobs,
        workspace_id=workspace.id,
        container_id="container_1",
        filename=filename,
        content=content(),
        limits=LIMITS,
    )


async def blob_count(blobs: LocalBlobs) -> int:
    return len([key async for key in blobs.listing()])


async def test_a_produced_file_is_downloadable_and_whole(
    database: Database, blobs: LocalBlobs, workspace: Workspace
) -> None:
    made = await produced(database, blobs, workspace, "chart.png", b"\x89PNG", b"rest")
    assert (made.filename, made.mime_type, made.size_bytes) == ("chart.png", "image/png", 8)
    assert made.downloadable
    assert made.container_id == "container_1"
    assert made.blob_key is not None
    assert b"".join([c async for c in await blobs.open(made.blob_key)]) == b"\x89PNGrest"
    assert await files.get(database, workspace.id, made.id) == made


async def test_a_name_from_the_sandbox_is_made_fit(database: Database, blobs: LocalBlobs, workspace: Workspace) -> None:
    made = await produced(database, blobs, workspace, 'a<b>:"/\\|?*\n\udcff.csv', b"1")
    assert made.filename == "a_b" + "_" * 10 + ".csv"
    assert made.mime_type == "text/csv"


async def test_a_produced_file_is_stored_whole_or_not_at_all(
    database: Database, blobs: LocalBlobs, workspace: Workspace
) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await files.produce(
            database,
            blobs,
            workspace_id=workspace.id,
            container_id="container_1",
            filename="x",
            content=breaking(),
            limits=LIMITS,
        )
    with pytest.raises(FileTooLarge):
        await produced(database, blobs, workspace, "x", bytes(600), bytes(401))
    assert (await files.older(database, workspace.id, 10)).files == []
    assert await blob_count(blobs) == 0


async def test_the_quota_counts_all_workspaces_and_forgets_the_deleted(
    database: Database, blobs: LocalBlobs, workspace: Workspace, other_workspace: Workspace
) -> None:
    first = await stored(database, blobs, workspace, bytes(1000))
    await stored(database, blobs, other_workspace, bytes(1000))
    assert (await room(database, workspace.id, None, 2500)).left == 500
    with pytest.raises(StorageQuotaExceeded):
        await stored(database, blobs, workspace, bytes(501))
    with pytest.raises(StorageQuotaExceeded):
        await produced(database, blobs, workspace, "x", bytes(501))
    assert await blob_count(blobs) == 2, "what was refused has left no bytes"
    await stored(database, blobs, workspace, bytes(500))
    assert (await room(database, workspace.id, None, 2500)).left == 0
    assert await files.delete(database, blobs, workspace.id, first.id)
    assert (await room(database, workspace.id, None, 2500)).left == 1000
    assert (await room(database, workspace.id, None, 1)).left == 0


async def test_deletion_removes_row_and_bytes_in_ones_own_workspace_only(
    database: Database, blobs: LocalBlobs, workspace: Workspace, other_workspace: Workspace
) -> None:
    made = await stored(database, blobs, workspace, b"x")
    assert await files.get(database, other_workspace.id, made.id) is None
    assert not await files.delete(database, blobs, other_workspace.id, made.id)
    assert await files.get(database, workspace.id, made.id) == made
    assert await files.delete(database, blobs, workspace.id, made.id)
    assert await files.get(database, workspace.id, made.id) is None
    assert await blob_count(blobs) == 0
    assert not await files.delete(database, blobs, workspace.id, made.id)


async def test_chosen_ids_are_found_in_ones_own_workspace_only(
    database: Database, blobs: LocalBlobs, workspace: Workspace, other_workspace: Workspace
) -> None:
    mine = await stored(database, blobs, workspace)
    others = await stored(database, blobs, other_workspace)
    assert await files.get_many(database, workspace.id, [mine.id, others.id, "file_unknown"]) == [mine]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.integers(0, 3), max_size=12), limit=st.integers(1, 5), data=st.data())
async def test_paging_visits_every_file_once_in_either_direction(
    database: Database, blobs: LocalBlobs, moments: list[int], limit: int, data: st.DataObject
) -> None:
    """Also when several share one timestamp, and when files come and go between two pages."""
    workspace = await named(database, f"paging {datetime.now(UTC).timestamp()}")
    made = [await stored(database, blobs, workspace, now=NOW + timedelta(microseconds=m)) for m in moments]
    expected = sorted(made, key=lambda file: (file.created_at, file.id), reverse=True)

    forward: list[File] = []
    page = await files.older(database, workspace.id, limit)
    forward += page.files
    while page.more:
        if data.draw(st.booleans()):
            await stored(database, blobs, workspace, now=NOW + timedelta(days=1))
        last = forward[-1]
        if data.draw(st.booleans()):
            await files.delete(database, blobs, workspace.id, last.id)
            expected.remove(last)
            forward.remove(last)
        page = await files.older(database, workspace.id, limit, Position(last.created_at, last.id))
        assert len(page.files) <= limit
        forward += page.files
    assert forward == expected

    backward: list[File] = []
    position = Position(NOW - timedelta(days=1), "")
    while True:
        page = await files.newer(database, workspace.id, limit, position)
        backward = page.files + backward
        if not page.more:
            break
        position = Position(backward[0].created_at, backward[0].id)
    assert [file for file in backward if file.created_at < NOW + timedelta(days=1)] == expected
