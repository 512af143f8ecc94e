"""A real host, a real database and a real folder of blobs, fresh for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bathysphere.containers.containers import Containers
from bathysphere.containers.local import LocalHost
from bathysphere.containers.recording import Actor
from bathysphere.settings import Settings
from bathysphere.store import workspaces
from bathysphere.store.blobs_local import LocalBlobs
from bathysphere.store.database import Database
from tests.host.conftest import MakeHost, environment, image, make_host

__all__ = ["environment", "image", "make_host"]


@dataclass
class Parts:
    """What a server's containers are made of."""

    database: Database
    host: LocalHost
    containers: Containers
    settings: Settings
    actor: Actor


@pytest.fixture
async def parts(make_host: MakeHost, tmp_path: Path) -> AsyncIterator[Parts]:
    host = make_host(tmp_path / "data")
    database = await Database.open(tmp_path / "data")
    blobs = await LocalBlobs.open_folder(tmp_path / "data" / "blobs")
    settings = Settings()
    containers = Containers(database, blobs, host, settings)
    workspace = await workspaces.default(database)
    yield Parts(database, host, containers, settings, Actor(workspace.id, "apikey_1", "req_1"))
    await containers.close()
    await database.close()
