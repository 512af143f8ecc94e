#!/usr/bin/env python3
"""Open a finished PDF again, with two independent libraries, and list what is wrong with it, page by page.

Errors: cannot be opened, text outside the page, text over text, fonts that are not embedded (other than the 14 that
every viewer has), required fields that are empty, filled fields that show nothing. Warnings: blank pages, text at the
very edge, the 14 standard fonts not embedded, letters without meaning, coarse pictures, empty fields, texts that do
not fit into their field, no title. Exit status: 0 no errors, 1 errors (with --strict: or warnings), 2 no PDF, or the
call is wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from looking import document_findings, field_findings, page_findings
from opening import bounded, chosen, program, read

MOST_SHOWN = 12


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", help="such as 1-3,7,last (the first 200)")
    parser.add_argument("--unfilled", action="store_true", help="a form that others fill: fields may be empty")
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings too")
    parser.add_argument("--all", action="store_true", help=f"every finding, not the first {MOST_SHOWN} of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--password", default="")
    options = parser.parse_args()
    count = len(read(options.file, options.password).pages)
    pages = chosen(options.pages, count)[: 200 if not options.pages else None]
    counts, found = document_findings(options.file, options.password)
    found += page_findings(options.file, options.password, pages)
    found += field_findings(options.file, options.password, options.unfilled)
    found.sort(key=lambda one: (one[0], one[1]))
    shown: Counter[str] = Counter()
    listed: list[tuple[str, str, str, str]] = []
    for one in found:
        shown[one[1]] += 1
        if options.all or shown[one[1]] <= MOST_SHOWN:
            listed.append(one)
    errors = sum(one[0] == "error" for one in found)
    warnings = len(found) - errors
    _print(options, counts, listed, errors, warnings, shown)
    if len(pages) < count and not options.pages:
        print(f"note: looked at the first {len(pages)} of {count} pages; --pages names others")
    return 1 if errors or (options.strict and warnings) else 0


def _print(
    options: Any, counts: dict[str, Any], listed: list[Any], errors: int, warnings: int, shown: Counter[str]
) -> None:
    if options.json:
        findings = [dict(zip(("level", "kind", "where", "what"), one, strict=True)) for one in listed]
        report = {"file": str(options.file), **counts, "errors": errors, "warnings": warnings, "findings": findings}
        print(json.dumps(report, ensure_ascii=False, indent=1))
        return
    for level, kind, where, what in listed:
        print(f"{level:7} {kind:10} {where}: {what}")
    for kind, number in shown.items():
        if number > MOST_SHOWN and not options.all:
            print(f"        {kind:10} and {number - MOST_SHOWN} more (--all)")
    counted = ", ".join(f"{value} {name}" for name, value in counts.items())
    print(f"{options.file.name}: {counted}; {errors} errors, {warnings} warnings")


if __name__ == "__main__":
    raise SystemExit(bounded(main))
