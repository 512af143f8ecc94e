"""A report as PDF from headings, paragraphs, lists, tables, figures: embedded fonts, page numbers, outline, metadata.

    import sys; sys.path.insert(0, "/skills/pdf/scripts")
    from report import Report

    report = Report("out.pdf", title="Sales 2025", author="Finance", header="Internal")
    report.cover("Sales 2025", "What we sold, where, and why")
    report.heading("Summary")
    report.paragraph("Revenue rose by <b>12 %</b>.")
    report.figures([("Revenue", "1.2 M", "+12 %"), ("Orders", "3 410", "-2 %")])
    report.table([["Region", "Units"], ["North", 12], ["South", 7], ["Total", 19]], total=True)
    report.picture("chart.png", caption="Revenue by month")
    report.build()

Text may have reportlab's markup (<b>, <i>, <link href="">, <br/>); pass text from data through ``escaped``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fonts import escaped, markup, register, width
from reportlab.lib import colors, pagesizes
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    Image,
    KeepTogether,
    ListFlowable,
    ListItem,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents
from reportlab.platypus.tables import CellStyle

CellStyle.fontname = "Sans"  # Tables name their font even where all cells are paragraphs.

INK, GREY, LINE = colors.HexColor("#222222"), colors.HexColor("#667085"), colors.HexColor("#D0D5DD")


class _NumberedCanvas(Canvas):
    """Writes "Page 3 of 12", which is known only at the end."""

    furniture: Callable[[Canvas, int, int], None]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Every page begins by naming a font: one that is embedded.
        super().__init__(*arguments, **{**options, "initialFontName": "Sans"})
        self.saved: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802
        self.saved.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for page in self.saved:
            self.__dict__.update(page)
            self.furniture(self, self._pageNumber, len(self.saved))
            super().showPage()
        super().save()


class _Document(BaseDocTemplate):
    def afterFlowable(self, flowable: Any) -> None:  # noqa: N802
        level = getattr(flowable, "outline_level", None)
        if level is None:
            return
        key = f"heading-{self.seq.nextf('heading')}"
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.plain, key, level, closed=level > 0)
        self.notify("TOCEntry", (level, flowable.getPlainText(), self.page, key))


class Report:
    """A document that grows by its methods and is written by ``build``."""

    def __init__(
        self,
        path: str | Path,
        title: str,
        author: str = "",
        subject: str = "",
        header: str = "",
        size: str = "A4",
        landscape: bool = False,
        accent: str = "#1F4E79",
        font: str = "Sans",
        margin: float = 20,
        page_word: str = "Page {page} of {pages}",
    ) -> None:
        """``margin`` in mm, ``size`` A4, A5, LETTER or LEGAL, ``font`` Sans or Serif."""
        register()
        self.path, self.title, self.author, self.subject, self.header = Path(path), title, author, subject, header
        page = getattr(pagesizes, size.upper())
        self.page = pagesizes.landscape(page) if landscape else page
        self.accent, self.font, self.margin, self.page_word = colors.HexColor(accent), font, margin * mm, page_word
        self.width = self.page[0] - 2 * self.margin
        self.story: list[Any] = []
        self.covered = self.listed = False
        base = ParagraphStyle("body", fontName=font, fontSize=10, leading=14.5, textColor=INK, spaceAfter=6)
        self.styles = {
            "body": base,
            "small": ParagraphStyle("small", base, fontSize=8.5, leading=11.5, textColor=GREY),
            "cell": ParagraphStyle("cell", base, fontSize=9, leading=12, spaceAfter=0),
            "number": ParagraphStyle("number", base, fontSize=9, leading=12, spaceAfter=0, alignment=TA_RIGHT),
            "title": ParagraphStyle(
                "title", base, fontName=f"{font}-Bold", fontSize=26, leading=32, textColor=self.accent
            ),
            "lead": ParagraphStyle("lead", base, fontSize=13, leading=18, textColor=GREY, spaceAfter=14),
        }
        for level, points in enumerate((17, 13, 11), 1):
            self.styles[f"h{level}"] = ParagraphStyle(
                f"h{level}", base, fontName=f"{font}-Bold", fontSize=points, leading=points * 1.25, keepWithNext=1,
                textColor=self.accent if level < 3 else INK, spaceBefore=points * 0.8, spaceAfter=points * 0.4,
            )  # fmt: skip

    def _text(self, text: object, style: str) -> Paragraph:
        return Paragraph(markup(str(text), self.font), self.styles[style])

    def cover(self, title: str, subtitle: str = "", lines: Sequence[str] = ()) -> None:
        """A first page of its own, without header and footer."""
        self.covered = True
        self.story += [Spacer(1, self.page[1] * 0.22), self._text(title, "title"), _Rule(self.accent, 60 * mm, 2)]
        self.story += [Spacer(1, 10), self._text(subtitle, "lead")] if subtitle else []
        self.story += [self._text(line, "body") for line in (*lines, *([self.author] if self.author else []))]
        self.story.append(PageBreak())

    def contents(self, heading: str = "Contents") -> None:
        """A table of contents of all headings."""
        self.listed = True
        contents = TableOfContents(dotsMinLevel=0)
        contents.levelStyles = [
            ParagraphStyle(f"toc{level}", self.styles["body"], leftIndent=level * 14, spaceAfter=2)
            for level in range(3)
        ]
        self.story += [self._text(heading, "h1"), contents, PageBreak()]

    def heading(self, text: str, level: int = 1) -> None:
        paragraph = self._text(text, f"h{level}")
        paragraph.outline_level, paragraph.plain = level - 1, paragraph.getPlainText()
        self.story.append(paragraph)

    def paragraph(self, text: str, style: str = "body") -> None:
        self.story.append(self._text(text, style))

    def bullets(self, items: Sequence[str], numbered: bool = False) -> None:
        rows = [ListItem(self._text(item, "body"), leftIndent=14) for item in items]
        kind = {"bulletType": "1"} if numbered else {"bulletType": "bullet", "start": "•"}
        self.story.append(ListFlowable(rows, bulletColor=self.accent, leftIndent=14, bulletFontName=self.font, **kind))

    def note(self, text: str) -> None:
        """A boxed remark."""
        table = Table([[self._text(text, "body")]], colWidths=[self.width])
        table.setStyle(
            TableStyle([
                ("BACKGROUND", (0, 0), (-1, -1), colors.Color(*self.accent.rgb(), alpha=0.08)),
                ("LINEBEFORE", (0, 0), (0, -1), 3, self.accent), ("LEFTPADDING", (0, 0), (-1, -1), 10),
                ("TOPPADDING", (0, 0), (-1, -1), 7), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ])
        )  # fmt: skip
        self.story += [table, Spacer(1, 8)]

    def figures(self, figures: Sequence[tuple[str, str, str]]) -> None:
        """Key figures side by side: label, figure, remark."""
        big = ParagraphStyle(
            "big",
            self.styles["body"],
            fontName=f"{self.font}-Bold",
            fontSize=18,
            leading=23,
            textColor=self.accent,
            spaceAfter=0,
        )
        cells = [
            [
                self._text(label, "small"),
                Paragraph(markup(figure, self.font), big),
                self._text(remark or "&nbsp;", "small"),
            ]
            for label, figure, remark in figures
        ]
        table = Table([cells], colWidths=[self.width / len(cells)] * len(cells))
        table.setStyle(
            TableStyle(
                [
                    ("LINEABOVE", (0, 0), (-1, 0), 1.5, self.accent),
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (0, -1), 0),
                ]
            )
        )
        self.story += [table, Spacer(1, 8)]

    def table(
        self,
        rows: Sequence[Sequence[Any]],
        widths: Sequence[float] | None = None,
        total: bool = False,
        caption: str = "",
        formats: Sequence[str | None] | None = None,
    ) -> None:
        """Rows with one heading, which is repeated on every page. ``widths`` are parts of the text's width;
        ``formats`` are format specifications of columns, such as ``",.0f"``; ``total`` sets off the last row."""
        if not rows:
            raise ValueError("a table needs a row of headings")
        formats = formats or [None] * len(rows[0])
        texts = [
            [_shown(value, form if at else None) for value, form in zip(row, formats, strict=True)]
            for at, row in enumerate(rows)
        ]
        numeric = [
            all(isinstance(row[column], int | float) or row[column] in ("", None) for row in rows[1:])
            for column in range(len(rows[0]))
        ]
        parts = widths or self._natural(texts)
        scale = self.width / sum(parts)
        cells: list[list[Any]] = []
        for at, row in enumerate(texts):
            strong = at == 0 or (total and at == len(texts) - 1)
            cells.append([])
            for column, text in enumerate(row):
                inner = f"<b>{escaped(text)}</b>" if strong else escaped(text)
                inner = f'<font color="white">{inner}</font>' if at == 0 else inner
                cells[-1].append(self._text(inner, "number" if numeric[column] else "cell"))
        table = Table(cells, colWidths=[part * scale for part in parts], repeatRows=1)
        style: list[tuple[Any, ...]] = [
            ("BACKGROUND", (0, 0), (-1, 0), self.accent), ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LINEBELOW", (0, 1), (-1, -1), 0.4, LINE), ("TOPPADDING", (0, 0), (-1, -1), 4),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, colors.HexColor("#F7F9FC")]),
        ]  # fmt: skip
        if total:
            style += [("LINEABOVE", (0, -1), (-1, -1), 1, self.accent), ("BACKGROUND", (0, -1), (-1, -1), colors.white)]
        table.setStyle(TableStyle(style))
        self.story += [self._text(caption, "small")] if caption else []
        self.story += [table, Spacer(1, 10)]

    def _natural(self, texts: list[list[str]]) -> list[float]:
        """Widths by content: the longest word always fits, the rest is shared by the length of the text."""
        sizes = []
        for column in zip(*texts, strict=True):
            longest = max((width(text, 9, self.font) for text in column[:500]), default=0)
            word = max(
                (width(part, 9.5, f"{self.font}-Bold") for text in column[:500] for part in text.split()), default=0
            )
            sizes.append((max(word, 12) + 14, max(longest, 12) + 14))
        least, wished = sum(low for low, _ in sizes), sum(high for _, high in sizes)
        if wished <= self.width or least >= self.width:
            return [high if wished <= self.width else low for low, high in sizes]
        share = (self.width - least) / (wished - least)
        return [low + (high - low) * share for low, high in sizes]

    def picture(self, source: str | Path | Any, width_share: float = 1.0, caption: str = "") -> None:
        """An image file, or a matplotlib figure, as wide as ``width_share`` of the text."""
        if hasattr(source, "savefig"):
            import io

            buffer = io.BytesIO()
            source.savefig(buffer, format="png", dpi=200, bbox_inches="tight")
            source = buffer
        else:
            source = str(source)
        across, down = ImageReader(source).getSize()
        wide = self.width * width_share
        high = wide * down / across
        room = self.page[1] - 2 * self.margin - 60
        if high > room:
            wide, high = wide * room / high, room
        parts = [Image(source, wide, high), *([self._text(caption, "small")] if caption else []), Spacer(1, 6)]
        self.story.append(KeepTogether(parts))

    def add(self, flowable: Any) -> None:
        """Anything of reportlab's platypus."""
        self.story.append(flowable)

    def space(self, height: float = 12) -> None:
        self.story.append(Spacer(1, height))

    def page_break(self) -> None:
        self.story.append(PageBreak())

    def build(self) -> Path:
        """Write the file and return its path. A report is built once."""
        document = _Document(
            str(self.path), pagesize=self.page, leftMargin=self.margin, rightMargin=self.margin, topMargin=self.margin,
            bottomMargin=self.margin, title=self.title, author=self.author, subject=self.subject, creator="report.py",
        )  # fmt: skip
        frame = Frame(self.margin, self.margin, self.width, self.page[1] - 2 * self.margin, 0, 0, 0, 0)
        document.addPageTemplates(PageTemplate("page", [frame]))
        numbered = type("_Canvas", (_NumberedCanvas,), {"furniture": staticmethod(self._furniture)})
        (document.multiBuild if self.listed else document.build)(self.story, canvasmaker=numbered)
        return self.path

    def _furniture(self, canvas: Canvas, page: int, pages: int) -> None:
        if self.covered and page == 1:
            return
        canvas.setFont(self.font, 8)
        canvas.setFillColor(GREY)
        low, high = self.margin * 0.55, self.page[1] - self.margin * 0.65
        _draw(canvas, self.margin, low, self.title, self.font)
        canvas.drawRightString(self.page[0] - self.margin, low, self.page_word.format(page=page, pages=pages))
        if self.header:
            _draw(canvas, self.margin, high, self.header, self.font)
        canvas.setStrokeColor(LINE)
        canvas.line(self.margin, low + 11, self.page[0] - self.margin, low + 11)


def _draw(canvas: Canvas, x: float, y: float, text: str, font: str) -> None:
    from fonts import runs

    line = canvas.beginText(x, y)
    for name, piece in runs(text, font):
        line.setFont(name, 8)
        line.textOut(piece)
    canvas.drawText(line)


def _shown(value: Any, form: str | None) -> str:
    if value is None:
        return ""
    if form and isinstance(value, int | float):
        return format(value, form)
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}" if isinstance(value, float) else str(value)


class _Rule(Spacer):
    def __init__(self, color: Any, long: float, thick: float) -> None:
        super().__init__(long, thick + 4)
        self.color, self.long, self.thick = color, long, thick

    def draw(self) -> None:
        self.canv.setFillColor(self.color)
        self.canv.rect(0, 2, self.long, self.thick, stroke=0, fill=1)
