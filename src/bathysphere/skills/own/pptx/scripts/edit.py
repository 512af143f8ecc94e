#!/usr/bin/env python3
"""Change a presentation without losing how it looks; the result is a new file.

edit.py replace IN OUT OLD NEW [--slides 2,4]     text, also where it spans several runs, in tables and notes too
edit.py fill IN OUT VALUES.json                   {"name": "text"} goes where {{name}} stands
edit.py set IN OUT --slide 3 --shape 5 TEXT       the whole text of a shape (id or name); lines are paragraphs
edit.py picture IN OUT --slide 3 --shape 7 FILE   another picture in the same place, cropped to it
edit.py order IN OUT 1,3,2,2                      the slides of the result: reorder, delete, repeat (repeat copies)
edit.py notes IN OUT --slide 3 TEXT
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ooxml import Problem, destination, run
from PIL import Image
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml.ns import qn
from read import chosen, opened

_PRESENT = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def paragraphs(slide: Any, notes: bool = True) -> Iterator[Any]:
    """Every paragraph element of a slide: shapes, groups, tables, and its notes."""
    yield from slide._element.iter(qn("a:p"))
    if notes and slide.has_notes_slide:
        yield from slide.notes_slide._element.iter(qn("a:p"))


def replace_in_paragraph(paragraph: Any, old: str, new: str) -> int:
    """Replace a text wherever it stands in a paragraph; what is new looks as the first replaced character did."""
    texts = [one for run_element in paragraph.findall(qn("a:r")) for one in run_element.findall(qn("a:t"))]
    whole = "".join(text.text or "" for text in texts)
    count, at = 0, whole.find(old)
    while at >= 0:
        position = 0
        for text in texts:
            content = text.text or ""
            start, end = at - position, at + len(old) - position
            position += len(content)
            if end <= 0 or start >= len(content):
                continue
            text.text = content[: max(start, 0)] + (new if start >= 0 else "") + content[end:]
        count += 1
        whole = "".join(text.text or "" for text in texts)
        at = whole.find(old, at + len(new))
    return count


def set_text(frame: Any, text: str) -> None:
    """The whole text of a frame; each paragraph keeps the look of the one that was there, then of the last."""
    body = frame._txBody
    old = list(body.findall(qn("a:p")))
    for number, line in enumerate(text.split("\n")):
        model = copy.deepcopy(old[min(number, len(old) - 1)])
        runs = model.findall(qn("a:r"))
        for other in [*runs[1:], *model.findall(qn("a:br")), *model.findall(qn("a:fld"))]:
            model.remove(other)
        if runs:
            runs[0].find(qn("a:t")).text = line
        elif line:
            end = model.find(qn("a:endParaRPr"))
            one = model.makeelement(qn("a:r"))
            if end is not None:
                look = copy.deepcopy(end)
                look.tag = qn("a:rPr")
                one.append(look)
            one.append(one.makeelement(qn("a:t")))
            one[-1].text = line
            model.insert(len(model) - (1 if end is not None else 0), one)
        body.append(model)
    for paragraph in old:
        body.remove(paragraph)


def find_shape(slide: Any, wanted: str) -> Any:
    """A shape by its id or name, also within groups. Raises Problem."""

    def walk(shapes: Any) -> Iterator[Any]:
        for shape in shapes:
            yield shape
            if hasattr(shape, "shapes"):
                yield from walk(shape.shapes)

    every = list(walk(slide.shapes))
    found = [shape for shape in every if str(shape.shape_id) == wanted] or [
        shape for shape in every if shape.name == wanted
    ]
    if len(found) != 1:
        there = ", ".join(f"{shape.shape_id} {shape.name!r}" for shape in every)
        raise Problem(f"{len(found) or 'no'} shapes are called {wanted!r}; there are: {there}")
    return found[0]


def duplicate(deck: Any, slide: Any) -> Any:
    """A copy of a slide at the end of the deck, with its pictures, its own copies of charts, and its notes."""
    new = deck.slides.add_slide(slide.slide_layout)
    tree = new.shapes._spTree
    for child in list(tree)[2:]:
        tree.remove(child)
    ids: dict[str, str] = {}
    for identifier, relation in slide.part.rels.items():
        kind = relation.reltype.rpartition("/")[2]
        if kind in ("slideLayout", "notesSlide", "comments"):
            continue
        if relation.is_external:
            ids[identifier] = new.part.rels.get_or_add_ext_rel(relation.reltype, relation.target_ref)
        elif kind == "chart":
            ids[identifier] = new.part.relate_to(_copied(relation.target_part, deck), relation.reltype)
        else:
            ids[identifier] = new.part.relate_to(relation.target_part, relation.reltype)
    for name in (qn("p:bg"),):
        ground = slide._element.cSld.find(name)
        if ground is not None:
            new._element.cSld.insert(0, copy.deepcopy(ground))
    for child in list(slide.shapes._spTree)[2:]:
        tree.append(copy.deepcopy(child))
    for element in new._element.iter():
        for name, value in element.attrib.items():
            if name.startswith(_PRESENT) and value in ids:
                element.set(name, ids[value])
    for name in ("p:transition", "p:timing"):
        extra = slide._element.find(qn(name))
        if extra is not None:
            new._element.append(copy.deepcopy(extra))
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        new.notes_slide.notes_text_frame.text = slide.notes_slide.notes_text_frame.text
    return new


def _copied(part: Any, deck: Any) -> Any:
    """A part with its own workbook, so that the data of a copied chart can be changed alone."""
    package = deck.part.package
    taken = {str(one.partname) for one in package.iter_parts()}
    folder, _, name = str(part.partname).rpartition("/")
    stem, _, suffix = name.rpartition(".")
    stem = stem.rstrip("0123456789")
    number = next(n for n in range(1, 100_000) if f"{folder}/{stem}{n}.{suffix}" not in taken)
    new = type(part).load(PackURI(f"{folder}/{stem}{number}.{suffix}"), part.content_type, package, part.blob)
    for identifier, relation in part.rels.items():
        if relation.is_external:
            made = new.rels.get_or_add_ext_rel(relation.reltype, relation.target_ref)
        else:
            target = relation.target_part
            own = _copied_blob(target, package, taken) if relation.reltype.endswith("/package") else target
            made = new.relate_to(own, relation.reltype)
        if made != identifier:
            # Kept apart from ids that are still to be replaced.
            for element in new._element.iter():
                for key, value in element.attrib.items():
                    if key.startswith(_PRESENT) and value == identifier:
                        element.set(key, made + "~")
    for element in new._element.iter():
        for key, value in element.attrib.items():
            if key.startswith(_PRESENT) and value.endswith("~"):
                element.set(key, value[:-1])
    return new


def _copied_blob(part: Any, package: Any, taken: set[str]) -> Part:
    folder, _, name = str(part.partname).rpartition("/")
    suffix = name.rpartition(".")[2]
    number = next(n for n in range(1, 100_000) if f"{folder}/copy{n}.{suffix}" not in taken)
    return type(part)(PackURI(f"{folder}/copy{number}.{suffix}"), part.content_type, package, part.blob)


def order(deck: Any, numbers: list[int]) -> None:
    """Make the deck consist of these of its slides, in this order; one that is named again is copied."""
    slides, ids = list(deck.slides), deck.slides._sldIdLst
    entries = list(ids)
    used: set[int] = set()
    wanted = []
    for number in numbers:
        if number in used:
            duplicate(deck, slides[number - 1])
            wanted.append(list(ids)[-1])
        else:
            used.add(number)
            wanted.append(entries[number - 1])
    for entry in list(ids):
        ids.remove(entry)
    for entry in wanted:
        ids.append(entry)
    for number, entry in enumerate(entries, 1):
        if number not in used:
            # Without the relationship the slide is not saved either.
            deck.part.drop_rel(entry.rId)
    sections = deck._element.xpath('//*[local-name()="sectionLst"]/..')
    for one in sections:
        one.getparent().remove(one)


def _picture(slide: Any, shape: Any, file: Path) -> None:
    try:
        with Image.open(file) as image:
            ratio = image.width / image.height
    except OSError as error:
        raise Problem(f"{file} is no picture that opens: {error}") from error
    if not hasattr(shape, "crop_left"):
        raise Problem(f"{shape.name!r} is no picture")
    _, identifier = slide.part.get_or_add_image_part(str(file))
    shape._element.blipFill.blip.set(_PRESENT + "embed", identifier)
    place = shape.width / shape.height
    shape.crop_left = shape.crop_right = max(0.0, (1 - place / ratio) / 2)
    shape.crop_top = shape.crop_bottom = max(0.0, (1 - ratio / place) / 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (
        ("replace", ("old", "new")), ("fill", ("values",)), ("set", ("text",)),
        ("picture", ("file",)), ("order", ("numbers",)), ("notes", ("text",)),
    ):  # fmt: skip
        command = commands.add_parser(name)
        for word in ("input", "output", *words):
            command.add_argument(word)
        if name == "replace":
            command.add_argument("--slides", help="only these, as in 1,3-5")
        if name in ("set", "picture", "notes"):
            command.add_argument("--slide", type=int, required=True)
        if name in ("set", "picture"):
            command.add_argument("--shape", required=True, help="id or name, as read.py --json tells")
    arguments = parser.parse_args()
    source = Path(arguments.input)
    deck = opened(source)
    output = destination(Path(arguments.output), source)
    slides = list(deck.slides)
    said = ""
    slide = slides[chosen(str(arguments.slide), len(slides))[0] - 1] if hasattr(arguments, "slide") else None
    match arguments.command:
        case "replace":
            if not arguments.old:
                raise Problem("the text to replace is empty")
            targets = [slides[number - 1] for number in chosen(arguments.slides, len(slides))]
            count = sum(
                replace_in_paragraph(p, arguments.old, arguments.new) for one in targets for p in paragraphs(one)
            )
            if not count:
                raise Problem(f"{arguments.old!r} is nowhere in these slides; nothing was written")
            said = f"{count} replaced"
        case "fill":
            try:
                values = json.loads(Path(arguments.values).read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise Problem(f"{arguments.values} holds no JSON that can be read: {error}") from error
            if not isinstance(values, dict):
                raise Problem(f"{arguments.values} holds no JSON object")
            every = [p for one in slides for p in paragraphs(one)]
            counts = {
                name: sum(replace_in_paragraph(p, "{{" + name + "}}", str(value)) for p in every)
                for name, value in values.items()
            }
            unused = [name for name, count in counts.items() if not count]
            said = f"{sum(counts.values())} filled" + (f"; nowhere in the deck: {', '.join(unused)}" if unused else "")
        case "set":
            shape = find_shape(slide, arguments.shape)
            if not shape.has_text_frame:
                raise Problem(f"{shape.name!r} holds no text")
            set_text(shape.text_frame, arguments.text.replace("\\n", "\n"))
        case "picture":
            _picture(slide, find_shape(slide, arguments.shape), Path(arguments.file))
        case "order":
            order(deck, chosen(arguments.numbers, len(slides)))
            said = f"{len(deck.slides)} slides"
        case "notes":
            slide.notes_slide.notes_text_frame.text = arguments.text.replace("\\n", "\n")
    deck.save(str(output))
    print(f"{output}{': ' + said if said else ''}")
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    run(main)
