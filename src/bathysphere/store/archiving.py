"""Archiving a workspace: everything in it closes, for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import or_, select, update

from bathysphere.store.database import Database
from bathysphere.store.schema import ApiKeyRow, ContainerRow, FileRow, MessageBatchRow, WorkspaceRow

FILES_STAY: Final = timedelta(days=30)
"""How long the files of an archived workspace stay on disk, for who archived it by mistake."""


async def archive(database: Database, organization_id: str, workspace_id: str, now: datetime | None = None) -> bool:
    """Close a workspace, in one transaction. False when this organisation has none of that id; twice is no error.

    Its keys open nothing any more, its batches begin no further requests, its containers have expired, and its files
    expire in 30 days: the usual sweeps remove both. Turns that run go on to their end.
    """
    now = now or datetime.now(UTC)
    async with database.writing() as session:
        row = await session.scalar(
            select(WorkspaceRow).where(WorkspaceRow.organization_id == organization_id, WorkspaceRow.id == workspace_id)
        )
        if row is None:
            return False
        if row.archived_at is not None:
            return True
        row.archived_at = now
        await session.execute(
            update(ApiKeyRow)
            .where(ApiKeyRow.workspace_id == workspace_id, ApiKeyRow.disabled_at.is_(None))
            .values(disabled_at=now)
        )
        await session.execute(
            update(MessageBatchRow)
            .where(
                MessageBatchRow.workspace_id == workspace_id,
                MessageBatchRow.ended_at.is_(None),
                MessageBatchRow.cancel_initiated_at.is_(None),
            )
            .values(cancel_initiated_at=now)
        )
        await session.execute(
            update(ContainerRow)
            .where(ContainerRow.workspace_id == workspace_id, ContainerRow.expires_at > now)
            .values(expires_at=now)
        )
        due = now + FILES_STAY
        await session.execute(
            update(FileRow)
            .where(FileRow.workspace_id == workspace_id, or_(FileRow.expires_at.is_(None), FileRow.expires_at > due))
            .values(expires_at=due)
        )
        return True
