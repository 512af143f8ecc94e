"""How long containers were used on the days of a time and what that costs, summed up by the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from bathysphere.store.database import Database
from bathysphere.store.schema import ExecutionTimeRow, OrganizationRow
from bathysphere.store.usage_report import Stretch

_DIMENSIONS: Final[dict[str, InstrumentedAttribute[Any]]] = {
    "api_key_id": ExecutionTimeRow.api_key_id,
    "container_id": ExecutionTimeRow.container_id,
    "workspace_id": ExecutionTimeRow.workspace_id,
}


@dataclass(frozen=True, slots=True)
class ExecutionTime:
    """What was booked in the day that begins at ``start``, for the group that ``by`` names.

    ``microdollar_seconds`` are paid seconds times their price per hour.
    """

    start: int
    by: Mapping[str, str | None]
    seconds: int
    paid_seconds: int
    microdollar_seconds: int


async def execution_time(
    database: Database,
    organization_id: str | None,
    stretch: Stretch,
    group_by: Sequence[str] = (),
    filters: Mapping[str, Collection[str]] | None = None,
    limit: int | None = None,
) -> list[ExecutionTime]:
    """What was booked for each day and group; those without any time are left out.

    In the order of days, then of groups, and the first ``limit`` of them. The width of ``stretch`` is a day, which no
    booked span crosses. Without ``organization_id`` it is the time of all of them.
    """
    columns = [_DIMENSIONS[name] for name in group_by]
    # Named one by one, so that the index leads to the rows of this time.
    owners = select(OrganizationRow.id) if organization_id is None else [organization_id]
    owned = ExecutionTimeRow.organization_id.in_(owners)
    day = ExecutionTimeRow.started_at - ExecutionTimeRow.started_at % stretch.width
    query: Select[*tuple[Any, ...]] = (
        select(
            day,
            *columns,
            func.sum(ExecutionTimeRow.ended_at - ExecutionTimeRow.started_at),
            func.sum(ExecutionTimeRow.paid_seconds),
            func.sum(ExecutionTimeRow.paid_seconds * ExecutionTimeRow.microdollars_per_hour),
        )
        .where(owned, ExecutionTimeRow.started_at >= stretch.start, ExecutionTimeRow.started_at < stretch.end)
        .group_by(day, *columns)
        .order_by(day, *columns)
        .limit(limit)
    )
    for name, values in (filters or {}).items():
        query = query.where(_DIMENSIONS[name].in_(list(values)))
    async with database.reading() as session:
        return [
            ExecutionTime(row[0], dict(zip(group_by, row[1 : 1 + len(columns)], strict=True)), *row[1 + len(columns) :])
            for row in await session.execute(query)
        ]
