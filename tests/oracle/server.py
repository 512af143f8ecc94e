"""The server that the SDK's own tests run against: ``python -m tests.oracle.server DATA PORT``.

Those tests were written for a mock: they present a fixed key and name things by placeholders (``file_id``,
``model_id``). Here the real application runs with the demo model, and before a request that names such a thing is
passed on, untouched, the thing is made through the store's own modules if it is not there: a test may delete it.
For a file of a skill they have ``Example data``, and for a page of its versions ``page``: those two are replaced.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bathysphere.api.app import create_app
from bathysphere.api.page_tokens import token
from bathysphere.api.server import open_services
from bathysphere.api.services import Services
from bathysphere.image.image import find
from bathysphere.settings import Settings
from bathysphere.skills.archive import archived
from bathysphere.skills.bundle import Bounds, Raw, bundle
from bathysphere.store import files, skills, workspaces
from bathysphere.store.schema import (
    AdminKeyRow,
    ApiKeyRow,
    FileRow,
    MessageBatchRow,
    OrganizationRow,
    SkillRow,
    SkillVersionRow,
    WorkspaceRow,
)
from bathysphere.store.skill_archives import keep
from bathysphere.wire.ids import new_id
from tests.specification.checked import Checked

KEY: Final = "my-anthropic-api-key"
ADMIN_KEY: Final = "the same, as the tests have one key for everything"
ORGANIZATIONS_PATH: Final = "/v1/organizations"
ORGANIZATION: Final = "org_oracle"
NAMED_KEY: Final = "api_key_id"
NAMED_WORKSPACE: Final = "workspace_id"
WORKSPACE: Final = "wrkspc_011CZkZaBF1tNoB5wlCeusgy"
FILE: Final = "file_id"
BATCH: Final = "message_batch_id"
SKILL: Final = "skill_id"
VERSION: Final = "version"
SKILLS_PATH: Final = "/v1/skills"
SKILL_FILE: Final = b"Example data"
FIRST_PAGE: Final = token(datetime(2000, 1, 1, tzinfo=UTC), "skver_before_all").encode()
SKILL_MD: Final = b"---\nname: oracle\ndescription: Says what is so.\n---\n"
BOUNDS: Final = Bounds(total_bytes=1024, files=1)
MODELS: Final = ("*", "before_id", "between", "after_id")
"""Patterns of the configuration: the tests page from one model to another."""


class Placeholders:
    """ASGI middleware that makes what a request is about to name."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._making = asyncio.Lock()
        self._made_by_name = {FILE: self._file, BATCH: self._batch, SKILL: self._skill}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; those that name the same thing one after another, since one may delete it."""
        named = scope["path"].split("/") if scope["type"] == "http" else []
        making = next((make for name, make in self._made_by_name.items() if name in named), None)
        if scope["type"] == "http" and scope["path"].startswith(ORGANIZATIONS_PATH):
            making = self._organization
            headers = [(name, value) for name, value in scope["headers"] if name != b"x-api-key"]
            scope = {**scope, "headers": [*headers, (b"x-api-key", ADMIN_KEY.encode())]}
        if scope["type"] == "http" and scope["path"].startswith(SKILLS_PATH):
            scope = {**scope, "query_string": scope["query_string"].replace(b"page=page", b"page=" + FIRST_PAGE)}
            if scope["method"] == "POST":
                scope, receive = await _with_a_skill(scope, receive)
        if making is None:
            await self._app(scope, receive, send)
            return
        async with self._making:
            await making()
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

    async def _organization(self) -> None:
        """A workspace of it, and a key that is open."""
        now = datetime.now(UTC)
        async with self._services.database.writing() as session:
            if await session.get(WorkspaceRow, NAMED_WORKSPACE) is None:
                session.add(
                    WorkspaceRow(id=NAMED_WORKSPACE, organization_id=ORGANIZATION, name="oracle", created_at=now)
                )
                await session.flush()
            key = await session.get(ApiKeyRow, NAMED_KEY)
            if key is None:
                key = ApiKeyRow(
                    id=NAMED_KEY, workspace_id=NAMED_WORKSPACE, name="oracle", secret_sha256="none", hint="…",
                    created_at=now,
                )  # fmt: skip
                session.add(key)
            key.disabled_at = key.inactive_at = None

    async def _skill(self) -> None:
        """One with two versions, so that either can be deleted."""
        database, blobs, now = self._services.database, self._services.blobs, datetime.now(UTC)
        for version in (VERSION, "another"):
            if await skills.get_version(database, WORKSPACE, SKILL, version) is not None:
                continue
            made = bundle([Raw("SKILL.md", SKILL_MD)], BOUNDS)
            snapshot = await keep(made, archived(made.files), blobs)
            row = SkillVersionRow(
                id=new_id("skver"), skill_id=SKILL, version=version, name=snapshot.name, digest=snapshot.digest,
                description=snapshot.description, created_at=now, blob_key=snapshot.blob_key,
                size_bytes=snapshot.size_bytes, files=[],
            )  # fmt: skip
            async with database.writing() as session:
                skill = await session.get(SkillRow, SKILL)
                if skill is None:
                    skill = SkillRow(
                        id=SKILL, workspace_id=WORKSPACE, display_title="oracle", source="custom", created_at=now,
                        updated_at=now,
                    )  # fmt: skip
                    session.add(skill)
                    await session.flush()
                skill.latest_version_id = row.id
                session.add(row)


async def _with_a_skill(scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
    """The request with a file that is a skill in the place of one that is none."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("SKILL.md", SKILL_MD)
    sent = bytes(body).replace(SKILL_FILE, target.getvalue())
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    messages = iter([{"type": "http.request", "body": sent, "more_body": False}])

    async def again() -> Message:
        return next(messages, None) or await receive()

    return {**scope, "headers": [*headers, (b"content-length", str(len(sent)).encode())]}, again


async def _identity(services: Services) -> None:
    """The workspace and the key of the tests."""
    now = datetime.now(UTC)
    async with services.database.writing() as session:
        session.add(OrganizationRow(id=ORGANIZATION, name="oracle", created_at=now))
        await session.flush()
        session.add(
            WorkspaceRow(id=WORKSPACE, organization_id=ORGANIZATION, name=workspaces.DEFAULT_NAME, created_at=now)
        )
        await session.flush()
        session.add(
            AdminKeyRow(
                id="adminkey_oracle",
                organization_id=ORGANIZATION,
                name="oracle",
                secret_sha256=hashlib.sha256(ADMIN_KEY.encode()).hexdigest(),
                hint="…",
                created_at=now,
            )
        )
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
