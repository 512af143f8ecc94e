"""Tables of plain text, one line a row however long, safe to show whatever the cells hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rich.cells import cell_len, set_cell_size


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: Collection[str] = ()) -> str:
    """The table. Nothing is folded or cut; what could steer a terminal is written as an escape.

    Columns whose heading is among ``numbers`` stand at the right.
    """
    table = [list(headings), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[place]) for row in table) for place in range(len(headings))]
    lines = []
    for row in table:
        cells = (
            " " * (width - cell_len(cell)) + cell if heading in numbers else cell + " " * (width - cell_len(cell))
            for heading, cell, width in zip(headings, row, widths, strict=True)
        )
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def shown(text: str) -> str:
    """Text of a model, a file name or a command, without line ends and control characters."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def fitted(text: str, width: int) -> str:
    """At most so many columns of a terminal; what is longer loses its end, and says so by an ellipsis."""
    text = shown(text)
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


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
