"""From executions to charges: a pure function, told what is booked already."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bathysphere.metering.spans import Span, by_day, execution_span, month_of, uncovered
from bathysphere.metering.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Execution:
    """That a container was at work from ``began`` on, for ``seconds``, on behalf of a workspace and a key.

    The same may be told again, longer, as it goes on. No key: the operator.
    """

    container_id: str
    workspace_id: str
    api_key_id: str | None
    began: datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class Charge:
    """Seconds of a container that had not been booked, within one day; ``paid_seconds`` of them are not free."""

    execution: Execution
    span: Span
    paid_seconds: int
    microdollars_per_hour: int

    @property
    def microdollar_seconds(self) -> int:
        """What it costs; see ``tariff.cents``."""
        return self.paid_seconds * self.microdollars_per_hour


def charge(
    execution: Execution, covered: Iterable[Span], booked_seconds: Mapping[str, int], tariff: Tariff
) -> list[Charge]:
    """What an execution adds to the books.

    ``covered`` are the spans of its container that are in the books, at least those that it touches;
    ``booked_seconds`` those of its organisation, by month (``2026-11``). The free hours of a month go to whoever is
    booked first.
    """
    charges = []
    added: Counter[str] = Counter()
    for left in uncovered(execution_span(execution.began, execution.seconds, tariff.minimum_seconds), covered):
        for span in by_day(left):
            month = month_of(span.start)
            before = booked_seconds.get(month, 0) + added[month]
            added[month] += span.seconds
            charges.append(
                Charge(execution, span, tariff.paid_seconds(before, span.seconds), tariff.microdollars_per_hour)
            )
    return charges


def charges(executions: Iterable[Execution], organizations: Mapping[str, str], tariff: Tariff) -> list[Charge]:
    """What executions cost that are booked in this order, in books that were empty.

    ``organizations`` has that of each workspace. Whatever the order, and however often one is told: the sum for an
    organisation and a month is the same.
    """
    covered: defaultdict[str, list[Span]] = defaultdict(list)
    booked: defaultdict[str, Counter[str]] = defaultdict(Counter)
    all_charges = []
    for execution in executions:
        seconds = booked[organizations[execution.workspace_id]]
        for added in charge(execution, covered[execution.container_id], seconds, tariff):
            covered[execution.container_id].append(added.span)
            seconds[month_of(added.span.start)] += added.span.seconds
            all_charges.append(added)
    return all_charges
