"""How wide text is: the widths of the fonts that are installed, also for fonts that are not."""

from __future__ import annotations

import functools
import re
import unicodedata
from pathlib import Path

from PIL import ImageFont

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
_SIZE = 200  # pixels at which widths are taken

# Family: (file stem to measure with, factor on its widths, factor on its line height). Files that may be missing
# (the metric twins of Calibri and Cambria come with LibreOffice) are followed by what stands in for them.
_FAMILIES: dict[str, tuple[tuple[str, float], ...]] = {
    "arial": (("LiberationSans", 1.0),),
    "helvetica": (("LiberationSans", 1.0),),
    "liberation sans": (("LiberationSans", 1.0),),
    "arial narrow": (("LiberationSansNarrow", 1.0),),
    "times new roman": (("LiberationSerif", 1.0),),
    "liberation serif": (("LiberationSerif", 1.0),),
    "garamond": (("LiberationSerif", 0.95),),
    "courier new": (("LiberationMono", 1.0),),
    "consolas": (("LiberationMono", 0.92),),
    "calibri": (("Carlito", 1.0), ("LiberationSans", 0.905)),
    "calibri light": (("Carlito", 1.0), ("LiberationSans", 0.905)),
    "carlito": (("Carlito", 1.0), ("LiberationSans", 0.905)),
    "aptos": (("LiberationSans", 0.97),),
    "aptos display": (("LiberationSans", 0.97),),
    "cambria": (("Caladea", 1.0), ("LiberationSerif", 1.06)),
    "georgia": (("LiberationSerif", 1.11),),
    "palatino linotype": (("LiberationSerif", 1.08),),
    "verdana": (("DejaVuSans", 0.98),),
    "dejavu sans": (("DejaVuSans", 1.0),),
    "dejavu serif": (("DejaVuSerif", 1.0),),
    "tahoma": (("LiberationSans", 0.98),),
    "trebuchet ms": (("LiberationSans", 0.96),),
    "segoe ui": (("LiberationSans", 0.99),),
    "century gothic": (("LiberationSans", 1.07),),
}
_LINE_HEIGHT = {"calibri": 1.22, "calibri light": 1.22, "carlito": 1.22, "verdana": 1.22, "segoe ui": 1.33}
_FALLBACK = "wqy-microhei"


@functools.cache
def _files() -> dict[str, Path]:
    return {
        file.stem.lower(): file
        for folder in FOLDERS
        if folder.is_dir()
        for file in sorted(folder.rglob("*"))
        if file.suffix.lower() in (".ttf", ".otf", ".ttc")
    }


def is_measured(family: str) -> bool:
    """Whether the widths are those of the font, or of one made to have the same; else they are a guess."""
    candidates = _FAMILIES.get(family.lower(), ())
    return bool(candidates) and candidates[0][1] == 1.0 and candidates[0][0].lower() + "-regular" in _files()


@functools.cache
def _font(family: str, bold: bool, italic: bool) -> tuple[ImageFont.FreeTypeFont | None, float]:
    style = {(0, 0): "regular", (1, 0): "bold", (0, 1): "italic", (1, 1): "bolditalic"}[int(bold), int(italic)]
    for stem, factor in (*_FAMILIES.get(family.lower(), ()), ("LiberationSans", 1.0), ("DejaVuSans", 1.0)):
        for name in (f"{stem}-{style}", f"{stem}-{style.replace('italic', 'oblique')}", f"{stem}-regular", stem):
            if file := _files().get(name.lower()):
                return ImageFont.truetype(str(file), _SIZE), factor
    return None, 1.0


@functools.cache
def _wide() -> ImageFont.FreeTypeFont | None:
    file = _files().get(_FALLBACK)
    return ImageFont.truetype(str(file), _SIZE) if file else None


@functools.lru_cache(maxsize=50_000)
def width(text: str, points: float, family: str = "Arial", bold: bool = False, italic: bool = False) -> float:
    """Width of a text on one line, in points."""
    font, factor = _font(family, bold, italic)
    if font is None:
        return len(text) * points * 0.55
    east = [character for character in text if unicodedata.east_asian_width(character) in "WF"]
    if east:
        wide = _wide()
        one = wide.getlength("永") / _SIZE if wide else 1.0
        rest = "".join(character for character in text if unicodedata.east_asian_width(character) not in "WF")
        return len(east) * one * points + (width(rest, points, family, bold, italic) if rest else 0.0)
    return font.getlength(text) / _SIZE * points * factor


def line_height(points: float, family: str = "Arial") -> float:
    """Height of a line with single spacing, in points."""
    return points * _LINE_HEIGHT.get(family.lower(), 1.17)


# A word with its spaces, or one ideograph: what a line may break after.
_PIECES = re.compile(r"[⺀-鿿가-힣豈-﫿＀-￯][、。，．！？：；）」』】]?|[^\s⺀-鿿가-힣豈-﫿＀-￯]+\s*|\s+")


def lines(
    runs: list[tuple[str, float, str, bool, bool]], available: float, first_indent: float = 0.0
) -> tuple[int, float]:
    """How many lines the runs (text, points, family, bold, italic) of a paragraph take, and the widest of them.

    ``available`` is the width in points; a word that is wider than a line is broken, and makes ``widest`` exceed it.
    """
    count, at, widest = 1, first_indent, 0.0
    for text, points, family, bold, italic in runs:
        for number, part in enumerate(re.split(r"[\v\n]", text)):
            if number:
                count, at = count + 1, 0.0
            for piece in _PIECES.findall(part):
                solid = width(piece.rstrip(), points, family, bold, italic)
                if at and at + solid > available + 0.5:
                    count, at = count + 1, 0.0
                widest = max(widest, at + solid)
                if solid > available > 0:
                    count += int(solid // available)
                at += width(piece, points, family, bold, italic)
    return count, widest
