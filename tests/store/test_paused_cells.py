"""Where cells wait, over requests and restarts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bathysphere.containers.container import ForeignCell
from bathysphere.containers.paused_cells import StoredPausedCells
from bathysphere.store import containers, paused_cells
from bathysphere.store.audit import ProducedFile
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.sweep import sweep
from bathysphere.store.workspaces import Workspace

FILES = (ProducedFile("file_1", "plot.png", 3),)
DAY = timedelta(days=1)


@pytest.fixture
async def container_id(database: Database, workspace: Workspace) -> str:
    return (await containers.create(database, workspace.id, DAY)).id


async def test_a_cell_is_known_from_its_first_pause_on(database: Database, container_id: str) -> None:
    cells = StoredPausedCells(database, container_id)
    assert not cells.known("srvtoolu_1")
    for _ in range(2):
        await cells.paused("srvtoolu_1")
        await StoredPausedCells(database, container_id).paused("srvtoolu_1")
    assert StoredPausedCells(database, container_id).known("srvtoolu_1")


async def test_another_containers_cell_is_told_from_one_that_nobody_knows(
    database: Database, workspace: Workspace, container_id: str
) -> None:
    other = (await containers.create(database, workspace.id, DAY)).id
    await StoredPausedCells(database, container_id).paused("srvtoolu_1")
    with pytest.raises(ForeignCell):
        StoredPausedCells(database, other).known("srvtoolu_1")
    assert not StoredPausedCells(database, other).known("srvtoolu_2")


async def test_the_files_of_its_end_are_remembered(database: Database, container_id: str) -> None:
    cells = StoredPausedCells(database, container_id)
    await cells.paused("srvtoolu_1")
    assert cells.files("srvtoolu_1") is None
    await cells.ended("srvtoolu_1", FILES)
    assert cells.files("srvtoolu_1") == FILES


async def test_a_cell_that_never_waited_leaves_nothing(database: Database, container_id: str) -> None:
    cells = StoredPausedCells(database, container_id)
    await cells.ended("srvtoolu_1", FILES)
    assert cells.files("srvtoolu_1") is None
    assert paused_cells.get(database, "srvtoolu_1") is None


async def test_a_row_goes_after_a_day(database: Database, blobs: LocalBlobs, container_id: str) -> None:
    await paused_cells.add(database, "srvtoolu_1", container_id)
    assert (await sweep(database, blobs)).paused_cells == 0
    assert (await sweep(database, blobs, datetime.now(UTC) + DAY)).paused_cells == 1
    assert paused_cells.get(database, "srvtoolu_1") is None


async def test_or_with_its_container(database: Database, container_id: str) -> None:
    await paused_cells.add(database, "srvtoolu_1", container_id)
    await containers.mark_deleted(database, container_id)
    assert await containers.forget(database, datetime.now(UTC) + DAY) == 1
    assert paused_cells.get(database, "srvtoolu_1") is None
