"""What a text on a slide really looks like: sizes, fonts and colours through layout, master and theme."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lxml import etree
from pptx.oxml.ns import qn

_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_TITLES = {"title", "ctrTitle"}
_BODIES = {"body", "subTitle", "obj", None, "tbl", "chart", "pic", "dgm", "media", "clipArt"}


@dataclass(frozen=True)
class Look:
    """How a run is drawn."""

    size: float
    family: str
    bold: bool
    italic: bool
    colour: str | None
    """Six hexadecimal digits, or None when it cannot be told."""


class Styles:
    """The styles of one slide: its layout, master, theme and colour map."""

    def __init__(self, slide: Any, presentation: Any) -> None:
        self.slide, self.layout = slide, slide.slide_layout
        self.master = self.layout.slide_master
        self.default = presentation._element.find(qn("p:defaultTextStyle"))
        self.theme = _theme(self.master)
        mapped = self.master._element.find(qn("p:clrMap"))
        self.map = dict(mapped.attrib) if mapped is not None else {}

    def levels(self, shape: Any, level: int) -> list[Any]:
        """The paragraph properties that apply to a level of a shape's text, nearest first."""
        tag = qn(f"a:lvl{min(level, 8) + 1}pPr")
        found: list[Any] = []
        for owner in [shape, *self._parents(shape)]:
            body = getattr(owner._element, "txBody", None)
            styles = body.find(qn("a:lstStyle")) if body is not None else None
            if styles is not None and (one := styles.find(tag)) is not None:
                found.append(one)
        text_styles = self.master._element.find(qn("p:txStyles"))
        if text_styles is not None:
            name = "otherStyle"
            if getattr(shape, "is_placeholder", False):
                kind = shape._element.ph.get("type")
                name = "titleStyle" if kind in _TITLES else "bodyStyle" if kind in _BODIES else "otherStyle"
            style = text_styles.find(qn(f"p:{name}"))
            if style is not None and (one := style.find(tag)) is not None:
                found.append(one)
        if self.default is not None and (one := self.default.find(tag)) is not None:
            found.append(one)
        return found

    def body_attribute(self, shape: Any, name: str, default: str) -> str:
        """An attribute of a shape's bodyPr, from where it is set first."""
        for owner in [shape, *self._parents(shape)]:
            body = getattr(owner._element, "txBody", None)
            properties = body.find(qn("a:bodyPr")) if body is not None else None
            if properties is not None and properties.get(name) is not None:
                return str(properties.get(name))
        return default

    def autofit(self, shape: Any) -> Any:
        """The element that says how a shape's text is made to fit, or None."""
        for owner in [shape, *self._parents(shape)]:
            body = getattr(owner._element, "txBody", None)
            properties = body.find(qn("a:bodyPr")) if body is not None else None
            for name in ("a:normAutofit", "a:spAutoFit", "a:noAutofit"):
                if properties is not None and (one := properties.find(qn(name))) is not None:
                    return one
        return None

    def look(self, run: Any, paragraph: Any, shape: Any) -> Look:
        """How a run of a shape's paragraph is drawn; ``run`` may be None for an empty paragraph."""
        level = int((paragraph.pPr.get("lvl") if paragraph.pPr is not None else None) or 0)
        sources = [run.find(qn("a:rPr")) if run is not None else paragraph.find(qn("a:endParaRPr"))]
        sources += [one.find(qn("a:defRPr")) for one in self.levels(shape, level)]
        present = [one for one in sources if one is not None]

        def first(name: str) -> str | None:
            return next((one.get(name) for one in present if one.get(name) is not None), None)

        latin = next((one.find(qn("a:latin")) for one in present if one.find(qn("a:latin")) is not None), None)
        family = latin.get("typeface", "") if latin is not None else "+mn-lt"
        fill = next((one.find(qn("a:solidFill")) for one in present if one.find(qn("a:solidFill")) is not None), None)
        if fill is None:
            style = shape._element.find(qn("p:style"))
            fill = style.find(qn("a:fontRef")) if style is not None else None
        colour = self.colour(fill) if fill is not None and len(fill) else self.scheme("tx1")
        return Look(
            size=int(first("sz") or 1800) / 100,
            family=self.family(family),
            bold=first("b") in ("1", "true"),
            italic=first("i") in ("1", "true"),
            colour=colour,
        )

    def family(self, name: str) -> str:
        """A font's name, also of one that the theme names."""
        if name.startswith("+"):
            kind = "majorFont" if name.startswith("+mj") else "minorFont"
            latin = self.theme.find(f".//{_DRAWING}{kind}/{_DRAWING}latin") if self.theme is not None else None
            return latin.get("typeface", "Arial") if latin is not None else "Arial"
        return name or "Arial"

    def scheme(self, name: str) -> str | None:
        """A colour of the theme, by its name in a slide."""
        name = self.map.get(name, name)
        slot = self.theme.find(f".//{_DRAWING}clrScheme/{_DRAWING}{name}") if self.theme is not None else None
        if slot is None or not len(slot):
            return None
        return str(slot[0].get("lastClr") or slot[0].get("val"))

    def colour(self, fill: Any) -> str | None:
        """The colour of a solid fill (or of any element that holds one colour)."""
        for one in fill:
            name = etree.QName(one).localname
            colour = (
                one.get("val")
                if name == "srgbClr"
                else self.scheme(one.get("val", ""))
                if name == "schemeClr"
                else None
            )
            if name == "sysClr":
                colour = one.get("lastClr")
            if colour is None or one.find(qn("a:alpha")) is not None:
                return None
            channels = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
            for change in one:
                amount = int(change.get("val", "100000")) / 100000
                match etree.QName(change).localname:
                    case "lumMod" | "shade":
                        channels = [value * amount for value in channels]
                    case "lumOff":
                        channels = [min(1.0, value + amount) for value in channels]
                    case "tint":
                        channels = [1 - (1 - value) * amount for value in channels]
            return "".join(f"{round(max(0.0, min(1.0, value)) * 255):02X}" for value in channels)
        return None

    def background(self) -> str | None:
        """The slide's own ground as a colour; None for pictures and gradients."""
        for owner in (self.slide, self.layout, self.master):
            ground = owner._element.find(f"{qn('p:cSld')}/{qn('p:bg')}")
            if ground is None:
                continue
            properties, reference = ground.find(qn("p:bgPr")), ground.find(qn("p:bgRef"))
            if properties is not None:
                fill = properties.find(qn("a:solidFill"))
                return self.colour(fill) if fill is not None else None
            return self.colour(reference) if reference is not None else None
        return self.scheme("bg1")

    def _parents(self, shape: Any) -> list[Any]:
        if not getattr(shape, "is_placeholder", False):
            return []
        ph = shape._element.ph
        own = next(
            (one for one in self.layout.placeholders if one._element.ph.get("idx", "0") == ph.get("idx", "0")), None
        )
        if own is None:
            return []
        kind = own._element.ph.get("type")
        wanted = {"ctrTitle": "title", "subTitle": "body", "obj": "body", None: "body"}.get(kind, kind)
        above = next((one for one in self.master.placeholders if one._element.ph.get("type") == wanted), None)
        return [own] if above is None else [own, above]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 (none) to 21, as accessibility rules count it."""
    lights = sorted((_luminance(one), _luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@functools.cache
def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _theme(master: Any) -> Any:
    for relation in master.part.rels.values():
        if relation.reltype.endswith("/theme"):
            return etree.fromstring(relation.target_part.blob, etree.XMLParser(resolve_entities=False))
    return None
