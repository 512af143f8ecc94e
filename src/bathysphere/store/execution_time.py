"""The books of execution time: which seconds of which container are charged, each once (docs/metering.md)."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update

from bathysphere.metering.charges import Charge, Execution, charge
from bathysphere.metering.spans import Span, execution_span, month_of
from bathysphere.metering.tariff import Tariff
from bathysphere.store import monthly_totals, workspaces
from bathysphere.store.database import Database
from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, ExecutionTimeRow

_ROW: Final = Base.metadata.tables[ExecutionTimeRow.__tablename__]
_DAY: Final = 86_400

_TOUCHED: Final = Prepared(
    select(
        ExecutionTimeRow.number,
        ExecutionTimeRow.started_at,
        ExecutionTimeRow.ended_at,
        ExecutionTimeRow.api_key_id,
        ExecutionTimeRow.microdollars_per_hour,
    ).where(
        ExecutionTimeRow.container_id == bindparam("container_id"),
        ExecutionTimeRow.ended_at >= bindparam("start"),
        ExecutionTimeRow.started_at < bindparam("end"),
    )
)
_INSERT: Final = Prepared(insert(_ROW), [column.name for column in _ROW.columns if column.name != "number"])
_EXTEND: Final = Prepared(
    update(_ROW)
    .where(_ROW.c.number == bindparam("row"))
    .values(ended_at=bindparam("end"), paid_seconds=_ROW.c.paid_seconds + bindparam("paid"))
)


async def book(database: Database, executions: Iterable[Execution], tariff: Tariff) -> list[Charge]:
    """Book executions in a transaction of their own; otherwise as ``write``. Raises DatabaseFull."""
    booked = list(executions)
    return await database.transaction(lambda connection: write(connection, booked, tariff)) if booked else []


def write(connection: sqlite3.Connection, executions: Iterable[Execution], tariff: Tariff) -> list[Charge]:
    """Book executions, in their order, within a transaction; what that adds to the books.

    Seconds of a container that are in the books already add nothing, so the same may be told again.
    """
    all_charges: list[Charge] = []
    organizations: dict[str, str] = {}
    booked: dict[str, monthly_totals.Seconds] = {}
    for execution in executions:
        organization_id = workspaces.organization_of(connection, execution.workspace_id)
        if organization_id is None:
            continue  # its workspace has been removed by hand
        organizations[execution.workspace_id] = organization_id
        span = execution_span(execution.began, execution.seconds, tariff.minimum_seconds)
        touched = _TOUCHED.all(
            connection, {"container_id": execution.container_id, "start": span.start, "end": span.end}
        )
        # Those that end where this one begins cover nothing of it, and can be made longer.
        ends = {row.ended_at: row for row in touched}
        covered = [Span(row.started_at, row.ended_at) for row in touched]
        if organization_id not in booked:
            booked[organization_id] = monthly_totals.Seconds(connection, organization_id)
        seconds = booked[organization_id]
        for added in charge(execution, covered, seconds, tariff):
            seconds.add(month_of(added.span.start), added.span.seconds)
            _keep(connection, added, organization_id, ends.get(added.span.start))
            all_charges.append(added)
    monthly_totals.write(connection, _totals(all_charges, organizations))
    return all_charges


def _keep(connection: sqlite3.Connection, added: Charge, organization_id: str, before: Any | None) -> None:
    """As a row, or as a longer one ``before``, which ends where it begins."""
    execution, span = added.execution, added.span
    if (
        before is not None
        and (before.api_key_id, before.microdollars_per_hour) == (execution.api_key_id, added.microdollars_per_hour)
        and span.start % _DAY
    ):
        _EXTEND.once(connection, {"row": before.number, "end": span.end, "paid": added.paid_seconds})
        return
    _INSERT.once(
        connection,
        {
            "container_id": execution.container_id,
            "organization_id": organization_id,
            "workspace_id": execution.workspace_id,
            "api_key_id": execution.api_key_id,
            "started_at": span.start,
            "ended_at": span.end,
            "paid_seconds": added.paid_seconds,
            "microdollars_per_hour": added.microdollars_per_hour,
        },
    )


def _totals(charges: Iterable[Charge], organizations: Mapping[str, str]) -> monthly_totals.Totals:
    seconds: Counter[tuple[str, str]] = Counter()
    money: Counter[tuple[str, str]] = Counter()
    for added in charges:
        execution = added.execution
        organization_id = organizations[execution.workspace_id]
        for subject in (organization_id, execution.workspace_id, execution.api_key_id):
            if subject is not None:
                seconds[subject, month_of(added.span.start)] += added.span.seconds
                money[subject, month_of(added.span.start)] += added.microdollar_seconds
    return {key: (0, seconds[key], money[key]) for key in seconds}
