"""The values of cells, and how spreadsheets turn one kind into another."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

EPOCH = dt.datetime(1899, 12, 30)
EARLIEST = 61  # Serial numbers below are those of the year 1900's bug; nobody agrees on them.
LATEST = 2958465


class Unsupported(Exception):
    """This calculator cannot say what the formula gives. The text says why."""


@dataclass(frozen=True, slots=True)
class Error:
    """An error value of a cell."""

    code: str


DIV0, NA, NAME, NUM, REF, VALUE = (Error(f"#{code}") for code in ("DIV/0!", "N/A", "NAME?", "NUM!", "REF!", "VALUE!"))
ERRORS = {error.code: error for error in (DIV0, NA, NAME, NUM, REF, VALUE, Error("#NULL!"))}

Scalar = float | int | str | bool | Error | None


class Failed(Exception):
    """The formula's value is this error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.code)
        self.error = error


class Array:
    """A rectangle of values. ``reference`` says that they stand in cells: sums then pass over text and logicals."""

    __slots__ = ("reference", "rows")

    def __init__(self, rows: list[list[Scalar]], reference: tuple[str, int, int, int, int] | None = None) -> None:
        self.rows = rows
        self.reference = reference

    @property
    def height(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return len(self.rows[0]) if self.rows else 0

    def flat(self) -> Iterator[Scalar]:
        for row in self.rows:
            yield from row


Value = Scalar | Array


def stored(value: object) -> Scalar:
    """What openpyxl read from a cell, as a value to calculate with: dates become serial numbers."""
    if isinstance(value, dt.datetime):
        return (value.replace(tzinfo=None) - EPOCH) / dt.timedelta(days=1)
    if isinstance(value, dt.date):
        return (dt.datetime(value.year, value.month, value.day) - EPOCH).days
    if isinstance(value, dt.time):
        return (value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6) / 86400
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(days=1)
    if isinstance(value, str):
        return ERRORS.get(value, value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def date_of(serial: float) -> dt.datetime:
    if not 0 <= serial <= LATEST + 1:
        raise Failed(NUM)
    if serial < EARLIEST:
        raise Unsupported("a date before March 1900")
    return EPOCH + dt.timedelta(days=math.floor(serial), seconds=round((serial % 1) * 86400))


def serial_of(date: dt.date) -> int:
    return (dt.datetime(date.year, date.month, date.day) - EPOCH).days


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*(%?)")
_DATE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")


def number(value: Scalar) -> float | int:
    """A value used as a number, as arithmetic does it."""
    if isinstance(value, Error):
        raise Failed(value)
    if value is None:
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    text = value.strip()
    if match := _NUMBER.fullmatch(text):
        return float(text.rstrip("% ")) / (100 if match[3] else 1)
    if match := _DATE.fullmatch(text):
        try:
            return serial_of(dt.date(int(match[1]), int(match[2]), int(match[3])))
        except ValueError:
            raise Failed(VALUE) from None
    if any(character.isdigit() for character in text):
        # "1,234", "$5", "3 May": Excel may read it, by the reader's locale.
        raise Unsupported(f"the text {text[:30]!r} used as a number")
    raise Failed(VALUE)


def text(value: Scalar) -> str:
    """A value as "&" joins it: up to 15 digits, no trailing zeros."""
    if isinstance(value, Error):
        raise Failed(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if value == 0:
        return "0"
    if not 1e-9 <= abs(value) < 1e20:
        raise Unsupported("a very large or very small number as text")
    shown = f"{value:.15g}"
    if "e" in shown:
        shown = f"{float(shown):.20f}".rstrip("0").rstrip(".") if abs(value) < 1 else f"{float(shown):.0f}"
    return shown


def logical(value: Scalar) -> bool:
    if isinstance(value, Error):
        raise Failed(value)
    if isinstance(value, str):
        if value.upper() in ("TRUE", "FALSE"):
            return value.upper() == "TRUE"
        raise Failed(VALUE)
    return bool(value)


def kind(value: Scalar) -> int:
    """The order of kinds in comparisons: numbers, text, logicals."""
    return 2 if isinstance(value, bool) else 1 if isinstance(value, str) else 0


def compare(left: Scalar, right: Scalar) -> int:
    """-1, 0 or 1. Text is compared without regard to case; an empty cell is the other side's nothing."""
    for value in (left, right):
        if isinstance(value, Error):
            raise Failed(value)
    if left is None:
        left = "" if isinstance(right, str) else False if isinstance(right, bool) else 0
    if right is None:
        right = "" if isinstance(left, str) else False if isinstance(left, bool) else 0
    if kind(left) != kind(right):
        return -1 if kind(left) < kind(right) else 1
    if isinstance(left, str):
        left, right = left.casefold(), str(right).casefold()
    if isinstance(left, float) or isinstance(right, float):
        # Fifteen digits count, so that 0.1+0.2 is 0.3.
        left, right = float(f"{left:.15g}"), float(f"{right:.15g}")
    return (left > right) - (left < right)  # type: ignore[operator]
