"""How much an organisation, a workspace and a key may store: files and skills together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.schema import FileRow, QuotaRow, SkillRow, SkillVersionRow, WorkspaceRow
from bathysphere.telemetry import metrics


class StorageQuotaExceeded(Exception):
    """More would be stored than may be; the message says whose limit it is, and what to do."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much may still be stored; ``whose`` is the limit ``most`` that decides."""

    left: int
    most: int
    whose: str

    def check(self, size_bytes: int) -> None:
        """Raises StorageQuotaExceeded when it does not fit."""
        if size_bytes > self.left:
            metrics.DENIALS.labels("storage").inc()
            raise StorageQuotaExceeded(
                f"The {self.whose}'s files and skills may take {self.most} bytes, and this no longer fits. Delete what "
                "is not needed."
            )


async def room(database: Database, workspace_id: str, api_key_id: str | None, storage_bytes: int) -> Room:
    """What a key may still store in a workspace; see ``room_within``."""
    async with database.reading() as session:
        return await room_within(session, workspace_id, api_key_id, storage_bytes)


async def room_within(session: AsyncSession, workspace_id: str, api_key_id: str | None, storage_bytes: int) -> Room:
    """The same, in a transaction.

    ``storage_bytes`` is what an organisation without a quota may store. What belongs to the server itself does not
    count.
    """
    organization_id = await session.scalar(select(WorkspaceRow.organization_id).where(WorkspaceRow.id == workspace_id))
    subjects = [subject for subject in (organization_id, workspace_id, api_key_id) if subject is not None]
    quotas = {
        subject: most
        for subject, most in await session.execute(
            select(QuotaRow.subject_id, QuotaRow.storage_bytes).where(QuotaRow.subject_id.in_(subjects))
        )
        if most is not None
    }
    workspaces = select(WorkspaceRow.id).where(WorkspaceRow.organization_id == organization_id)
    most = quotas.get(organization_id or "", storage_bytes)
    stored = await _stored(session, FileRow.workspace_id.in_(workspaces), SkillRow.workspace_id.in_(workspaces))
    rooms = [Room(max(0, most - stored), most, "organization")]
    if workspace_id in quotas:
        most = quotas[workspace_id]
        stored = await _stored(session, FileRow.workspace_id == workspace_id, SkillRow.workspace_id == workspace_id)
        rooms.append(Room(max(0, most - stored), most, "workspace"))
    if api_key_id is not None and api_key_id in quotas:
        most = quotas[api_key_id]
        stored = await _stored(
            session,
            (FileRow.workspace_id == workspace_id) & (FileRow.api_key_id == api_key_id),
            (SkillRow.workspace_id == workspace_id) & (SkillVersionRow.api_key_id == api_key_id),
        )
        rooms.append(Room(max(0, most - stored), most, "API key"))
    return min(rooms, key=lambda room: room.left)


async def _stored(session: AsyncSession, files: ColumnElement[bool], skills: ColumnElement[bool]) -> int:
    of_files = await session.scalar(select(func.sum(FileRow.size_bytes)).where(files, FileRow.blob_key.is_not(None)))
    of_skills = await session.scalar(
        select(func.sum(SkillVersionRow.size_bytes))
        .join(SkillRow, SkillRow.id == SkillVersionRow.skill_id)
        .where(skills)
    )
    return int(of_files or 0) + int(of_skills or 0)
