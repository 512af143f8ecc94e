#!/usr/bin/env python3
"""Change a Word document and keep its formatting; the result is a new file.

    edit.py replace IN OUT OLD NEW [--track] [--first]     across runs; body, tables, headers, footers, notes
    edit.py fill IN OUT VALUES.json                        {"name": "text"} goes where {{name}} stands
    edit.py set IN OUT NUMBER TEXT [--track]               the text of a paragraph (numbers: read.py --numbers)
    edit.py insert IN OUT NUMBER TEXT [--style S] [--track]   a paragraph after that one; line ends: several
    edit.py delete IN OUT NUMBER [--track]
    edit.py comment IN OUT TEXT COMMENT                    a comment on the first place with that text
    edit.py accept IN OUT  |  edit.py reject IN OUT        all tracked changes
--track marks changes as tracked, by --author (default: Reviewer).
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import re
import sys
from pathlib import Path
from typing import Any

from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt
from docx.text.run import Run
from ooxml import Problem, destination, run
from stories import Stories, Tracker, isolate, new_run, numbered, runs, settle, text_of


def replace(paragraph: Any, old: str, new: str, tracker: Tracker | None = None, first: bool = False) -> int:
    """Replace a text in a paragraph, also where it spans several runs; the new has the look of the old's first run."""
    count, at = 0, 0
    while True:
        whole = "".join(text_of(one) for one in runs(paragraph))
        at = whole.find(old, at)
        if at < 0:
            return count
        found = isolate(paragraph, at, at + len(old))
        put(found, new, tracker)
        count += 1
        at += len(new)
        if first:
            return count


def put(found: list[Any], new: str, tracker: Tracker | None) -> None:
    """Put a text in the place of runs."""
    if new:
        made = new_run(found[0], new)
        if tracker is None:
            found[0].addprevious(made)
        else:
            tracker.insert(made, found[-1])
    for one in found:
        if tracker is None:
            one.getparent().remove(one)
        else:
            tracker.delete(one)


def set_paragraph(paragraph: Any, content: str, tracker: Tracker | None = None) -> None:
    """The whole text of a paragraph. Only the words that differ between old and new are changed."""
    old = "".join(text_of(one) for one in runs(paragraph))
    if "\0" in old:
        raise Problem("this paragraph holds a picture, a field or a note: use replace for the words")
    words = [re.findall(r"\s+|\S+", one) for one in (old, content)]
    # From the end, so that the places before stay where they are.
    for kind, first, last, begin, end in reversed(_differences(*words)):
        start, stop = (len("".join(words[0][:at])) for at in (first, last))
        new = "".join(words[1][begin:end])
        if kind != "insert":
            put(isolate(paragraph, start, stop), new, tracker)
        elif before := isolate(paragraph, 0, start):
            made = new_run(before[-1], new)
            if tracker is None:
                before[-1].addnext(made)
            else:
                tracker.insert(made, before[-1])
        else:
            made = new_run(next(iter(runs(paragraph)), None), new)
            if tracker is not None:
                mark = tracker.mark("w:ins")
                mark.append(made)
                made = mark
            paragraph.insert(1 if paragraph.find(qn("w:pPr")) is not None else 0, made)


def _differences(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """What differs between two lists of words; differences with no word in between are one."""
    merged: list[tuple[str, int, int, int, int]] = []
    for kind, *span in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        first, last, begin, end = span
        if kind == "equal":
            continue
        if merged and not "".join(old[merged[-1][2] : first]).strip():
            _, first, _, begin, _ = merged.pop()
        merged.append(("insert" if first == last else "replace", first, last, begin, end))
    return merged


def insert(stories: Stories, after: Any, content: str, style: str | None, tracker: Tracker | None) -> None:
    """Paragraphs after another one; without a style they look as it does (after a heading: as the body)."""
    names = {one.name: one for one in stories.document.styles}
    if style is not None and style not in names:
        raise Problem(f"there is no style {style!r}; there are: {', '.join(sorted(n for n in names if n))}")
    for line in content.split("\n"):
        paragraph = OxmlElement("w:p")
        properties = after.find(qn("w:pPr"))
        if properties is not None:
            own = copy.deepcopy(properties)
            for name in ("w:sectPr", "w:pPrChange", "w:rPr", "w:pageBreakBefore"):
                for one in own.findall(qn(name)):
                    own.remove(one)
            kind = own.find(qn("w:pStyle"))
            if kind is not None and style is None and kind.get(qn("w:val"), "").startswith(("Heading", "Title")):
                own = None
            if own is not None:
                paragraph.append(own)
        like = next(iter(runs(after)), None) if style is None and paragraph.find(qn("w:pPr")) is not None else None
        paragraph.append(new_run(like, line))
        if style is not None:
            properties = paragraph.get_or_add_pPr()
            for one in list(properties):
                properties.remove(one)
            properties.style = names[style].style_id
        after.addnext(paragraph)
        if tracker is not None:
            mark = tracker.mark("w:ins")
            inserted = paragraph.find(qn("w:r"))
            inserted.addprevious(mark)
            mark.append(inserted)
            tracker.paragraph_mark(paragraph, "w:ins")
        after = paragraph


def delete(paragraph: Any, tracker: Tracker | None) -> None:
    """A whole paragraph."""
    if tracker is not None:
        for one in runs(paragraph):
            tracker.delete(one)
        tracker.paragraph_mark(paragraph, "w:del")
        return
    parent = paragraph.getparent()
    if paragraph.find(f"{qn('w:pPr')}/{qn('w:sectPr')}") is not None:
        raise Problem("this paragraph ends a section; deleting it would change the pages before it")
    if parent.tag == qn("w:tc") and len(parent.findall(qn("w:p"))) == 1:
        for one in runs(paragraph, deleted=True):
            one.getparent().remove(one)
        return
    parent.remove(paragraph)


def comment(stories: Stories, words: str, said: str, author: str) -> None:
    """A comment on the first place in the body where the words stand."""
    for paragraph in stories.paragraphs(("document",)):
        at = "".join(text_of(one) for one in runs(paragraph)).find(words)
        if at >= 0:
            found = [Run(one, None) for one in isolate(paragraph, at, at + len(words))]  # type: ignore[arg-type]
            initials = "".join(part[0] for part in author.split())[:3].upper()
            stories.document.add_comment(found, said, author, initials)
            _comment_styles(stories)
            return
    raise Problem(f"{words!r} is nowhere in the body; nothing was written")


def _comment_styles(stories: Stories) -> None:
    # python-docx refers to them, whether they are there or not.
    styles = stories.document.styles
    for name, kind, size in (
        ("annotation reference", WD_STYLE_TYPE.CHARACTER, 8),
        ("annotation text", WD_STYLE_TYPE.PARAGRAPH, 10),
    ):
        identifier = "CommentReference" if kind == WD_STYLE_TYPE.CHARACTER else "CommentText"
        if not any(one.style_id == identifier for one in styles):
            style = styles.add_style(name, kind, builtin=True)
            style.element.set(qn("w:styleId"), identifier)
            style.font.size = Pt(size)


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"{path} holds no JSON that can be read: {error}") from error
    if not isinstance(values, dict):
        raise Problem(f"{path} holds no JSON object")
    return values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("replace", ("old", "new")), ("fill", ("values",)), ("set", ("number", "text")), ("insert", ("number", "text")),
        ("delete", ("number",)), ("comment", ("text", "comment")), ("accept", ()), ("reject", ()),
    ):  # fmt: skip
        command = commands.add_parser(name)
        for word in ("input", "output", *words):
            command.add_argument(word, type=int if word == "number" else str)
        if name in ("replace", "set", "insert", "delete"):
            command.add_argument("--track", action="store_true", help="as a tracked change")
        command.add_argument("--author", default="Reviewer")
        if name == "replace":
            command.add_argument("--first", action="store_true", help="only the first place in each paragraph")
        if name == "insert":
            command.add_argument("--style", help="name of a style")
    arguments = parser.parse_args()
    source = Path(arguments.input)
    stories = Stories(source)
    output = destination(Path(arguments.output), source)
    tracker = Tracker(stories, arguments.author) if getattr(arguments, "track", False) else None
    content = getattr(arguments, "text", "").replace("\\n", "\n")
    said = ""
    match arguments.command:
        case "replace":
            if not arguments.old or set(arguments.old) & set("\n\t"):
                raise Problem("the text to replace must be there, on one line and without tabs")
            count = sum(
                replace(one, arguments.old, arguments.new, tracker, arguments.first) for one in stories.paragraphs()
            )
            if not count:
                raise Problem(f"{arguments.old!r} is nowhere in the document; nothing was written")
            said = f"{count} replaced"
        case "fill":
            counts = {
                name: sum(replace(one, "{{" + name + "}}", str(value)) for one in stories.paragraphs())
                for name, value in _values(Path(arguments.values)).items()
            }
            unused = [name for name, count in counts.items() if not count]
            said = f"{sum(counts.values())} filled" + (f"; nowhere in it: {', '.join(unused)}" if unused else "")
        case "set":
            set_paragraph(numbered(stories, arguments.number), content, tracker)
        case "insert":
            insert(stories, numbered(stories, arguments.number), content, arguments.style, tracker)
        case "delete":
            delete(numbered(stories, arguments.number), tracker)
        case "comment":
            comment(stories, arguments.text, arguments.comment, arguments.author)
        case "accept" | "reject":
            count = sum(settle(root, arguments.command == "accept") for _, root in stories.roots)
            said = f"{count} changes {arguments.command}ed"
    stories.save(output)
    print(f"{output}{': ' + said if said else ''}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
