#!/usr/bin/env python3
"""Open a Word document again and find what is wrong with it.

Errors: broken parts and missing pictures, fields that are unresolved, filler text, tables and pictures wider than the
text, references to styles, lists, comments or bookmarks that are not there. Warnings: headings that skip a level or are
only bold text, empty paragraphs and rows of spaces for layout, hand-made lists, much direct formatting, tables without
a head row, pictures without alternative text, tracked changes and comments left, no page numbers in a long document.
With --render (needs LibreOffice) pages are counted and empty ones found. Status: 0 no errors, 1 errors, 2 no document.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from docx.oxml.ns import qn
from ooxml import Problem, broken_parts, open_package, run
from read import Reader
from stories import Stories, changes, runs, text, text_of

FILLER = re.compile(
    r"\{\{.*?\}\}|lorem ipsum|\bx{3,}\b|\[(insert|your|placeholder|tbd|name|date|address)\b[^\]]*\]|\bTBD\b", re.I
)
FAILED = re.compile(r"Error! |Fehler! |Erreur ?!|¡Error! ")
TWIPS = 635  # EMU per twentieth of a point
_SIMPLE = (
    "PAGE",
    "NUMPAGES",
    "SECTIONPAGES",
    "DATE",
    "TIME",
    "TOC",
    "SEQ",
    "HYPERLINK",
    "TITLE",
    "AUTHOR",
    "FILENAME",
    "STYLEREF",
)


@dataclass(frozen=True)
class Finding:
    """Something wrong. ``paragraph`` is the number that read.py --numbers prints; -1 is the file as a whole."""

    severity: str
    kind: str
    paragraph: int
    message: str


class Check:
    """One look at one file."""

    def __init__(self, path: Path, render: bool = False) -> None:
        self.findings: list[Finding] = []
        self.counts: dict[str, int | None] = {}
        parts = open_package(path, "word/document.xml")
        for part, message in broken_parts(parts):
            self._add("error", "broken-part", -1, f"{part} {message}")
        try:
            self.stories = Stories(path)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            if not self.findings:
                raise Problem(f"{path} cannot be opened: {type(error).__name__}: {error}") from error
            return
        self.reader = Reader(self.stories)
        self.body = self.stories.document.element.body
        self._count(path, render)
        self._paragraphs()
        self._tables()
        self._pictures()
        self._fields()
        self._references(parts)
        self._rest()

    def _add(self, severity: str, kind: str, paragraph: int, message: str) -> None:
        self.findings.append(Finding(severity, kind, paragraph, message))

    def _count(self, path: Path, render: bool) -> None:
        words = sum(len(text(one).split()) for one in self.reader.number)
        tables = sum(1 for _ in self.body.iter(qn("w:tbl")))
        pictures = sum(1 for _ in self.body.iter(qn("a:blip")))
        self.counts = {
            "words": words,
            "paragraphs": len(self.reader.number),
            "tables": tables,
            "pictures": pictures,
            "pages": None,
        }
        if not words and not pictures:
            self._add("error", "nothing", -1, "the document says nothing")
        if not render:
            return
        from convert import MISSING, convert, soffice

        if soffice() is None:
            raise Problem(MISSING)
        with tempfile.TemporaryDirectory() as folder:
            pdf = convert(path, "pdf", Path(folder))
            done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, check=True)
            images = subprocess.run(["pdfimages", "-list", str(pdf)], capture_output=True, check=True).stdout.decode()
        pages = done.stdout.decode("utf-8", "replace").split("\f")[:-1]
        self.counts["pages"] = len(pages)
        repeated = Counter(line.strip() for page in pages for line in set(page.split("\n")))
        for number, page in enumerate(pages, 1):
            own = [
                line for line in page.split("\n") if line.strip() and (repeated[line.strip()] < 2 or len(pages) == 1)
            ]
            own = [line for line in own if not re.fullmatch(r"\D*\d+\D*(\d+)?\D*", line) or len(line.split()) > 8]
            if not own and not re.search(rf"^\s*{number}\s", images, re.MULTILINE) and len(pages) > 1:
                self._add("warning", "empty-page", -1, f"page {number} has nothing on it but header and footer")

    def _paragraphs(self) -> None:
        above, empty, spaced = 0, 0, 0
        last = max(self.reader.number.values(), default=-1)
        direct = styled = 0
        for element, number in self.reader.number.items():
            said = text(element)
            if found := FILLER.search(said):
                severity = "error" if found.group()[0] in "{lL" else "warning"
                self._add(severity, "filler", number, f"still holds {found.group()!r}")
            level = self.reader.heading(element)
            if level is not None and said.strip():
                if level > above + 1:
                    what = f"level {above} comes before it" if above else "it is the first heading"
                    self._add(
                        "warning", "heading-level", number, f"{said[:40]!r} is a heading of level {level}, but {what}"
                    )
                above = level
            elif level is not None:
                self._add(
                    "warning",
                    "empty-heading",
                    number,
                    "is a heading without text: it makes an empty line in the contents",
                )
            if self._is_empty(element):
                empty += 1
                if empty == 2 or (empty == 1 and number == last and number):
                    spaced += 1
                    if empty == 2:
                        self._add(
                            "warning",
                            "empty-paragraphs",
                            number,
                            "empty paragraphs make space; use spacing of the style",
                        )
            else:
                empty = 0
            self._looks(element, number, said, level)
            for one in runs(element):
                length = len(text_of(one).strip())
                look = one.find(qn("w:rPr"))
                is_direct = look is not None and any(
                    look.find(qn(f"w:{name}")) is not None for name in ("rFonts", "sz", "color")
                )
                direct, styled = direct + length * is_direct, styled + length * (not is_direct)
        if direct > 200 and direct > styled * 0.5:
            share = round(100 * direct / (direct + styled))
            self._add(
                "warning",
                "direct-formatting",
                -1,
                f"{share} % of the text has font, size or colour set by hand; use styles",
            )
        if not above and (self.counts["words"] or 0) > 600:
            self._add("warning", "no-headings", -1, "a long document without any heading")

    def _is_empty(self, element: Any) -> bool:
        if text(element).strip() or element.find(f"{qn('w:pPr')}/{qn('w:sectPr')}") is not None:
            return False
        if any(
            True
            for _ in element.iter(
                qn("w:drawing"), qn("w:pict"), qn("w:object"), qn("w:br"), qn("w:fldChar"), qn("w:fldSimple")
            )
        ):
            return False
        before = element.getprevious()
        return element.getparent().tag == qn("w:body") and (before is None or before.tag != qn("w:tbl"))

    def _looks(self, element: Any, number: int, said: str, level: int | None) -> None:
        if re.search(r"\S {4,}\S", said) or said.count("\t") > 3:
            self._add(
                "warning",
                "spaces",
                number,
                f"{said.strip()[:40]!r} is aligned with spaces or tabs; use a table or tab stops",
            )
        listed = self.reader.item(element)
        if listed is None and level is None and re.match(r"\s*([•●▪◦·]|[-*]\s|\d{1,2}[.)]\s+\D|[a-z]\)\s)", said):
            near = [
                one for one in (element.getprevious(), element.getnext()) if one is not None and one.tag == qn("w:p")
            ]
            if any(re.match(r"\s*([•●▪◦·]|[-*]\s|\d{1,2}[.)]\s|[a-z]\)\s)", text(one)) for one in near):
                self._add(
                    "warning",
                    "typed-list",
                    number,
                    f"{said.strip()[:40]!r} has its bullet or number typed; use a list style",
                )
        in_table = next(element.iterancestors(qn("w:tbl")), None) is not None
        if (
            level is None
            and not in_table
            and listed is None
            and 0 < len(said.strip()) < 70
            and self.reader.style(element) == "Normal"
        ):
            visible = [one for one in runs(element) if text_of(one).strip()]
            bold = [_is_on(one.find(f"{qn('w:rPr')}/{qn('w:b')}")) for one in visible]
            sizes = [one.find(f"{qn('w:rPr')}/{qn('w:sz')}") for one in visible]
            large = [size is not None and int(size.get(qn("w:val"), "0")) >= 26 for size in sizes]
            if visible and said.strip()[-1] not in ".,;:!?" and (all(large) or all(bold)):
                self._add(
                    "warning",
                    "fake-heading",
                    number,
                    f"{said.strip()[:40]!r} looks like a heading but has no heading style",
                )
        for one in runs(element):
            size = one.find(f"{qn('w:rPr')}/{qn('w:sz')}")
            if size is not None and text_of(one).strip() and int(size.get(qn("w:val"), "22")) < 15:
                self._add(
                    "warning",
                    "small-type",
                    number,
                    f"{text_of(one).strip()[:30]!r} is set in {int(size.get(qn('w:val'))) / 2:g} pt",
                )
                break

    def _room(self, element: Any) -> int:
        """The width for text where an element stands, in twips."""
        section = None
        for following in element.itersiblings():
            section = (
                following if following.tag == qn("w:sectPr") else following.find(f"{qn('w:pPr')}/{qn('w:sectPr')}")
            )
            if section is not None:
                break
        if section is None:
            section = next(self.body.iter(qn("w:sectPr")), None)
        size = section.find(qn("w:pgSz")) if section is not None else None
        margin = section.find(qn("w:pgMar")) if section is not None else None
        if size is None or margin is None:
            return 9360
        columns = section.find(qn("w:cols"))
        count = int(columns.get(qn("w:num"), "1")) if columns is not None else 1
        sides = sum(int(float(margin.get(qn(f"w:{name}"), "0"))) for name in ("left", "right", "gutter"))
        return (int(float(size.get(qn("w:w"), "12240"))) - sides) // max(count, 1)

    def _top(self, element: Any) -> Any:
        while element.getparent() is not None and element.getparent().tag != qn("w:body"):
            element = element.getparent()
        return element

    def _tables(self) -> None:
        for at, table in enumerate(self.body.iter(qn("w:tbl")), 1):
            first = next((self.reader.number[one] for one in table.iter(qn("w:p")) if one in self.reader.number), -1)
            if next(table.iterancestors(qn("w:tbl")), None) is None:
                grid = [
                    int(float(one.get(qn("w:w"), "0"))) for one in table.findall(f"{qn('w:tblGrid')}/{qn('w:gridCol')}")
                ]
                declared = table.find(f"{qn('w:tblPr')}/{qn('w:tblW')}")
                kind = declared.get(qn("w:type"), "auto") if declared is not None else "auto"
                width = max(sum(grid), int(float(declared.get(qn("w:w"), "0"))) if kind == "dxa" else 0)
                room = self._room(self._top(table))
                fits = kind == "pct" and int(re.sub(r"\D", "", declared.get(qn("w:w"), "0")) or 0) <= 5000
                if width > room * 1.03 + 150 and not fits:
                    self._add(
                        "error",
                        "wide-table",
                        first,
                        f"table {at} is {width / 567:.1f} cm wide; there is room for {room / 567:.1f}",
                    )
            rows = table.findall(qn("w:tr"))
            counts = {
                sum(_span(cell) for cell in row.findall(qn("w:tc")))
                for row in rows
                if row.find(f"{qn('w:trPr')}/{qn('w:gridBefore')}") is None
            }
            if len(counts) > 1 and not any(True for _ in table.iter(qn("w:gridAfter"), qn("w:sdt"))):
                self._add(
                    "warning",
                    "ragged-table",
                    first,
                    f"table {at} has rows of {', '.join(map(str, sorted(counts)))} columns",
                )
            if (
                len(rows) > 2
                and len(rows[0].findall(qn("w:tc"))) > 1
                and not any(True for _ in rows[0].iter(qn("w:tblHeader")))
            ):
                self._add("warning", "no-head-row", first, f"table {at} has no head row that repeats on each page")

    def _pictures(self) -> None:
        for drawing in self.body.iter(qn("w:drawing")):
            if (
                next(
                    drawing.iterancestors("{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"), None
                )
                is not None
            ):
                continue
            paragraph = next(drawing.iterancestors(qn("w:p")))
            number = self.reader.number.get(paragraph, -1)
            described = next((one for one in drawing.iter(qn("wp:docPr"))), None)
            is_picture = next(drawing.iter(qn("a:blip")), None) is not None
            if (
                is_picture
                and described is not None
                and not (described.get("descr") or described.get("title") or "").strip()
            ):
                self._add(
                    "warning", "no-alt-text", number, f"{described.get('name', 'a picture')} has no alternative text"
                )
            extent = next(drawing.iter(qn("wp:extent")), None)
            inline = next(drawing.iter(qn("wp:inline")), None) is not None
            room = self._room(self._top(paragraph)) * TWIPS
            if extent is not None and inline and int(extent.get("cx", "0")) > room * 1.03:
                wide = int(extent.get("cx")) / 360000
                self._add(
                    "error",
                    "wide-picture",
                    number,
                    f"a picture is {wide:.1f} cm wide; there is room for {room / 360000:.1f}",
                )

    def _fields(self) -> None:
        marks = {one.get(qn("w:name")) for _, root in self.stories.roots for one in root.iter(qn("w:bookmarkStart"))}
        for story, root in self.stories.roots:
            depth, instruction, result, phase, begun, dirty = 0, "", "", "", -1, False
            for element in root.iter():
                if element.tag == qn("w:fldChar"):
                    kind = element.get(qn("w:fldCharType"))
                    if kind == "begin":
                        depth += 1
                        if depth == 1:
                            paragraph = next(element.iterancestors(qn("w:p")), None)
                            begun = self.reader.number.get(paragraph, -1)
                            instruction, result, phase = "", "", "instruction"
                            dirty = element.get(qn("w:dirty")) in ("true", "1")
                    elif kind == "separate" and depth == 1:
                        phase = "result"
                    elif kind == "end":
                        depth -= 1
                        if depth == 0:
                            self._field(story, begun, instruction.strip(), result, marks, dirty)
                        elif depth < 0:
                            self._add("error", "field", -1, f"in {story} a field ends that did not begin")
                            depth = 0
                elif element.tag == qn("w:instrText") and depth == 1:
                    instruction += element.text or ""
                elif element.tag == qn("w:t") and depth and phase == "result":
                    result += element.text or ""
                elif element.tag == qn("w:fldSimple"):
                    said = "".join(one.text or "" for one in element.iter(qn("w:t")))
                    self._field(story, -1, element.get(qn("w:instr"), "").strip(), said, marks, False)
            if depth:
                self._add("error", "field", begun, f"in {story} the field {instruction.strip()[:40]!r} has no end")

    def _field(self, story: str, number: int, instruction: str, result: str, marks: set[Any], dirty: bool) -> None:
        words = instruction.split()
        name = words[0].upper() if words else ""
        if FAILED.search(result):
            self._add("error", "field", number, f"the field {instruction!r} shows {result[:50]!r}")
        elif name in ("REF", "PAGEREF") and len(words) > 1 and words[1] not in marks:
            self._add("error", "field", number, f"the field {instruction!r} refers to a bookmark that is not there")
        elif name == "MERGEFIELD":
            self._add("error", "field", number, f"the merge field {instruction!r} is not filled")
        elif name == "TOC" and not result.strip():
            self._add(
                "error",
                "field",
                number,
                "the table of contents is empty: nothing but Word fills it, when somebody asks it to",
            )
        elif name == "TOC" and dirty:
            self._add("warning", "field", number, "the table of contents gets its page numbers when Word opens it")
        elif name and not result.strip() and name not in _SIMPLE and name not in ("XE", "TC", "RD"):
            self._add("warning", "field", number, f"the field {instruction!r} in {story} has no result")

    def _references(self, parts: dict[str, bytes]) -> None:
        ids = {one.style_id for one in self.stories.document.styles}
        used: dict[str, int] = {}
        for tag in ("w:pStyle", "w:rStyle", "w:tblStyle"):
            for one in self.body.iter(qn(tag)):
                paragraph = next(one.iterancestors(qn("w:p")), None)
                used.setdefault(one.get(qn("w:val"), ""), self.reader.number.get(paragraph, -1))
        for name, number in used.items():
            if name not in ids:
                self._add("warning", "no-such-style", number, f"the style {name!r} is not in the document")
        numbers = set(re.findall(rb'<w:num [^>]*w:numId="(\d+)"', parts.get("word/numbering.xml", b"")))
        for one in self.body.iter(qn("w:numId")):
            value = one.get(qn("w:val"), "0")
            if value != "0" and value.encode() not in numbers:
                paragraph = next(one.iterancestors(qn("w:p")), None)
                self._add(
                    "error",
                    "no-such-list",
                    self.reader.number.get(paragraph, -1),
                    f"the list {value} is not in the document",
                )
        for one in self.body.iter(qn("w:commentReference")):
            if one.get(qn("w:id")) not in self.reader.comments:
                self._add(
                    "error", "no-such-comment", -1, f"the comment {one.get(qn('w:id'))} is referred to, but not there"
                )
        for one in self.body.iter(qn("w:hyperlink")):
            target = one.get(qn("w:anchor"))
            if (
                target
                and target != "_top"
                and not any(m.get(qn("w:name")) == target for m in self.body.iter(qn("w:bookmarkStart")))
            ):
                paragraph = next(one.iterancestors(qn("w:p")), None)
                self._add(
                    "error",
                    "field",
                    self.reader.number.get(paragraph, -1),
                    f"a link leads to the bookmark {target!r}, which is not there",
                )

    def _rest(self) -> None:
        changed = Counter(kind for _, root in self.stories.roots for kind, *_ in changes(root))
        if changed:
            said = ", ".join(f"{count} {kind}" for kind, count in changed.items())
            self._add("warning", "tracked-changes", -1, f"tracked changes are left: {said}")
        if self.reader.comments:
            self._add("warning", "comments", -1, f"{len(self.reader.comments)} comments are left")
        paged = any(
            "PAGE" in (one.text or "") for _, root in self.stories.roots for one in root.iter(qn("w:instrText"))
        )
        paged = paged or any(
            "PAGE" in one.get(qn("w:instr"), "")
            for _, root in self.stories.roots
            for one in root.iter(qn("w:fldSimple"))
        )
        if (self.counts["words"] or 0) > 900 and not paged:
            self._add("warning", "no-page-numbers", -1, "a long document without page numbers")
        if not (self.stories.document.core_properties.title or "").strip():
            self._add("warning", "no-title", -1, "the document's properties have no title")


def _is_on(element: Any) -> bool:
    return element is not None and element.get(qn("w:val"), "1") not in ("0", "false")


def _span(cell: Any) -> int:
    span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
    return int(span.get(qn("w:val"), "1")) if span is not None else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--strict", action="store_true", help="status 1 for warnings too")
    parser.add_argument("--render", action="store_true", help="count the pages, with LibreOffice")
    arguments = parser.parse_args()
    check = Check(arguments.file, arguments.render)
    found = list(dict.fromkeys(sorted(check.findings, key=lambda one: (one.paragraph, one.severity))))
    errors = sum(one.severity == "error" for one in found)
    warnings = len(found) - errors
    if arguments.json:
        report = {"file": str(arguments.file), **check.counts, "errors": errors, "warnings": warnings,
                  "findings": [asdict(one) for one in found]}  # fmt: skip
        print(json.dumps(report, indent=1, ensure_ascii=False))
    else:
        for one in found:
            place = f"paragraph {one.paragraph}: " if one.paragraph >= 0 else ""
            print(f"{one.severity}: {place}{one.message} [{one.kind}]")
        counted = ", ".join(f"{count} {name}" for name, count in check.counts.items() if count is not None)
        if not arguments.render:
            counted += " (pages are counted with --render, where LibreOffice is)"
        print(f"{counted}; {errors} errors, {warnings} warnings")
    return int(bool(errors or (arguments.strict and warnings)))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
