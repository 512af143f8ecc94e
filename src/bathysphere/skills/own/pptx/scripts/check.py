#!/usr/bin/env python3
"""Open a presentation again and find what is wrong with it.

Errors: text that overflows its box, texts on each other, shapes off the slide, empty placeholders, filler text left,
media and relationships that are broken, a slide without anything. Warnings: small type, weak contrast, pictures without
alternative text or out of proportion, missing or repeated titles, too many words, shapes that overlap.
Where text ends is estimated from the widths of the fonts; nothing is drawn. Status: 0 no errors, 1 errors, 2 no deck.
"""

from __future__ import annotations

import argparse
import json
import posixpath
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fonts
from inheritance import Styles, contrast
from ooxml import Problem, broken_parts, open_package, relationships, run
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.oxml.ns import qn

EMU = 12700  # per point
MIN_SIZE, SMALL_SIZE = 9.0, 12.0
MANY_WORDS = 120
MANY_SHAPES = 500
FILLER = re.compile(
    r"\{\{.*?\}\}|lorem ipsum|click to (add|edit)|\bx{3,}\b|\[(insert|your|placeholder|tbd)[^\]]*\]|\bTBD\b", re.I
)


@dataclass(frozen=True)
class Finding:
    """Something wrong. ``slide`` counts from 1; 0 is the file as a whole."""

    severity: str
    kind: str
    slide: int
    shape: str
    message: str


@dataclass
class Box:
    """Where a shape is, and where the text in it is, in points."""

    shape: Any
    left: float
    top: float
    right: float
    bottom: float
    text: tuple[float, float, float, float] | None = None

    @property
    def area(self) -> tuple[float, float, float, float]:
        return self.left, self.top, self.right, self.bottom


class Check:
    """One look at one file."""

    def __init__(self, path: Path) -> None:
        self.findings: list[Finding] = []
        self.guessed: set[str] = set()
        self.slides = 0
        parts = open_package(path, "ppt/presentation.xml")
        self._package(parts)
        try:
            deck = Presentation(str(path))
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            if not self.findings:
                raise Problem(f"{path} cannot be opened: {type(error).__name__}: {error}") from error
            return
        self.width, self.height = deck.slide_width / EMU, deck.slide_height / EMU
        titles: dict[str, int] = {}
        # Not deck.slides: that refuses the whole deck when one of its slides is missing.
        entries = deck._element.sldIdLst
        for number, entry in enumerate(entries if entries is not None else (), 1):
            self.slides = number
            try:
                slide = deck.part.related_slide(entry.rId)
                self._slide(number, slide, Styles(slide, deck), titles)
            except (KeyError, ValueError, AttributeError, TypeError, IndexError) as error:
                self._add("error", "unreadable", number, "", f"cannot be read: {type(error).__name__}: {error}")
        if not self.slides:
            self._add("error", "no-slides", 0, "", "the deck has no slides")

    def _add(self, severity: str, kind: str, slide: int, shape: Any, message: str) -> None:
        name = shape if isinstance(shape, str) else shape.name
        self.findings.append(Finding(severity, kind, slide, name, message))

    def _package(self, parts: dict[str, bytes]) -> None:
        order = {}
        ids = re.findall(rb'<p:sldId [^>]*r:id="([^"]+)"', parts["ppt/presentation.xml"])
        related = relationships(parts, "ppt/presentation.xml")
        for number, identifier in enumerate(ids, 1):
            _, target, _ = related.get(identifier.decode(), ("", "", False))
            order[target] = number
            if target not in parts:
                self._add(
                    "error", "broken-part", number, "", f"the slide leads to {target or 'nothing'}, which is not there"
                )
        for part, message in broken_parts(parts):
            users = [n for slide, n in order.items() if part in (t for _, t, _ in relationships(parts, slide).values())]
            number = order.get(part) or next(iter(users), 0)
            self._add("error", "broken-part", number, posixpath.basename(part), f"{part} {message}")

    def _slide(self, number: int, slide: Any, styles: Styles, titles: dict[str, int]) -> None:
        boxes: list[Box] = []
        words = 0
        for shape, left, top, right, bottom in _flat(slide.shapes):
            if shape.is_placeholder and _is_empty(shape):
                self._add("error", "empty-placeholder", number, shape, "is empty: fill it or remove it")
                continue
            box = Box(shape, left, top, right, bottom)
            if shape.has_text_frame and shape.text_frame.text.strip():
                words += len(shape.text_frame.text.split())
                self._text(number, box, styles, boxes)
            if getattr(shape, "has_table", False) and shape.has_table:
                words += self._table(number, box, styles)
            self._place(number, box)
            self._picture(number, box)
            boxes.append(box)
        if not boxes:
            self._add("error", "nothing", number, "", "there is nothing on the slide")
        self._overlaps(number, boxes)
        title = slide.shapes.title
        text = title.text_frame.text.strip() if title is not None else ""
        if not text:
            self._add("warning", "no-title", number, "", "has no title; outlines and screen readers go by titles")
        elif text in titles:
            self._add("warning", "same-title", number, title, f"has the title of slide {titles[text]}")
        titles.setdefault(text, number)
        if words > MANY_WORDS:
            self._add("warning", "many-words", number, "", f"has {words} words; above {MANY_WORDS} nobody reads them")

    def _text(self, number: int, box: Box, styles: Styles, below: list[Box]) -> None:
        shape = box.shape
        self._filler(number, shape, shape.text_frame.text)
        inset = [int(styles.body_attribute(shape, side, default)) / EMU for side, default in
                 (("lIns", "91440"), ("tIns", "45720"), ("rIns", "91440"), ("bIns", "45720"))]  # fmt: skip
        if styles.body_attribute(shape, "vert", "horz") != "horz" or shape.rotation % 180 > 1:
            return
        fit = styles.autofit(shape)
        scale = (
            float(fit.get("fontScale", "100000")) / 100000
            if fit is not None and fit.tag == qn("a:normAutofit")
            else 1.0
        )
        wrap = styles.body_attribute(shape, "wrap", "square") != "none"
        room = box.right - box.left - inset[0] - inset[2]
        needed, widest, smallest = self._measure(number, shape, shape.text_frame, styles, room if wrap else 1e6, scale)
        height = box.bottom - box.top - inset[1] - inset[3]
        anchor = styles.body_attribute(shape, "anchor", "t")
        free = height - needed
        top = box.top + inset[1] + {"t": 0.0, "ctr": free / 2, "b": free}.get(anchor, 0.0)
        align = shape.text_frame.paragraphs[0].alignment
        shift = {2: (room - widest) / 2, 3: room - widest}.get(int(align) if align else 1, 0.0)
        x = box.left + inset[0] + shift
        box.text = (x, top, x + widest, top + needed)
        grows = fit is not None and fit.tag == qn("a:spAutoFit")
        if wrap and widest > room + 1:
            self._add("error", "overflow", number, shape, f"a word is {widest - room:.0f} pt wider than the box")
        elif not wrap and (box.text[0] < -1 or box.text[2] > self.width + 1):
            self._add("error", "overflow", number, shape, "a line that does not wrap leaves the slide")
        if needed > height + 0.35 * smallest + 1:
            over = needed - height
            if box.text[1] < -1 or box.text[3] > self.height + 1:
                self._add(
                    "error", "overflow", number, shape, f"the text leaves the slide: {over:.0f} pt more than the box"
                )
            elif grows:
                box.top, box.bottom = min(box.top, box.text[1] - inset[1]), max(box.bottom, box.text[3] + inset[3])
            else:
                shrinks = fit is not None and fit.tag == qn("a:normAutofit")
                why = "; it shrinks only when somebody edits it in PowerPoint" if shrinks else ""
                self._add(
                    "error", "overflow", number, shape, f"needs {needed:.0f} pt of height and has {height:.0f}{why}"
                )
        self._contrast(number, box, styles, below)

    def _filler(self, number: int, shape: Any, text: str) -> None:
        if found := FILLER.search(text):
            severity = "error" if found.group()[0] in "{lLcC" else "warning"
            self._add(severity, "filler", number, shape, f"still holds {found.group()!r}")

    def _measure(
        self, number: int, shape: Any, frame: Any, styles: Styles, room: float, scale: float = 1.0, table: bool = False
    ) -> tuple[float, float, float]:
        needed, widest, smallest = 0.0, 0.0, 1000.0
        for paragraph in frame.paragraphs:
            element = paragraph._p
            level = int((element.pPr.get("lvl") if element.pPr is not None else None) or 0)
            sources = [one for one in [element.pPr, *styles.levels(shape, level)] if one is not None]
            runs = []
            for run_element in element:
                if run_element.tag == qn("a:br"):
                    runs.append(("\v", 18.0, "Arial", False, False))
                elif run_element.tag in (qn("a:r"), qn("a:fld")):
                    look = styles.look(run_element, element, shape)
                    text = run_element.findtext(qn("a:t")) or ""
                    runs.append((text, look.size * scale, look.family, look.bold, look.italic))
                    if text.strip():
                        self._small(number, shape, look.size * scale, text)
                        if not fonts.is_measured(look.family):
                            self.guessed.add(look.family)
            visible = [one for one in runs if one[0] != "\v"]
            size = max((one[1] for one in visible), default=styles.look(None, element, shape).size * scale)
            family = visible[0][2] if visible else "Arial"
            smallest = min(smallest, size)

            def measure(name: str, sources: list[Any] = sources) -> float:
                return next((int(one.get(name)) / EMU for one in sources if one.get(name) is not None), 0.0)

            left = 0.0 if table else measure("marL") + measure("marR")
            count, wide = fonts.lines(runs, room - left, max(0.0, measure("indent")) if not table else 0.0)
            line = fonts.line_height(size, family)
            spacing = _spacing(sources, "a:lnSpc", line, line)
            needed += count * spacing + _spacing(sources, "a:spcAft", size)
            if element is not frame.paragraphs[0]._p:
                needed += _spacing(sources, "a:spcBef", size)
            widest = max(widest, wide + left)
        return needed, widest, smallest

    def _small(self, number: int, shape: Any, size: float, text: str) -> None:
        if shape.is_placeholder and shape._element.ph.get("type") in ("sldNum", "ftr", "dt"):
            return
        if any(one.slide == number and one.shape == shape.name and one.kind == "small-type" for one in self.findings):
            return
        if size < SMALL_SIZE:
            severity = "error" if size < MIN_SIZE else "warning"
            self._add(
                severity, "small-type", number, shape, f"{text.strip()[:30]!r} is set in {size:g} pt; use 12 or more"
            )

    def _contrast(self, number: int, box: Box, styles: Styles, below: list[Box]) -> None:
        ground = _fill(box.shape, styles)
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        if ground is None:
            ground = styles.background() or ""
            for other in reversed(below):
                if other.left <= x <= other.right and other.top <= y <= other.bottom:
                    fill = _fill(other.shape, styles)
                    if fill is not None or other.shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
                        ground = fill or ""
                        break
        if not ground:
            return
        for paragraph in box.shape.text_frame.paragraphs:
            for one in paragraph.runs:
                look = styles.look(one._r, paragraph._p, box.shape)
                if not one.text.strip() or look.colour is None:
                    continue
                found = contrast(look.colour, ground)
                least = 3.0 if look.size >= 18 or (look.size >= 14 and look.bold) else 4.5
                if found < least:
                    severity = "error" if found < 1.6 else "warning"
                    self._add(
                        severity, "contrast", number, box.shape,
                        f"{one.text.strip()[:30]!r}: #{look.colour} on #{ground} has contrast {found:.1f}, not {least}",
                    )  # fmt: skip
                    return

    def _table(self, number: int, box: Box, styles: Styles) -> int:
        words, total = 0, 0.0
        table = box.shape.table
        columns = [column.width / EMU for column in table.columns]
        for row in table.rows:
            tallest = row.height / EMU
            for cell, width in zip(row.cells, columns, strict=False):
                if cell.is_spanned:
                    continue
                text = cell.text_frame.text
                words += len(text.split())
                self._filler(number, box.shape, text)
                room = (
                    width * (cell.span_width if cell.is_merge_origin else 1)
                    - (cell.margin_left + cell.margin_right) / EMU
                )
                needed, widest, _ = self._measure(number, box.shape, cell.text_frame, styles, room, table=True)
                if widest > room + 1:
                    self._add("error", "overflow", number, box.shape, f"{text[:30]!r} has a word wider than its column")
                if not cell.is_merge_origin:
                    tallest = max(tallest, needed + (cell.margin_top + cell.margin_bottom) / EMU)
            total += tallest
        declared = box.bottom - box.top
        box.bottom = max(box.bottom, box.top + total)
        if box.bottom > self.height + 1:
            self._add("error", "overflow", number, box.shape, f"the rows need {total:.0f} pt and leave the slide")
        elif total > declared * 1.1 + 6:
            self._add("warning", "table-grows", number, box.shape, f"the rows need {total:.0f} pt, not {declared:.0f}")
        return words

    def _place(self, number: int, box: Box) -> None:
        beyond = max(-box.left, -box.top, box.right - self.width, box.bottom - self.height)
        if any(one.slide == number and one.shape == box.shape.name and one.kind == "overflow" for one in self.findings):
            return
        if box.right < 0 or box.bottom < 0 or box.left > self.width or box.top > self.height:
            self._add("error", "off-slide", number, box.shape, "is wholly outside of the slide")
        elif beyond > 2:
            picture = box.shape.shape_type == MSO_SHAPE_TYPE.PICTURE
            severity = "warning" if picture and not box.text else "error"
            self._add(severity, "off-slide", number, box.shape, f"reaches {beyond:.0f} pt beyond the edge of the slide")

    def _picture(self, number: int, box: Box) -> None:
        shape = box.shape
        drawn = shape.shape_type == MSO_SHAPE_TYPE.PICTURE or getattr(shape, "has_chart", False)
        names = shape._element.xpath(".//p:cNvPr")
        if drawn and names and not names[0].get("descr", "").strip():
            decorative = names[0].xpath('.//*[local-name()="decorative"][@val="1"]')
            if not decorative:
                self._add("warning", "no-alt-text", number, shape, "has no alternative text")
        if getattr(shape, "has_chart", False):
            series = [one for plot in shape.chart.plots for one in plot.series]
            if not any(value is not None for one in series for value in one.values):
                self._add("error", "empty-chart", number, shape, "is a chart without values")
        if shape.shape_type == MSO_SHAPE_TYPE.PICTURE and shape._element.blip_rId:
            try:
                width, height = shape.image.size
            except (KeyError, ValueError, AttributeError, OSError):
                return
            across = width * (1 - shape.crop_left - shape.crop_right)
            down = height * (1 - shape.crop_top - shape.crop_bottom)
            if across > 0 and down > 0 and shape.width and shape.height:
                change = (shape.width / shape.height) / (across / down)
                if not 0.95 < change < 1.05:
                    self._add("warning", "distorted", number, shape, f"is stretched {change:.2f} times across")

    def _overlaps(self, number: int, boxes: list[Box]) -> None:
        if len(boxes) > MANY_SHAPES:
            self._add("warning", "many-shapes", number, "", f"{len(boxes)} shapes: too many to look for overlaps")
            return
        for at, one in enumerate(boxes):
            for other in boxes[at + 1 :]:
                if one.text and other.text and _common(one.text, other.text, 2.0):
                    self._add(
                        "error", "text-on-text", number, other.shape, f"its text lies on that of {one.shape.name!r}"
                    )
                    continue
                solid = [_is_content(box.shape) for box in (one, other)]
                if all(solid) and _common(one.area, other.area, 4.0):
                    self._add("error", "overlap", number, other.shape, f"overlaps {one.shape.name!r}")
                for text, content, is_solid in ((one.text, other, solid[1]), (other.text, one, solid[0])):
                    if text and is_solid and _common(text, content.area, 4.0) and not _within(text, content.area):
                        self._add("warning", "overlap", number, content.shape, "lies partly on a text, or under one")


def _flat(
    shapes: Any, change: tuple[float, float, float, float] = (1, 1, 0, 0)
) -> Iterator[tuple[Any, float, float, float, float]]:
    """Every shape with its edges in points, those in groups with the group's scale."""
    across, down, x, y = change
    for shape in shapes:
        if shape.left is None or shape.width is None:
            continue
        left, top = x + across * shape.left / EMU, y + down * shape.top / EMU
        right, bottom = left + across * shape.width / EMU, top + down * shape.height / EMU
        if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
            inner = shape._element.find(f"{qn('p:grpSpPr')}/{qn('a:xfrm')}")
            extent, offset = inner.find(qn("a:chExt")), inner.find(qn("a:chOff"))
            if extent is None or offset is None:
                continue
            wide = (right - left) / (int(extent.get("cx")) / EMU or 1)
            high = (bottom - top) / (int(extent.get("cy")) / EMU or 1)
            start = left - wide * int(offset.get("x")) / EMU, top - high * int(offset.get("y")) / EMU
            yield from _flat(shape.shapes, (wide, high, *start))
        else:
            yield shape, left, top, right, bottom


def _is_empty(shape: Any) -> bool:
    if shape._element.ph.get("type") in ("sldNum", "ftr", "dt", "hdr") or not hasattr(shape, "has_text_frame"):
        return False
    if shape._element.tag != qn("p:sp"):
        return False
    return not (shape.has_text_frame and shape.text_frame.text.strip()) and not shape._element.xpath(
        ".//a:fld|.//a:blip"
    )


def _is_content(shape: Any) -> bool:
    if shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
        return True
    return bool(getattr(shape, "has_chart", False) or getattr(shape, "has_table", False))


def _fill(shape: Any, styles: Styles) -> str | None:
    properties = shape._element.find(qn("p:spPr"))
    fill = properties.find(qn("a:solidFill")) if properties is not None else None
    if fill is not None:
        return styles.colour(fill)
    if properties is not None and properties.find(qn("a:noFill")) is not None:
        return None
    style = shape._element.find(qn("p:style"))
    reference = style.find(qn("a:fillRef")) if style is not None else None
    return styles.colour(reference) if reference is not None and reference.get("idx") != "0" else None


def _spacing(sources: list[Any], name: str, of: float, default: float = 0.0) -> float:
    for one in sources:
        found = one.find(qn(name))
        if found is not None and len(found):
            value = int(found[0].get("val", "0").rstrip("%") or 0)
            return value / 100 if found[0].tag == qn("a:spcPts") else value / 100000 * of
    return default


def _common(one: tuple[float, ...], other: tuple[float, ...], least: float) -> bool:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return across > least and down > least


def _within(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one[2] <= other[2] and one[3] <= other[3]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--strict", action="store_true", help="status 1 for warnings too")
    arguments = parser.parse_args()
    check = Check(arguments.file)
    found = list(dict.fromkeys(sorted(check.findings, key=lambda one: (one.slide, one.severity))))
    errors = sum(one.severity == "error" for one in found)
    warnings = len(found) - errors
    if arguments.json:
        report = {"file": str(arguments.file), "slides": check.slides, "errors": errors, "warnings": warnings,
                  "findings": [asdict(one) for one in found], "estimated_fonts": sorted(check.guessed)}  # fmt: skip
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        for one in found:
            place = f"slide {one.slide}" if one.slide else "file"
            print(f"{one.severity}: {place}{f', {one.shape}' if one.shape else ''}: {one.message} [{one.kind}]")
        print(f"{check.slides} slides, {errors} errors, {warnings} warnings")
        if check.guessed:
            print(f"not installed, widths guessed: {', '.join(sorted(check.guessed))}")
    return int(bool(errors or (arguments.strict and warnings)))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
