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
import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fonts
from charts import CHARTS, style_chart, theme_colour
from lxml import etree
from master import place, set_layouts, set_theme
from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.shapes import MSO_SHAPE
from pptx.enum.text import MSO_ANCHOR, PP_ALIGN
from pptx.oxml.ns import qn
from pptx.util import Inches, Pt

# dark text, background, dark surface, light surface, six accents: every text on its ground has a contrast above 4.5.
PALETTES: dict[str, tuple[str, ...]] = {
    "ocean": ("15202B", "FFFFFF", "0B2F4A", "EAF1F6", "12638F", "C2571A", "2E7D6B", "8A5A9E", "9A7500", "5B6B7A"),
    "forest": ("1B241D", "FFFFFF", "17402B", "ECF3EC", "256B45", "B3541E", "356A93", "8B6A14", "7A4B7D", "5E6A60"),
    "plum": ("241C2A", "FFFFFF", "3F1F4F", "F3EEF6", "6F3A8A", "B8502B", "1F6F78", "8A6A10", "A33B5E", "68606E"),
    "slate": ("1C1F24", "FFFFFF", "23303D", "EEF1F4", "33557A", "B5532A", "3C7761", "7A5F9A", "8F6B12", "626B75"),
}
Bullet = str | tuple[str, int]


class Deck:
    """A deck in the making. ``slides`` returned by the methods are python-pptx slides: add to them what you like."""

    slide_width, slide_height = 13.333, 7.5
    left, top, width, height = 0.75, 1.75, 11.833, 4.95

    def __init__(
        self,
        title: str,
        palette: str | Sequence[str] = "ocean",
        font: str = "Arial",
        footer: str = "",
        author: str = "",
    ) -> None:
        self.colours = PALETTES[palette] if isinstance(palette, str) else tuple(palette)
        if len(self.colours) != 10:
            raise ValueError("a palette has ten colours: text, background, dark, light and six accents")
        self.font, self.footer = font, footer
        self.presentation = Presentation()
        self.presentation.slide_width, self.presentation.slide_height = (
            Inches(self.slide_width),
            Inches(self.slide_height),
        )
        core = self.presentation.core_properties
        core.title, core.author, core.last_modified_by = title, author, author
        core.created = core.modified = datetime.datetime.now(datetime.UTC)
        set_theme(self.presentation, self.colours, font)
        area = (self.left, self.top, self.width, self.height)
        self._layouts = set_layouts(self.presentation, area, self.slide_height)

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
        self,
        title: str,
        left: Sequence[Bullet],
        right: Sequence[Bullet],
        heads: tuple[str, str] = ("", ""),
        notes: str = "",
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
            place(holder, x, self.top + head, width, self.height - head)
            self._fill(holder, points, width, self.height - head)
        return slide

    def chart(
        self,
        title: str,
        kind: str,
        categories: Sequence[Any],
        series: Mapping[str, Sequence[float | None]],
        *,
        number_format: str = "",
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
        self.add_chart(
            slide, kind, categories, series, self.left, self.top, width, height, number_format, axis, alt or title
        )
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
                slide,
                value,
                x + 0.2,
                self.top + 0.45,
                width - 0.4,
                1.1,
                size=size,
                bold=True,
                colour="accent1",
                align="centre",
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
        frame.vertical_anchor = {"top": MSO_ANCHOR.TOP, "middle": MSO_ANCHOR.MIDDLE, "bottom": MSO_ANCHOR.BOTTOM}[
            anchor
        ]
        size = self._size(content, width, height, size, 12, bold=bold)
        for number, (line, level) in enumerate(_points(content)):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.alignment = {"left": PP_ALIGN.LEFT, "centre": PP_ALIGN.CENTER, "right": PP_ALIGN.RIGHT}[align]
            run = paragraph.add_run()
            run.text = line
            run.font.size, run.font.bold = Pt(size - 2 * level), bold or None
            run.font.color.theme_color = theme_colour(colour)
            if not isinstance(content, str):
                _bullet(paragraph, level)
                paragraph.space_after = Pt(size * 0.4)
        return box

    def card(self, slide: Any, x: float, y: float, width: float, height: float, colour: str = "background2") -> Any:
        """A plain coloured ground for what is put on it afterwards."""
        card = slide.shapes.add_shape(MSO_SHAPE.RECTANGLE, Inches(x), Inches(y), Inches(width), Inches(height))
        card.fill.solid()
        card.fill.fore_color.theme_color = theme_colour(colour)
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
        number_format: str = "",
        axis: str = "",
        alt: str = "",
    ) -> Any:
        """A native chart in an area, in the deck's colours."""
        if kind not in CHARTS:
            raise ValueError(f"there is no chart {kind!r}; there are: {', '.join(CHARTS)}")
        for name, values in series.items():
            if len(values) != len(categories):
                raise ValueError(f"the series {name!r} has {len(values)} values for {len(categories)} categories")
        if not number_format:
            every = [value for values in series.values() for value in values if value is not None]
            whole = all(float(value).is_integer() for value in every)
            number_format = "#,##0" if whole and any(abs(value) >= 1000 for value in every) else "General"
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
        graphic = slide.shapes.add_chart(CHARTS[kind], Inches(x), Inches(y), Inches(width), Inches(height), data)
        _describe(graphic, alt)
        style_chart(graphic.chart, kind, len(series), len(categories), number_format, axis)
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
                cell.fill.fore_color.theme_color = theme_colour(
                    "text2" if r == 0 else "background1" if r % 2 else "background2"
                )
                paragraph = cell.text_frame.paragraphs[0]
                paragraph.alignment = PP_ALIGN.RIGHT if right[c] else PP_ALIGN.LEFT
                run = paragraph.add_run()
                run.text = value
                run.font.size = Pt(size)
                run.font.bold = r == 0 or (bold_last and r == len(cells) - 1)
                run.font.color.theme_color = theme_colour("background1" if r == 0 else "text1")
        return graphic

    def save(self, path: str | Path) -> Path:
        """Write the deck and return where."""
        self.presentation.save(str(path))
        return Path(path)

    # How it is done

    def _opening(self, layout: int, title: str, text: str, notes: str) -> Any:
        slide = self.presentation.slides.add_slide(self._layouts[layout])
        slide.shapes.title.text = title
        slide.shapes.title.text_frame.paragraphs[0].runs[0].font.size = Pt(
            self._size(title, 10.5, 2.0, 44, 28, bold=True)
        )
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
                element.nvSpPr.cNvPr.set("id", str(max(shape.shape_id for shape in slide.shapes) + 1))
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
        self,
        content: str | Sequence[Bullet],
        width: float,
        height: float,
        largest: float,
        least: float,
        *,
        bold: bool = False,
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
                    f"the text that begins {begin!r} does not fit {width:.1f} x {height:.1f} in even at {least} "
                    "points: shorten it, or use two slides"
                )
            size -= 1

    def _table_heights(self, cells: list[list[str]], widths: list[float], height: float) -> tuple[float, list[float]]:
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


def _points(content: str | Sequence[Bullet]) -> list[tuple[str, int]]:
    if isinstance(content, str):
        return [(line, 0) for line in content.split("\n")]
    return [(point, 0) if isinstance(point, str) else (point[0], point[1]) for point in content]


def _describe(shape: Any, alt: str) -> None:
    shape._element.xpath(".//p:cNvPr")[0].set("descr", alt)


def _bullet(paragraph: Any, level: int) -> None:
    properties = paragraph._p.get_or_add_pPr()
    properties.set("marL", str(228600 * (level + 1)))
    properties.set("indent", "-228600")
    etree.SubElement(properties, qn("a:buFont"), typeface="Arial")
    etree.SubElement(properties, qn("a:buChar"), char="•" if level == 0 else "–")


def _is_numeric(values: list[str]) -> bool:
    plain = [value.strip(" %€$£+-−–.,()") for value in values if value.strip()]
    return bool(plain) and all(
        value.replace(",", "").replace(".", "").replace(" ", "").replace(" ", "").isdigit() for value in plain if value
    )
