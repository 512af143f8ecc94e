"""Organisations to try the Admin API with, each with an admin key, beside those of a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2

from bathysphere.store import admin_keys
from bathysphere.store.database import Database
from bathysphere.store.organizations import Organization
from bathysphere.store.schema import Base, OrganizationRow
from bathysphere.wire.ids import new_id
from tests.api.conftest import Server

ROOT = "/v1/organizations"

T = TypeVar("T")


@dataclass
class Administration:
    """An organisation, and a client with its admin key."""

    server: Server
    organization_id: str
    key: str

    def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        with self.server.client(self.key) as client:
            return client.request(method, ROOT + path, **options)

    def get(self, path: str, **parameters: Any) -> Any:
        answer = self.call("GET", path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.call("POST", path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """The status and message of an answer that is an error."""
        answer = self.call(method, path, **options)
        error = answer.json()["error"]
        return answer.status_code, error["message"]

    def workspace(self, name: str) -> str:
        return str(self.post("/workspaces", {"name": name})["id"])

    def api_key(self, workspace_id: str, name: str = "laptop") -> dict[str, Any]:
        found: dict[str, Any] = self.post("/api_keys", {"name": name, "workspace_id": workspace_id})
        return found


def in_database(server: Server, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do something with the server's database, beside it."""

    async def run() -> T:
        database = await Database.open(server.data)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())


def insert(server: Server, rows: Iterable[Base]) -> None:
    async def work(database: Database) -> None:
        async with database.writing() as session:
            session.add_all(rows)

    in_database(server, work)


def administration(server: Server) -> Administration:
    """A new organisation; nothing is in it."""

    async def make(database: Database) -> tuple[str, str]:
        organization = Organization(new_id("org"), "Deep Sea", datetime.now(UTC))
        async with database.writing() as session:
            session.add(OrganizationRow(id=organization.id, name=organization.name, created_at=organization.created_at))
        return organization.id, (await admin_keys.create(database, organization, "test"))[1]

    return Administration(server, *in_database(server, make))
