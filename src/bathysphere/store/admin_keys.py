"""Keys of the Admin API: each belongs to an organisation, and opens nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import bindparam, select

from bathysphere.store.database import Database
from bathysphere.store.key_secrets import hashed, new_secret, note_use
from bathysphere.store.names import check_name
from bathysphere.store.organizations import Organization
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import AdminKeyRow, OrganizationRow
from bathysphere.wire.ids import new_id

PREFIX: Final = "sk-bathysphere-admin-"

_BY_SECRET: Final = Prepared(
    select(AdminKeyRow.id, AdminKeyRow.organization_id, AdminKeyRow.last_used_at).where(
        AdminKeyRow.secret_sha256 == bindparam("secret_sha256"), AdminKeyRow.disabled_at.is_(None)
    )
)


@dataclass(frozen=True, slots=True)
class AdminKey:
    """What is known of an admin key; its secret is not. ``hint`` is how the secret ends."""

    id: str
    organization_id: str
    organization_name: str
    name: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who a request to the Admin API comes from."""

    organization_id: str
    admin_key_id: str


async def create(database: Database, organization: Organization, name: str) -> tuple[AdminKey, str]:
    """A new admin key and its secret, which cannot be had again. Raises UnusableName."""
    check_name(name)
    secret = new_secret(PREFIX)
    row = AdminKeyRow(
        id=new_id("adminkey"),
        organization_id=organization.id,
        name=name,
        secret_sha256=secret.sha256,
        hint=secret.hint,
        created_at=datetime.now(UTC),
    )
    async with database.writing() as session:
        session.add(row)
    return _admin_key(row, organization.name), secret.text


async def authenticate(database: Database, secret: str, now: datetime | None = None) -> Administrator | None:
    """Whose secret this is; None when it is nobody's, or the key has been disabled.

    ``last_used_at`` follows, at most once a minute.
    """
    sha256 = hashed(secret)
    found = None if sha256 is None else database.one(_BY_SECRET, secret_sha256=sha256)
    if found is None:
        return None
    await note_use(database, AdminKeyRow, found.id, found.last_used_at, now or datetime.now(UTC))
    return Administrator(found.organization_id, found.id)


async def list_all(database: Database) -> list[AdminKey]:
    """Every admin key of every organisation, oldest first."""
    async with database.reading() as session:
        rows = await session.execute(
            select(AdminKeyRow, OrganizationRow.name)
            .join(OrganizationRow, OrganizationRow.id == AdminKeyRow.organization_id)
            .order_by(AdminKeyRow.created_at, AdminKeyRow.id)
        )
        return [_admin_key(row, name) for row, name in rows]


async def disable(database: Database, key_id: str) -> bool:
    """From now on the key opens nothing, for good. False when there is no such key; disabling twice is no error."""
    async with database.writing() as session:
        row = await session.get(AdminKeyRow, key_id)
        if row is None:
            return False
        row.disabled_at = row.disabled_at or datetime.now(UTC)
        return True


def _admin_key(row: AdminKeyRow, organization_name: str) -> AdminKey:
    return AdminKey(
        id=row.id,
        organization_id=row.organization_id,
        organization_name=organization_name,
        name=row.name,
        hint=row.hint,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        disabled_at=row.disabled_at,
    )
