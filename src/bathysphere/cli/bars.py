"""Bar charts of plain text, for a terminal without colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from bathysphere.cli.columns import fitted

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_LONGEST_LABEL: Final = 28
_SHORTEST_BAR: Final = 10


def bars(values: Sequence[tuple[str, float, str]], width: int) -> str:
    """A line for each label, value of 0 or more, and value as it is written; at most ``width`` columns wide.

    The longest bar is that of the largest value; a value above 0 has at least a thin one.
    """
    labels = [fitted(label, _LONGEST_LABEL) for label, _, _ in values]
    label_width = max(map(cell_len, labels), default=0)
    text_width = max((cell_len(text) for _, _, text in values), default=0)
    bar_width = max(_SHORTEST_BAR, width - label_width - text_width - 4)
    largest = max((value for _, value, _ in values), default=0.0)
    lines = []
    for label, (_, value, text) in zip(labels, values, strict=True):
        bar = _bar(value / largest, bar_width) if largest > 0 else ""
        padding = " " * (label_width - cell_len(label))
        lines.append(f"{label}{padding}  {bar:<{bar_width}}  {text:>{text_width}}")
    return "\n".join(lines)


def _bar(part: float, width: int) -> str:
    eighths = round(part * width * 8)
    if part > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[rest] if rest else "")
