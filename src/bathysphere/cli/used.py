"""What was used in a time, a line for each day, month, workspace, key or model: read from the books."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from bathysphere.store import keys, organizations, quota_use, workspaces
from bathysphere.store.database import Database
from bathysphere.store.execution_report import execution_time
from bathysphere.store.usage_report import Stretch, usage

By = Literal["day", "month", "workspace", "key", "model"]

_DAY: Final = 86_400
_DIMENSION: Final[dict[By, str]] = {"workspace": "workspace_id", "key": "api_key_id", "model": "model"}


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, both of them included."""

    since: date
    until: date

    @property
    def stretch(self) -> Stretch:
        """The same in seconds."""
        return Stretch(_second(self.since), _second(self.until + timedelta(days=1)), _DAY)

    def days(self) -> Iterator[str]:
        """Each of them, as ``2026-11-01``."""
        for number in range((self.until - self.since).days + 1):
            yield f"{self.since + timedelta(days=number)}"


@dataclass(slots=True)
class Line:
    """What one day, workspace... has used. ``microdollar_seconds`` divided by 3600 are microdollars."""

    requests: int = 0
    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_5m_tokens: int = 0
    cache_creation_1h_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    execution_seconds: int = 0
    paid_seconds: int = 0
    microdollar_seconds: int = 0

    @property
    def input_tokens(self) -> int:
        """All of them, cached or not."""
        return (
            self.uncached_input_tokens
            + self.cache_read_input_tokens
            + self.cache_creation_5m_tokens
            + self.cache_creation_1h_tokens
        )

    @property
    def hours(self) -> float:
        """Of execution."""
        return self.execution_seconds / 3600

    @property
    def dollars(self) -> float:
        """For execution beyond the free hours."""
        return self.microdollar_seconds / 3600 / 1_000_000

    def add(self, other: Line) -> None:
        """Make it what both have used."""
        for field in fields(Line):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


@dataclass(frozen=True, slots=True)
class FreeTime:
    """How much of its free execution time an organisation has used in a month."""

    organization: str
    month: str
    used_seconds: int


async def lines(database: Database, period: Period, by: By) -> dict[str, Line]:
    """What was used, by what it is called; what has used nothing is left out.

    Execution time is booked for containers, not for models: with ``by`` the model there is none.
    """
    dimension = _DIMENSION.get(by)
    grouped = [dimension] if dimension else []
    found: dict[str, Line] = {}

    def line(start: int, group: str | None) -> Line:
        day = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%d}"
        label = (group or "-") if dimension else day if by == "day" else day[:7]
        return found.setdefault(label, Line())

    for used in await usage(database, None, period.stretch, grouped):
        sums = {field.name: getattr(used, field.name) for field in fields(Line) if hasattr(used, field.name)}
        line(used.start, used.by.get(dimension or "")).add(Line(**sums))
    for spent in await execution_time(database, None, period.stretch, grouped) if by != "model" else ():
        line(spent.start, spent.by.get(dimension or "")).add(
            Line(
                execution_seconds=spent.seconds,
                paid_seconds=spent.paid_seconds,
                microdollar_seconds=spent.microdollar_seconds,
            )
        )
    return found


async def called(database: Database, by: By) -> dict[str, str]:
    """What people call a workspace or a key, by its id; two of one name are told apart."""
    if by == "workspace":
        rooms = await workspaces.list_all(database)
        return _unlike({room.id: (room.name, "", room.id[-4:]) for room in rooms})
    if by == "key":
        found = await keys.list_all(database)
        return _unlike({key.id: (key.name, f" ({key.workspace_name})", key.hint[-4:]) for key in found})
    return {}


async def free_time(database: Database, month: str) -> list[FreeTime]:
    """What each organisation has used of it in a month such as ``2026-11``."""
    return [
        FreeTime(one.name, month, await quota_use.execution_seconds(database, one.id, month))
        for one in await organizations.list_all(database)
    ]


def _second(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _unlike(names: dict[str, tuple[str, str, str]]) -> dict[str, str]:
    """Name and place of each, and between them its ending where another one has both the same."""
    taken = Counter(name + where for name, where, _ in names.values())
    return {
        known: f"{name} …{end}{where}" if taken[name + where] > 1 else name + where
        for known, (name, where, end) in names.items()
    }
