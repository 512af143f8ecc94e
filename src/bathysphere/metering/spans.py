"""Spans of time in whole seconds since 1970."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = 86_400
_MICROSECONDS: Final = 1_000_000


class Span(NamedTuple):
    """From the second ``start`` on, up to and without the second ``end``."""

    start: int
    end: int

    @property
    def seconds(self) -> int:
        """How many there are."""
        return self.end - self.start


def execution_span(began: datetime, seconds: float, minimum_seconds: int) -> Span:
    """The seconds that an execution touches, at least ``minimum_seconds`` of them.

    ``seconds`` is how long it took by a clock that nobody sets, so that a step of the clock on the wall makes it
    neither longer nor negative.
    """
    start, microseconds = divmod((began - _EPOCH) // timedelta(microseconds=1), _MICROSECONDS)
    return Span(start, start + max(minimum_seconds, math.ceil(microseconds / _MICROSECONDS + seconds), 1))


def uncovered(span: Span, covered: Iterable[Span]) -> list[Span]:
    """What of a span is in none of ``covered``, in order. Those may be in any order and overlap."""
    left = []
    start = span.start
    for other in sorted(covered):
        if other.start >= span.end:
            break
        if other.start > start:
            left.append(Span(start, other.start))
        start = max(start, other.end)
    if start < span.end:
        left.append(Span(start, span.end))
    return left


def by_day(span: Span) -> Iterator[Span]:
    """The span cut at each midnight in UTC."""
    start = span.start
    while start < span.end:
        end = min(span.end, (start // _DAY + 1) * _DAY)
        yield Span(start, end)
        start = end


def month_of(second: int) -> str:
    """The month of a second, in UTC: ``2026-11``."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m}"
