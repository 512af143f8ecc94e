"""The server that the SDK's own tests run against: ``python -m tests.oracle.server DATA PORT``.

Those tests were written for a mock: they present a fixed key and name things by placeholders (``file_id``,
``model_id``). Here the real application runs with the demo model, and before a request that names such a thing is
passed on, untouched, the thing is made through the store's own modules if it is not there: a test may delete it.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from bathysphere.api.app import create_app
from bathysphere.api.server import open_services
from bathysphere.api.services import Services
from bathysphere.image.image import find
from bathysphere.settings import Settings
from bathysphere.store import files, workspaces
from bathysphere.store.schema import ApiKeyRow, FileRow, MessageBatchRow, OrganizationRow, WorkspaceRow
from tests.specification.checked import Checked

KEY: Final = "my-anthropic-api-key"
WORKSPACE: Final = "wrkspc_011CZkZaBF1tNoB5wlCeusgy"
FILE: Final = "file_id"
BATCH: Final = "message_batch_id"
MODELS: Final = ("*", "before_id", "between", "after_id")
"""Patterns of the configuration: the tests page from one model to another."""


class Placeholders:
    """ASGI middleware that makes what a request is about to name."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; those that name the same thing one after another, since one may delete it."""
        named = scope["path"].split("/") if scope["type"] == "http" else []
        if FILE not in named and BATCH not in named:
            await self._app(scope, receive, send)
            return
        async with self._making:
            await (self._file() if FILE in named else self._batch())
            await self._app(scope, receive, send)

    async def _file(self) -> None:
        storage = self._services
        if await files.get(storage.database, WORKSPACE, FILE) is not None:
            return
        async with storage.blobs.writer() as writer:
            await writer.write(b"Example data")
            key = await writer.commit()
        async with storage.database.writing() as session:
            session.add(
                FileRow(
                    id=FILE,
                    workspace_id=WORKSPACE,
                    filename="data.csv",
                    mime_type="text/csv",
                    size_bytes=12,
                    created_at=datetime.now(UTC),
                    downloadable=True,
                    blob_key=key,
                )
            )

    async def _batch(self) -> None:
        """One that has ended, so that it can be deleted too."""
        now = datetime.now(UTC)
        async with self._services.database.writing() as session:
            row = await session.get(MessageBatchRow, BATCH)
            if row is not None:
                row.deleted = False
                return
            session.add(
                MessageBatchRow(
                    id=BATCH, workspace_id=WORKSPACE, api_key_id="apikey_oracle", created_at=now, expires_at=now,
                    ended_at=now, ready=True, deleted=False, requests=1, succeeded=0, errored=0, canceled=1, expired=0,
                    headers={}, retry=False,
                )
            )  # fmt: skip


async def _identity(services: Services) -> None:
    """The workspace and the key of the tests."""
    now = datetime.now(UTC)
    async with services.database.writing() as session:
        session.add(OrganizationRow(id="org_oracle", name="oracle", created_at=now))
        await session.flush()
        session.add(
            WorkspaceRow(id=WORKSPACE, organization_id="org_oracle", name=workspaces.DEFAULT_NAME, created_at=now)
        )
        await session.flush()
        secret = hashlib.sha256(KEY.encode()).hexdigest()
        session.add(
            ApiKeyRow(
                id="apikey_oracle",
                workspace_id=WORKSPACE,
                name="oracle",
                secret_sha256=secret,
                hint="…",
                created_at=now,
            )
        )


@asynccontextmanager
async def application(data: Path) -> AsyncIterator[ASGIApp]:
    """The application with its placeholders, over an empty data directory."""
    image = find()
    assert image is not None, "the image is built before the tests run"
    settings = Settings.model_validate(
        {
            "host": {"pool": 0, "linger_seconds": 0},
            "models": [{"match": pattern, "backend": "demo"} for pattern in (*MODELS[1:], MODELS[0])],
        }
    )
    async with open_services(settings, data, image) as services:
        await _identity(services)
        yield Checked(Placeholders(create_app(services), services))


async def _serve(data: Path, port: int) -> None:
    async with application(data) as app:
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
