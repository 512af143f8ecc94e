"""Makes Word documents from styles: headings, lists, tables, pictures, captions, contents, headers and footers.

    import sys; sys.path.insert(0, "/skills/docx/scripts")
    from document import Document
    doc = Document("Annual report", author="", header="Harbour Museum", page_numbers=True)
    doc.title("Annual report", "2025")
    doc.contents()
    doc.heading("Visitors"); doc.text("Visits **grew** by 12 %, see [the site](https://example.org).")
    doc.markdown("## Income\n\n| Source | 2025 |\n|---|---|\n| Tickets | 468,000 |\n")
    doc.save("/path/report.docx")

Texts may hold **bold**, *italic*, `code` and [links](https://…). What is not a document's structure is nobody's direct
formatting: every look is a style, so that the user changes it in one place. Measures are centimetres.
"""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docx
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm
from PIL import Image
from styles import PALETTES, Look

PAGES = {"A4": (21.0, 29.7), "Letter": (21.59, 27.94), "A5": (14.8, 21.0)}
_INLINE = re.compile(
    r"(?P<code>`[^`]+`)|(?P<bold>\*\*(?=\S).+?(?<=\S)\*\*)|(?P<italic>(?<![\w*])\*(?=\S)[^*]+?(?<=\S)\*(?![\w*]))"
    r"|(?P<link>\[[^\]]+\]\([^)\s]+\))"
)
Items = Sequence[Any]


class Document:
    """A document in the making. ``docx`` is the python-docx document: use it for whatever has no method here."""

    def __init__(
        self,
        title: str,
        *,
        author: str = "",
        page: str = "A4",
        landscape: bool = False,
        margin: float = 2.5,
        font: str = "Calibri",
        size: float = 11,
        palette: str = "ocean",
        language: str = "en-US",
        header: str = "",
        footer: str = "",
        page_numbers: bool = True,
        page_words: tuple[str, str] = ("Page", "of"),
    ) -> None:
        self.docx = docx.Document()
        if palette not in PALETTES or page not in PAGES:
            raise ValueError(f"palettes: {', '.join(PALETTES)}; pages: {', '.join(PAGES)}")
        core = self.docx.core_properties
        core.title, core.author, core.last_modified_by, core.comments, core.language = (
            title,
            author,
            author,
            "",
            language,
        )
        core.created = core.modified = datetime.datetime.now(datetime.UTC)
        section = self.docx.sections[0]
        width, height = PAGES[page]
        if landscape:
            width, height = height, width
            section.orientation = WD_ORIENT.LANDSCAPE
        section.page_width, section.page_height = Cm(width), Cm(height)
        section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Cm(margin)
        section.header_distance = section.footer_distance = Cm(min(1.25, margin / 2))
        self.text_width = width - 2 * margin
        self._headings: list[tuple[int, str, str]] = []
        self._contents: Any = None
        self._entries: list[Any] = []
        self._captions: dict[str, int] = {}
        self._break = False
        look = Look(self.docx, palette, font, size, self.text_width)
        look.apply(language)
        self._number_list = look.number_lists()
        self._margins_text(section, header, footer, page_numbers, page_words)

    # Text

    def title(self, text: str, subtitle: str = "") -> None:
        """The document's title; not a heading, so it is not in the contents."""
        self._inline(self._paragraph(style="Title"), text)
        if subtitle:
            self._inline(self._paragraph(style="Subtitle"), subtitle)

    def heading(self, text: str, level: int = 1) -> Any:
        """A heading of level 1 to 4; a level is not to be left out."""
        if not 1 <= level <= 4:
            raise ValueError("headings have the levels 1 to 4")
        paragraph = self._paragraph(style=f"Heading {level}")
        self._inline(paragraph, text)
        name = f"_Toc{len(self._headings) + 1:06d}"
        self._bookmark(paragraph, name, len(self._headings) + 1)
        self._headings.append((level, paragraph.text, name))
        return paragraph

    def text(self, text: str, style: str = "Normal") -> Any:
        """A paragraph; a line end in it is a line break."""
        paragraph = self._paragraph(style=style)
        self._inline(paragraph, text)
        return paragraph

    def quote(self, text: str) -> Any:
        """A quotation, set in."""
        return self.text(text, "Quote")

    def note(self, text: str) -> Any:
        """What must not be missed: a paragraph on a coloured ground."""
        return self.text(text, "Note")

    def code(self, text: str) -> Any:
        """Lines of a program, as they are."""
        paragraph = self._paragraph(style="Code")
        for number, line in enumerate(text.rstrip("\n").split("\n")):
            run = paragraph.add_run(line)
            if number < text.rstrip("\n").count("\n"):
                run.add_break()
        return paragraph

    def bullets(self, items: Items) -> None:
        """A list; a list within the list belongs to the item before it."""
        self._list(items, "List Bullet", None, 0)

    def numbered(self, items: Items) -> None:
        """A numbered list that begins with 1; a list within it is numbered a, b, c."""
        self._list(items, "List Number", self._new_number(), 0)

    # Tables and pictures

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[Any]],
        widths: Sequence[float] | None = None,
        caption: str = "",
        bold_last: bool = False,
    ) -> Any:
        """A table as wide as the text, its head repeated on each page; columns of numbers are set to the right.

        ``widths`` are relative; without them columns get room as their words need it.
        """
        cells = [[str(value) if value is not None else "" for value in row] for row in (head, *rows)]
        if any(len(row) != len(head) for row in cells):
            raise ValueError(f"every row needs {len(head)} cells, as the head has")
        if caption:
            self._caption("Table", caption, keep=True)
        elif self._break:
            self._paragraph(style="After Table")
        table = self.docx.add_table(len(cells), len(head), style="Report Table")
        table.alignment = WD_TABLE_ALIGNMENT.CENTER
        table.autofit = False
        look = table._tbl.tblPr.find(qn("w:tblLook"))
        if look is not None:
            look.attrib.clear()
            look.set(qn("w:val"), "0460" if bold_last else "0420")
            for name, on in (("firstRow", 1), ("lastRow", int(bold_last)), ("firstColumn", 0), ("noVBand", 1)):
                look.set(qn(f"w:{name}"), str(on))
        share = [part / sum(widths) for part in widths] if widths else _shares(cells)
        width = table._tbl.tblPr.find(qn("w:tblW"))
        if width is None:
            width = OxmlElement("w:tblW")
            table._tbl.tblPr.append(width)
        width.set(qn("w:type"), "dxa")
        width.set(qn("w:w"), str(round(self.text_width * 567)))
        right = [_is_numeric([row[column] for row in cells[1:]]) for column in range(len(head))]
        for column, part in enumerate(share):
            table.columns[column].width = Cm(self.text_width * part)
        for r, row in enumerate(cells):
            element = table.rows[r]._tr.get_or_add_trPr()
            element.append(OxmlElement("w:cantSplit"))
            if r == 0:
                element.append(OxmlElement("w:tblHeader"))
            for c, value in enumerate(row):
                cell = table.cell(r, c)
                cell.width = Cm(self.text_width * share[c])
                paragraph = cell.paragraphs[0]
                paragraph.style = self.docx.styles["Table Text"]
                self._inline(paragraph, value)
                if right[c]:
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
                if r < len(cells) - 1 and len(cells) <= 8:
                    paragraph.paragraph_format.keep_with_next = True
        self._paragraph(style="After Table")
        return table

    def picture(self, path: str | Path, alt: str, width: float | None = None, caption: str = "") -> Any:
        """A picture in the middle, at most as wide as the text and two thirds of a page high."""
        with Image.open(path) as image:
            ratio = image.width / image.height
        section = self.docx.sections[-1]
        high = (section.page_height - section.top_margin - section.bottom_margin) / 360000 * 0.66
        wide = min(width or self.text_width, self.text_width, high * ratio)
        paragraph = self._paragraph(style="Picture")
        shape = paragraph.add_run().add_picture(str(path), width=Cm(wide))
        shape._inline.docPr.set("descr", alt)
        if caption:
            paragraph.paragraph_format.keep_with_next = True
            self._caption("Figure", caption)
        return shape

    # Structure

    def contents(self, title: str = "Contents", levels: int = 3) -> None:
        """A table of contents here. It is filled by save(): with page numbers if LibreOffice is there, else Word adds
        them when it updates the field (it is marked for that)."""
        self._paragraph(title, style="TOC Heading")
        self._contents = (self._paragraph(style="TOC 1"), levels)

    def page_break(self) -> None:
        """The next paragraph begins a page."""
        self._break = True

    def letter_head(self, sender: str, recipient: str, date: str, subject: str) -> None:
        """The beginning of a letter: sender, recipient, date, subject; lines are separated by line ends."""
        self.text(sender, "Sender")
        self.text(recipient, "Address")
        self.text(date, "Letter Date")
        self.text(subject, "Subject")

    def markdown(self, text: str, folder: str | Path = ".") -> None:
        """Markdown: headings, paragraphs, lists, tables, quotes, code, pictures (``![alt](file)``), page breaks."""
        lines = text.split("\n")
        at = 0
        while at < len(lines):
            line = lines[at]
            if not line.strip():
                at += 1
            elif line.startswith("```"):
                end = next((n for n in range(at + 1, len(lines)) if lines[n].startswith("```")), len(lines))
                self.code("\n".join(lines[at + 1 : end]))
                at = end + 1
            elif found := re.match(r"(#{1,4})\s+(.*)", line):
                self.heading(found[2].strip("# "), len(found[1]))
                at += 1
            elif re.fullmatch(r"\s*(-{3,}|\*{3,})\s*", line):
                self.page_break()
                at += 1
            elif found := re.fullmatch(r"!\[([^\]]*)\]\(([^)]+)\)\s*", line):
                self.picture(Path(folder, found[2]), found[1], caption=found[1])
                at += 1
            elif (
                line.lstrip().startswith("|")
                and at + 1 < len(lines)
                and re.fullmatch(r"\s*\|?[\s:|-]+\|?\s*", lines[at + 1])
            ):
                end = next((n for n in range(at, len(lines)) if not lines[n].lstrip().startswith("|")), len(lines))
                rows = [_cells(row) for row in [line, *lines[at + 2 : end]]]
                self.table(rows[0], [(row + [""] * len(rows[0]))[: len(rows[0])] for row in rows[1:]])
                at = end
            elif re.match(r"\s*([-*+]|\d+[.)])\s+", line):
                end = at
                while end < len(lines) and (
                    re.match(r"\s*([-*+]|\d+[.)])\s+", lines[end]) or re.match(r"\s{2,}\S", lines[end])
                ):
                    end += 1
                items = _nested(lines[at:end])
                (self.numbered if re.match(r"\s*\d", line) else self.bullets)(items)
                at = end
            elif line.startswith(">"):
                end = next((n for n in range(at, len(lines)) if not lines[n].startswith(">")), len(lines))
                self.quote(" ".join(one.lstrip("> ") for one in lines[at:end]))
                at = end
            else:
                stop = r"(#{1,4}\s|```|>|\s*([-*+]|\d+[.)])\s|\s*\||\s*$)"
                end = next((n for n in range(at + 1, len(lines)) if re.match(stop, lines[n])), len(lines))
                self.text(" ".join(one.strip() for one in lines[at:end]))
                at = end

    def save(self, path: str | Path) -> Path:
        """Write the document and return where."""
        path = Path(path)
        if self._contents is not None:
            pages: dict[str, int] = {}
            if shutil.which("soffice"):
                # With numbers, so that no line of the contents reads as a heading does.
                self._fill_contents({name: 0 for _, _, name in self._headings})
                pages = self._pages()
            self._fill_contents(pages)
        self.docx.save(str(path))
        return path

    # How it is done

    def _paragraph(self, text: str = "", style: str = "Normal") -> Any:
        paragraph = self.docx.add_paragraph(text, style=style)
        if self._break:
            paragraph.paragraph_format.page_break_before, self._break = True, False
        return paragraph

    def _inline(self, paragraph: Any, text: str) -> None:
        at = 0
        for found in _INLINE.finditer(text):
            self._plain(paragraph, text[at : found.start()])
            kind, content = found.lastgroup, found.group()
            if kind == "bold":
                paragraph.add_run(content[2:-2], style="Strong")
            elif kind == "italic":
                paragraph.add_run(content[1:-1], style="Emphasis")
            elif kind == "code":
                paragraph.add_run(content[1:-1], style="Code Character")
            else:
                label, _, target = content[1:-1].partition("](")
                self._link(paragraph, label, target)
            at = found.end()
        self._plain(paragraph, text[at:])

    def _plain(self, paragraph: Any, text: str) -> None:
        if text:
            paragraph.add_run(text)

    def _link(self, paragraph: Any, label: str, target: str) -> None:
        link = OxmlElement("w:hyperlink")
        if target.startswith("#"):
            link.set(qn("w:anchor"), target[1:])
        else:
            link.set(qn("r:id"), paragraph.part.relate_to(target, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
        run = paragraph.add_run(label, style="Hyperlink")
        link.append(run._r)
        paragraph._p.append(link)

    def _list(self, items: Items, style: str, number: int | None, level: int) -> None:
        for item in items:
            if isinstance(item, str):
                paragraph = self._paragraph(style=style if level == 0 else f"{style} {min(level, 2) + 1}")
                self._inline(paragraph, item)
                if number is not None:
                    properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()
                    properties.get_or_add_ilvl().val = min(level, 2)
                    properties.get_or_add_numId().val = number
            else:
                self._list(item, style, number, level + 1)

    def _caption(self, word: str, text: str, keep: bool = False) -> None:
        number = self._captions[word] = self._captions.get(word, 0) + 1
        paragraph = self._paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = keep or None
        paragraph.add_run(f"{word} ")
        _field(paragraph, f"SEQ {word} \\* ARABIC", str(number))
        self._inline(paragraph, f". {text}")

    def _bookmark(self, paragraph: Any, name: str, identifier: int) -> None:
        start, end = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
        for one in (start, end):
            one.set(qn("w:id"), str(identifier))
        start.set(qn("w:name"), name)
        paragraph._p.insert(1 if paragraph._p.pPr is not None else 0, start)
        paragraph._p.append(end)

    def _fill_contents(self, pages: dict[str, int]) -> None:
        first, levels = self._contents
        for element in self._entries:
            element.getparent().remove(element)
        for child in list(first._p):
            if child.tag != qn("w:pPr"):
                first._p.remove(child)
        self._entries = []
        paragraph = first
        paragraph.add_run()._r.append(_field_character("begin", dirty=not pages))
        paragraph.add_run()._r.append(_instruction(f'TOC \\o "1-{levels}" \\h \\z \\u'))
        paragraph.add_run()._r.append(_field_character("separate"))
        for number, (level, text, name) in enumerate(one for one in self._headings if one[0] <= levels):
            if number:
                element = OxmlElement("w:p")
                paragraph._p.addnext(element)
                self._entries.append(element)
                paragraph = type(first)(element, first._parent)
            paragraph.style = self.docx.styles[f"TOC {min(level, 3)}"]
            link = OxmlElement("w:hyperlink")
            link.set(qn("w:anchor"), name)
            link.append(paragraph.add_run(text)._r)
            if pages:
                link.append(paragraph.add_run(f"\t{pages.get(name, '')}")._r)
            paragraph._p.append(link)
        paragraph.add_run()._r.append(_field_character("end"))

    def _pages(self) -> dict[str, int]:
        """The page of each heading, as LibreOffice breaks pages; empty when that fails."""
        from convert import convert

        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder, "draft.docx")
            self.docx.save(str(draft))
            try:
                pdf = convert(draft, "pdf", Path(folder))
                argv = ["pdftotext", "-layout", str(pdf), "-"]
                text = subprocess.run(argv, capture_output=True, check=True).stdout.decode("utf-8", "replace")
            except Exception as error:
                print(f"the contents have no page numbers yet: {error}", file=sys.stderr)
                return {}
        pages, at = {}, 0
        content = [[" ".join(line.split()) for line in page.split("\n")] for page in text.split("\f")]
        for _, heading, name in self._headings:
            wanted = " ".join(heading.split())
            at = next(
                (n for n in range(at, len(content)) if any(line and wanted.startswith(line) for line in content[n])), at
            )
            pages[name] = at + 1
        return pages

    def _new_number(self) -> int:
        numbering = self.docx.part.numbering_part.element
        number = numbering.add_num(self._number_list)
        for level in range(3):
            number.add_lvlOverride(level).add_startOverride(1)
        return int(number.numId)

    def _margins_text(self, section: Any, header: str, footer: str, numbers: bool, words: tuple[str, str]) -> None:
        if header:
            section.header.paragraphs[0].text = header
        if footer or numbers:
            paragraph = section.footer.paragraphs[0]
            stops = paragraph.paragraph_format.tab_stops
            stops.clear_all()
            stops.add_tab_stop(Cm(self.text_width), WD_TAB_ALIGNMENT.RIGHT)
            paragraph.add_run(footer)
            if numbers:
                paragraph.add_run(f"\t{words[0]} ")
                _field(paragraph, "PAGE", "1")
                paragraph.add_run(f" {words[1]} ")
                _field(paragraph, "NUMPAGES", "1")


def _field_character(kind: str, dirty: bool = False) -> Any:
    character = OxmlElement("w:fldChar")
    character.set(qn("w:fldCharType"), kind)
    if dirty:
        character.set(qn("w:dirty"), "true")
    return character


def _instruction(text: str) -> Any:
    instruction = OxmlElement("w:instrText")
    instruction.set(qn("xml:space"), "preserve")
    instruction.text = f" {text} "
    return instruction


def _field(paragraph: Any, instruction: str, result: str) -> None:
    paragraph.add_run()._r.append(_field_character("begin"))
    paragraph.add_run()._r.append(_instruction(instruction))
    paragraph.add_run()._r.append(_field_character("separate"))
    paragraph.add_run(result)
    paragraph.add_run()._r.append(_field_character("end"))


def _cells(line: str) -> list[str]:
    return [
        cell.strip().replace("\\|", "|")
        for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
    ]


def _nested(lines: list[str]) -> list[Any]:
    """Lists of Markdown lines as lists in lists."""
    root: list[Any] = []
    stack: list[tuple[int, list[Any]]] = [(-1, root)]
    for line in lines:
        found = re.match(r"(\s*)(?:[-*+]|\d+[.)])\s+(.*)", line)
        if found is None:
            if stack[-1][1] and isinstance(stack[-1][1][-1], str):
                stack[-1][1][-1] += " " + line.strip()
            continue
        indent = len(found[1].expandtabs(4))
        while len(stack) > 1 and indent < stack[-1][0]:
            stack.pop()
        if indent > stack[-1][0]:
            inner = root if len(stack) == 1 else []
            if inner is not root:
                stack[-1][1].append(inner)
            stack.append((indent, inner))
        stack[-1][1].append(found[2])
    return root


def _shares(cells: list[list[str]]) -> list[float]:
    """Widths by what the columns hold: at least their longest word, at most a half more than the average of them."""
    needs = [
        max(
            max((len(word) for value in column for word in value.split()), default=1), min(max(map(len, column)), 40), 4
        )
        for column in zip(*cells, strict=True)
    ]
    return [need / sum(needs) for need in needs]


def _is_numeric(values: list[str]) -> bool:
    plain = [re.sub(r"[\s%€$£¥+\-−–.,'()*]", "", value) for value in values if value.strip(" -–—")]
    return bool(plain) and all(value.isdigit() for value in plain)
