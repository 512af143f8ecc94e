"""What a reader sees: columns too narrow, dates as numbers, numbers as text, text that is cut off."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from calculation.calculator import Place
from calculation.formats import formatted
from calculation.values import Error, Failed, Scalar, Unsupported, stored, text
from openpyxl.styles.numbers import is_date_format
from openpyxl.utils import get_column_letter
from recalc import named

from .findings import Findings

MOST_CELLS = 300_000
NARROWEST = 8.43
_DATED = re.compile(r"\s*=?\s*(TODAY|NOW|DATE|EDATE|EOMONTH|WORKDAY)\(", re.IGNORECASE)
_TEXT_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{4}")
_TEXT_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?%?")
_YEAR = re.compile(r"(19|20)\d\d")
_HEADING = re.compile(r"\b(date|day|due|start|end|from|until|month)\b", re.IGNORECASE)
_CODES = re.compile(r"\b(id|code|no|nr|zip|postal|phone|sku|number|account|year)\b", re.IGNORECASE)


def appearance(book: Any, known: dict[Place, Scalar], findings: Findings) -> None:
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible" or len(sheet._cells) > MOST_CELLS:
            continue
        widths = _widths(sheet)
        headings: dict[int, str] = {}
        merged = {(row, column) for area in list(sheet.merged_cells.ranges)[:500] for row, column in _corner(area)}
        for (row, column), cell in sorted(sheet._cells.items()):
            if cell.value is None:
                continue
            place = (sheet.title, row, column)
            if isinstance(cell.value, str) and cell.data_type != "f" and not _TEXT_NUMBER.fullmatch(cell.value):
                headings.setdefault(column, cell.value)
            _cell(cell, place, known, headings.get(column, ""), findings)
            if (row, column) not in merged:
                _width(sheet, cell, place, known, widths, findings)


def _corner(area: Any) -> list[tuple[int, int]]:
    return [(area.min_row, area.min_col)]


def _widths(sheet: Any) -> dict[int, float]:
    widths = {}
    for size in sheet.column_dimensions.values():
        if size.width and size.min:
            for column in range(size.min, min(size.max or size.min, size.min + 500) + 1):
                widths[column] = 0 if size.hidden else size.width
    return widths


def _cell(cell: Any, place: Place, known: dict[Place, Scalar], heading: str, findings: Findings) -> None:
    value, general = cell.value, cell.number_format in ("General", "@", "0", "0.00")
    if isinstance(value, dt.date | dt.datetime) and not is_date_format(cell.number_format):
        findings.warning("date", named(place), f"a date with the number format {cell.number_format!r}: shows a number")
    elif cell.data_type == "f" and general and _DATED.match(str(getattr(value, "text", value))):
        findings.warning("date", named(place), f"gives a date with the number format {cell.number_format!r}")
    elif isinstance(value, int | float) and not isinstance(value, bool) and general:
        if 20000 < value < 80000 and _HEADING.search(heading):
            findings.warning("date", named(place), f"{value} under {heading[:30]!r}: a date without a date format?")
    elif isinstance(value, str) and cell.data_type != "f":
        if _TEXT_DATE.fullmatch(value.strip()):
            findings.warning(
                "text-date", named(place), f"the date {value.strip()} is text: it cannot be sorted or counted with"
            )
        elif _YEAR.fullmatch(value.strip()):
            pass  # Years over columns are headings, and text as all headings.
        elif _TEXT_NUMBER.fullmatch(value.strip()) and not _CODES.search(heading) and not value.startswith("0"):
            findings.warning("text-number", named(place), f"the number {value.strip()[:30]} is text: sums pass over it")


def _shown(cell: Any, value: Scalar) -> str | None:
    if value is None or isinstance(value, Error | bool):
        return None
    if isinstance(value, str):
        return value
    if cell.number_format == "General":
        return None  # Excel rounds it to the width.
    pattern = re.sub(r"\[[^\]]*\]|_.|\*.", "", cell.number_format)
    try:
        return formatted(value, pattern)
    except (Unsupported, Failed):
        return text(round(value, 2)) if is_date_format(cell.number_format) is False else "2024-12-31"


def _width(
    sheet: Any, cell: Any, place: Place, known: dict[Place, Scalar], widths: dict[int, float], findings: Findings
) -> None:
    column = place[2]
    width = widths.get(column, (sheet.sheet_format.baseColWidth and sheet.sheet_format.defaultColWidth) or NARROWEST)
    if width == 0:
        return
    value = known.get(place) if cell.data_type == "f" else stored(cell.value)
    try:
        shown = _shown(cell, value)
    except Unsupported:
        return
    if shown is None:
        return
    size = (cell.font.size or 11) / 11 * (1.08 if cell.font.bold else 1)
    needed = len(shown) * size
    letter = get_column_letter(column)
    if not isinstance(value, str):
        # Digits are as wide as the column's unit; a little room is lost at the edges.
        if needed > width + 0.3:
            findings.warning(
                "narrow",
                named(place),
                f"{shown!r} needs a width of {needed + 1:.0f}, column {letter} has {width:.1f}: shows ####",
            )
        return
    following = sheet._cells.get((place[1], column + 1))
    if cell.alignment.wrap_text or cell.alignment.shrink_to_fit or following is None or following.value is None:
        return
    longest = max((len(line) for line in shown.splitlines()), default=0) * size * 0.92
    if longest > width + 1:
        findings.warning(
            "cut-off",
            named(place),
            f"text of {len(shown)} characters is cut off in column {letter} (width {width:.1f})",
        )
