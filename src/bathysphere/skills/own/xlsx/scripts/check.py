#!/usr/bin/env python3
"""Open a finished workbook again and list what is wrong with it, with sheet and cell.

Errors: error values, circular references, references to nothing, functions that Excel will not know, charts without
data. Warnings: missing or stale values, formulas over empty cells or text, numbers written into formulas, a formula
unlike its neighbours, columns too narrow, dates that do not look like dates, numbers and dates kept as text.
Exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 the file or the call is wrong.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from checking.appearance import appearance
from checking.findings import Findings
from checking.formulas import formulas
from opening import bounded, open_workbook

MOST_SHOWN = 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    parser.add_argument("--all", action="store_true", help=f"every finding, not the first {MOST_SHOWN} of each kind")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    findings = check(options.file)
    kinds = Counter((one.level, one.kind) for one in findings.found)
    shown: Counter[str] = Counter()
    listed = []
    for one in sorted(findings.found, key=lambda one: (one.level, one.kind)):
        shown[one.kind] += 1
        if options.all or shown[one.kind] <= MOST_SHOWN:
            listed.append(one)
    errors = sum(count for (level, _), count in kinds.items() if level == "error")
    warnings = sum(kinds.values()) - errors
    if options.json:
        report = {
            "file": str(options.file),
            **findings.counts,
            "errors": errors,
            "warnings": warnings,
            "findings": [one.as_dict() for one in listed],
        }
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        for one in listed:
            print(f"{one.level:7} {one.kind:12} {one.where}: {one.what}")
        for (_, kind), count in kinds.items():
            if count > MOST_SHOWN and not options.all:
                print(f"        {kind:12} and {count - MOST_SHOWN} more (--all)")
        counts = ", ".join(f"{count} {name}" for name, count in findings.counts.items())
        print(f"{options.file.name}: {counts}; {errors} errors, {warnings} warnings")
    return 1 if errors or (options.strict and warnings) else 0


def check(path: Path) -> Findings:
    book, values = open_workbook(path), open_workbook(path, values=True)
    findings = Findings()
    findings.counts = {
        "sheets": len(book.sheetnames),
        "cells": sum(len(sheet._cells) for sheet in book.worksheets),
        "charts": sum(len(sheet._charts) for sheet in book.worksheets),
        "tables": sum(len(sheet.tables) for sheet in book.worksheets),
    }
    results = formulas(book, values, findings)
    appearance(book, results, findings)
    return findings


if __name__ == "__main__":
    raise SystemExit(bounded(main))
