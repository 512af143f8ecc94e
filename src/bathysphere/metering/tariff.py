"""What execution time costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_SECONDS_PER_HOUR: Final = 3600
_MICRODOLLARS: Final = 1_000_000
_MICRODOLLARS_PER_CENT: Final = 10_000

WEB_TOOLS: Final = frozenset(("web_search", "web_fetch"))
FIRST_FREE_VERSION: Final = "20260209"


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price of an hour in a container, the hours of a month that an organisation has free, the least of a span."""

    microdollars_per_hour: int
    free_seconds: int
    minimum_seconds: int

    @classmethod
    def of(cls, dollars_per_hour: Decimal, free_hours: float, minimum_seconds: int) -> Tariff:
        """The tariff of these settings; parts of a microdollar are rounded."""
        return cls(
            round(dollars_per_hour * _MICRODOLLARS),
            round(free_hours * _SECONDS_PER_HOUR),
            minimum_seconds,
        )

    def paid_seconds(self, before: int, seconds: int) -> int:
        """How many of ``seconds`` are beyond the free ones, when ``before`` have been booked in that month already."""
        return max(0, before + seconds - self.free_seconds) - max(0, before - self.free_seconds)


def cents(microdollar_seconds: int) -> Decimal:
    """Paid seconds times their price in microdollars per hour, as cents: exact up to Decimal's 28 digits."""
    return Decimal(microdollar_seconds) / (_SECONDS_PER_HOUR * _MICRODOLLARS_PER_CENT)


def is_free(tool_types: Iterable[str]) -> bool:
    """Whether execution costs nothing because the request declares a web tool of one of the newer versions.

    That is the documented rule (WIRE i): ``web_search_20260209`` or ``web_fetch_20260209``, or newer.
    """
    for declared in tool_types:
        name, _, version = declared.rpartition("_")
        if name in WEB_TOOLS and version.isdigit() and version >= FIRST_FREE_VERSION:
            return True
    return False
