#!/usr/bin/env python3
"""Show what a workbook holds: sheets, sizes, headings, kinds of columns, tables, names, charts and some rows.

Read this before editing. Exit status: 0 shown, 2 the file or the call is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

from opening import Unreadable, bounded, open_workbook
from openpyxl.utils import get_column_letter

WHOLE = 20 * 1024 * 1024
MOST_ROWS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sheet", help="only this sheet")
    parser.add_argument("--rows", type=int, default=5, help="how many rows of each sheet to print (5)")
    parser.add_argument("--columns", type=int, default=40, help="how many columns of each sheet to describe (40)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report = overview(options.file, options.sheet, max(0, options.rows), max(1, options.columns))
    if options.json:
        print(json.dumps(report, ensure_ascii=False, default=str, indent=1))
    else:
        _print(report)
    return 0


def overview(path: Path, only: str | None, rows: int, columns: int) -> dict[str, Any]:
    large = path.is_file() and path.stat().st_size > WHOLE
    book = open_workbook(path, streaming=large)
    if only is not None and only not in book.sheetnames:
        raise Unreadable(f"no sheet {only!r}; there are: {', '.join(book.sheetnames)}")
    sheets = [book[only]] if only else [*book.worksheets, *getattr(book, "chartsheets", [])]
    names = {name: entry.attr_text for name, entry in book.defined_names.items()}
    return {
        "file": str(path),
        "names": names,
        "read": "in a stream, without tables and charts" if large else "whole",
        "sheets": [_sheet(sheet, rows, columns, large) for sheet in sheets],
    }


def _sheet(sheet: Any, rows: int, columns: int, large: bool) -> dict[str, Any]:
    if not hasattr(sheet, "iter_rows"):
        return {"title": sheet.title, "kind": "chart sheet"}
    seen = list(islice(sheet.iter_rows(max_col=min(sheet.max_column or 1, columns)), MOST_ROWS))
    described = {
        get_column_letter(at + 1): dict(Counter(_kind(row[at]) for row in seen if at < len(row)).most_common(4))
        for at in range(max((len(row) for row in seen), default=0))
    }
    found: dict[str, Any] = {
        "title": sheet.title,
        "state": sheet.sheet_state,
        "rows": sheet.max_row,
        "columns": sheet.max_column,
        "looked_at_rows": len(seen),
        "kinds": described,
        "first_rows": [
            [cell.value if cell.value is None else _short(cell.value) for cell in row] for row in seen[:rows]
        ],
    }
    if not large:
        found |= {
            "tables": {table.name: table.ref for table in sheet.tables.values()},
            "charts": len(sheet._charts),
            "images": len(sheet._images),
            "merged": [str(area) for area in islice(sheet.merged_cells.ranges, 20)],
            "frozen": sheet.freeze_panes,
            "filter": sheet.auto_filter.ref,
            "conditional_formats": len(sheet.conditional_formatting),
            "validations": len(sheet.data_validations.dataValidation),
            "hidden_columns": [letter for letter, size in sheet.column_dimensions.items() if size.hidden],
        }
    return found


def _kind(cell: Any) -> str:
    if cell.value is None:
        return "empty"
    if cell.data_type == "f":
        return "formula"
    if getattr(cell, "is_date", False):
        return "date"
    return {"n": "number", "s": "text", "b": "logical", "e": "error", "d": "date"}.get(cell.data_type, "text")


def _short(value: Any) -> Any:
    text = getattr(value, "text", value)
    return text if not isinstance(text, str) or len(text) <= 60 else text[:57] + "..."


def _print(report: dict[str, Any]) -> None:
    print(f"{report['file']} (read {report['read']})")
    for name, target in list(report["names"].items())[:50]:
        print(f"name {name} = {target}")
    for sheet in report["sheets"]:
        print(f"\n== {sheet.pop('title')}: {sheet.pop('rows', '?')} rows x {sheet.pop('columns', '?')} columns")
        first = sheet.pop("first_rows", [])
        kinds = sheet.pop("kinds", {})
        print(
            "  ",
            "; ".join(f"{key} {value}" for key, value in sheet.items() if value not in (None, 0, [], {}, "visible")),
        )
        for letter, counts in kinds.items():
            print(f"   {letter}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
        for at, row in enumerate(first, 1):
            print(f"   {at} | " + " | ".join("" if value is None else str(value) for value in row))


if __name__ == "__main__":
    raise SystemExit(bounded(main))
