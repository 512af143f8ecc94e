"""What organisations, workspaces and keys may use: kept, and changed while servers run, which read it at each check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, Literal

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.schema import ApiKeyRow, OrganizationRow, QuotaRow, WorkspaceRow

SubjectKind = Literal["organization", "workspace", "api_key"]

_KINDS: Final[dict[str, SubjectKind]] = {"org": "organization", "wrkspc": "workspace", "apikey": "api_key"}


class UnusableLimit(ValueError):
    """A limit that is not above 0, or beyond what can be counted; the message begins with its name."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None is without a limit. Hours, dollars and requests are those of a calendar month in UTC."""

    containers: int | None = None
    concurrent_containers: int | None = None
    execution_hours: float | None = None
    dollars: float | None = None
    storage_bytes: int | None = None
    requests: int | None = None


LARGEST: Final[dict[str, int]] = {
    "containers": 10**9,
    "concurrent_containers": 10**9,
    "execution_hours": 10**9,
    "dollars": 10**9,
    "storage_bytes": 2**53 - 1,
    "requests": 10**15,
}
"""The largest value of each limit."""

UNLIMITED: Final = Limits()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a quota is for, and what it is called."""

    id: str
    kind: SubjectKind
    organization_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of a subject; ``updated_at`` is None where there have never been any."""

    subject: Subject
    limits: Limits
    updated_at: datetime | None


async def subject(database: Database, subject_id: str, organization_id: str | None = None) -> Subject | None:
    """The organisation, workspace or key of this id; None when there is none, or it is not that organisation's."""
    async with database.reading() as session:
        return await _subject(session, subject_id, organization_id)


async def get(database: Database, subject: Subject) -> Quota:
    """Its limits."""
    async with database.reading() as session:
        return _quota(subject, await session.get(QuotaRow, subject.id))


async def list_all(database: Database, organization_id: str | None = None) -> list[Quota]:
    """The quotas of an organisation and of what is in it, or of all of them: by kind and name."""
    found: list[Quota] = []
    async with database.reading() as session:
        for kind, query in _SUBJECTS.items():
            wanted = query.add_columns(QuotaRow).join(QuotaRow, QuotaRow.subject_id == _ID[kind])
            if organization_id is not None:
                wanted = wanted.where(_ORGANIZATION[kind] == organization_id)
            for subject_id, owner, name, row in await session.execute(wanted.order_by(_NAME[kind], _ID[kind])):
                found.append(_quota(Subject(subject_id, kind, owner, name), row))
    return found


async def change(
    database: Database, subject: Subject, limits: Mapping[str, float | None], now: datetime | None = None
) -> Quota:
    """Set the limits that are given; None takes one away, and the others stay. Raises UnusableLimit."""
    for name, value in limits.items():
        check(name, value)
    async with database.writing() as session:
        row = await session.get(QuotaRow, subject.id)
        if row is None:
            row = QuotaRow(subject_id=subject.id)
            session.add(row)
        for name, value in limits.items():
            setattr(row, name, value)
        row.updated_at = now or datetime.now(UTC)
        await session.flush()
        changed = _quota(subject, row)
        if changed.limits == UNLIMITED:
            await session.delete(row)
    return changed


async def clear(database: Database, subject: Subject) -> None:
    """Take all of its limits away; where there are none that is no error."""
    async with database.writing() as session:
        row = await session.get(QuotaRow, subject.id)
        if row is not None:
            await session.delete(row)


def check(name: str, value: float | None) -> None:
    """Raises UnusableLimit, also for a name that is no limit's."""
    if name not in LARGEST:
        raise UnusableLimit(f"{name}: there is no such limit; there are {', '.join(LARGEST)}")
    if value is not None and not 0 < value <= LARGEST[name]:
        raise UnusableLimit(f"{name}: Input should be greater than 0 and at most {LARGEST[name]}")


_SUBJECTS: Final[dict[SubjectKind, Select[*tuple[Any, ...]]]] = {
    "organization": select(OrganizationRow.id, OrganizationRow.id.label("organization_id"), OrganizationRow.name),
    "workspace": select(WorkspaceRow.id, WorkspaceRow.organization_id, WorkspaceRow.name),
    "api_key": select(ApiKeyRow.id, WorkspaceRow.organization_id, ApiKeyRow.name)
    .select_from(ApiKeyRow)
    .join(WorkspaceRow, WorkspaceRow.id == ApiKeyRow.workspace_id),
}
_ID: Final = {"organization": OrganizationRow.id, "workspace": WorkspaceRow.id, "api_key": ApiKeyRow.id}
_NAME: Final = {"organization": OrganizationRow.name, "workspace": WorkspaceRow.name, "api_key": ApiKeyRow.name}
_ORGANIZATION: Final = {
    "organization": OrganizationRow.id,
    "workspace": WorkspaceRow.organization_id,
    "api_key": WorkspaceRow.organization_id,
}


async def _subject(session: AsyncSession, subject_id: str, organization_id: str | None) -> Subject | None:
    kind = _KINDS.get(subject_id.partition("_")[0])
    if kind is None:
        return None
    query = _SUBJECTS[kind].where(_ID[kind] == subject_id)
    if organization_id is not None:
        query = query.where(_ORGANIZATION[kind] == organization_id)
    row = (await session.execute(query)).first()
    return None if row is None else Subject(row[0], kind, row[1], row[2])


def _quota(subject: Subject, row: QuotaRow | None) -> Quota:
    if row is None:
        return Quota(subject, UNLIMITED, None)
    return Quota(subject, Limits(**{field.name: getattr(row, field.name) for field in fields(Limits)}), row.updated_at)
