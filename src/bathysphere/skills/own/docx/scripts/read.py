#!/usr/bin/env python3
"""Print what a Word document says, like Markdown: headings, lists, tables, links, notes, pictures, comments, changes.

Tracked changes are shown as {+inserted+} and {-deleted-}; comments as {comment 3, Ann: …}. --accepted shows the text as
if all were accepted. --numbers puts before each paragraph the number that edit.py wants. --json: paragraphs with
number, style, text; comments; changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from docx.oxml.ns import qn
from ooxml import relationships, run
from stories import Stories, changes, text

_HEADS = {"Title": "# ", "Subtitle": "## "}


class Reader:
    """Turns one document into lines."""

    def __init__(self, stories: Stories, accepted: bool = False, numbers: bool = False) -> None:
        self.stories, self.accepted, self.numbers = stories, accepted, numbers
        document = stories.document
        self.styles = {one.style_id: one for one in document.styles}
        self.links = {key: value[1] for key, value in relationships(stories.parts, "word/document.xml").items()}
        self.number = {element: at for at, element in enumerate(document.element.body.iter(qn("w:p")))}
        self.formats = self._formats()
        self.comments = {}
        for name, root in stories.roots:
            if name == "comments":
                for one in root.iter(qn("w:comment")):
                    said = " / ".join(text(p) for p in one.iter(qn("w:p")))
                    self.comments[one.get(qn("w:id"))] = (one.get(qn("w:author"), ""), one.get(qn("w:date"), ""), said)

    def style(self, paragraph: Any) -> str:
        """The name of a paragraph's style."""
        element = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
        found = self.styles.get(element.get(qn("w:val"))) if element is not None else None
        return str(found.name) if found is not None else "Normal"

    def heading(self, paragraph: Any) -> int | None:
        """A paragraph's level as a heading, from 1."""
        outline = self._property(paragraph, "outlineLvl")
        if outline is not None and int(outline.get(qn("w:val"))) < 9:
            return int(outline.get(qn("w:val"))) + 1
        name = self.style(paragraph)
        return int(name[8:]) if name.startswith("Heading ") and name[8:].isdigit() else None

    def item(self, paragraph: Any) -> tuple[int, bool] | None:
        """(level, whether it is numbered) of a paragraph in a list."""
        found = self._property(paragraph, "numPr")
        if found is None:
            return None
        level, identifier = found.find(qn("w:ilvl")), found.find(qn("w:numId"))
        at = int(level.get(qn("w:val"))) if level is not None else 0
        number = identifier.get(qn("w:val")) if identifier is not None else None
        if number is None or number == "0":
            return None
        return at, self.formats.get((number, at), "bullet") not in ("bullet", "none")

    def lines(self, root: Any) -> list[str]:
        """A body, a cell, a header."""
        lines: list[str] = []
        for element in root:
            if element.tag == qn("w:p"):
                lines += self.paragraph(element)
            elif element.tag == qn("w:tbl"):
                lines += self.table(element)
            elif element.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:customXml")):
                lines += self.lines(element)
        return lines

    def paragraph(self, element: Any) -> list[str]:
        """A paragraph; none when it is empty."""
        said = self.inline(element).strip()
        mark = f"[{self.number[element]}] " if self.numbers and element in self.number else ""
        if not said:
            return [mark + "(empty)"] if mark else []
        if said.startswith("[page break]\n"):
            mark, said = f"[page break]\n{mark}", said.partition("\n")[2].strip()
        level, item = self.heading(element), self.item(element)
        if level is not None:
            head = "#" * min(level + 1, 6) + " "
        elif item is not None:
            head = "  " * item[0] + ("1. " if item[1] else "- ")
        else:
            head = _HEADS.get(self.style(element), "> " if "Quote" in self.style(element) else "")
        return [mark + head + said] if item is not None else [mark + head + said, ""]

    def table(self, element: Any) -> list[str]:
        """A table; cells that go over several columns are followed by empty ones."""
        rows = []
        for row in element.iter(qn("w:tr")):
            if _owner(row, "w:tbl") is not element:
                continue
            cells = []
            for cell in row.iter(qn("w:tc")):
                if _owner(cell, "w:tr") is not row:
                    continue
                said = " / ".join(line.strip() for line in self.lines(cell) if line.strip())
                cells.append(said.replace("|", "\\|"))
                span = cell.find(f"{qn('w:tcPr')}/{qn('w:gridSpan')}")
                cells += [""] * (int(span.get(qn("w:val"))) - 1 if span is not None else 0)
            rows.append("| " + " | ".join(cells) + " |")
        if rows:
            rows.insert(1, "|" + " --- |" * max(1, rows[0].count(" | ") + 1))
        return [*rows, ""]

    def inline(self, element: Any) -> str:
        """The text within an element, with the marks of changes, comments, notes and links."""
        said = ""
        for child in element:
            tag = child.tag
            if tag == qn("w:r"):
                said += self._run(child)
            elif tag in (qn("w:ins"), qn("w:moveTo")):
                inner = self.inline(child)
                said += inner if self.accepted or not inner else f"{{+{inner}+}}"
            elif tag in (qn("w:del"), qn("w:moveFrom")):
                inner = self.inline(child)
                said += "" if self.accepted or not inner else f"{{-{inner}-}}"
            elif tag == qn("w:hyperlink"):
                target = self.links.get(child.get(qn("r:id"), ""), "")
                inner = self.inline(child)
                said += f"[{inner}]({target})" if target else inner
            elif tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:smartTag"), qn("w:fldSimple")):
                said += self.inline(child)
        return said

    def _run(self, run: Any) -> str:
        said = ""
        for child in run:
            name = child.tag.rpartition("}")[2]
            if name in ("t", "delText"):
                said += child.text or ""
            elif name in ("tab", "br", "cr"):
                said += {"tab": "\t"}.get(name, "\n" if child.get(qn("w:type")) != "page" else "\n[page break]\n")
            elif name == "noBreakHyphen":
                said += "-"
            elif name in ("footnoteReference", "endnoteReference"):
                said += f"[^{name[0]}{child.get(qn('w:id'))}]"
            elif name == "commentReference":
                author, _, words = self.comments.get(child.get(qn("w:id")), ("", "", "?"))
                said += f" {{comment {child.get(qn('w:id'))}, {author}: {words}}}"
            elif name in ("drawing", "pict", "object"):
                described = [one.get("descr") for one in child.iter() if one.tag.endswith("}docPr")]
                if any(one.tag.endswith(("}blip", "}imagedata")) for one in child.iter()):
                    said += f"[picture: {next(iter(described), None) or 'no alternative text'}]"
                boxes = [one for one in child.iter(qn("w:txbxContent")) if one.getparent().tag.endswith("}txbx")]
                said += "".join(f"[text box: {' / '.join(text(p) for p in box.iter(qn('w:p')))}]" for box in boxes)
        return said

    def _property(self, paragraph: Any, name: str) -> Any:
        properties = paragraph.find(qn("w:pPr"))
        if properties is not None and properties.find(qn(f"w:{name}")) is not None:
            return properties.find(qn(f"w:{name}"))
        kind = properties.find(qn("w:pStyle")) if properties is not None else None
        style = self.styles.get(kind.get(qn("w:val"))) if kind is not None else None
        for _ in range(20):
            if style is None:
                return None
            found = style.element.find(f"{qn('w:pPr')}/{qn(f'w:{name}')}")
            if found is not None:
                return found
            style = style.base_style
        return None

    def _formats(self) -> dict[tuple[str, int], str]:
        part = next(
            (
                one
                for one in self.stories.document.part.package.iter_parts()
                if str(one.partname) == "/word/numbering.xml"
            ),
            None,
        )
        if part is None:
            return {}
        abstract = {
            one.get(qn("w:abstractNumId")): {
                int(level.get(qn("w:ilvl"))): kind.get(qn("w:val"))
                for level in one.iter(qn("w:lvl"))
                if (kind := level.find(qn("w:numFmt"))) is not None
            }
            for one in part.element.iter(qn("w:abstractNum"))
        }
        return {
            (one.get(qn("w:numId")), level): kind
            for one in part.element.iter(qn("w:num"))
            for level, kind in abstract.get(one.find(qn("w:abstractNumId")).get(qn("w:val")), {}).items()
        }


def _owner(element: Any, tag: str) -> Any:
    return next(element.iterancestors(qn(tag)), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--accepted", action="store_true", help="as if all tracked changes were accepted")
    parser.add_argument("--numbers", action="store_true", help="with the numbers of the paragraphs, for edit.py")
    parser.add_argument("--changes", action="store_true", help="only the list of tracked changes and comments")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    stories = Stories(arguments.file)
    reader = Reader(stories, arguments.accepted, arguments.numbers)
    changed = [(name, *one) for name, root in stories.roots for one in changes(root)]
    if arguments.json:
        data = {
            "title": stories.document.core_properties.title,
            "paragraphs": [
                {"number": at, "style": reader.style(one), "heading": reader.heading(one), "text": text(one),
                 "in_table": _owner(one, "w:tbl") is not None} for one, at in reader.number.items()
            ],
            "comments": [{"id": key, "author": a, "date": d, "text": t} for key, (a, d, t) in reader.comments.items()],
            "changes": [dict(zip(("story", "kind", "author", "date", "text"), one, strict=True)) for one in changed],
        }  # fmt: skip
        print(json.dumps(data, indent=1, ensure_ascii=False))
        return 0
    if arguments.changes:
        for name, kind, author, date, said in changed:
            print(f"{kind} by {author} {date} in {name}: {said!r}")
        for key, (author, date, said) in reader.comments.items():
            print(f"comment {key} by {author} {date}: {said}")
        print(f"{len(changed)} changes, {len(reader.comments)} comments")
        return 0
    print("\n".join(reader.lines(stories.document.element.body)).strip())
    for name, root in stories.roots:
        if name in ("footnotes", "endnotes"):
            for one in root:
                if one.get(qn("w:type")) is None:
                    print(
                        f"[^{name[0]}{one.get(qn('w:id'))}]: {' '.join(text(p) for p in one.iter(qn('w:p'))).strip()}"
                    )
        elif name.startswith(("header", "footer")):
            said = " / ".join(line for line in (text(p).strip() for p in root.iter(qn("w:p"))) if line)
            if said:
                print(f"({name}: {said})")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
