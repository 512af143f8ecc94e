"""Makes 16:9 decks with one look: a master with its own colours and fonts, and a method for each kind of slide.

    import sys; sys.path.insert(0, "/skills/pptx/scripts")
    from deck import Deck
    deck = Deck("Harbour Museum 2025", palette="ocean")
    deck.title("A year of visitors", "Report to the board, March 2026")
    deck.bullets("Visits grew by 12 %", ["Two new halls", ("Hall of maps", 1), "Longer hours"], notes="Say why.")
    deck.save("/path/out.pptx")

Titles and texts are real placeholders of the layouts, charts are native. What does not fit raises ValueError.
All measures are inches; Deck.left, .top, .width, .height are the area below a slide's title.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fonts
from lxml import etree
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE, XL_LABEL_POSITION, XL_LEGEND_POSITION
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml import parse_xml
from pptx.oxml.ns import nsdecls, qn
from pptx.util import Emu, Inches, Pt

# dark text, background, dark surface, light surface, six accents: every text on its ground has a contrast above 4.5.
PALETTES: dict[str, tuple[str, ...]] = {
    "ocean": ("15202B", "FFFFFF", "0B2F4A", "EAF1F6", "12638F", "C2571A", "2E7D6B", "8A5A9E", "9A7500", "5B6B7A"),
    "forest": ("1B241D", "FFFFFF", "17402B", "ECF3EC", "256B45", "B3541E", "356A93", "8B6A14", "7A4B7D", "5E6A60"),
    "plum": ("241C2A", "FFFFFF", "3F1F4F", "F3EEF6", "6F3A8A", "B8502B", "1F6F78", "8A6A10", "A33B5E", "68606E"),
    "slate": ("1C1F24", "FFFFFF", "23303D", "EEF1F4", "33557A", "B5532A", "3C7761", "7A5F9A", "8F6B12", "626B75"),
}
_CHARTS = {
    "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
    "stacked column": XL_CHART_TYPE.COLUMN_STACKED,
    "bar": XL_CHART_TYPE.BAR_CLUSTERED,
    "stacked bar": XL_CHART_TYPE.BAR_STACKED,
    "line": XL_CHART_TYPE.LINE_MARKERS,
    "area": XL_CHART_TYPE.AREA_STACKED,
    "pie": XL_CHART_TYPE.PIE,
    "doughnut": XL_CHART_TYPE.DOUGHNUT,
    "scatter": XL_CHART_TYPE.XY_SCATTER,
}
Bullet = str | tuple[str, int]
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"


class Deck:
    """A deck in the making. ``slides`` returned by the methods are python-pptx slides: add to them what you like."""

    slide_width, slide_height = 13.333, 7.5
    left, top, width, height = 0.75, 1.75, 11.833, 4.95

    def __init__(
        self, title: str, palette: str | Sequence[str] = "ocean", font: str = "Arial", footer: str = "", author: str = ""
    ) -> None:
        self.colours = PALETTES[palette] if isinstance(palette, str) else tuple(palette)
        if len(self.colours) != 10:
            raise ValueError("a palette has ten colours: text, background, dark, light and six accents")
        self.font, self.footer = font, footer
        self.presentation = Presentation()
        self.presentation.slide_width, self.presentation.slide_height = Inches(self.slide_width), Inches(self.slide_height)
        core = self.presentation.core_properties
        core.title, core.author = title, author
        self._theme()
        self._master()

    # Kinds of slides

    def title(self, title: str, subtitle: str = "", notes: str = "") -> Any:
        """The first slide: dark, the title large and to the left."""
        return self._opening(0, title, subtitle, notes)

    def section(self, title: str, text: str = "", notes: str = "") -> Any:
        """What parts the deck: dark, like the first slide."""
        return self._opening(2, title, text, notes)

    def bullets(self, title: str, points: Sequence[Bullet], notes: str = "") -> Any:
        """Up to six short points; ("text", 1) is a point below the one before it."""
        slide = self._slide(1, title, notes)
        self._fill(slide.placeholders[1], points, self.width, self.height)
        return slide

    def two_columns(
        self, title: str, left: Sequence[Bullet], right: Sequence[Bullet], heads: tuple[str, str] = ("", ""), notes: str = ""
    ) -> Any:
        """Two lists side by side, each with a head if ``heads`` says so."""
        slide = self._slide(3, title, notes)
        gap = 0.5
        width = (self.width - gap) / 2
        head = 0.55 if any(heads) else 0.0
        for number, points in enumerate((left, right)):
            x = self.left + number * (width + gap)
            if heads[number]:
                self.text(slide, heads[number], x, self.top, width, 0.5, size=20, bold=True, colour="accent1")
            holder = slide.placeholders[number + 1]
            _place(holder, x, self.top + head, width, self.height - head)
            self._fill(holder, points, width, self.height - head)
        return slide

    def chart(
        self,
        title: str,
        kind: str,
        categories: Sequence[Any],
        series: Mapping[str, Sequence[float | None]],
        *,
        number_format: str = "General",
        axis: str = "",
        takeaways: Sequence[Bullet] = (),
        source: str = "",
        alt: str = "",
        notes: str = "",
    ) -> Any:
        """A native chart; ``kind`` is one of deck.CHARTS. With ``takeaways`` it leaves a third to them.

        For "scatter" the categories are the x values. One series is labelled directly and has no legend.
        """
        slide = self._slide(5, title, notes)
        width = self.width * 0.66 if takeaways else self.width
        height = self.height - (0.4 if source else 0)
        self.add_chart(slide, kind, categories, series, self.left, self.top, width, height, number_format, axis, alt or title)
        if takeaways:
            x = self.left + width + 0.35
            self.text(slide, takeaways, x, self.top, self.left + self.width - x, height, size=18, anchor="middle")
        self._source(slide, source)
        return slide

    def table(
        self,
        title: str,
        head: Sequence[str],
        rows: Sequence[Sequence[Any]],
        widths: Sequence[float] | None = None,
        source: str = "",
        notes: str = "",
        bold_last: bool = False,
    ) -> Any:
        """A native table with a head row. Columns of numbers are set to the right. ``widths`` are relative."""
        slide = self._slide(5, title, notes)
        self.add_table(slide, head, rows, self.left, self.top, self.width, self.height - 0.4, widths, bold_last, title)
        self._source(slide, source)
        return slide

    def picture(
        self, title: str, image: str | Path, alt: str, points: Sequence[Bullet] = (), caption: str = "", notes: str = ""
    ) -> Any:
        """A picture as large as there is room, undistorted; beside it points if there are any."""
        slide = self._slide(5, title, notes)
        width = self.width * 0.6 if points else self.width
        height = self.height - (0.4 if caption else 0)
        self.add_picture(slide, image, alt, self.left, self.top, width, height)
        if points:
            x = self.left + width + 0.4
            self.text(slide, points, x, self.top, self.left + self.width - x, height, size=18, anchor="middle")
        self._source(slide, caption)
        return slide

    def quote(self, text: str, who: str, notes: str = "", title: str = "") -> Any:
        """One sentence that somebody said."""
        slide = self._slide(5, title or f"{who.partition(',')[0]} said", notes)
        self.text(slide, f"“{text}”", 1.5, 1.9, 10.333, 2.9, size=32, colour="accent1", anchor="bottom")
        self.text(slide, f"— {who}", 1.5, 5.05, 10.333, 0.6, size=18)
        return slide

    def figures(self, title: str, figures: Sequence[tuple[str, str]], text: str = "", notes: str = "") -> Any:
        """Two to four large figures with what each means: [("1.2 m", "visits"), ...]."""
        if not 2 <= len(figures) <= 4:
            raise ValueError("figures shows two to four of them")
        slide = self._slide(5, title, notes)
        gap = 0.4
        width = (self.width - gap * (len(figures) - 1)) / len(figures)
        height = 2.6 if text else 3.2
        for number, (value, meaning) in enumerate(figures):
            x = self.left + number * (width + gap)
            self.card(slide, x, self.top + 0.2, width, height)
            size = self._size(value, width - 0.4, 1.0, 54, 28, bold=True)
            self.text(
                slide, value, x + 0.2, self.top + 0.45, width - 0.4, 1.1, size=size, bold=True, colour="accent1", align="centre"
            )
            self.text(slide, meaning, x + 0.2, self.top + 1.55, width - 0.4, height - 1.5, size=18, align="centre")
        if text:
            self.text(slide, text, self.left, self.top + height + 0.6, self.width, 1.4, size=20)
        return slide

    def blank(self, title: str, notes: str = "") -> Any:
        """A slide with a title only, for whatever the other kinds are not."""
        return self._slide(5, title, notes)

    # What slides are made of

    def text(
        self,
        slide: Any,
        content: str | Sequence[Bullet],
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        size: float = 18,
        bold: bool = False,
        colour: str = "text1",
        align: str = "left",
        anchor: str = "top",
    ) -> Any:
        """A text box; a list makes bullets. The size shrinks to 12 points at most so that it fits."""
        box = slide.shapes.add_textbox(Inches(x), Inches(y), Inches(width), Inches(height))
        frame = box.text_frame
        frame.word_wrap = True
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = 0
        frame.vertical_anchor = {"top": MSO_ANCHOR.TOP, "middle": MSO_ANCHOR.MIDDLE, "bottom": MSO_ANCHOR.BOTTOM}[anchor]
        size = self._size(content, width, height, size, 12, bold=bold)
        for number, (line, level) in enumerate(_points(content)):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.alignment = {"left": PP_ALIGN.LEFT, "centre": PP_ALIGN.CENTER, "right": PP_ALIGN.RIGHT}[align]
            run = paragraph.add_run()
            run.text = line
            run.font.size, run.font.bold = Pt(size - 2 * level), bold or None
            run.font.color.theme_color = _theme_colour(colour)
            if not isinstance(content, str):
                _bullet(paragraph, level)
                paragraph.space_after = Pt(size * 0.4)
        return box

    def card(self, slide: Any, x: float, y: float, width: float, height: float, colour: str = "background2") -> Any:
        """A plain coloured ground for what is put on it afterwards."""
        card = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, Inches(x), Inches(y), Inches(width), Inches(height))
        card.fill.solid()
        card.fill.fore_color.theme_color = _theme_colour(colour)
        card.line.fill.background()
        # Its style would bring the theme's shadow.
        card._element.remove(card._element.find(qn("p:style")))
        return card

    def add_picture(
        self, slide: Any, image: str | Path, alt: str, x: float, y: float, width: float, height: float
    ) -> Any:
        """A picture in the middle of an area, in its own proportions."""
        with Image.open(image) as opened:
            ratio = opened.width / opened.height
        shown = (width, width / ratio) if width / ratio <= height else (height * ratio, height)
        picture = slide.shapes.add_picture(
            str(image), Inches(x + (width - shown[0]) / 2), Inches(y + (height - shown[1]) / 2), *map(Inches, shown)
        )
        _describe(picture, alt)
        return picture

    def add_chart(
        self,
        slide: Any,
        kind: str,
        categories: Sequence[Any],
        series: Mapping[str, Sequence[float | None]],
        x: float,
        y: float,
        width: float,
        height: float,
        number_format: str = "General",
        axis: str = "",
        alt: str = "",
    ) -> Any:
        """A native chart in an area, in the deck's colours."""
        if kind not in _CHARTS:
            raise ValueError(f"there is no chart {kind!r}; there are: {', '.join(_CHARTS)}")
        for name, values in series.items():
            if len(values) != len(categories):
                raise ValueError(f"the series {name!r} has {len(values)} values for {len(categories)} categories")
        data: Any = XyChartData() if kind == "scatter" else CategoryChartData(number_format=number_format)
        if kind == "scatter":
            for name, values in series.items():
                one = data.add_series(name)
                for at, value in zip(categories, values, strict=True):
                    one.add_data_point(at, value)
        else:
            data.categories = list(categories)
            for name, values in series.items():
                data.add_series(name, list(values))
        graphic = slide.shapes.add_chart(_CHARTS[kind], Inches(x), Inches(y), Inches(width), Inches(height), data)
        _describe(graphic, alt)
        self._style_chart(graphic.chart, kind, len(series), len(categories), number_format, axis)
        return graphic

    def add_table(
        self,
        slide: Any,
        head: Sequence[str],
        rows: Sequence[Sequence[Any]],
        x: float,
        y: float,
        width: float,
        height: float,
        widths: Sequence[float] | None = None,
        bold_last: bool = False,
        alt: str = "",
    ) -> Any:
        """A native table in an area; raises ValueError when it needs more height than there is at 12 points."""
        cells = [list(map(str, head)), *[["" if value is None else str(value) for value in row] for row in rows]]
        if any(len(row) != len(head) for row in cells):
            raise ValueError(f"every row needs {len(head)} cells, as the head has")
        share = [part / sum(widths) for part in widths] if widths else [1 / len(head)] * len(head)
        size, heights = self._table_heights(cells, [width * part for part in share], height)
        graphic = slide.shapes.add_table(
            len(cells), len(head), Inches(x), Inches(y), Inches(width), Inches(sum(heights))
        )
        _describe(graphic, alt)
        table = graphic.table
        table.horz_banding = False
        for number, part in enumerate(share):
            table.columns[number].width = Inches(width * part)
        right = [_is_numeric([row[column] for row in cells[1:]]) for column in range(len(head))]
        for r, row in enumerate(cells):
            table.rows[r].height = Inches(heights[r])
            for c, value in enumerate(row):
                cell = table.cell(r, c)
                cell.vertical_anchor = MSO_ANCHOR.MIDDLE
                cell.margin_left = cell.margin_right = Inches(0.12)
                cell.margin_top = cell.margin_bottom = Inches(0.04)
                cell.fill.solid()
                cell.fill.fore_color.theme_color = _theme_colour(
                    "text2" if r == 0 else "background1" if r % 2 else "background2"
                )
                paragraph = cell.text_frame.paragraphs[0]
                paragraph.alignment = PP_ALIGN.RIGHT if right[c] else PP_ALIGN.LEFT
                run = paragraph.add_run()
                run.text = value
                run.font.size = Pt(size)
                run.font.bold = r == 0 or (bold_last and r == len(cells) - 1)
                run.font.color.theme_color = _theme_colour("background1" if r == 0 else "text1")
        return graphic

    def save(self, path: str | Path) -> Path:
        """Write the deck and return where."""
        self.presentation.save(str(path))
        return Path(path)

    # How it is done

    def _theme(self) -> None:
        part = next(
            relation.target_part
            for relation in self.presentation.slide_master.part.rels.values()
            if relation.reltype.endswith("/theme")
        )
        theme = etree.fromstring(part.blob)
        theme.set("name", "Deck")
        names = ("dk1", "lt1", "dk2", "lt2", *(f"accent{number}" for number in range(1, 7)))
        scheme = theme.find(f".//{{{_DRAWING}}}clrScheme")
        for name, colour in zip(names, self.colours, strict=True):
            slot = scheme.find(f"{{{_DRAWING}}}{name}")
            for child in list(slot):
                slot.remove(child)
            etree.SubElement(slot, f"{{{_DRAWING}}}srgbClr", val=colour)
        for kind in ("majorFont", "minorFont"):
            theme.find(f".//{{{_DRAWING}}}{kind}/{{{_DRAWING}}}latin").set("typeface", self.font)
        part._blob = etree.tostring(theme, xml_declaration=True, encoding="UTF-8", standalone=True)

    def _master(self) -> None:
        master, layouts = self.presentation.slide_master, self.presentation.slide_layouts
        self._layouts = list(layouts)
        wanted = (0, 1, 2, 3, 5, 6)
        for number, layout in enumerate(self._layouts):
            if number not in wanted:
                layouts.remove(layout)
        places = {
            "title": (self.left, 0.5, self.width, 1.0),
            "body": (self.left, self.top, self.width, self.height),
            "ftr": (self.left, 6.95, 9.0, 0.3),
            "sldNum": (11.583, 6.95, 1.0, 0.3),
            "dt": (9.9, 6.95, 1.5, 0.3),
        }
        for holder in [*master.placeholders, *(h for n in wanted for h in self._layouts[n].placeholders)]:
            kind = holder._element.ph.get("type", "obj")
            kind = {"ctrTitle": "title", "obj": "body", "subTitle": "body"}.get(kind, kind)
            if kind in places:
                _place(holder, *places[kind])
        for number, holders in ((0, ("ctrTitle", "subTitle")), (2, ("title", "body"))):
            layout = self._layouts[number]
            fill = layout.background.fill
            fill.solid()
            fill.fore_color.theme_color = MSO_THEME_COLOR.TEXT_2
            for holder in layout.placeholders:
                kind = holder._element.ph.get("type", "obj")
                if kind in holders:
                    first = kind == holders[0]
                    _place(holder, self.left, 2.0 if first else 4.2, 10.5, 2.0 if first else 1.2)
                    _level(holder, 44 if first else 22, "bg1", bold=first, anchor="b" if first else "t")
            _edge(layout, self.slide_height)
        for number, holder in enumerate(h for h in self._layouts[3].placeholders if h.placeholder_format.idx in (1, 2)):
            _place(holder, self.left + number * (self.width + 0.5) / 2, self.top, (self.width - 0.5) / 2, self.height)
            holder._element.txBody.find(qn("a:lstStyle")).clear()
        for number in wanted:
            for holder in self._layouts[number].placeholders:
                if holder._element.ph.get("type") == "ftr":
                    _level(holder, 12, "tx1", bold=False, anchor="ctr")
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

    def _opening(self, layout: int, title: str, text: str, notes: str) -> Any:
        slide = self.presentation.slides.add_slide(self._layouts[layout])
        slide.shapes.title.text = title
        slide.shapes.title.text_frame.paragraphs[0].runs[0].font.size = Pt(self._size(title, 10.5, 2.0, 44, 28, bold=True))
        holder = slide.placeholders[1]
        if text:
            holder.text = text
        else:
            holder._element.getparent().remove(holder._element)
        return self._noted(slide, notes)

    def _slide(self, layout: int, title: str, notes: str) -> Any:
        slide = self.presentation.slides.add_slide(self._layouts[layout])
        slide.shapes.title.text = title
        size = self._size(title, self.width, 1.0, 30, 22, bold=True)
        if size != 30:
            slide.shapes.title.text_frame.paragraphs[0].runs[0].font.size = Pt(size)
        for holder in self._layouts[layout].placeholders:
            kind = holder._element.ph.get("type")
            if kind == "sldNum" or (kind == "ftr" and self.footer):
                element = copy.deepcopy(holder._element)
                slide.shapes._spTree.append(element)
                if kind == "ftr":
                    slide.shapes[-1].text_frame.text = self.footer
        return self._noted(slide, notes)

    def _noted(self, slide: Any, notes: str) -> Any:
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
        return slide

    def _source(self, slide: Any, text: str) -> None:
        if text:
            self.text(slide, text, self.left, self.top + self.height - 0.3, self.width, 0.3, size=12, colour="accent6")

    def _fill(self, holder: Any, points: Sequence[Bullet], width: float, height: float) -> None:
        size = self._size(points, width, height, 22, 14)
        frame = holder.text_frame
        for number, (line, level) in enumerate(_points(points)):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.level = level
            run = paragraph.add_run()
            run.text = line
            if size != 22:
                run.font.size = Pt(max(size - 2 * level, 12))

    def _size(
        self, content: str | Sequence[Bullet], width: float, height: float, largest: float, least: float, *, bold: bool = False
    ) -> float:
        """The largest size at which the content fits an area; ValueError says by how much it does not."""
        size = largest
        while True:
            needed = 0.0
            for line, level in _points(content):
                points = size - 2 * level
                indent = 0 if isinstance(content, str) else 20 + 20 * level
                count, widest = fonts.lines([(line, points, self.font, bold, False)], width * 72 - indent)
                spacing = 0 if isinstance(content, str) else 0.4 * size
                needed += count * fonts.line_height(points, self.font) + spacing
                if widest > width * 72 - indent + 1:
                    needed = float("inf")
            if needed <= height * 72 + 2:
                return size
            if size <= least:
                begin = next(iter(_points(content)), ("", 0))[0][:40]
                raise ValueError(
                    f"the text that begins {begin!r} does not fit {width:.1f} x {height:.1f} in even at {least} points: "
                    "shorten it, or use two slides"
                )
            size -= 1

    def _table_heights(
        self, cells: list[list[str]], widths: list[float], height: float
    ) -> tuple[float, list[float]]:
        for size in (16, 14, 13, 12):
            heights = []
            for number, row in enumerate(cells):
                counts = [
                    fonts.lines([(value, size, self.font, number == 0, False)], (width - 0.26) * 72)[0]
                    for value, width in zip(row, widths, strict=True)
                ]
                heights.append(max(counts) * fonts.line_height(size, self.font) / 72 + 0.14)
            if sum(heights) <= height:
                # Air as far as there is room for it.
                air = min(0.14, (height - sum(heights)) / len(heights))
                return size, [one + air for one in heights]
        raise ValueError(f"a table of {len(cells)} rows does not fit at 12 points: leave rows out, or use two slides")

    def _style_chart(self, chart: Any, kind: str, series: int, categories: int, number_format: str, axis: str) -> None:
        chart.font.size = Pt(14)
        chart.font.color.theme_color = MSO_THEME_COLOR.TEXT_1
        round_one = kind in ("pie", "doughnut")
        chart.has_title = False
        chart.has_legend = series > 1 or round_one
        if chart.has_legend:
            chart.legend.position = XL_LEGEND_POSITION.RIGHT if round_one else XL_LEGEND_POSITION.TOP
            chart.legend.include_in_layout = False
        plot = chart.plots[0]
        if not round_one:
            for number, one in enumerate(plot.series):
                colour = _theme_colour(f"accent{number % 6 + 1}")
                if kind == "line":
                    one.format.line.color.theme_color, one.format.line.width, one.smooth = colour, Pt(2.5), False
                    one.marker.format.fill.solid()
                    one.marker.format.fill.fore_color.theme_color = colour
                elif kind == "scatter":
                    one.format.line.fill.background()
                    one.marker.format.fill.solid()
                    one.marker.format.fill.fore_color.theme_color = colour
                else:
                    one.format.fill.solid()
                    one.format.fill.fore_color.theme_color = colour
            values = chart.value_axis
            values.major_gridlines.format.line.color.rgb = RGBColor(0xD5, 0xDA, 0xDF)
            values.format.line.fill.background()
            values.tick_labels.number_format, values.tick_labels.number_format_is_linked = number_format, False
            if axis:
                values.has_title = True
                values.axis_title.text_frame.text = axis
                values.axis_title.text_frame.paragraphs[0].runs[0].font.size = Pt(14)
                values.axis_title.text_frame.paragraphs[0].runs[0].font.bold = False
            if kind == "scatter":
                chart.category_axis.has_major_gridlines = False
        if kind in ("column", "bar", "stacked column", "stacked bar"):
            plot.gap_width = 60
            plot.overlap = 100 if "stacked" in kind else -5
        direct = (series == 1 and kind in ("column", "bar") and categories <= 12) or round_one
        if direct:
            plot.has_data_labels = True
            labels = plot.data_labels
            labels.font.size = Pt(14)
            labels.number_format, labels.number_format_is_linked = number_format, False
            if round_one:
                labels.show_percentage, labels.show_value, labels.number_format = True, False, "0 %"
                labels.font.color.theme_color, labels.font.bold = MSO_THEME_COLOR.BACKGROUND_1, True
            else:
                labels.position = XL_LABEL_POSITION.OUTSIDE_END
                chart.value_axis.visible = bool(axis)
                chart.value_axis.has_major_gridlines = False
        if kind == "bar":
            chart.category_axis.reverse_order = True


def _points(content: str | Sequence[Bullet]) -> list[tuple[str, int]]:
    if isinstance(content, str):
        return [(line, 0) for line in content.split("\n")]
    return [(point, 0) if isinstance(point, str) else (point[0], point[1]) for point in content]


def _place(shape: Any, x: float, y: float, width: float, height: float) -> None:
    shape.left, shape.top, shape.width, shape.height = (Emu(round(value * 914400)) for value in (x, y, width, height))


def _describe(shape: Any, alt: str) -> None:
    shape._element.xpath(".//p:cNvPr")[0].set("descr", alt)


def _theme_colour(name: str) -> Any:
    return getattr(MSO_THEME_COLOR, name.upper().replace("TEXT", "TEXT_").replace("BACKGROUND", "BACKGROUND_").replace("ACCENT", "ACCENT_"))


def _bullet(paragraph: Any, level: int) -> None:
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", str(228600 * (level + 1)))
    properties.set("indent", "-228600")
    etree.SubElement(properties, qn("a:buFont"), typeface="Arial")
    etree.SubElement(properties, qn("a:buChar"), char="•" if level == 0 else "–")


def _edge(layout: Any, height: float) -> None:
    """A band in an accent colour along the left edge of a layout."""
    band = parse_xml(
        f'<p:sp {nsdecls("p", "a")}><p:nvSpPr><p:cNvPr id="90" name="Band"/><p:cNvSpPr/><p:nvPr userDrawn="1"/></p:nvSpPr>'
        f'<p:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="228600" cy="{round(height * 914400)}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom><a:solidFill><a:schemeClr val="accent2"/></a:solidFill></p:spPr>'
        "<p:txBody><a:bodyPr/><a:lstStyle/><a:p/></p:txBody></p:sp>"
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


def _level(holder: Any, size: int, colour: str, bold: bool, anchor: str) -> None:
    body = holder._element.txBody
    body.find(qn("a:bodyPr")).set("anchor", anchor)
    styles = body.find(qn("a:lstStyle"))
    for child in list(styles):
        styles.remove(child)
    level = etree.SubElement(styles, qn("a:lvl1pPr"), marL="0", indent="0", algn="l")
    etree.SubElement(level, qn("a:buNone"))
    run = etree.SubElement(level, qn("a:defRPr"), sz=str(size * 100), b=str(int(bold)), cap="none")
    etree.SubElement(etree.SubElement(run, qn("a:solidFill")), qn("a:schemeClr"), val=colour)


def _is_numeric(values: list[str]) -> bool:
    plain = [value.strip(" %€$£+-−–.,()") for value in values if value.strip()]
    return bool(plain) and all(value.replace(",", "").replace(".", "").replace(" ", "").replace(" ", "").isdigit() for value in plain if value)


CHARTS = tuple(_CHARTS)
