"""What of a quota has been used: by an organisation, a workspace or a key, in this month or by now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select

from bathysphere.store.database import Database
from bathysphere.store.quotas import Subject
from bathysphere.store.schema import (
    ContainerRow,
    FileRow,
    MonthlyTotalRow,
    SkillRow,
    SkillVersionRow,
    WorkspaceRow,
)

_MICRODOLLAR_SECONDS_PER_DOLLAR: Final = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Use:
    """Containers that there are and bytes that are stored by now; the rest is of the calendar month in UTC."""

    containers: int
    storage_bytes: int
    execution_hours: float
    dollars: float
    requests: int


async def use(database: Database, subject: Subject, now: datetime | None = None) -> Use:
    """What the subject has used."""
    now = now or datetime.now(UTC)
    async with database.reading() as session:
        containers = await session.scalar(
            select(func.count())
            .select_from(ContainerRow)
            .where(
                *_of(subject, ContainerRow.workspace_id, ContainerRow.api_key_id),
                ContainerRow.deleted_at.is_(None),
                ContainerRow.lost_at.is_(None),
                ContainerRow.expires_at > now,
            )
        )
        files = await session.scalar(
            select(func.sum(FileRow.size_bytes)).where(
                *_of(subject, FileRow.workspace_id, FileRow.api_key_id), FileRow.blob_key.is_not(None)
            )
        )
        skills = await session.scalar(
            select(func.sum(SkillVersionRow.size_bytes))
            .join(SkillRow, SkillRow.id == SkillVersionRow.skill_id)
            .where(*_of(subject, SkillRow.workspace_id, SkillVersionRow.api_key_id))
        )
        total = await session.get(MonthlyTotalRow, (subject.id, f"{now.astimezone(UTC):%Y-%m}"))
    return Use(
        containers=int(containers or 0),
        storage_bytes=int(files or 0) + int(skills or 0),
        execution_hours=0.0 if total is None else total.execution_seconds / 3600,
        dollars=0.0 if total is None else total.microdollar_seconds / _MICRODOLLAR_SECONDS_PER_DOLLAR,
        requests=0 if total is None else total.requests,
    )


async def execution_seconds(database: Database, subject_id: str, month: str) -> int:
    """How long its containers were used in a month such as ``2026-11``."""
    async with database.reading() as session:
        total = await session.get(MonthlyTotalRow, (subject_id, month))
    return 0 if total is None else total.execution_seconds


def _of(subject: Subject, workspace_id: Any, api_key_id: Any) -> tuple[ColumnElement[bool], ...]:
    if subject.kind == "api_key":
        return (api_key_id == subject.id,)
    if subject.kind == "workspace":
        return (workspace_id == subject.id,)
    return (workspace_id.in_(select(WorkspaceRow.id).where(WorkspaceRow.organization_id == subject.id)),)
