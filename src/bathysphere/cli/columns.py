"""Tables of plain text, one line a row however long, safe to show whatever the cells hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The table. Nothing is folded or cut; what could steer a terminal is written as an escape."""
    table = [list(headings), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[place]) for row in table) for place in range(len(headings))]
    lines = []
    for row in table:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def shown(text: str) -> str:
    """Text of a model, a file name or a command, without line ends and control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def size(count: int | None) -> str:
    """Bytes for people: ``4.5 MiB``; ``-`` when not known."""
    if count is None:
        return "-"
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
