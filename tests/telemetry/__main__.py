"""``python -m tests.telemetry``: write the table of metrics in docs/observing.md anew."""

from __future__ import annotations

from tests.telemetry.table import DOCUMENT, parts, table

if __name__ == "__main__":
    before, _, after = parts()
    DOCUMENT.write_text(before + table() + after, encoding="utf-8")
