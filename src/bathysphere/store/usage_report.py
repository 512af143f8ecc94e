"""What turns have used in the buckets of a time, summed up by the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from bathysphere.store.database import Database
from bathysphere.store.schema import OrganizationRow, UsageMinuteRow

_DIMENSIONS: Final[dict[str, InstrumentedAttribute[str]]] = {
    "api_key_id": UsageMinuteRow.api_key_id,
    "context_window": UsageMinuteRow.context_window,
    "inference_geo": UsageMinuteRow.inference_geo,
    "model": UsageMinuteRow.model,
    "service_tier": UsageMinuteRow.service_tier,
    "workspace_id": UsageMinuteRow.workspace_id,
}
_SUMS: Final = (
    UsageMinuteRow.requests,
    UsageMinuteRow.uncached_input_tokens,
    UsageMinuteRow.cache_read_input_tokens,
    UsageMinuteRow.cache_creation_5m_tokens,
    UsageMinuteRow.cache_creation_1h_tokens,
    UsageMinuteRow.output_tokens,
    UsageMinuteRow.tool_calls,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Buckets of ``width`` seconds, side by side: from second ``start`` since 1970 to ``end``, which is not in it."""

    start: int
    end: int
    width: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used in the bucket that begins at ``start``, by the group that ``by`` names."""

    start: int
    by: Mapping[str, str]
    requests: int
    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_creation_5m_tokens: int
    cache_creation_1h_tokens: int
    output_tokens: int
    tool_calls: int


async def usage(
    database: Database,
    organization_id: str | None,
    stretch: Stretch,
    group_by: Sequence[str] = (),
    filters: Mapping[str, Collection[str]] | None = None,
    limit: int | None = None,
) -> list[Usage]:
    """What each bucket and group has used; those without any use are left out.

    In the order of buckets, then of groups, and the first ``limit`` of them. ``group_by`` and the keys of ``filters``
    are columns of the table, and any others are taken for those that no turn has a value of. Without
    ``organization_id`` it is the use of all of them.
    """
    filters = filters or {}
    if any(name not in _DIMENSIONS for name in filters):
        return []
    dimensions = [name for name in group_by if name in _DIMENSIONS]
    columns = [_DIMENSIONS[name] for name in dimensions]
    # Named one by one, so that the index leads to the rows of this time.
    owners = select(OrganizationRow.id) if organization_id is None else [organization_id]
    owned = UsageMinuteRow.organization_id.in_(owners)
    bucket = UsageMinuteRow.minute - UsageMinuteRow.minute % stretch.width
    query: Select[*tuple[Any, ...]] = (
        select(bucket, *columns, *(func.sum(column) for column in _SUMS))
        .where(owned, UsageMinuteRow.minute >= stretch.start, UsageMinuteRow.minute < stretch.end)
        .group_by(bucket, *columns)
        .order_by(bucket, *columns)
        .limit(limit)
    )
    for name, values in filters.items():
        query = query.where(_DIMENSIONS[name].in_(list(values)))
    async with database.reading() as session:
        return [
            Usage(row[0], dict(zip(dimensions, row[1 : 1 + len(columns)], strict=True)), *row[1 + len(columns) :])
            for row in await session.execute(query)
        ]
