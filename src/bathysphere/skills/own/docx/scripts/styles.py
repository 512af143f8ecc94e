"""The looks of a document: all of them styles, none of them direct formatting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docx.enum.style import WD_STYLE_TYPE
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_TAB_ALIGNMENT, WD_TAB_LEADER
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Cm, Pt, RGBColor

# text, headings, accent, light ground
PALETTES = {
    "ocean": ("1C242B", "0B2F4A", "12638F", "EAF1F6"),
    "forest": ("1E261F", "17402B", "256B45", "ECF3EC"),
    "plum": ("262029", "3F1F4F", "6F3A8A", "F3EEF6"),
    "plain": ("000000", "000000", "404040", "F0F0F0"),
}


@dataclass(frozen=True)
class Look:
    """What a document's styles are made of."""

    docx: Any
    palette: str
    font: str
    size: float
    text_width: float

    @property
    def text_colour(self) -> str:
        return PALETTES[self.palette][0]

    @property
    def head_colour(self) -> str:
        return PALETTES[self.palette][1]

    @property
    def accent(self) -> str:
        return PALETTES[self.palette][2]

    @property
    def light(self) -> str:
        return PALETTES[self.palette][3]

    def number_lists(self) -> int:
        """Make the list styles number their paragraphs; return the id of the numbered list's definition."""
        numbering = self.docx.part.numbering_part.element
        for child in list(numbering):
            numbering.remove(child)
        kinds = {
            1: [("bullet", "•"), ("bullet", "–"), ("bullet", "·")],
            2: [("decimal", "%1."), ("lowerLetter", "%2."), ("lowerRoman", "%3.")],
        }
        for identifier, levels in kinds.items():
            style = "ListBullet" if identifier == 1 else "ListNumber"
            rows = "".join(
                f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/>'
                f'<w:pStyle w:val="{style}{n + 1 if n else ""}"/><w:lvlText w:val="{mark}"/><w:lvlJc w:val="left"/>'
                f'<w:pPr><w:ind w:left="{(n + 1) * 397}" w:hanging="397"/></w:pPr></w:lvl>'
                for n, (kind, mark) in enumerate(levels)
            )
            numbering.append(
                parse_xml(
                    f'<w:abstractNum {nsdecls("w")} w:abstractNumId="{identifier}">'
                    f'<w:multiLevelType w:val="multilevel"/>{rows}</w:abstractNum>'
                )
            )
        numbers = {1: numbering.add_num(1).numId, 2: numbering.add_num(2).numId}
        for identifier, name in ((1, "List Bullet"), (2, "List Number")):
            for level in range(3):
                style = self.docx.styles[name if level == 0 else f"{name} {level + 1}"]
                properties = style.element.get_or_add_pPr()
                old = properties.find(qn("w:numPr"))
                if old is not None:
                    properties.remove(old)
                number = properties.get_or_add_numPr()
                if level:
                    number.get_or_add_ilvl().val = level
                number.get_or_add_numId().val = numbers[identifier]
                style.paragraph_format.space_after = Pt(3)
                contextual = properties.find(qn("w:contextualSpacing"))
                if contextual is not None:
                    properties.remove(contextual)
        return 2

    def apply(self, language: str) -> None:
        """Change the styles of the document, and add those of its own."""
        styles = self.docx.styles
        text, head, accent = (RGBColor.from_string(one) for one in (self.text_colour, self.head_colour, self.accent))
        normal = styles["Normal"]
        self._look(normal, self.size, text)
        normal.paragraph_format.space_after, normal.paragraph_format.line_spacing = Pt(7), 1.15
        normal.paragraph_format.widow_control = True
        tongue = OxmlElement("w:lang")
        tongue.set(qn("w:val"), language)
        normal.element.get_or_add_rPr().append(tongue)
        for level, (size, before, after) in enumerate(((18, 22, 8), (14, 16, 5), (12, 12, 4), (11, 10, 3)), 1):
            style = styles[f"Heading {level}"]
            self._look(style, size * self.size / 11, head if level < 3 else accent, bold=True)
            _spaced(style, before, after, keep=True)
        self._look(styles["Title"], 28, head, bold=True)
        _spaced(styles["Title"], 0, 4, keep=True)
        border = styles["Title"].element.pPr.find(qn("w:pBdr"))
        if border is not None:
            styles["Title"].element.pPr.remove(border)
        self._look(styles["Subtitle"], 15, accent)
        _spaced(styles["Subtitle"], 0, 20)
        self._look(styles["Caption"], 9.5, text, italic=True)
        _spaced(styles["Caption"], 4, 8)
        self._look(styles["Quote"], self.size, text, italic=True)
        styles["Quote"].paragraph_format.left_indent = styles["Quote"].paragraph_format.right_indent = Cm(1)
        for name in ("Header", "Footer"):
            self._look(styles[name], 9, text)
            old = styles[name].element.pPr.find(qn("w:tabs"))
            if old is not None:
                styles[name].element.pPr.remove(old)
        plain = {
            "Table Text": (10, 2, 2), "After Table": (6, 0, 0), "Picture": (self.size, 8, 4), "Sender": (10, 0, 24),
            "Address": (self.size, 0, 24), "Letter Date": (self.size, 0, 18), "Subject": (self.size, 0, 12),
            "Note": (self.size, 8, 10), "Code": (9.5, 6, 8), "TOC Heading": (18, 12, 8),
            "TOC 1": (self.size, 4, 2), "TOC 2": (self.size, 0, 2), "TOC 3": (self.size, 0, 2),
        }  # fmt: skip
        for name, (size, before, after) in plain.items():
            style = styles[name] if name in styles else styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
            style.base_style = normal
            self._look(style, size, head if name == "TOC Heading" else text, bold=name in ("Subject", "TOC Heading"))
            _spaced(style, before, after, keep=name in ("TOC Heading", "Subject"))
            if name.startswith("TOC ") and name[-1].isdigit():
                style.paragraph_format.left_indent = Cm(0.6 * (int(name[-1]) - 1))
                style.paragraph_format.tab_stops.add_tab_stop(
                    Cm(self.text_width), WD_TAB_ALIGNMENT.RIGHT, WD_TAB_LEADER.DOTS
                )
        for name in ("Table Text", "After Table", "Sender"):
            styles[name].paragraph_format.line_spacing = 1.0
        styles["Picture"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.CENTER
        styles["Sender"].paragraph_format.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        styles["Note"].element.get_or_add_pPr().append(
            parse_xml(
                f"<w:pBdr {nsdecls('w')}>"
                f'<w:left w:val="single" w:sz="24" w:space="8" w:color="{self.accent}"/></w:pBdr>'
            )
        )
        styles["Code"].element.get_or_add_pPr().append(parse_xml(f"<w:pBdr {nsdecls('w')}/>"))
        for name in ("Note", "Code"):
            edges = styles[name].element.pPr.find(qn("w:pBdr"))
            for number, side in enumerate(("top", "bottom")):
                edge = f'<w:{side} {nsdecls("w")} w:val="single" w:sz="24" w:space="1" w:color="{self.light}"/>'
                edges.insert(number * 2, parse_xml(edge))
            styles[name].element.pPr.append(_shade(self.light))
            _ordered(styles[name].element.pPr)
        for name, font in (("Code", "Courier New"),):
            self._look(styles[name], 9.5, text, font=font)
        for name in ("Code Character", "Hyperlink"):
            style = styles[name] if name in styles else styles.add_style(name, WD_STYLE_TYPE.CHARACTER)
            if name == "Hyperlink":
                style.font.color.rgb, style.font.underline = accent, True
            else:
                _fonts(style, "Courier New")
        self._table_style()

    def _look(
        self, style: Any, size: float, colour: Any, *, bold: bool = False, italic: bool = False, font: str = ""
    ) -> None:
        _fonts(style, font or self.font)
        style.font.size, style.font.color.rgb = Pt(round(size * 2) / 2), colour
        style.font.bold, style.font.italic = bold, italic

    def _table_style(self) -> None:
        edge = 'w:val="single" w:sz="4" w:space="0" w:color="BFC7CE"'
        self.docx.styles.element.append(
            parse_xml(
                f'<w:style {nsdecls("w")} w:type="table" w:customStyle="1" w:styleId="ReportTable">'
                '<w:name w:val="Report Table"/><w:basedOn w:val="TableNormal"/><w:uiPriority w:val="99"/><w:qFormat/>'
                f'<w:tblPr><w:tblStyleRowBandSize w:val="1"/><w:tblBorders><w:top {edge}/><w:bottom {edge}/>'
                f"<w:insideH {edge}/></w:tblBorders>"
                '<w:tblCellMar><w:top w:w="40" w:type="dxa"/><w:left w:w="100" w:type="dxa"/>'
                '<w:bottom w:w="40" w:type="dxa"/><w:right w:w="100" w:type="dxa"/></w:tblCellMar></w:tblPr>'
                '<w:tblStylePr w:type="firstRow"><w:rPr><w:b/><w:color w:val="FFFFFF"/></w:rPr><w:tcPr>'
                f'<w:shd w:val="clear" w:color="auto" w:fill="{self.head_colour}"/></w:tcPr></w:tblStylePr>'
                '<w:tblStylePr w:type="lastRow"><w:rPr><w:b/></w:rPr></w:tblStylePr>'
                f'<w:tblStylePr w:type="band2Horz"><w:tcPr><w:shd w:val="clear" w:color="auto" w:fill="{self.light}"/>'
                "</w:tcPr></w:tblStylePr></w:style>"
            )
        )
        # The colour of a paragraph style would win over that of the head row.
        colour = self.docx.styles["Table Text"].element.rPr.find(qn("w:color"))
        for name in ("w:color", "w:b", "w:bCs"):
            one = self.docx.styles["Table Text"].element.rPr.find(qn(name))
            if one is not None:
                self.docx.styles["Table Text"].element.rPr.remove(one)
        normal = self.docx.styles["Normal"].element.rPr
        own = normal.find(qn("w:color"))
        if own is not None and colour is not None:
            normal.remove(own)
            defaults = self.docx.styles.element.find(f"{qn('w:docDefaults')}/{qn('w:rPrDefault')}/{qn('w:rPr')}")
            defaults.insert(1, own)
        for name in ("w:b", "w:i"):
            one = normal.find(qn(name))
            if one is not None:
                normal.remove(one)


def _fonts(style: Any, font: str) -> None:
    style.font.name = font
    fonts = style.element.rPr.find(qn("w:rFonts"))
    for name in list(fonts.attrib):
        if name.endswith("Theme"):
            del fonts.attrib[name]
    for name in ("w:ascii", "w:hAnsi", "w:cs", "w:eastAsia"):
        fonts.set(qn(name), font)


def _spaced(style: Any, before: float, after: float, keep: bool = False) -> None:
    form = style.paragraph_format
    form.space_before, form.space_after, form.keep_with_next = Pt(before), Pt(after), keep or None


def _shade(colour: str) -> Any:
    return parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:color="auto" w:fill="{colour}"/>')


# Word wants the children of pPr in the order of the schema.
_ORDER = ("pStyle", "keepNext", "keepLines", "pageBreakBefore", "widowControl", "numPr", "pBdr", "shd", "tabs",
          "spacing", "ind", "contextualSpacing", "jc", "outlineLvl", "rPr")  # fmt: skip


def _ordered(properties: Any) -> None:
    children = sorted(
        properties, key=lambda one: _ORDER.index(name) if (name := one.tag.partition("}")[2]) in _ORDER else 99
    )
    for child in children:
        properties.append(child)
