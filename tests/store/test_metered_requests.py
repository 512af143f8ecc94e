"""What turns used: rows that go after a while, and sums by minute and month that stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from bathysphere.store import metered_requests
from bathysphere.store.database import Database
from bathysphere.store.metered_requests import MeteredRequest
from bathysphere.store.schema import MeteredRequestRow, MonthlyTotalRow, UsageMinuteRow
from bathysphere.store.workspaces import Workspace

BEGAN = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
USED = MeteredRequest(
    request_id="req_1", workspace_id="", api_key_id="apikey_1", batch_id=None, container_id=None, model="m",
    service_tier="standard", inference_geo="not_available", started_at=BEGAN, duration_seconds=2.0, outcome="finished",
    uncached_input_tokens=100_000, cache_read_input_tokens=60_000, cache_creation_5m_tokens=30_000,
    cache_creation_1h_tokens=10_000, output_tokens=7, tool_calls=1, cpu_seconds=0.5, peak_memory_bytes=9,
    stored_bytes=3,
)  # fmt: skip


async def test_sums_stay_when_rows_are_forgotten(
    database: Database, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metered_requests, "_FORGOTTEN_AT_ONCE", 2)
    mine = replace(USED, workspace_id=workspace.id)
    longer = replace(mine, uncached_input_tokens=100_001)
    later = replace(mine, started_at=BEGAN + timedelta(seconds=1))
    await database.transaction(lambda connection: metered_requests.write(connection, [mine, mine, longer, mine, later]))
    await database.transaction(lambda connection: metered_requests.write(connection, [mine]))
    assert await metered_requests.forget(database, BEGAN + timedelta(seconds=1)) == 5
    async with database.reading() as session:
        (kept,) = await session.scalars(select(MeteredRequestRow))
        minutes = {
            (row.minute, row.context_window): (row.requests, row.uncached_input_tokens, row.cpu_seconds)
            for row in await session.scalars(select(UsageMinuteRow))
        }
        months = {(row.subject_id, row.month): row.requests for row in await session.scalars(select(MonthlyTotalRow))}
    assert kept.started_at == later.started_at
    november = int(BEGAN.timestamp()) // 60 * 60
    assert minutes == {
        (november, "0-200k"): (4, 400_000, 2.0),
        (november, "200k-1M"): (1, 100_001, 0.5),
        (november + 60, "0-200k"): (1, 100_000, 0.5),
    }
    subjects = (workspace.organization_id, workspace.id, "apikey_1")
    assert months == {(who, month): n for who in subjects for month, n in (("2026-11", 5), ("2026-12", 1))}
