"""What check.py looks for. A finding is (level, kind, where, what)."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import pdfplumber
import pypdfium2 as pdfium
from appearance import layout
from fields import REQUIRED, fields
from fonts import register
from opening import edit, read

Finding = tuple[str, str, str, str]
MOST_LETTERS, MOST_OVERLAPPING, MOST_FONTS = 60_000, 20_000, 500
EDGE = 8.0  # Points: what printers cut off.
STANDARD = ("Helvetica", "Times", "Courier", "Symbol", "ZapfDingbats", "Arial")


def document_findings(path: Path, password: str) -> tuple[dict[str, Any], list[Finding]]:
    """What concerns the whole document: does it open everywhere, its fonts, its title."""
    found: list[Finding] = []
    reader = read(path, password)
    count = len(reader.pages)
    try:
        with pdfium.PdfDocument(path, password=password or None) as other:
            if len(other) != count:
                found.append(("error", "opening", "document", f"pypdf counts {count} pages, pdfium {len(other)}"))
    except pdfium.PdfiumError as error:
        found.append(("error", "opening", "document", f"pdfium cannot open it: {error}"))
    fonts = _fonts(reader)
    for name, (embedded, page) in fonts.items():
        if embedded:
            continue
        standard = name.startswith(STANDARD)
        what = f"{name} is not embedded" + ("; every viewer has its own, with Latin letters only" if standard else "")
        found.append(("warning" if standard else "error", "font", f"page {page}", what))
    if not str((reader.metadata or {}).get("/Title", "")).strip():
        found.append(("warning", "title", "document", "no title in the metadata (arrange.py describe --title)"))
    return {"pages": count, "fonts": len(fonts)}, found


def _fonts(reader: Any) -> dict[str, tuple[bool, int]]:
    """Every font by name: whether it is embedded, and the first page that has it."""
    fonts: dict[str, tuple[bool, int]] = {}
    seen: set[int] = set()

    def walk(resources: Any, page: int, depth: int) -> None:
        number = getattr(resources, "idnum", None)
        resources = resources.get_object() if resources is not None else None
        if not isinstance(resources, dict) or number in seen or depth > 6 or len(fonts) > MOST_FONTS:
            return
        if number is not None:
            seen.add(number)
        table = resources.get("/Font")
        for entry in (table.get_object() if table is not None else {}).values():
            font = entry.get_object()
            name = str(font.get("/BaseFont", "unnamed")).lstrip("/").partition("+")
            described = font
            if "/DescendantFonts" in font:
                described = font["/DescendantFonts"].get_object()[0].get_object()
            descriptor = described.get("/FontDescriptor")
            descriptor = descriptor.get_object() if descriptor is not None else {}
            embedded = font.get("/Subtype") == "/Type3" or any(
                f"/FontFile{suffix}" in descriptor for suffix in ("", "2", "3")
            )
            fonts.setdefault(name[2] or name[0], (embedded, page))
        objects = resources.get("/XObject")
        for entry in (objects.get_object() if objects is not None else {}).values():
            inner = entry.get_object()
            if isinstance(inner, dict) and inner.get("/Subtype") == "/Form" and "/Resources" in inner:
                walk(inner["/Resources"], page, depth + 1)

    for number, page in enumerate(islice(reader.pages, 1000), 1):
        try:
            walk(page.get("/Resources"), number, 0)
            for widget in islice(page.annotations or [], 1000):
                look = widget.get_object().get("/AP", {}).get("/N", {}).get_object()
                walk(look.get("/Resources"), number, 1)
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
    return fonts


def page_findings(path: Path, password: str, pages: list[int]) -> list[Finding]:
    found: list[Finding] = []
    with (
        pdfplumber.open(path, password=password) as document,
        pdfium.PdfDocument(path, password=password or None) as drawn,
    ):
        for index in pages:
            page, where = document.pages[index], f"page {index + 1}"
            try:
                if _blank(drawn, index):
                    found.append(("warning", "blank", where, "nothing on it"))
                    continue
                found += _letters(page, where)
                found += _overlaps(page, where)
                found += _pictures(page, where)
            except (MemoryError, RecursionError):
                raise
            except Exception as error:
                if type(error).__name__ == "Unreadable":
                    raise
                found.append(("error", "opening", where, f"cannot be read: {type(error).__name__}: {str(error)[:120]}"))
            finally:
                page.close()
    return found


def _blank(document: Any, index: int) -> bool:
    page = document[index]
    wide, high = page.get_size()
    picture = page.render(scale=min(1.0, 600 / max(wide, high, 1)), may_draw_forms=True).to_pil().convert("L")
    low, top = picture.getextrema()
    return bool(low == top)


def _letters(page: Any, where: str) -> list[Finding]:
    left, top, right, bottom = page.cropbox if page.cropbox else page.bbox
    outside, edge, strange = [], [], 0
    for letter in islice(page.chars, MOST_LETTERS):
        text = letter["text"]
        if text.startswith("(cid:") or text in ("\ufffd", "\u25a0", "\x00"):
            strange += 1
        if not text.strip():
            continue
        beyond = max(left - letter["x0"], letter["x1"] - right, top - letter["top"] - 1, letter["bottom"] - 1 - bottom)
        if beyond > 1:
            outside.append(letter)
        elif beyond > -EDGE:
            edge.append(letter)
    found: list[Finding] = []
    if outside:
        found.append(("error", "outside", where, f"{len(outside)} letters beyond the page's edge: {_sample(outside)}"))
    if edge:
        found.append(
            ("warning", "edge", where, f"{len(edge)} letters within {EDGE:.0f} points of the edge: {_sample(edge)}")
        )
    if strange:
        found.append(
            ("warning", "letters", where, f"{strange} letters that are boxes or have no meaning: a font without them?")
        )
    return found


def _sample(letters: list[dict[str, Any]]) -> str:
    return repr("".join(letter["text"] for letter in letters[:40]))


def _overlaps(page: Any, where: str) -> list[Finding]:
    """Letters that lie on letters. Words would not do: of two texts in one line the words are a mixture."""
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for letter in islice(page.chars, MOST_OVERLAPPING):
        if (
            _level(letter)
            and letter["text"].strip()
            and letter["x1"] - letter["x0"] > 1.5
            and _low(letter) > _top(letter)
        ):
            for row in range(int(_top(letter) // 12), min(int(_low(letter) // 12), int(_top(letter) // 12) + 20) + 1):
                rows[row].append(letter)
    lying: dict[int, dict[str, Any]] = {}
    for letters in rows.values():
        letters.sort(key=lambda letter: letter["x0"])
        for at, letter in enumerate(letters):
            for other in letters[at + 1 : at + 400]:
                if other["x0"] >= letter["x1"]:
                    break
                if _share(letter, other) > 0.3:
                    lying |= {id(letter): letter, id(other): other}
    if len(lying) < 2:
        return []
    first = sorted(lying.values(), key=lambda letter: (round(letter["top"]), letter["x0"]))
    return [
        ("error", "overlap", where, f"{len(lying)} letters lie on each other, at {_place(first[0])}: {_sample(first)}")
    ]


def _place(letter: dict[str, Any]) -> str:
    return f"{letter['x0']:.0f}, {letter['top']:.0f} points from the top left"


def _share(one: dict[str, Any], two: dict[str, Any]) -> float:
    """How much of the smaller letter lies on the other."""
    if abs(one["x0"] - two["x0"]) < 0.8 and one["text"] == two["text"]:
        return 0  # Bold by printing twice, or a shadow.
    if max(one["size"], two["size"]) > 2.5 * min(one["size"], two["size"]):
        return 0  # A stamp behind the text.
    across = min(one["x1"], two["x1"]) - max(one["x0"], two["x0"])
    high = min(_low(one), _low(two)) - max(_top(one), _top(two))
    if across <= 0 or high <= 0:
        return 0
    return float(across * high / min(_area(one), _area(two)))


def _level(item: dict[str, Any]) -> bool:
    """Whether a letter stands upright; a stamp across the page does not."""
    matrix = item.get("matrix")
    return not matrix or abs(matrix[1]) < 0.01 * max(abs(matrix[0]), 1e-9)


def _top(word: dict[str, Any]) -> float:
    """Where the letter itself begins: its box has room that lines share."""
    return float(word["top"] + (word["bottom"] - word["top"]) * 0.2)


def _low(word: dict[str, Any]) -> float:
    return float(word["bottom"] - (word["bottom"] - word["top"]) * 0.2)


def _area(word: dict[str, Any]) -> float:
    return float((word["x1"] - word["x0"]) * (_low(word) - _top(word)))


def _pictures(page: Any, where: str) -> list[Finding]:
    found: list[Finding] = []
    for picture in islice(page.images, 200):
        wide, high = picture["x1"] - picture["x0"], picture["bottom"] - picture["top"]
        pixels = picture.get("srcsize") or (0, 0)
        if wide > 72 and pixels[0] and pixels[0] / wide * 72 < 90:
            found.append(
                (
                    "warning",
                    "coarse",
                    where,
                    f"a picture of {pixels[0]} x {pixels[1]} pixels is {wide / 72:.1f} inches wide: "
                    f"{pixels[0] / wide * 72:.0f} dpi",
                )
            )
        if (
            picture["x1"] > page.width + 2
            or picture["x0"] < -2
            or picture["bottom"] > page.height + 2
            or picture["top"] < -2
        ):
            found.append(
                ("warning", "outside", where, f"a picture of {wide:.0f} x {high:.0f} points reaches beyond the page")
            )
    return found


def field_findings(path: Path, password: str, unfilled: bool = False) -> list[Finding]:
    register()
    found: list[Finding] = []
    with edit(path, password) as document:
        for one in fields(document):
            where = f"field {one.name}"
            value = one.value
            if one.kind in ("button", "signature"):
                continue
            if value in (None, "", "Off", []):
                if unfilled:
                    continue
                if one.flags & REQUIRED:
                    found.append(("error", "field", where, "required, and empty"))
                elif one.kind != "checkbox":
                    found.append(("warning", "field", where, f"empty ({one.kind})"))
                continue
            if one.kind not in ("text", "choice", "list"):
                continue
            for widget, page in one.widgets:
                if "/AP" not in widget:
                    found.append(
                        (
                            "error",
                            "field",
                            where,
                            f"has a value but no picture of it on page {page + 1}: viewers show nothing",
                        )
                    )
                elif one.kind == "text" and not layout(one, widget, str(value)).fits:
                    found.append(
                        (
                            "warning",
                            "field",
                            where,
                            f"its text of {len(str(value))} characters does not fit on page {page + 1}",
                        )
                    )
    return found
