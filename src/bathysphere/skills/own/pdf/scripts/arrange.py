#!/usr/bin/env python3
"""Put pages together, take them apart, turn, stamp, number, lock and unlock them.

    arrange.py merge A.pdf B.pdf ... -o OUT.pdf            with an outline entry for every file
    arrange.py pick IN.pdf --pages 3,1-2 -o OUT.pdf        these pages, in this order
    arrange.py split IN.pdf --every 1 -o FOLDER
    arrange.py rotate IN.pdf --by 90 [--pages 2] -o OUT.pdf
    arrange.py stamp IN.pdf --text "DRAFT" | --with LOGO.pdf [--under] -o OUT.pdf
    arrange.py number IN.pdf -o OUT.pdf [--format "{page} / {pages}"]
    arrange.py encrypt IN.pdf --new-password P [--owner-password O] [--no-print] [--no-copy] -o OUT.pdf
    arrange.py decrypt IN.pdf --password P -o OUT.pdf
    arrange.py describe IN.pdf --title T --author A --subject S -o OUT.pdf

Exit status: 0 done, 2 the files or the call are wrong.
"""

from __future__ import annotations

import io
import math
import secrets
import sys
from pathlib import Path
from typing import Any

import pikepdf
from fields import DEEPEST, fields
from opening import MOST_PAGES, Unreadable, bounded, chosen, edit, program

ACTIONS = ("merge", "pick", "split", "rotate", "stamp", "number", "encrypt", "decrypt", "describe")


def main() -> int:
    parser = program(__doc__)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--pages", help="such as 1-3,7,last (all)")
    parser.add_argument("--password", default="", help="of a locked input")
    parser.add_argument("--every", type=int, default=1, help="split: pages of each part (1)")
    parser.add_argument("--by", type=int, default=90, help="rotate: degrees clockwise")
    parser.add_argument("--text", help="stamp: words across the page")
    parser.add_argument("--with", dest="other", type=Path, help="stamp: the first page of this PDF")
    parser.add_argument("--under", action="store_true", help="stamp: below the content")
    parser.add_argument("--opacity", type=float, default=0.15)
    parser.add_argument("--format", default="{page} / {pages}")
    parser.add_argument("--new-password", default="")
    parser.add_argument("--owner-password", default="", help="encrypt: lifts the restrictions (made up if missing)")
    parser.add_argument("--no-print", action="store_true")
    parser.add_argument("--no-copy", action="store_true")
    for name in ("title", "author", "subject"):
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    if options.action != "merge" and len(options.files) != 1:
        raise Unreadable(f"{options.action} takes one file")
    if options.output.resolve() in [file.resolve() for file in options.files]:
        raise Unreadable("write to another file than the one that is read")
    globals()[f"_{options.action}"](options)
    return 0


def _save(document: Any, options: Any, **more: Any) -> None:
    document.save(options.output, **more)
    print(f"wrote {options.output}: {len(document.pages)} pages")


def _merge(options: Any) -> None:
    whole = pikepdf.new()
    starts = []
    for file in options.files:
        part = edit(file, options.password)
        starts.append((file.stem, len(whole.pages)))
        first = len(whole.pages)
        whole.pages.extend(part.pages)
        if fields(part):
            _bring_form(whole, part, first)
        if len(whole.pages) > MOST_PAGES:
            raise Unreadable(f"together more than {MOST_PAGES} pages")
    with whole.open_outline() as outline:
        outline.root.extend(pikepdf.OutlineItem(title, at) for title, at in starts)
    _save(whole, options)


def _bring_form(whole: Any, part: Any, first: int) -> None:
    """The pages that were copied bring the places of fields; here these become fields of the new document's form."""
    if "/AcroForm" not in whole.Root:
        whole.Root.AcroForm = whole.make_indirect(pikepdf.Dictionary(Fields=pikepdf.Array()))
    form = whole.Root.AcroForm
    for key in ("/DR", "/DA"):
        if key in part.Root.AcroForm and key not in form:
            value = part.Root.AcroForm[key]
            form[key] = whole.copy_foreign(part.make_indirect(value)) if key == "/DR" else value
    names = {str(entry.get("/T", "")) for entry in form.Fields}
    known = {entry.objgen for entry in form.Fields}
    for index in range(first, len(whole.pages)):
        for widget in whole.pages[index].obj.get("/Annots", []):
            root = widget
            for _ in range(DEEPEST):
                if "/Parent" not in root:
                    break
                root = root["/Parent"]
            if root.get("/Subtype", "/Widget") != "/Widget" or root.objgen in known or "/T" not in root:
                continue
            known.add(root.objgen)
            name, number = str(root["/T"]), 2
            while (free := name if number == 2 and name not in names else f"{name}-{number}") in names:
                number += 1
            if free != name:
                print(f"note: a second field {name} is called {free} now", file=sys.stderr)
                root["/T"] = pikepdf.String(free)
            names.add(free)
            form.Fields.append(root)


def _pick(options: Any) -> None:
    source = edit(options.files[0], options.password)
    target = pikepdf.new()
    for index in chosen(options.pages, len(source.pages)):
        target.pages.append(source.pages[index])
    _save(target, options)


def _split(options: Any) -> None:
    if options.every < 1:
        raise Unreadable("--every must be 1 or more")
    source = edit(options.files[0], options.password)
    options.output.mkdir(parents=True, exist_ok=True)
    pages = chosen(options.pages, len(source.pages))
    for at in range(0, len(pages), options.every):
        target = pikepdf.new()
        for index in pages[at : at + options.every]:
            target.pages.append(source.pages[index])
        name = options.output / f"{options.files[0].stem}-{at // options.every + 1:03}.pdf"
        target.save(name)
        print(name)


def _rotate(options: Any) -> None:
    if options.by % 90:
        raise Unreadable("--by must be a multiple of 90")
    document = edit(options.files[0], options.password)
    for index in chosen(options.pages, len(document.pages)):
        document.pages[index].rotate(options.by, relative=True)
    _save(document, options)


def _stamp(options: Any) -> None:
    if bool(options.text) == bool(options.other):
        raise Unreadable("stamp takes either --text or --with")
    document = edit(options.files[0], options.password)
    other = edit(options.other) if options.other else None
    for index in chosen(options.pages, len(document.pages)):
        page = document.pages[index]
        wide, high = _seen(page)
        layer = other or pikepdf.open(_words(options.text, wide, high, options.opacity))
        _put(page, layer.pages[0], options.under)
    _save(document, options)


def _number(options: Any) -> None:
    document = edit(options.files[0], options.password)
    pages = chosen(options.pages, len(document.pages))
    for at, index in enumerate(pages, 1):
        page = document.pages[index]
        wide, high = _seen(page)
        try:
            text = options.format.format(page=at, pages=len(pages))
        except (KeyError, IndexError, ValueError, AttributeError):
            raise Unreadable("--format knows {page} and {pages} only") from None
        _put(page, pikepdf.open(_words(text, wide, high, 1, small=True)).pages[0], False)
    _save(document, options)


def _seen(page: Any) -> tuple[float, float]:
    """Width and height as a reader sees the page."""
    left, low, right, high = (float(edge) for edge in page.cropbox)
    turned = int(page.obj.get("/Rotate", 0)) % 180 == 90
    return (high - low, right - left) if turned else (right - left, high - low)


def _put(page: Any, layer: Any, under: bool) -> None:
    box = pikepdf.Rectangle(*(float(edge) for edge in page.cropbox))
    (page.add_underlay if under else page.add_overlay)(layer, box)


def _words(text: str, wide: float, high: float, opacity: float, small: bool = False) -> io.BytesIO:
    from fonts import register, runs, width
    from reportlab.pdfgen.canvas import Canvas

    register()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(wide, high), initialFontName="Sans")
    canvas.setFillColorRGB(0.35, 0.35, 0.35, alpha=min(1.0, max(0.02, opacity)))
    angle = math.atan2(high, wide)
    size = 9.0 if small else min(160.0, math.hypot(wide, high) * 0.7 / max(width(text, 1), 0.5))
    if small:
        canvas.translate(wide / 2, 18)
    else:
        canvas.translate(wide / 2, high / 2)
        canvas.rotate(math.degrees(angle))
    line = canvas.beginText(-width(text, size) / 2, 0 if small else -size * 0.35)
    for font, piece in runs(text):
        line.setFont(font, size)
        line.textOut(piece)
    canvas.drawText(line)
    canvas.showPage()
    canvas.save()
    buffer.seek(0)
    return buffer


def _encrypt(options: Any) -> None:
    if not options.new_password and not (options.no_print or options.no_copy):
        raise Unreadable("give --new-password, or a restriction such as --no-copy")
    document = edit(options.files[0], options.password)
    allowed = pikepdf.Permissions(
        extract=not options.no_copy, print_lowres=not options.no_print, print_highres=not options.no_print
    )
    owner = options.owner_password or secrets.token_urlsafe(16)
    _save(document, options, encryption=pikepdf.Encryption(owner=owner, user=options.new_password, R=6, allow=allowed))


def _decrypt(options: Any) -> None:
    _save(edit(options.files[0], options.password), options, encryption=False)


def _describe(options: Any) -> None:
    document = edit(options.files[0], options.password)
    for name in ("title", "author", "subject"):
        if (value := getattr(options, name)) is not None:
            document.docinfo[f"/{name.capitalize()}"] = value
    with document.open_metadata() as metadata:
        metadata.load_from_docinfo(document.docinfo)
    _save(document, options)


if __name__ == "__main__":
    raise SystemExit(bounded(main))
