"""How much an organisation's files and skills take."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from bathysphere.store.database import Database
from bathysphere.store.schema import FileRow, SkillRow, SkillVersionRow, WorkspaceRow
from bathysphere.telemetry import metrics


class StorageQuotaExceeded(Exception):
    """The organisation's files and skills would take more than ``storage_bytes``."""

    def __init__(self) -> None:
        super().__init__()
        # Here, because it is told in many ways, and not always as the failure of a request.
        metrics.DENIALS.labels("storage").inc()


async def free_bytes(database: Database, workspace_id: str, storage_bytes: int) -> int:
    """How much the organisation of this workspace may still store, never below 0."""
    async with database.reading() as session:
        return max(0, storage_bytes - await stored_bytes(session, workspace_id))


async def stored_bytes(session: AsyncSession, workspace_id: str) -> int:
    """How much the organisation of this workspace stores. What belongs to the server itself does not count."""
    organization = select(WorkspaceRow.organization_id).where(WorkspaceRow.id == workspace_id).scalar_subquery()
    workspaces = select(WorkspaceRow.id).where(WorkspaceRow.organization_id == organization)
    files = await session.scalar(
        select(func.sum(FileRow.size_bytes)).where(FileRow.workspace_id.in_(workspaces), FileRow.blob_key.is_not(None))
    )
    skills = await session.scalar(
        select(func.sum(SkillVersionRow.size_bytes))
        .join(SkillRow, SkillRow.id == SkillVersionRow.skill_id)
        .where(SkillRow.workspace_id.in_(workspaces))
    )
    return int(files or 0) + int(skills or 0)
