"""API keys.

A secret holds 256 random bits. Only its SHA-256 is kept. A slow hash (scrypt, argon2) protects secrets that can be
guessed; 2**256 guesses are out of reach however fast each one is, so it would only slow down every request.
Looking the hash up in an index gives away no useful timing: who sends a secret cannot choose its hash.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, select, update

from bathysphere.store.database import Database, DatabaseFull
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import ApiKeyRow, WorkspaceRow
from bathysphere.store.workspaces import Workspace, check_name
from bathysphere.wire.ids import new_id

PREFIX: Final = "sk-bathysphere-"
_RANDOM_BYTES: Final = 32
_HINT_CHARACTERS: Final = 4
# Longer than any secret of ours; what is longer is not even hashed.
_LONGEST: Final = 256
_LAST_USED_STEP: Final = timedelta(minutes=1)

_BY_SECRET: Final = Prepared(
    select(ApiKeyRow.id, ApiKeyRow.workspace_id, ApiKeyRow.last_used_at, WorkspaceRow.organization_id)
    .join(WorkspaceRow, WorkspaceRow.id == ApiKeyRow.workspace_id)
    .where(ApiKeyRow.secret_sha256 == bindparam("secret_sha256"), ApiKeyRow.disabled_at.is_(None))
)

_log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from."""

    organization_id: str
    workspace_id: str
    api_key_id: str


async def create(database: Database, workspace: Workspace, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be had again. Raises UnusableName."""
    check_name(name)
    secret = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    row = ApiKeyRow(
        id=new_id("apikey"),
        workspace_id=workspace.id,
        name=name,
        secret_sha256=_hash(secret),
        hint=f"sk-…{secret[-_HINT_CHARACTERS:]}",
        created_at=datetime.now(UTC),
    )
    async with database.writing() as session:
        session.add(row)
    return _api_key(row, workspace.name), secret


async def authenticate(database: Database, secret: str, now: datetime | None = None) -> Identity | None:
    """Whose secret this is; None when it is nobody's, or the key has been disabled.

    ``last_used_at`` follows, at most once a minute.
    """
    if len(secret) > _LONGEST:
        return None
    now = now or datetime.now(UTC)
    found = database.one(_BY_SECRET, secret_sha256=_hash(secret))
    if found is None:
        return None
    key_id, workspace_id, last_used_at, organization_id = found
    if last_used_at is None or last_used_at <= now - _LAST_USED_STEP:
        try:
            async with database.writing() as session:
                await session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(last_used_at=now))
        except DatabaseFull:
            # A full disk must not lock out those who come to delete files.
            _log.warning("the time at which key %s was last used could not be written", key_id, exc_info=True)
    return Identity(organization_id, workspace_id, key_id)


async def list_all(database: Database) -> list[ApiKey]:
    """Every key of every workspace, oldest first."""
    async with database.reading() as session:
        rows = await session.execute(
            select(ApiKeyRow, WorkspaceRow.name)
            .join(WorkspaceRow, WorkspaceRow.id == ApiKeyRow.workspace_id)
            .order_by(ApiKeyRow.created_at, ApiKeyRow.id)
        )
        return [_api_key(row, name) for row, name in rows]


async def disable(database: Database, key_id: str) -> bool:
    """From now on the key opens nothing, for good. False when there is no such key; disabling twice is no error."""
    async with database.writing() as session:
        row = await session.get(ApiKeyRow, key_id)
        if row is None:
            return False
        row.disabled_at = row.disabled_at or datetime.now(UTC)
        return True


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


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
    )
