#!/usr/bin/env python3
"""Print what a presentation says: titles, texts, tables, chart data, notes, pictures, by slide.

As Markdown-like text, or with --json as one object with every shape's name, id, kind, place (inches) and text: what
editing needs. --layouts lists the layouts and their placeholders, for filling a template.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ooxml import Problem, open_package, run
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE


def opened(path: Path) -> Any:
    """A presentation, after its package was found to be within bounds."""
    open_package(path, "ppt/presentation.xml")
    return Presentation(str(path))


def chosen(text: str | None, count: int) -> list[int]:
    """Slide numbers of an expression such as "1,3-5"; all of them for None."""
    if not text:
        return list(range(1, count + 1))
    numbers: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise Problem(f"{text!r} is no list of slides; write 1,3-5")
        for number in (int(first), int(last or first)):
            if not 1 <= number <= count:
                raise Problem(f"there is no slide {number}; the deck has {count}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def describe(shape: Any) -> dict[str, Any]:
    """A shape as data."""
    kind = str(shape.shape_type).partition(" ")[0].lower() if shape.shape_type is not None else "shape"
    data: dict[str, Any] = {"id": shape.shape_id, "name": shape.name, "kind": kind}
    if shape.is_placeholder:
        data["placeholder"] = {
            "idx": shape.placeholder_format.idx,
            "type": str(shape.placeholder_format.type).partition(" ")[0],
        }
    if shape.left is not None and shape.width is not None:
        data["inches"] = [round(value / 914400, 2) for value in (shape.left, shape.top, shape.width, shape.height)]
    alt = shape._element.xpath(".//p:cNvPr")[0].get("descr")
    if alt:
        data["alt"] = alt
    if shape.has_text_frame:
        data["paragraphs"] = [{"level": one.level, "text": one.text} for one in shape.text_frame.paragraphs]
    if getattr(shape, "has_table", False):
        data["rows"] = [[cell.text for cell in row.cells] for row in shape.table.rows]
    if getattr(shape, "has_chart", False):
        chart = shape.chart
        plots = list(chart.plots)
        data["chart"] = {
            "type": str(chart.chart_type).partition(" ")[0],
            "categories": [str(one) for one in plots[0].categories] if plots else [],
            "series": {one.name: list(one.values) for plot in plots for one in plot.series},
        }
    if shape.shape_type == MSO_SHAPE_TYPE.GROUP:
        data["shapes"] = [describe(one) for one in shape.shapes]
    return data


def slide_data(number: int, slide: Any) -> dict[str, Any]:
    """A slide as data."""
    title = slide.shapes.title
    return {
        "slide": number,
        "layout": slide.slide_layout.name,
        "hidden": slide._element.get("show") == "0",
        "title": title.text_frame.text if title is not None else None,
        "shapes": [describe(shape) for shape in slide.shapes],
        "notes": slide.notes_slide.notes_text_frame.text
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame
        else "",
    }


def _lines(shape: dict[str, Any]) -> list[str]:
    lines = []
    if shape.get("placeholder", {}).get("type") in ("SLIDE_NUMBER", "DATE", "FOOTER"):
        return []
    for one in shape.get("paragraphs", ()):
        if one["text"].strip():
            lines.append("  " * one["level"] + "- " + one["text"].replace("\v", " / "))
    if rows := shape.get("rows"):
        lines += [
            "| " + " | ".join(cell.replace("\n", " / ").replace("|", "\\|") for cell in row) + " |" for row in rows
        ]
        lines.insert(len(lines) - len(rows) + 1, "|" + " --- |" * len(rows[0]))
    if chart := shape.get("chart"):
        lines.append(f"[chart {chart['type']}: {', '.join(chart['categories'])}]")
        lines += [f"  {name}: {', '.join(map(str, values))}" for name, values in chart["series"].items()]
    if shape["kind"] == "picture":
        lines.append(f"[picture: {shape.get('alt', 'no alternative text')}]")
    for one in shape.get("shapes", ()):
        lines += _lines(one)
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="every shape with its id and place")
    parser.add_argument("--slides", help="only these, as in 1,3-5")
    parser.add_argument("--layouts", action="store_true", help="the layouts and their placeholders instead")
    arguments = parser.parse_args()
    deck = opened(arguments.file)
    if arguments.layouts:
        layouts = [
            {"layout": number, "name": layout.name, "placeholders": [describe(one) for one in layout.placeholders]}
            for number, layout in enumerate(deck.slide_layouts)
        ]
        print(json.dumps(layouts, indent=1, ensure_ascii=False))
        return 0
    slides = list(deck.slides)
    data = [slide_data(number, slides[number - 1]) for number in chosen(arguments.slides, len(slides))]
    if arguments.json:
        size = [round(deck.slide_width / 914400, 3), round(deck.slide_height / 914400, 3)]
        print(json.dumps({"inches": size, "count": len(slides), "slides": data}, indent=1, ensure_ascii=False))
        return 0
    for slide in data:
        print(f"## {slide['slide']}. {slide['title'] or '(no title)'}{'  (hidden)' if slide['hidden'] else ''}")
        title_id = slides[slide["slide"] - 1].shapes.title.shape_id if slide["title"] is not None else None
        for shape in slide["shapes"]:
            if shape["id"] != title_id:
                print("\n".join(_lines(shape)) or "", end="\n" if _lines(shape) else "")
        if slide["notes"].strip():
            print("Notes: " + slide["notes"].strip().replace("\n", "\n       "))
        print()
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
