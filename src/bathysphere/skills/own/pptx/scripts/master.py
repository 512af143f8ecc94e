"""The master of a deck: theme, layouts, the looks of titles and texts."""

from __future__ import annotations

from typing import Any

from lxml import etree
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Emu

# How what is below each slide is aligned: footer, number, date.
_FOOT = {"ftr": "l", "sldNum": "r", "dt": "r"}
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"


def set_theme(presentation: Any, colours: tuple[str, ...], font: str) -> None:
    """Give the theme colours and one font."""
    part = next(
        relation.target_part
        for relation in presentation.slide_master.part.rels.values()
        if relation.reltype.endswith("/theme")
    )
    theme = etree.fromstring(part.blob)
    theme.set("name", "Deck")
    names = ("dk1", "lt1", "dk2", "lt2", *(f"accent{number}" for number in range(1, 7)))
    scheme = theme.find(f".//{{{_DRAWING}}}clrScheme")
    for name, colour in zip(names, colours, strict=True):
        slot = scheme.find(f"{{{_DRAWING}}}{name}")
        for child in list(slot):
            slot.remove(child)
        etree.SubElement(slot, f"{{{_DRAWING}}}srgbClr", val=colour)
    for kind in ("majorFont", "minorFont"):
        theme.find(f".//{{{_DRAWING}}}{kind}/{{{_DRAWING}}}latin").set("typeface", font)
    part._blob = etree.tostring(theme, xml_declaration=True, encoding="UTF-8", standalone=True)


def set_layouts(presentation: Any, area: tuple[float, float, float, float], slide_height: float) -> list[Any]:
    """Place what the master and the layouts hold around an area (inches); return the layouts as they were numbered."""
    left, top, width, height = area
    master, layouts = presentation.slide_master, presentation.slide_layouts
    numbered = list(layouts)
    wanted = (0, 1, 2, 3, 5, 6)
    for number, layout in enumerate(numbered):
        if number not in wanted:
            layouts.remove(layout)
    places = {
        "title": (left, 0.5, width, 1.0),
        "body": (left, top, width, height),
        "ftr": (left, 6.95, 9.0, 0.3),
        "sldNum": (11.583, 6.95, 1.0, 0.3),
        "dt": (9.9, 6.95, 1.5, 0.3),
    }
    for holder in [*master.placeholders, *(h for n in wanted for h in numbered[n].placeholders)]:
        kind = holder._element.ph.get("type", "obj")
        kind = {"ctrTitle": "title", "obj": "body", "subTitle": "body"}.get(kind, kind)
        if kind in places:
            place(holder, *places[kind])
    for number, holders in ((0, ("ctrTitle", "subTitle")), (2, ("title", "body"))):
        layout = numbered[number]
        fill = layout.background.fill
        fill.solid()
        fill.fore_color.theme_color = MSO_THEME_COLOR.TEXT_2
        for holder in layout.placeholders:
            kind = holder._element.ph.get("type", "obj")
            if kind in holders:
                first = kind == holders[0]
                place(holder, left, 2.0 if first else 4.2, 10.5, 2.0 if first else 1.2)
                _level(holder, 44 if first else 22, "bg1", bold=first, anchor="b" if first else "t")
        _edge(layout, slide_height)
    for number, holder in enumerate(h for h in numbered[3].placeholders if h.placeholder_format.idx in (1, 2)):
        place(holder, left + number * (width + 0.5) / 2, top, (width - 0.5) / 2, height)
        holder._element.txBody.find(qn("a:lstStyle")).clear()
    for number in wanted:
        for holder in numbered[number].placeholders:
            if (kind := holder._element.ph.get("type")) in _FOOT:
                _level(holder, 12, "tx1", bold=False, anchor="ctr", align=_FOOT[kind])
    _style(master, "titleStyle", [30], bold=True, colour="tx2")
    _style(master, "bodyStyle", [22, 20, 18, 16, 16])
    for holder in master.placeholders:
        kind = holder._element.ph.get("type")
        body = holder._element.txBody.find(qn("a:bodyPr"))
        for side in ("lIns", "rIns"):
            body.set(side, "0")
        if kind == "title":
            body.set("anchor", "b")
        for child in list(body):
            body.remove(child)
    return numbered


def place(shape: Any, x: float, y: float, width: float, height: float) -> None:
    """Put a shape somewhere, in inches."""
    shape.left, shape.top, shape.width, shape.height = (Emu(round(value * 914400)) for value in (x, y, width, height))


def _edge(layout: Any, height: float) -> None:
    """A band in an accent colour along the left edge of a layout."""
    band = parse_xml(
        f'<p:sp {nsdecls("p", "a")}><p:nvSpPr><p:cNvPr id="90" name="Band"/><p:cNvSpPr/>'
        '<p:nvPr userDrawn="1"/></p:nvSpPr>'
        f'<p:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="228600" cy="{round(height * 914400)}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom><a:solidFill><a:schemeClr val="accent2"/></a:solidFill>'
        "</p:spPr><p:txBody><a:bodyPr/><a:lstStyle/><a:p/></p:txBody></p:sp>"
    )
    layout.shapes._spTree.insert(2, band)


def _style(master: Any, name: str, sizes: list[int], bold: bool = False, colour: str = "tx1") -> None:
    styles = master._element.find(f".//{qn('p:' + name)}")
    for number, size in enumerate(sizes, 1):
        level = styles.find(qn(f"a:lvl{number}pPr"))
        level.set("algn", "l")
        properties = level.find(qn("a:defRPr"))
        properties.set("sz", str(size * 100))
        properties.set("b", str(int(bold)))
        properties.find(f".//{qn('a:schemeClr')}").set("val", colour)
        if name == "bodyStyle":
            level.set("marL", str(254000 * number))
            level.set("indent", "-254000")
            before = level.find(qn("a:spcBef"))
            if before is not None:
                for child in list(before):
                    before.remove(child)
                etree.SubElement(before, qn("a:spcPts"), val=str(size * 40))


def _level(holder: Any, size: int, colour: str, bold: bool, anchor: str, align: str = "l") -> None:
    body = holder._element.txBody
    body.find(qn("a:bodyPr")).set("anchor", anchor)
    styles = body.find(qn("a:lstStyle"))
    for child in list(styles):
        styles.remove(child)
    level = etree.SubElement(styles, qn("a:lvl1pPr"), marL="0", indent="0", algn=align)
    etree.SubElement(level, qn("a:buNone"))
    run = etree.SubElement(level, qn("a:defRPr"), sz=str(size * 100), b=str(int(bold)), cap="none")
    etree.SubElement(etree.SubElement(run, qn("a:solidFill")), qn("a:schemeClr"), val=colour)
