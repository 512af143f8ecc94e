"""A real database and a real folder of blobs, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bathysphere.store import workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from bathysphere.store.workspaces import Workspace


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "data")
    yield database
    await database.close()


@pytest.fixture
async def blobs(tmp_path: Path) -> LocalBlobs:
    return await LocalBlobs.open_folder(tmp_path / "data" / "blobs")


@pytest.fixture
async def workspace(database: Database) -> Workspace:
    return await workspaces.default(database)


@pytest.fixture
async def other_workspace(database: Database) -> Workspace:
    return await workspaces.named(database, "other")
