"""What crashes and time leave behind is removed, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bathysphere.store import files
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.files import File
from bathysphere.store.quota import room
from bathysphere.store.sweep import Swept, sweep
from bathysphere.store.workspaces import Workspace

NOW = datetime.now(UTC)
DIE_WRITING = """
import asyncio, os, signal, sys
from pathlib import Path
from bathysphere.store.blobs_local import LocalBlobs
async def main():
    blobs = await LocalBlobs.open_folder(Path(sys.argv[1]))
    async with blobs.writer() as writer:
        await writer.write(bytes(3_000_000))
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def stored(
    database: Database, blobs: LocalBlobs, workspace: Workspace, expires_in: timedelta | None = None
) -> File:
    async with blobs.writer() as writer:
        await writer.write(b"content")
        key = await writer.commit()
    return await files.add(
        database,
        blobs,
        workspace_id=workspace.id,
        filename="a",
        mime_type="text/plain",
        blob_key=key,
        size_bytes=7,
        downloadable=True,
        storage_bytes=1000,
        expires_in=expires_in,
        now=NOW,
    )


async def test_a_writer_that_was_killed_leaves_nothing_after_the_next_sweep(
    database: Database, blobs: LocalBlobs, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "blobs"
    subprocess.run(
        [sys.executable, "-c", DIE_WRITING, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 1
    assert await sweep(database, blobs) == Swept(unfinished=1, orphans=0, expired_blobs=0, expired_rows=0)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_blob_without_a_row_goes_once_it_is_clear_that_none_will_come(
    database: Database, blobs: LocalBlobs, workspace: Workspace
) -> None:
    kept = await stored(database, blobs, workspace)
    async with blobs.writer() as writer:
        await writer.commit()
    assert (await sweep(database, blobs, NOW + timedelta(minutes=30))).orphans == 0
    assert (await sweep(database, blobs, NOW + timedelta(hours=2))).orphans == 1
    assert [key async for key, _ in blobs.listing()] == [kept.blob_key]


async def test_an_expired_file_loses_its_bytes_at_once_and_its_row_30_days_later(
    database: Database, blobs: LocalBlobs, workspace: Workspace
) -> None:
    kept = await stored(database, blobs, workspace)
    file = await stored(database, blobs, workspace, timedelta(hours=1))
    assert file.expires_at == NOW + timedelta(hours=1)

    assert (await sweep(database, blobs, file.expires_at - timedelta(seconds=1))).expired_blobs == 0
    assert (await sweep(database, blobs, file.expires_at)).expired_blobs == 1
    left = await files.get(database, workspace.id, file.id)
    assert left is not None
    assert left.blob_key is None
    assert (await room(database, workspace.id, None, 1000)).left == 993, "the quota counts bytes that are there"

    assert (await sweep(database, blobs, file.expires_at + timedelta(days=29))).expired_rows == 0
    assert (await sweep(database, blobs, file.expires_at + timedelta(days=30))).expired_rows == 1
    assert await files.get(database, workspace.id, file.id) is None
    assert await files.get(database, workspace.id, kept.id) == kept
