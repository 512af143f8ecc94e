"""How the text of a field looks: drawn with embedded fonts, so that every viewer shows the same, in any script."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import pikepdf
from fields import COMB, MULTILINE, PASSWORD, Field
from fonts import register, runs, width
from reportlab.pdfgen.canvas import Canvas

LARGEST, SMALLEST, INSET = 12.0, 6.0, 2.0


@dataclass
class Layout:
    lines: list[str]
    size: float
    fits: bool


def layout(field: Field, widget: Any, text: str) -> Layout:
    """Break and size a text for a field's rectangle."""
    wide, high = _box(widget)
    given = _size(field, widget)
    several = bool(field.flags & MULTILINE) or field.kind == "list"
    if not given:
        given = 10.0 if several else max(SMALLEST, min(LARGEST, high * 0.68))
    size = given
    while True:
        lines = _wrapped(text, size, wide - 2 * INSET) if several else [text.replace("\n", " ")]
        fits = max((width(line, size) for line in lines), default=0) <= wide - 2 * INSET + 0.5
        fits = fits and (len(lines) * size * 1.2 <= high - INSET + 1 or not several)
        if fits or size <= SMALLEST:
            return Layout(lines, size, fits)
        size = max(SMALLEST, size - 0.5)


def draw(document: Any, field: Field, widget: Any, text: str) -> bool:
    """Give the widget its picture. Returns whether the text fits."""
    register()
    wide, high = _box(widget)
    if field.flags & PASSWORD:
        text = "*" * len(text)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(max(wide, 1), max(high, 1)), initialFontName="Sans")
    _ground(canvas, widget, wide, high)
    longest = int(field.inherited.get("/MaxLen", 0))
    if field.flags & COMB and longest:
        fits = _comb(canvas, text, longest, wide, high)
    else:
        plan = layout(field, widget, text)
        fits = plan.fits
        align = int(field.inherited.get("/Q", 0))
        several = bool(field.flags & MULTILINE) or field.kind == "list"
        y = high - plan.size * 1.1 - INSET if several else (high - plan.size * 0.72) / 2
        for line in plan.lines:
            room = wide - 2 * INSET - width(line, plan.size)
            _line(canvas, INSET + (room / 2 if align == 1 else room if align == 2 else 0), y, line, plan.size)
            y -= plan.size * 1.2
    canvas.showPage()
    canvas.save()
    buffer.seek(0)
    with pikepdf.open(buffer) as drawn:
        widget["/AP"] = pikepdf.Dictionary(N=document.copy_foreign(drawn.pages[0].as_form_xobject()))
    return fits


def _box(widget: Any) -> tuple[float, float]:
    left, low, right, high = (float(edge) for edge in widget["/Rect"])
    return abs(right - left), abs(high - low)


def _size(field: Field, widget: Any) -> float:
    settings = str(widget.get("/DA", field.inherited.get("/DA", "")))
    match = re.search(r"([\d.]+)\s+Tf", settings)
    try:
        return min(float(match[1]), 72.0) if match else 0
    except ValueError:
        return 0


def _wrapped(text: str, size: float, room: float) -> list[str]:
    lines = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in re.findall(r"\S+\s*|\s+", paragraph):
            if line and width(line + word.rstrip(), size) > room:
                lines.append(line.rstrip())
                line = ""
            line += word
        lines.append(line.rstrip())
    return lines


def _line(canvas: Canvas, x: float, y: float, text: str, size: float) -> None:
    line = canvas.beginText(x, y)
    for font, piece in runs(text):
        line.setFont(font, size)
        line.textOut(piece)
    canvas.drawText(line)


def _comb(canvas: Canvas, text: str, places: int, wide: float, high: float) -> bool:
    step = wide / places
    size = max(SMALLEST, min(LARGEST, high * 0.68, step * 1.4))
    for at, letter in enumerate(text[:places]):
        _line(canvas, step * (at + 0.5) - width(letter, size) / 2, (high - size * 0.72) / 2, letter, size)
    return len(text) <= places


def _ground(canvas: Canvas, widget: Any, wide: float, high: float) -> None:
    """The field's own background and border."""
    style = widget.get("/MK", {})
    background, border = _color(style.get("/BG")), _color(style.get("/BC"))
    thick = float(widget.get("/BS", {}).get("/W", 1)) if border else 0
    if background:
        canvas.setFillColorRGB(*background)
        canvas.rect(0, 0, wide, high, stroke=0, fill=1)
    if border and thick:
        canvas.setStrokeColorRGB(*border)
        canvas.setLineWidth(thick)
        canvas.rect(thick / 2, thick / 2, wide - thick, high - thick, stroke=1, fill=0)
    canvas.setFillColorRGB(0, 0, 0)


def _color(value: Any) -> tuple[float, float, float] | None:
    parts = [float(part) for part in value] if value is not None else []
    if len(parts) == 1:
        return (parts[0],) * 3
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    if len(parts) == 4:
        cyan, magenta, yellow, black = parts
        return (1 - cyan) * (1 - black), (1 - magenta) * (1 - black), (1 - yellow) * (1 - black)
    return None
