"""The table of metrics in docs/observing.md."""

from __future__ import annotations

from pathlib import Path

from bathysphere.telemetry.metrics import DECLARED

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "observing.md"
_HEAD = "| metric | kind | labels | meaning |\n|---|---|---|---|\n"


def table() -> str:
    """As the declarations are."""
    return _HEAD + "".join(
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels) or 'none'} | {metric.meaning} |\n"
        for metric in DECLARED
    )


def parts() -> tuple[str, str, str]:
    """The document before its table, the table, and the rest."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(_HEAD)
    rows, blank, after = rest.partition("\n\n")
    return before, f"{_HEAD}{rows}\n", blank[1:] + after
