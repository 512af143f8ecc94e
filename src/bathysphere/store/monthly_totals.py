"""What organisations, workspaces and keys have used in a month: kept beside the books, in their transactions."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.sqlite import insert

from bathysphere.store.prepared import Prepared
from bathysphere.store.schema import Base, MonthlyTotalRow

Totals = Mapping[tuple[str, str], tuple[int, int, int]]
"""By subject and month: requests, seconds of execution, paid seconds times microdollars per hour."""

_TABLE: Final = Base.metadata.tables[MonthlyTotalRow.__tablename__]
_NEW: Final = insert(_TABLE)
_ADD: Final = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=["subject_id", "month"],
        set_={
            name: _TABLE.c[name] + _NEW.excluded[name]
            for name in ("requests", "execution_seconds", "microdollar_seconds")
        },
    ),
    [column.name for column in _TABLE.columns],
)
_SECONDS: Final = Prepared(
    select(MonthlyTotalRow.execution_seconds).where(
        MonthlyTotalRow.subject_id == bindparam("subject_id"), MonthlyTotalRow.month == bindparam("month")
    )
)


def write(connection: sqlite3.Connection, added: Totals) -> None:
    """Add to the totals, within a transaction."""
    _ADD.each(
        connection,
        [
            {
                "subject_id": subject,
                "month": month,
                "requests": requests,
                "execution_seconds": seconds,
                "microdollar_seconds": money,
            }
            for (subject, month), (requests, seconds, money) in added.items()
        ],
    )


class Seconds(Mapping[str, int]):
    """The seconds of an organisation by month, read when they are asked for, with what is added since."""

    def __init__(self, connection: sqlite3.Connection, organization_id: str) -> None:
        self._connection = connection
        self._organization_id = organization_id
        self._known: Counter[str] = Counter()

    def __getitem__(self, month: str) -> int:
        if month not in self._known:
            found = _SECONDS.first(self._connection, {"subject_id": self._organization_id, "month": month})
            self._known[month] = 0 if found is None else found.execution_seconds
        return self._known[month]

    def add(self, month: str, seconds: int) -> None:
        """They have been booked in this transaction."""
        self._known[month] = self[month] + seconds

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
