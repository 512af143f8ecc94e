"""Calculates a workbook: every formula cell gets a value, or the reason why this calculator has none."""

from __future__ import annotations

import math
import re
from typing import Any

from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from . import lookups  # noqa: F401  (registers its functions)
from . import values as v
from .functions import FUNCTIONS
from .grammar import Node, area, parse
from .values import Array, Error, Failed, Scalar, Unsupported, Value, compare, logical, number, text

Place = tuple[str, int, int]  # Sheet, row, column.
VOLATILE = {"TODAY", "NOW"}
_LAZY = {"IF", "IFERROR", "IFNA", "IFS", "SWITCH", "CHOOSE", "ROW", "COLUMN"}
KNOWN = frozenset(FUNCTIONS) | _LAZY


class _Needs(Exception):
    def __init__(self, places: list[Place]) -> None:
        super().__init__()
        self.places = places


class Calculator:
    """The formulas of a workbook that openpyxl opened (with formulas, not values).

    After ``calculate``: ``results`` has the values, ``unsupported`` the reasons of cells without one, ``circular`` the
    cells that need themselves. ``budget`` bounds the cells that are read in all.
    """

    def __init__(self, workbook: Any, budget: int = 20_000_000) -> None:
        self.formulas: dict[Place, str] = {}
        self.arrays: dict[Place, tuple[int, int, int, int]] = {}
        self.stored: dict[str, dict[tuple[int, int], Scalar]] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.results: dict[Place, Scalar] = {}
        self.unsupported: dict[Place, str] = {}
        self.circular: set[Place] = set()
        self.volatile: set[Place] = set()
        self.trees: dict[str, Node] = {}
        self.budget = budget
        self.spread: dict[Place, Place] = {}
        self.names = {name.lower(): str(entry.attr_text) for name, entry in workbook.defined_names.items()}
        self.sheets = {sheet.title.lower(): sheet.title for sheet in workbook.worksheets}
        self.tables: dict[str, tuple[str, Any]] = {}
        for sheet in workbook.worksheets:
            self._load(sheet)

    def _load(self, sheet: Any) -> None:
        title = sheet.title
        cells = self.stored[title] = {}
        self.tables |= {
            name.lower(): (title, table) for name, table in zip(sheet.tables, sheet.tables.values(), strict=True)
        }
        height = width = 1
        # The cells that there are: iter_rows would make all of the rectangle.
        for (row_at, column_at), cell in sheet._cells.items():
            value = cell.value
            if value is None:
                continue
            height, width = max(height, row_at), max(width, column_at)
            place = (title, row_at, column_at)
            if isinstance(value, ArrayFormula):
                self._load_array(place, value)
            elif isinstance(value, DataTableFormula):
                self.unsupported[place] = "a data table"
            elif cell.data_type == "f":
                self.formulas[place] = str(value)[1:]
            else:
                cells[row_at, column_at] = v.stored(value)
        self.sizes[title] = (height, width)

    def _load_array(self, place: Place, formula: ArrayFormula) -> None:
        self.formulas[place] = str(formula.text or "").removeprefix("=")
        try:
            rows = area(formula.ref)
        except Unsupported as why:
            self.unsupported[place] = str(why)
            return
        if (rows[2] - rows[0] + 1) * (rows[3] - rows[1] + 1) > 100_000:
            self.unsupported[place] = "an array formula over more than 100,000 cells"
            return
        self.arrays[place] = rows

    def calculate(self) -> None:
        self.spread = {
            (place[0], row, column): place
            for place, (row1, column1, row2, column2) in self.arrays.items()
            for row in range(row1, row2 + 1)
            for column in range(column1, column2 + 1)
            if (place[0], row, column) != place
        }
        for place in self.formulas:
            if not self._done(place):
                self._settle(place)

    def _done(self, place: Place) -> bool:
        return place in self.results or place in self.unsupported

    def _settle(self, first: Place) -> None:
        stack, open_ = [first], set()
        while stack:
            place = stack[-1]
            if self._done(place):
                open_.discard(stack.pop())
                continue
            try:
                self._store(place, _Evaluation(self, place).whole())
            except _Needs as needs:
                open_.add(place)
                waiting = [needed for needed in needs.places if needed in open_]
                if waiting:
                    self.circular |= {place, *waiting}
                    for needed in {place, *waiting}:
                        self.unsupported[needed] = "a circular reference"
                else:
                    stack += needs.places
            except Unsupported as why:
                self.unsupported[place] = str(why)
            except Failed as failed:
                self._store(place, failed.error)
            except OverflowError:
                self._store(place, v.NUM)
            except MemoryError:
                self.unsupported[place] = "too much for this calculator"
            except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
                self.unsupported[place] = f"arguments that this calculator does not know ({error})"

    def _store(self, place: Place, value: Value) -> None:
        if place in self.arrays:
            row1, column1, row2, column2 = self.arrays[place]
            for row in range(row1, row2 + 1):
                for column in range(column1, column2 + 1):
                    one = value
                    if isinstance(value, Array):
                        at = 0 if value.height == 1 else row - row1
                        beside = 0 if value.width == 1 else column - column1
                        one = value.rows[at][beside] if at < value.height and beside < value.width else v.NA
                    self.results[place[0], row, column] = _plain(one)
            return
        self.results[place] = _plain(value)

    def read(self, sheet: str, row1: int, column1: int, row2: int, column2: int) -> Array:
        """The values of a rectangle, cut to what the sheet has."""
        height, width = self.sizes[sheet]
        if row2 - row1 > 100_000:
            row2 = max(row1, min(row2, height))
        if column2 - column1 > 1000:
            column2 = max(column1, min(column2, width))
        size = (row2 - row1 + 1) * (column2 - column1 + 1)
        self.budget -= size
        if self.budget < 0 or size > 2_000_000:
            raise Unsupported("too much to read for this calculator")
        cells, needed, rows = self.stored[sheet], [], []
        for row in range(row1, row2 + 1):
            line: list[Scalar] = []
            for column in range(column1, column2 + 1):
                place = (sheet, row, column)
                if place in self.results:
                    line.append(self.results[place])
                elif place in self.unsupported:
                    raise Unsupported(
                        f"{sheet}!{_letters(column)}{row}, which has no value: {self.unsupported[place]}"[:200]
                    )
                elif place in self.formulas:
                    needed.append(place)
                elif place in self.spread:
                    needed.append(self.spread[place])
                else:
                    line.append(cells.get((row, column)))
            rows.append(line)
        if needed:
            raise _Needs(needed)
        return Array(rows, (sheet, row1, column1, row2, column2))


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _plain(value: Value) -> Scalar:
    if isinstance(value, Array):
        raise Unsupported("a formula that gives several values")
    if value is None:
        return 0
    if isinstance(value, float) and not math.isfinite(value):
        return v.NUM
    return value


class _Evaluation:
    """One formula in its cell."""

    def __init__(self, calculator: Calculator, place: Place) -> None:
        self.calculator = calculator
        self.sheet, self.row, self.column = place
        self.place = place
        self.array = place in calculator.arrays
        self.depth = 0

    def whole(self) -> Value:
        formula = self.calculator.formulas[self.place]
        trees = self.calculator.trees
        if formula not in trees:
            trees[formula] = parse(formula)
        value = self.value(trees[formula])
        return value if self.array else self.single(value)

    def single(self, value: Value) -> Scalar:
        """One value where one is wanted: of a range, the cell in the formula's own row or column."""
        if not isinstance(value, Array):
            return value
        if value.height == 1 and value.width == 1:
            return value.rows[0][0]
        if value.reference is None:
            raise Unsupported("a formula that gives several values")
        sheet, row1, column1, row2, column2 = value.reference
        if (row2 - row1 + 1, column2 - column1 + 1) != (value.height, value.width) or sheet != self.sheet:
            return v.VALUE
        if value.width == 1 and row1 <= self.row <= row2:
            return value.rows[self.row - row1][0]
        if value.height == 1 and column1 <= self.column <= column2:
            return value.rows[0][self.column - column1]
        return v.VALUE

    def value(self, node: Node) -> Value:
        which = node[0]
        if which == "value":
            return node[1]  # type: ignore[no-any-return]
        if which == "area":
            return self.calculator.read(self.sheet_named(node[1]), *node[2:])
        if which == "binary":
            return self.each(node[1], _binary, [self.value(node[2]), self.value(node[3])])
        if which == "call":
            return self.call(node[1], node[2])
        if which == "negative":
            return self.each("-", lambda _, one: -number(one), [self.value(node[1])])
        if which == "percent":
            return self.each("%", lambda _, one: number(one) / 100, [self.value(node[1])])
        if which == "error":
            raise Failed(node[1])
        if which == "array":
            return Array([list(row) for row in node[1]])
        if which == "name":
            return self.named(node[1])
        if which == "table":
            return self.structured(node[1])
        raise Unsupported("an argument that is missing")

    def sheet_named(self, name: str | None) -> str:
        if name is None:
            return self.sheet
        if name.lower() not in self.calculator.sheets:
            raise Failed(v.REF)
        return self.calculator.sheets[name.lower()]

    def named(self, name: str) -> Value:
        content = self.calculator.names.get(name.lower())
        if content is None:
            if name.lower() in self.calculator.tables:
                return self.structured(f"{name}[]")
            raise Failed(v.NAME)
        self.depth += 1
        if self.depth > 16:
            raise Unsupported("names that refer to each other")
        try:
            return self.value(parse(content))
        finally:
            self.depth -= 1

    def structured(self, reference: str) -> Value:
        name, _, inner = reference.partition("[")
        if name.lower() not in self.calculator.tables:
            raise Failed(v.REF)
        sheet, table = self.calculator.tables[name.lower()]
        inner = inner[:-1]
        parts = [part.strip() for part in re.findall(r"\[([^\[\]]*)\]", inner)] or ([inner] if inner else [])
        if inner.startswith("@"):
            parts = ["#This Row", inner[1:].strip("[]")]
        items = [part.lower() for part in parts if part.startswith("#")]
        columns = [part for part in parts if not part.startswith("#")]
        row1, column1, row2, column2 = area(table.ref)
        heads, totals = table.headerRowCount is None or table.headerRowCount, table.totalsRowCount or 0
        top, bottom = row1 + (1 if heads else 0), row2 - totals
        titles = [str(column.name).lower() for column in table.tableColumns]
        if columns:
            try:
                places = [titles.index(column.replace("'", "").lower()) for column in columns]
            except ValueError:
                raise Failed(v.REF) from None
            column1, column2 = column1 + min(places), column1 + max(places)
        if items == ["#this row"]:
            if not top <= self.row <= bottom:
                raise Failed(v.VALUE)
            top = bottom = self.row
        elif items == ["#all"]:
            top, bottom = row1, row2
        elif items == ["#headers"]:
            top = bottom = row1
        elif items == ["#totals"] and totals:
            top = bottom = row2
        elif items and items != ["#data"]:
            raise Unsupported(f"the reference {reference!r}")
        return self.calculator.read(sheet, top, column1, bottom, column2)

    def each(self, name: str, body: Any, arguments: list[Value], spread: list[bool] | None = None) -> Value:
        """Call ``body`` with single values; in an array formula, for every place of the arrays."""
        spread = spread or [True] * len(arguments)
        if not self.array:
            return body(name, *(self.single(one) if wide else one for one, wide in zip(arguments, spread, strict=True)))  # type: ignore[no-any-return]
        arrays = [one for one, wide in zip(arguments, spread, strict=True) if wide and isinstance(one, Array)]
        if not arrays:
            return body(name, *arguments)  # type: ignore[no-any-return]
        height, width = max(one.height for one in arrays), max(one.width for one in arrays)
        self.calculator.budget -= height * width
        if self.calculator.budget < 0:
            raise Unsupported("too much to read for this calculator")

        def at(one: Value, wide: bool, row: int, column: int) -> Value:
            if not wide or not isinstance(one, Array):
                return one
            row, column = (0 if one.height == 1 else row), (0 if one.width == 1 else column)
            return one.rows[row][column] if row < one.height and column < one.width else v.NA

        rows: list[list[Scalar]] = []
        for row in range(height):
            line: list[Scalar] = []
            for column in range(width):
                try:
                    given = [at(one, wide, row, column) for one, wide in zip(arguments, spread, strict=True)]
                    result = body(name, *given)
                    line.append(result.rows[0][0] if isinstance(result, Array) else result)
                except Failed as failed:
                    line.append(failed.error)
            rows.append(line)
        if height == 1 and width == 1:
            return rows[0][0]
        return Array(rows)

    def call(self, name: str, nodes: tuple[Node, ...]) -> Value:
        if name in _LAZY:
            return getattr(self, f"call_{name.lower()}")(nodes)  # type: ignore[no-any-return]
        if name not in FUNCTIONS:
            raise Unsupported(f"the function {name}")
        if name in VOLATILE:
            self.calculator.volatile.add(self.place)
        signature, body = FUNCTIONS[name]
        kinds = _kinds(signature, len(nodes))
        before, self.array = self.array, self.array or "a" in kinds
        try:
            given = [None if node == ("missing",) else self.value(node) for node in nodes]
            spread = [one == "s" for one in kinds]
            if "s" not in kinds:
                return body(*given)
            return self.each(name, lambda _, *arguments: _called(body, arguments), given, spread)
        finally:
            self.array = before

    def call_if(self, nodes: tuple[Node, ...]) -> Value:
        if not 2 <= len(nodes) <= 3:
            raise Unsupported("the arguments of IF")
        branches = [("value", 0) if node == ("missing",) else node for node in nodes[1:]]
        if len(branches) == 1:
            branches.append(("value", False))
        condition = self.value(nodes[0])
        if self.array and isinstance(condition, Array):
            arguments = [condition, *(self.caught(branch) for branch in branches)]
            return self.each("IF", lambda _, test, yes, no: yes if logical(test) else no, arguments)
        return self.value(branches[0] if logical(self.single(condition)) else branches[1])

    def caught(self, node: Node) -> Value:
        try:
            return self.value(node)
        except Failed as failed:
            return failed.error

    def _or_else(self, nodes: tuple[Node, ...], wrong: Any) -> Value:
        value = self.caught(nodes[0])
        other = nodes[1] if len(nodes) > 1 and nodes[1] != ("missing",) else ("value", 0)
        if self.array and isinstance(value, Array):
            return self.each("", lambda _, one, two: two if wrong(one) else one, [value, self.caught(other)])
        one = self.single(value)
        return self.value(other) if wrong(one) else one

    def call_iferror(self, nodes: tuple[Node, ...]) -> Value:
        return self._or_else(nodes, lambda one: isinstance(one, Error))

    def call_ifna(self, nodes: tuple[Node, ...]) -> Value:
        return self._or_else(nodes, lambda one: one == v.NA)

    def call_ifs(self, nodes: tuple[Node, ...]) -> Value:
        self.not_in_arrays("IFS")
        for test, node in zip(nodes[::2], nodes[1::2], strict=True):
            if logical(self.single(self.value(test))):
                return self.value(node)
        raise Failed(v.NA)

    def call_switch(self, nodes: tuple[Node, ...]) -> Value:
        self.not_in_arrays("SWITCH")
        wanted = self.single(self.value(nodes[0]))
        rest = nodes[1:]
        for test, node in zip(rest[::2], rest[1::2], strict=False):
            if compare(self.single(self.value(test)), wanted) == 0:
                return self.value(node)
        if len(rest) % 2:
            return self.value(rest[-1])
        raise Failed(v.NA)

    def call_choose(self, nodes: tuple[Node, ...]) -> Value:
        self.not_in_arrays("CHOOSE")
        place = math.floor(number(self.single(self.value(nodes[0]))))
        if not 1 <= place < len(nodes):
            raise Failed(v.VALUE)
        return self.value(nodes[place])

    def call_row(self, nodes: tuple[Node, ...]) -> Value:
        return self.position(nodes, 0)

    def call_column(self, nodes: tuple[Node, ...]) -> Value:
        return self.position(nodes, 1)

    def position(self, nodes: tuple[Node, ...], axis: int) -> Value:
        if not nodes:
            return (self.row, self.column)[axis]
        if nodes[0][0] != "area":
            raise Unsupported("ROW or COLUMN of something else than cells")
        first, last = nodes[0][2 + axis], nodes[0][4 + axis]
        if first == last or not self.array:
            return first  # type: ignore[no-any-return]
        if last - first > 100_000:
            raise Unsupported("ROW or COLUMN over a whole sheet")
        line: list[Scalar] = list(range(first, last + 1))
        return Array([line] if axis else [[one] for one in line])

    def not_in_arrays(self, name: str) -> None:
        if self.array:
            raise Unsupported(f"{name} in an array formula")


def _kinds(signature: str, count: int) -> str:
    fixed, _, repeated = signature.partition("(")
    repeated = repeated.rstrip(")")
    while repeated and len(fixed) < count:
        fixed += repeated
    if count > len(fixed):
        raise Unsupported("more arguments than the function has")
    return fixed[:count]


def _called(body: Any, arguments: tuple[Value, ...]) -> Value:
    if not getattr(body, "takes_errors", False):
        for argument in arguments:
            if isinstance(argument, Error) and body.__name__ not in ("<lambda>",):
                raise Failed(argument)
    return body(*arguments)  # type: ignore[no-any-return]


def _binary(operator: str, left: Scalar, right: Scalar) -> Value:
    if operator == "&":
        joined = text(left) + text(right)
        return joined if len(joined) <= 32767 else v.VALUE
    if operator in ("=", "<>", "<", ">", "<=", ">="):
        order = compare(left, right)
        return {"=": order == 0, "<>": order != 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[
            operator
        ]
    a, b = number(left), number(right)
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b if abs(a) < 1e7 and abs(b) < 1e7 else float(a) * float(b)
    if operator == "/":
        return v.DIV0 if b == 0 else a / b
    return FUNCTIONS["POWER"][1](a, b)
