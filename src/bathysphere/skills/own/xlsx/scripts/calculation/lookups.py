"""Functions that find a value in a range."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import values as v
from .criteria import same
from .functions import function
from .values import Array, Error, Failed, Scalar, Unsupported, Value, compare, kind, number


def line(cells: Value) -> list[Scalar]:
    if not isinstance(cells, Array):
        return [cells]
    if cells.height != 1 and cells.width != 1:
        raise Failed(v.NA)
    return list(cells.flat())


def _exact(wanted: Scalar, values: Sequence[Scalar]) -> int | None:
    return next((at for at, value in enumerate(values) if same(value, wanted)), None)


def _nearest(wanted: Scalar, values: Sequence[Scalar], falling: bool = False) -> int | None:
    """The last value that is not beyond ``wanted``, in a sorted line. What is of another kind is passed over."""
    wanted = 0 if wanted is None else wanted
    found, previous = None, None
    for at, value in enumerate(values):
        if value is None or isinstance(value, Error) or kind(value) != kind(wanted):
            continue
        if previous is not None and compare(previous, value) * (-1 if falling else 1) > 0:
            raise Unsupported("an approximate match in a range that is not sorted")
        previous = value
        if compare(value, wanted) * (-1 if falling else 1) <= 0:
            found = at
    return found


def _checked(wanted: Scalar) -> Scalar:
    if isinstance(wanted, Error):
        raise Failed(wanted)
    return wanted


@function("MATCH", "srs")
def match(wanted: Scalar, cells: Value, how: Scalar = 1) -> Value:
    values, way = line(cells), number(how)
    _checked(wanted)
    found = _exact(wanted, values) if way == 0 else _nearest(wanted, values, falling=way < 0)
    return v.NA if found is None else found + 1


def _table(wanted: Scalar, first: list[Scalar], approximate: Scalar) -> int:
    _checked(wanted)
    found = _nearest(wanted, first) if v.logical(approximate) else _exact(wanted, first)
    if found is None:
        raise Failed(v.NA)
    return found


def _index(value: Scalar, size: int) -> int:
    place = math.floor(number(value))
    if place < 1:
        raise Failed(v.VALUE)
    if place > size:
        raise Failed(v.REF)
    return place - 1


@function("VLOOKUP", "srss")
def vlookup(wanted: Scalar, cells: Value, column: Scalar, approximate: Scalar = True) -> Value:
    table = cells if isinstance(cells, Array) else Array([[cells]])
    place = _index(column, table.width)
    return table.rows[_table(wanted, [row[0] for row in table.rows], approximate)][place]


@function("HLOOKUP", "srss")
def hlookup(wanted: Scalar, cells: Value, row: Scalar, approximate: Scalar = True) -> Value:
    table = cells if isinstance(cells, Array) else Array([[cells]])
    place = _index(row, table.height)
    return table.rows[place][_table(wanted, table.rows[0], approximate)]


@function("XLOOKUP", "srrsss")
def xlookup(
    wanted: Scalar, cells: Value, results: Value, missing: Scalar = None, how: Scalar = 0, order: Scalar = 1
) -> Value:
    values, way = line(cells), number(how)
    _checked(wanted)
    if way not in (0, 2) or number(order) not in (1, -1):
        raise Unsupported("XLOOKUP with an approximate match or a binary search")
    backwards = number(order) == -1
    if isinstance(wanted, str) and way == 0:
        wanted = "".join(f"~{letter}" if letter in "*?~" else letter for letter in wanted)
    found = _exact(wanted, values[::-1] if backwards else values)
    if found is None:
        return v.NA if missing is None else missing
    place = len(values) - 1 - found if backwards else found
    table = results if isinstance(results, Array) else Array([[results]])
    down = isinstance(cells, Array) and cells.width == 1
    if (table.height if down else table.width) != len(values):
        return v.VALUE
    row = table.rows[place] if down else [line_[place] for line_ in table.rows]
    if len(row) != 1:
        raise Unsupported("XLOOKUP that gives several cells")
    return row[0]


@function("INDEX", "rsss")
def index(cells: Value, row: Scalar = 0, column: Scalar = None, part: Scalar = 1) -> Value:
    table = cells if isinstance(cells, Array) else Array([[cells]])
    if number(part) != 1:
        return v.REF
    if column is None and table.height == 1 and table.width > 1:
        row, column = 1, row
    at, beside = math.floor(number(row)), math.floor(number(column))
    if column is None and table.width == 1:
        beside = 1
    if at < 0 or beside < 0:
        return v.VALUE
    if at > table.height or beside > table.width:
        return v.REF
    if at and beside:
        value = table.rows[at - 1][beside - 1]
        return Array([[value]], table.reference) if table.reference else value
    rows = [table.rows[at - 1]] if at else table.rows
    return Array([[row_[beside - 1]] if beside else row_ for row_ in rows], table.reference)


function("ROWS", "r")(lambda cells: cells.height if isinstance(cells, Array) else 1)
function("COLUMNS", "r")(lambda cells: cells.width if isinstance(cells, Array) else 1)
