"""API keys: made, listed, changed, and the answer to whose a secret is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store import paging
from bathysphere.store.database import Database
from bathysphere.store.key_secrets import hashed, new_secret, note_use
from bathysphere.store.names import check_name
from bathysphere.store.paging import Page, Window
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import ApiKeyRow, WorkspaceRow
from bathysphere.store.workspaces import Workspace, check_open
from bathysphere.wire.ids import new_id

PREFIX: Final = "sk-bathysphere-"

Status = Literal["active", "inactive", "archived"]
"""``inactive`` opens nothing until it is made active again; ``archived``, which a disabled key is, for good."""

_BY_SECRET: Final = Prepared(
    select(ApiKeyRow.id, ApiKeyRow.workspace_id, ApiKeyRow.last_used_at, WorkspaceRow.organization_id)
    .join(WorkspaceRow, WorkspaceRow.id == ApiKeyRow.workspace_id)
    .where(
        ApiKeyRow.secret_sha256 == bindparam("secret_sha256"),
        ApiKeyRow.disabled_at.is_(None),
        ApiKeyRow.inactive_at.is_(None),
        WorkspaceRow.archived_at.is_(None),
    )
)


class KeyArchived(Exception):
    """The key has been disabled for good; nothing makes it open anything again."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; its secret is not. ``hint`` is how the secret ends."""

    id: str
    workspace_id: str
    workspace_name: str
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    disabled_at: datetime | None
    inactive_at: datetime | None

    @property
    def status(self) -> Status:
        """Whether it opens anything."""
        return "archived" if self.disabled_at else "inactive" if self.inactive_at else "active"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from."""

    organization_id: str
    workspace_id: str
    api_key_id: str


async def create(database: Database, workspace: Workspace, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again. Raises UnusableName and WorkspaceArchived."""
    check_name(name)
    secret = new_secret(PREFIX)
    row = ApiKeyRow(
        id=new_id("apikey"),
        workspace_id=workspace.id,
        name=name,
        secret_sha256=secret.sha256,
        hint=secret.hint,
        created_at=datetime.now(UTC),
    )
    async with database.writing() as session:
        await check_open(session, workspace.id)
        session.add(row)
    return _api_key(row, workspace.name), secret.text


async def authenticate(database: Database, secret: str, now: datetime | None = None) -> Identity | None:
    """Whose secret this is; None when it is nobody's, or its key or workspace has been closed.

    ``last_used_at`` follows, at most once a minute.
    """
    sha256 = hashed(secret)
    found = None if sha256 is None else database.one(_BY_SECRET, secret_sha256=sha256)
    if found is None:
        return None
    key_id, workspace_id, last_used_at, organization_id = found
    await note_use(database, ApiKeyRow, key_id, last_used_at, now or datetime.now(UTC))
    return Identity(organization_id, workspace_id, key_id)


async def list_all(database: Database) -> list[ApiKey]:
    """Every key of every workspace, oldest first."""
    async with database.reading() as session:
        rows = await session.execute(_keys().order_by(ApiKeyRow.created_at, ApiKeyRow.id))
        return [_api_key(row, name) for row, name in rows]


async def get(database: Database, organization_id: str, key_id: str) -> ApiKey | None:
    """A key of this organisation; None when it has none of that id."""
    async with database.reading() as session:
        return await _find(session, organization_id, key_id)


async def page(
    database: Database,
    organization_id: str,
    window: Window,
    status: Status | None = None,
    workspace_id: str | None = None,
) -> Page[ApiKey]:
    """A part of the list of an organisation's keys, or of those of one status or workspace."""
    query = _keys().where(WorkspaceRow.organization_id == organization_id)
    if status is not None:
        query = query.where(*_with_status(status))
    if workspace_id is not None:
        query = query.where(ApiKeyRow.workspace_id == workspace_id)
    async with database.reading() as session:
        found = await paging.read(session, query, ApiKeyRow.created_at, ApiKeyRow.id, window)
        return Page([_api_key(row, name) for row, name in found.items], found.more)


async def change(
    database: Database,
    organization_id: str | None,
    key_id: str,
    name: str | None = None,
    status: Status | None = None,
    now: datetime | None = None,
) -> ApiKey | None:
    """Give a key another name or status; the key as it is then.

    None when this organisation, or with None any, has no key of that id.
    Raises UnusableName, and KeyArchived for an archived one that is to be anything else.
    """
    if name is not None:
        check_name(name)
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        row = await _row(session, organization_id, key_id)
        if row is None:
            return None
        if status is not None:
            _set_status(row, status, now)
        if name is not None:
            row.name = name
        await session.flush()
        return await _find(session, organization_id, key_id)


async def rotate(database: Database, organization_id: str | None, key_id: str) -> tuple[ApiKey, str] | None:
    """A new secret for a key, which cannot be had again; the old one opens nothing from now on.

    None when this organisation, or with None any, has no key of that id. Raises KeyArchived.
    """
    secret = new_secret(PREFIX)
    async with database.writing() as session:
        row = await _row(session, organization_id, key_id)
        if row is None:
            return None
        if row.disabled_at is not None:
            raise KeyArchived
        row.secret_sha256, row.hint = secret.sha256, secret.hint
        await session.flush()
        found = await _find(session, organization_id, key_id)
        assert found is not None
        return found, secret.text


async def disable(database: Database, key_id: str) -> bool:
    """From now on the key opens nothing, for good. False when there is no such key; disabling twice is no error."""
    async with database.writing() as session:
        row = await session.get(ApiKeyRow, key_id)
        if row is None:
            return False
        row.disabled_at = row.disabled_at or datetime.now(UTC)
        return True


def _keys() -> Select[*tuple[Any, ...]]:
    return select(ApiKeyRow, WorkspaceRow.name).join(WorkspaceRow, WorkspaceRow.id == ApiKeyRow.workspace_id)


async def _row(session: AsyncSession, organization_id: str | None, key_id: str) -> ApiKeyRow | None:
    query = select(ApiKeyRow).where(ApiKeyRow.id == key_id)
    if organization_id is not None:
        query = query.join(WorkspaceRow).where(WorkspaceRow.organization_id == organization_id)
    return await session.scalar(query)


async def _find(session: AsyncSession, organization_id: str | None, key_id: str) -> ApiKey | None:
    query = _keys().where(ApiKeyRow.id == key_id)
    if organization_id is not None:
        query = query.where(WorkspaceRow.organization_id == organization_id)
    found = (await session.execute(query)).first()
    return None if found is None else _api_key(*found)


def _with_status(status: Status) -> tuple[ColumnElement[bool], ...]:
    if status == "archived":
        return (ApiKeyRow.disabled_at.is_not(None),)
    inactive = ApiKeyRow.inactive_at
    return ApiKeyRow.disabled_at.is_(None), inactive.is_(None) if status == "active" else inactive.is_not(None)


def _set_status(row: ApiKeyRow, status: Status, now: datetime) -> None:
    if status == "archived":
        row.disabled_at = row.disabled_at or now
    elif row.disabled_at is not None:
        raise KeyArchived
    else:
        row.inactive_at = (row.inactive_at or now) if status == "inactive" else None


def _api_key(row: ApiKeyRow, workspace_name: str) -> ApiKey:
    return ApiKey(
        id=row.id,
        workspace_id=row.workspace_id,
        workspace_name=workspace_name,
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        disabled_at=row.disabled_at,
        inactive_at=row.inactive_at,
    )
