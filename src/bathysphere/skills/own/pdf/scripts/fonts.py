"""Embedded fonts for reportlab, and which of them has the letters of a text."""

from __future__ import annotations

import html
import itertools
import re
from functools import lru_cache
from pathlib import Path

from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FOLDER = Path("/usr/share/fonts/truetype")
FACES = {"": "Regular", "-Bold": "Bold", "-Italic": "Italic", "-BoldItalic": "BoldItalic"}
# In the order in which they are tried for a letter.
FAMILIES = ("Sans", "DejaVu", "CJK")


@lru_cache(maxsize=1)
def register() -> None:
    """Register ``Sans`` (and -Bold, -Italic, -BoldItalic), ``Serif``, ``Mono``, ``DejaVu`` and ``CJK``."""
    rl_config.canvas_basefontname = "Sans"  # Else every file names Helvetica, which is not embedded.
    for family, name in (("Sans", "LiberationSans"), ("Serif", "LiberationSerif"), ("Mono", "LiberationMono")):
        for suffix, face in FACES.items():
            pdfmetrics.registerFont(TTFont(family + suffix, str(FOLDER / f"liberation/{name}-{face}.ttf")))
        _family(family, *(family + suffix for suffix in FACES))
    for suffix, face in {"": "", "-Bold": "-Bold", "-Italic": "-Oblique", "-BoldItalic": "-BoldOblique"}.items():
        pdfmetrics.registerFont(TTFont("DejaVu" + suffix, str(FOLDER / f"dejavu/DejaVuSans{face}.ttf")))
    _family("DejaVu", *("DejaVu" + suffix for suffix in FACES))
    # It has one weight only.
    pdfmetrics.registerFont(TTFont("CJK", str(FOLDER / "wqy/wqy-microhei.ttc"), subfontIndex=0))
    _family("CJK", "CJK", "CJK", "CJK", "CJK")


def _family(name: str, normal: str, bold: str, italic: str, both: str) -> None:
    pdfmetrics.registerFontFamily(name, normal=normal, bold=bold, italic=italic, boldItalic=both)


def _has(font: str, letter: str) -> bool:
    return ord(letter) in pdfmetrics.getFont(font).face.charToGlyph


@lru_cache(maxsize=4096)
def font_of(letter: str, wanted: str = "Sans") -> str | None:
    """The first family that has the letter, or None where the image has none (emoji, for one)."""
    if letter.isspace():
        return wanted
    return next((family for family in (wanted, *FAMILIES) if _has(family, letter)), None)


def runs(text: str, wanted: str = "Sans") -> list[tuple[str, str]]:
    """The text in pieces, each with the font that has its letters. A letter of no font becomes a question mark."""
    register()
    pairs = [(font_of(letter, wanted), letter) for letter in text]
    return [
        (font or wanted, "".join(letter if font else "?" for _, letter in group))
        for font, group in itertools.groupby(pairs, key=lambda pair: pair[0])
    ]


def markup(text: str, wanted: str = "Sans") -> str:
    """Paragraph markup in which letters that the font lacks get one that has them. Tags stay."""
    parts = re.split(r"(<[^<>]*>|&#?\w+;)", text)
    return "".join(part if at % 2 else _marked(part, wanted) for at, part in enumerate(parts))


def _marked(text: str, wanted: str) -> str:
    return "".join(
        piece if font == wanted else f'<font name="{font}">{piece}</font>' for font, piece in runs(text, wanted)
    )


def escaped(text: str) -> str:
    """Text from data, safe in markup: ``&`` and ``<`` are letters there."""
    return html.escape(text, quote=False)


def width(text: str, size: float, wanted: str = "Sans") -> float:
    """In points."""
    return sum(pdfmetrics.stringWidth(piece, font, size) for font, piece in runs(text, wanted))
