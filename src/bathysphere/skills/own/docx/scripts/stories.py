"""The parts of a Word document that hold text, and their paragraphs, runs and tracked changes."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docx
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import qn
from lxml import etree
from ooxml import Problem, open_package

_KINDS = ("header", "footer", "footnotes", "endnotes", "comments")
_INSERTED, _DELETED = (qn("w:ins"), qn("w:moveTo")), (qn("w:del"), qn("w:moveFrom"))
_RANGES = tuple(qn(f"w:{kind}Range{end}") for kind in ("moveFrom", "moveTo") for end in ("Start", "End"))
_FORMER = tuple(
    qn(f"w:{name}Change")
    for name in ("rPr", "pPr", "sectPr", "tblPr", "tblGrid", "tcPr", "trPr", "tblPrEx", "numbering")
)


class Stories:
    """A document that is open for reading and changing: its body, headers, footers, notes and comments."""

    def __init__(self, path: Path) -> None:
        self.parts = open_package(path, "word/document.xml")
        self.document = docx.Document(str(path))
        self.roots: list[tuple[str, Any]] = [("document", self.document.element.body)]
        self._write: list[Callable[[], None]] = []
        for part in self.document.part.package.iter_parts():
            name = str(part.partname).rpartition("/")[2].removesuffix(".xml")
            if str(part.partname).startswith("/word/") and name.rstrip("0123456789") in _KINDS:
                self.roots.append((name, self._root(part)))

    def save(self, path: Path) -> None:
        """Write everything to a file."""
        for write in self._write:
            write()
        self.document.save(str(path))

    def _root(self, part: Any) -> Any:
        if hasattr(part, "element"):
            return part.element
        root = parse_xml(part.blob)

        def write() -> None:
            part._blob = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)

        self._write.append(write)
        return root

    def paragraphs(
        self, kinds: tuple[str, ...] = ("document", "header", "footer", "footnotes", "endnotes")
    ) -> Iterator[Any]:
        """Every paragraph element of these stories, also those in tables and text boxes."""
        for name, root in self.roots:
            if name.rstrip("0123456789") in kinds:
                yield from root.iter(qn("w:p"))


def runs(paragraph: Any, deleted: bool = False) -> list[Any]:
    """The runs of a paragraph in order, without those of text boxes in it, and without deleted ones."""
    found = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        if element.tag == qn("w:r"):
            found.append(element)
        elif element.tag in _DELETED and not deleted:
            continue
        elif element.tag in (
            *_INSERTED,
            *_DELETED,
            qn("w:hyperlink"),
            qn("w:smartTag"),
            qn("w:sdt"),
            qn("w:sdtContent"),
            qn("w:fldSimple"),
        ):
            stack += reversed(element)
    return found


def text_of(run: Any) -> str:
    """What a run says; what is no character stands as one control character, so that positions hold."""
    said = []
    for child in run:
        if child.tag == qn("w:t"):
            said.append(child.text or "")
        elif child.tag == qn("w:tab"):
            said.append("\t")
        elif child.tag in (qn("w:br"), qn("w:cr")):
            said.append("\n")
        elif child.tag == qn("w:noBreakHyphen"):
            said.append("‑")
        elif child.tag not in (qn("w:rPr"), qn("w:lastRenderedPageBreak"), qn("w:delText"), qn("w:instrText")):
            said.append("\0")
    return "".join(said)


def text(paragraph: Any) -> str:
    """What a paragraph says with all changes accepted."""
    return "".join(text_of(run) for run in runs(paragraph)).replace("\0", "")


def isolate(paragraph: Any, start: int, end: int) -> list[Any]:
    """Split runs so that some of them hold exactly the characters from start to end; return those."""
    position, found = 0, []
    for run in runs(paragraph):
        length = len(text_of(run))
        if length and position < end and position + length > start:
            wanted = run
            if position < start:
                wanted = split(run, start - position)
                length -= start - position
                position = start
            if position + length > end:
                split(wanted, end - position)
                length = end - position
            found.append(wanted)
        position += length
    return found


def split(run: Any, at: int) -> Any:
    """Divide a run after so many characters; return the second part, which has the same look."""
    second = OxmlElement("w:r")
    if run.find(qn("w:rPr")) is not None:
        second.append(copy.deepcopy(run.find(qn("w:rPr"))))
    position = 0
    for child in list(run):
        if child.tag == qn("w:rPr"):
            continue
        length = len(child.text or "") if child.tag == qn("w:t") else len(text_of(_alone(child)))
        if position >= at:
            second.append(child)
        elif position + length > at:
            content = child.text or ""
            rest = copy.deepcopy(child)
            _put(child, content[: at - position])
            _put(rest, content[at - position :])
            second.append(rest)
        position += length
    run.addnext(second)
    return second


def _alone(child: Any) -> Any:
    run = OxmlElement("w:r")
    run.append(copy.deepcopy(child))
    return run


def _put(element: Any, content: str) -> None:
    element.text = content
    element.set(qn("xml:space"), "preserve")


def new_run(like: Any, content: str) -> Any:
    """A run that looks like another, with a text in which line ends are line breaks."""
    run = OxmlElement("w:r")
    if like is not None and like.find(qn("w:rPr")) is not None:
        run.append(copy.deepcopy(like.find(qn("w:rPr"))))
        for former in run.find(qn("w:rPr")).findall(qn("w:rPrChange")):
            run.find(qn("w:rPr")).remove(former)
    for number, line in enumerate(content.split("\n")):
        if number:
            run.append(OxmlElement("w:br"))
        element = OxmlElement("w:t")
        _put(element, line)
        run.append(element)
    return run


class Tracker:
    """Marks changes as somebody's."""

    def __init__(self, stories: Stories, author: str) -> None:
        self.author = author
        self.date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ids = [
            one.get(qn("w:id"), "")
            for _, root in stories.roots
            for one in root.iter()
            if one.tag in (*_INSERTED, *_DELETED, *_FORMER)
        ]
        self._last: Any = None
        self._next = max((int(one) for one in ids if one.isdigit()), default=900) + 1

    def mark(self, name: str) -> Any:
        """A new w:ins or w:del element."""
        element = OxmlElement(name)
        element.set(qn("w:id"), str(self._next))
        element.set(qn("w:author"), self.author)
        element.set(qn("w:date"), self.date)
        self._next += 1
        return element

    def delete(self, run: Any) -> None:
        """Mark a run as deleted; what the same author only proposed to insert goes wholly, as in Word."""
        parent = run.getparent()
        if parent.tag == qn("w:ins") and parent.get(qn("w:author")) == self.author:
            parent.remove(run)
            if not len(parent):
                parent.getparent().remove(parent)
            return
        mark = run.getprevious()
        if mark is None or mark is not self._last:
            mark = self._last = self.mark("w:del")
            run.addprevious(mark)
        mark.append(run)
        for element in run.findall(qn("w:t")):
            element.tag = qn("w:delText")
            element.set(qn("xml:space"), "preserve")

    def insert(self, run: Any, after: Any) -> None:
        """Put a run after another, marked as inserted."""
        parent = after.getparent()
        if parent.tag == qn("w:ins"):
            if parent.get(qn("w:author")) == self.author:
                after.addnext(run)
                return
            # Somebody else's insertion is divided, so that what is new is not theirs.
            rest = copy.copy(parent)
            for child in list(rest):
                rest.remove(child)
            for child in list(after.itersiblings()):
                rest.append(child)
            if len(rest):
                rest.set(qn("w:id"), self.mark("w:ins").get(qn("w:id")))
                parent.addnext(rest)
            after = parent
        mark = self.mark("w:ins")
        mark.append(run)
        after.addnext(mark)

    def paragraph_mark(self, paragraph: Any, name: str) -> None:
        """Mark a paragraph's end as inserted or deleted."""
        properties = paragraph.get_or_add_pPr()
        look = properties.find(qn("w:rPr"))
        if look is None:
            look = OxmlElement("w:rPr")
            before = next((one for one in properties if one.tag in (qn("w:sectPr"), qn("w:pPrChange"))), None)
            properties.append(look) if before is None else before.addprevious(look)
        look.insert(0, self.mark(name))


def changes(root: Any) -> list[tuple[str, str, str, str]]:
    """(kind, author, date, text) of the tracked changes of a story."""
    found = []
    for element in root.iter():
        kind = {
            **dict.fromkeys(_INSERTED, "inserted"),
            **dict.fromkeys(_DELETED, "deleted"),
            **dict.fromkeys(_FORMER, "formatted"),
        }.get(element.tag)
        if kind is None:
            continue
        said = "".join(one.text or "" for one in element.iter(qn("w:t"), qn("w:delText")))
        parent = element.getparent().tag
        if parent == qn("w:rPr"):
            said = "(end of paragraph)" if kind != "formatted" else said
        elif parent == qn("w:trPr"):
            said = "(row of a table)"
        found.append((kind, element.get(qn("w:author"), ""), element.get(qn("w:date"), ""), said))
    return found


def settle(root: Any, accept: bool) -> int:
    """Accept or reject every tracked change of a story; return how many there were."""
    gone, kept = (_DELETED, _INSERTED) if accept else (_INSERTED, _DELETED)
    count = len(changes(root))
    for row in list(root.iter(qn("w:tr"))):
        properties = row.find(qn("w:trPr"))
        if properties is not None and any(properties.find(tag) is not None for tag in gone):
            row.getparent().remove(row)
    for table in list(root.iter(qn("w:tbl"))):
        if table.find(qn("w:tr")) is None and table.getparent() is not None:
            table.getparent().remove(table)
    for paragraph in list(root.iter(qn("w:p"))):
        look = paragraph.find(f"{qn('w:pPr')}/{qn('w:rPr')}")
        ends = look is not None and any(look.find(tag) is not None for tag in gone)
        for element in list(paragraph.iter(*gone)):
            if element.getparent() is not None and element.getparent().tag not in (qn("w:rPr"), qn("w:trPr")):
                element.getparent().remove(element)
        if ends:
            look.remove(next(one for one in look if one.tag in gone))
            _merge_with_next(paragraph)
    for element in list(root.iter(*kept, *gone)):
        parent = element.getparent()
        if parent.tag not in (qn("w:rPr"), qn("w:trPr")):
            for child in list(element):
                element.addprevious(child)
        parent.remove(element)
    for element in list(root.iter(qn("w:delText"))):
        element.tag = qn("w:t")
    for element in list(root.iter(*_RANGES)):
        element.getparent().remove(element)
    for former in list(root.iter(*_FORMER)):
        owner = former.getparent()
        if accept or not len(former):
            owner.remove(former)
            continue
        old = former[0]
        if owner.tag == qn("w:pPr"):
            # The old properties do not name what belongs to the paragraph's end.
            for name in ("w:rPr", "w:sectPr"):
                if (extra := owner.find(qn(name))) is not None:
                    old.append(extra)
        owner.getparent().replace(owner, old)
    return count


def _merge_with_next(paragraph: Any) -> None:
    following = paragraph.getnext()
    while following is not None and following.tag in (qn("w:bookmarkStart"), qn("w:bookmarkEnd")):
        following = following.getnext()
    content = [child for child in paragraph if child.tag != qn("w:pPr")]
    if following is None or following.tag != qn("w:p"):
        if not any(text_of(run) for run in runs(paragraph)) and _may_go(paragraph):
            paragraph.getparent().remove(paragraph)
        return
    at = 1 if following.find(qn("w:pPr")) is not None else 0
    for number, child in enumerate(content):
        following.insert(at + number, child)
    paragraph.getparent().remove(paragraph)


def _may_go(paragraph: Any) -> bool:
    """Whether a paragraph can be left out: a cell must end with one."""
    parent = paragraph.getparent()
    return parent.tag != qn("w:tc") or len(parent.findall(qn("w:p"))) > 1


def numbered(stories: Stories, number: int) -> Any:
    """The paragraph element of the body with a number that read.py --numbers prints. Raises Problem."""
    every = list(stories.document.element.body.iter(qn("w:p")))
    if not 0 <= number < len(every):
        raise Problem(f"there is no paragraph {number}; the body has 0 to {len(every) - 1}")
    return every[number]
