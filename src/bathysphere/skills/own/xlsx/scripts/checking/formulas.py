"""Formulas: their values, what they refer to, the numbers in them, and whether they are like their neighbours."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from calculation.calculator import Calculator, Place
from calculation.grammar import Node, column_number, parse, tokens
from calculation.prefixes import lacking, spilling
from calculation.values import ERRORS, Error, Scalar, Unsupported, stored
from openpyxl.utils import get_column_letter
from recalc import agree, named, shown

from .findings import Findings

# Numbers that are no assumption: identities, percents, and how many hours, days, months and weeks there are.
PLAIN = {0, 1, 2, 4, 7, 12, 24, 52, 60, 100, 365, 1000, 10000, 1000000}
ARITHMETIC = {"+", "-", "*", "/", "^"}


def formulas(book: Any, values: Any, findings: Findings) -> dict[Place, Scalar]:
    """Check all formulas. Returns the value of every cell, calculated here or stored."""
    calculator = Calculator(book)
    calculator.calculate()
    findings.counts["formulas"] = len(calculator.formulas)
    known: dict[Place, Scalar] = {
        (sheet, *place): value for sheet, cells in calculator.stored.items() for place, value in cells.items()
    }
    kept = {place: stored(values[place[0]].cell(place[1], place[2]).value) for place in calculator.formulas}
    known |= {place: value for place, value in kept.items() if value is not None} | calculator.results
    _values(calculator, kept, findings)
    trees = {}
    for place, formula in calculator.formulas.items():
        where = named(place)
        if names := lacking(formula):
            findings.error(
                "prefix", where, f"{', '.join(names)} without _xlfn.: Excel shows #NAME? (recalc.py --add-prefixes)"
            )
        if (names := spilling(formula)) and place not in calculator.arrays:
            findings.warning(
                "spill", where, f"{', '.join(names)} gives several cells; as a plain formula Excel keeps the first one"
            )
        if "#REF!" in formula:
            findings.error("reference", where, f"refers to deleted cells: ={formula[:80]}")
        try:
            trees[place] = parse(formula)
        except Unsupported as why:
            if "#REF!" not in formula and place not in calculator.unsupported:
                findings.warning("notation", where, str(why))
    for place, tree in trees.items():
        _references(place, tree, calculator, known, findings)
        _numbers(place, tree, findings)
    _neighbours(calculator, findings)
    _charts(book, known, findings)
    return known


def _values(calculator: Calculator, kept: dict[Place, Scalar], findings: Findings) -> None:
    missing: dict[str, list[Place]] = defaultdict(list)
    for place in calculator.formulas:
        where, value, own = named(place), kept[place], calculator.results.get(place)
        if place in calculator.circular:
            findings.error("circular", where, f"needs its own value: ={calculator.formulas[place][:80]}")
            continue
        if isinstance(own, Error) or (own is None and isinstance(value, Error)):
            code = own if isinstance(own, Error) else value
            findings.error("value", where, f"{shown(code)}: ={calculator.formulas[place][:80]}")
        elif place in calculator.unsupported:
            what = "its stored value cannot be verified" if value is not None else "and has no stored value"
            findings.warning("unknown", where, f"not calculated here ({calculator.unsupported[place]}), {what}")
        elif value is None and own != "":
            missing[place[0]].append(place)
        elif value is not None and place not in calculator.volatile and not agree(own, value):
            findings.warning("stale", where, f"stored value {shown(value)}, calculated {shown(own)}: run recalc.py")
    for places in missing.values():
        findings.warning(
            "no-value", named(places[0]), f"{len(places)} formulas of this sheet have no stored value: run recalc.py"
        )
    for sheet, cells in calculator.stored.items():
        for at, value in cells.items():
            if isinstance(value, Error):
                findings.error("value", named((sheet, *at)), f"the constant {value.code}")


def _walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        children = one[2] if one[0] == "call" else one[1:]
        waiting += [child for child in children if isinstance(child, tuple) and child and isinstance(child[0], str)]


def _references(
    place: Place, tree: Node, calculator: Calculator, known: dict[Place, Scalar], findings: Findings
) -> None:
    guarded = {"IF", "IFS", "IFERROR", "IFNA", "ISBLANK", "COUNTA", "COUNTBLANK", "N", "T", "SUBTOTAL"}
    careful = any(node[0] == "call" and node[1] in guarded for node in _walk(tree))
    for node in _walk(tree):
        if node[0] == "area":
            sheet = calculator.sheets.get((node[1] or place[0]).lower())
            if sheet is None:
                findings.error("reference", named(place), f"there is no sheet {node[1]!r}")
                continue
            row1, column1, row2, column2 = node[2:]
            if (row1, column1) == (row2, column2):
                if (
                    (sheet, row1, column1) not in known
                    and (sheet, row1, column1) not in calculator.formulas
                    and not careful
                ):
                    findings.warning("empty", named(place), f"refers to the empty cell {_name(sheet, place, node)}")
            elif not _filled(sheet, node[2:], calculator, known):
                findings.warning("empty", named(place), f"refers to empty cells only: {_name(sheet, place, node)}")
        elif node[0] == "binary" and node[1] in ARITHMETIC:
            for side in node[2:]:
                if side[0] != "area" or side[2:4] != side[4:6]:
                    continue
                sheet = calculator.sheets.get((side[1] or place[0]).lower(), "")
                value = known.get((sheet, side[2], side[3]))
                if isinstance(value, str) and value != "":
                    findings.warning(
                        "text", named(place), f"calculates with the text {value[:30]!r} in {_name(sheet, place, side)}"
                    )


def _name(sheet: str, place: Place, node: Node) -> str:
    row1, column1, row2, column2 = node[2:]
    first, last = f"{get_column_letter(column1)}{row1}", f"{get_column_letter(column2)}{row2}"
    return ("" if sheet == place[0] else f"{sheet}!") + (first if first == last else f"{first}:{last}")


def _filled(sheet: str, area: tuple[int, int, int, int], calculator: Calculator, known: dict[Place, Scalar]) -> bool:
    row1, column1, row2, column2 = area
    height, width = calculator.sizes[sheet]
    row2, column2 = min(row2, height), min(column2, width)
    if (row2 - row1 + 1) * (column2 - column1 + 1) > 20_000:
        return True
    return any(
        (sheet, row, column) in known or (sheet, row, column) in calculator.formulas
        for row in range(row1, row2 + 1)
        for column in range(column1, column2 + 1)
    )


def _numbers(place: Place, tree: Node, findings: Findings) -> None:
    referring = any(node[0] in ("area", "name", "table") for node in _walk(tree))
    if not referring:
        if tree[0] == "binary" and tree[1] in ARITHMETIC:
            findings.warning("number", named(place), "a formula of numbers only: put each into a cell of its own")
        return
    for node in _walk(tree):
        if node[0] == "binary" and node[1] in ARITHMETIC:
            for side in node[2:]:
                plain = side[1] if side[0] == "percent" else side
                value = plain[1] if plain[0] == "value" else None
                if isinstance(value, int | float) and not isinstance(value, bool) and value not in PLAIN:
                    sign = "%" if side[0] == "percent" else ""
                    findings.warning("number", named(place), f"the number {value}{sign} is written into the formula")


def _relative(formula: str, place: Place) -> str:
    """The formula with its references as distances, so that a formula that was filled down reads the same."""
    parts = []
    try:
        found = tokens(formula)
    except Unsupported:
        return formula
    for which, text in found:
        if which in ("cell", "range"):
            parts.append(re.sub(r"(\$?)([A-Za-z]{0,3})(\$?)(\d*)", lambda part: _distance(part, place), text))
        else:
            parts.append(text)
    return " ".join(parts)


def _distance(part: re.Match[str], place: Place) -> str:
    if not part[0]:
        return ""
    column = "" if not part[2] else f"C{part[2]}" if part[1] else f"C[{column_number(part[2]) - place[2]}]"
    row = "" if not part[4] else f"R{part[4]}" if part[3] else f"R[{int(part[4]) - place[1]}]"
    return row + column


def _neighbours(calculator: Calculator, findings: Findings) -> None:
    patterns = {place: _relative(formula, place) for place, formula in calculator.formulas.items()}

    def pattern(place: Place) -> str | None:
        if place in patterns or place in calculator.spread:
            return patterns.get(place)
        value = calculator.stored[place[0]].get(place[1:])
        return "a number" if isinstance(value, int | float) and not isinstance(value, bool) else None

    seen: set[Place] = set()
    for (sheet, row, column), own in patterns.items():
        for down, right in ((1, 0), (0, 1)):
            middle = (sheet, row + down, column + right)
            after = (sheet, row + 2 * down, column + 2 * right)
            before = (sheet, row - down, column - right)
            last = (sheet, row + 3 * down, column + 3 * right)
            odd = pattern(middle)
            if odd is None or odd == own or middle in seen or patterns.get(after) != own:
                continue
            if own not in (patterns.get(before), patterns.get(last)):
                continue  # Two alike around a third are no row of equals yet.
            seen.add(middle)
            what = (
                "a number among formulas"
                if odd == "a number"
                else f"unlike the formulas around it: ={calculator.formulas[middle][:60]}"
            )
            findings.warning("unlike", named(middle), what)


def _charts(book: Any, known: dict[Place, Scalar], findings: Findings) -> None:
    for sheet in book.worksheets:
        for at, chart in enumerate(sheet._charts, 1):
            where = f"{sheet.title}!chart {at}"
            if not chart.series:
                findings.error("chart", where, "has no series")
            for series in chart.series:
                for source in (getattr(series, "val", None), getattr(series, "yVal", None)):
                    reference = getattr(getattr(source, "numRef", None), "f", None)
                    if reference and not _has_numbers(str(reference), book, known):
                        findings.error("chart", where, f"no numbers in {reference}")


def _has_numbers(reference: str, book: Any, known: dict[Place, Scalar]) -> bool:
    try:
        tree = parse(reference.removeprefix("="))
    except Unsupported:
        return True
    if tree[0] != "area":
        return True
    if tree[1] is not None and tree[1] not in book.sheetnames:
        return False
    row1, column1, row2, column2 = tree[2:]
    if (row2 - row1 + 1) * (column2 - column1 + 1) > 100_000:
        return True
    values = (known.get((tree[1], r, c)) for r in range(row1, row2 + 1) for c in range(column1, column2 + 1))
    return any(isinstance(value, int | float) and value not in ERRORS for value in values)
