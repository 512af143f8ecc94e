"""What each turn used, and the same summed up by minute for the reports."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from bathysphere.store import monthly_totals, workspaces
from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, MeteredRequestRow, UsageMinuteRow

_LONG_CONTEXT_TOKENS: Final = 200_000
_FORGOTTEN_AT_ONCE: Final = 2000

_ROW: Final = Base.metadata.tables[MeteredRequestRow.__tablename__]
_MINUTES: Final = Base.metadata.tables[UsageMinuteRow.__tablename__]
_SUMS: Final = tuple(column.name for column in _MINUTES.columns if not column.primary_key)
_KEYS: Final = tuple(column.name for column in _MINUTES.columns if column.primary_key)
_OWN: Final = tuple(column.name for column in _ROW.columns if column.name not in ("number", "organization_id"))

_INSERT: Final = Prepared(insert(_ROW), [*_OWN, "organization_id"])
_NEW: Final = insert_or_update(_MINUTES)
_ADD: Final = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=list(_KEYS), set_={name: _MINUTES.c[name] + _NEW.excluded[name] for name in _SUMS}
    ),
    [column.name for column in _MINUTES.columns],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredRequest:
    """What a turn used. ``outcome`` is ``finished``, ``cancelled``, or the type of its error.

    Tokens are those that the upstream reported until then; ``cpu_seconds``, ``peak_memory_bytes`` and
    ``stored_bytes`` (of the files that it produced) those of its calls of the code execution tool.
    """

    request_id: str
    workspace_id: str
    api_key_id: str
    batch_id: str | None
    container_id: str | None
    model: str
    service_tier: str
    inference_geo: str
    started_at: datetime
    duration_seconds: float
    outcome: str
    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_creation_5m_tokens: int
    cache_creation_1h_tokens: int
    output_tokens: int
    tool_calls: int
    cpu_seconds: float
    peak_memory_bytes: int
    stored_bytes: int

    @property
    def context_window(self) -> str:
        """Which of the two windows of the usage report its input needs (WIRE i)."""
        tokens = (
            self.uncached_input_tokens
            + self.cache_read_input_tokens
            + self.cache_creation_5m_tokens
            + self.cache_creation_1h_tokens
        )
        return "0-200k" if tokens <= _LONG_CONTEXT_TOKENS else "200k-1M"


def write(connection: sqlite3.Connection, requests: Iterable[MeteredRequest]) -> None:
    """Write them within a transaction, and add them to the sums of their minutes and months."""
    minutes: dict[tuple[Any, ...], Counter[str]] = {}
    totals: Counter[tuple[str, str]] = Counter()
    rows = []
    organizations: dict[str, str | None] = {}
    for request in requests:
        if request.workspace_id not in organizations:
            organizations[request.workspace_id] = workspaces.organization_of(connection, request.workspace_id)
        organization_id = organizations[request.workspace_id]
        if organization_id is None:
            continue  # its workspace has been removed by hand
        rows.append({**{name: getattr(request, name) for name in _OWN}, "organization_id": organization_id})
        started = request.started_at.astimezone(UTC)
        key = {
            "organization_id": organization_id,
            "minute": int(started.timestamp()) // 60 * 60,
            **{
                name: getattr(request, name)
                for name in ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "inference_geo")
            },
        }
        sums = minutes.setdefault(tuple(key[name] for name in _KEYS), Counter())
        for name in _SUMS:
            sums[name] += 1 if name == "requests" else getattr(request, name)
        for subject in (organization_id, request.workspace_id, request.api_key_id):
            totals[subject, f"{started:%Y-%m}"] += 1
    _INSERT.each(connection, rows)
    _ADD.each(
        connection,
        [
            {**dict(zip(_KEYS, key, strict=True)), **{name: sums[name] for name in _SUMS}}
            for key, sums in minutes.items()
        ],
    )
    monthly_totals.write(connection, {key: (count, 0, 0) for key, count in totals.items()})


async def forget(database: Database, before: datetime) -> int:
    """Remove the rows of turns that began before; the sums stay. How many there were.

    Some at a time, from the oldest on, so that nobody waits long for the database.
    """
    forgotten = 0
    while True:
        async with database.reading() as session:
            oldest = await session.execute(
                select(MeteredRequestRow.number, MeteredRequestRow.started_at)
                .order_by(MeteredRequestRow.number)
                .limit(_FORGOTTEN_AT_ONCE)
            )
            numbers = [number for number, started_at in oldest if started_at < before]
        if not numbers:
            return forgotten
        async with database.writing() as session:
            await session.execute(delete(MeteredRequestRow).where(MeteredRequestRow.number.in_(numbers)))
        forgotten += len(numbers)
