"""The turns that ended last, as they were metered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from bathysphere.store.database import Database
from bathysphere.store.schema import MeteredRequestRow


async def last_requests(
    database: Database, began_after: datetime, began_before: datetime, limit: int
) -> Sequence[MeteredRequestRow]:
    """Those that began in a time, and of them the last ``limit``, oldest first."""
    async with database.reading() as session:
        rows = await session.scalars(
            select(MeteredRequestRow)
            .where(MeteredRequestRow.started_at >= began_after, MeteredRequestRow.started_at < began_before)
            .order_by(MeteredRequestRow.number.desc())
            .limit(limit)
        )
        return rows.all()[::-1]
