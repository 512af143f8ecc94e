"""A deck in which each slide has one fault, and a second file whose parts are broken."""

import zipfile

from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
from pptx.enum.text import MSO_AUTO_SIZE
from pptx.util import Inches, Pt

deck = Presentation()
deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
faults = []


def slide(fault: str, title: str | None = None):
    made = deck.slides.add_slide(deck.slide_layouts[5])
    faults.append(fault)
    made.shapes.title.text = title or f"Slide about {fault}"
    return made


def text(made, words, x, y, width, height, size=18):
    box = made.shapes.add_textbox(Inches(x), Inches(y), Inches(width), Inches(height))
    box.text_frame.word_wrap = True
    box.text_frame.text = words
    box.text_frame.paragraphs[0].runs[0].font.size = Pt(size)
    return box


text(slide("overflow"), "many words that do not fit " * 12, 1, 2, 3, 1).text_frame.auto_size = MSO_AUTO_SIZE.NONE
one = slide("text-on-text")
text(one, "One text", 1, 2, 4, 1)
text(one, "Another text", 1.1, 2.1, 4, 1)
text(slide("off-slide"), "To the right", 12.5, 3, 3, 1)
empty = deck.slides.add_slide(deck.slide_layouts[1])
faults.append("empty-placeholder")
empty.shapes.title.text = "Slide about nothing"
text(slide("filler"), "Dear {{name}}", 1, 2, 4, 1)
text(slide("small-type"), "Legal words", 1, 2, 4, 1, size=7)
text(slide("contrast"), "Pale", 1, 2, 4, 1).text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(250, 250, 250)
Image.new("RGB", (100, 100), (40, 90, 160)).save("square.png")
one = slide("no-alt-text")
one.shapes.add_picture("square.png", Inches(1), Inches(2), Inches(2), Inches(2))._element.xpath(".//p:cNvPr")[0].set(
    "descr", ""
)
picture = slide("distorted").shapes.add_picture("square.png", Inches(1), Inches(2), Inches(4), Inches(2))
picture._element.xpath(".//p:cNvPr")[0].set("descr", "A square")
one = slide("overlap")
for x in (1, 2):
    picture = one.shapes.add_picture("square.png", Inches(x), Inches(2), Inches(2), Inches(2))
    picture._element.xpath(".//p:cNvPr")[0].set("descr", "A square")
data = CategoryChartData()
data.categories = ["a"]
data.add_series("s", [None])
chart = slide("empty-chart").shapes.add_chart(XL_CHART_TYPE.PIE, Inches(1), Inches(2), Inches(4), Inches(4), data)
chart._element.xpath(".//p:cNvPr")[0].set("descr", "A chart")
table = slide("table-grows").shapes.add_table(2, 2, Inches(1), Inches(2), Inches(3), Inches(0.5))
table.table.cell(0, 0).text = "words in a narrow cell " * 3
slide("same-title", "Slide about overflow")
one = slide("no-title")
text(one, "A text", 1, 3, 4, 1)
one.shapes._spTree.remove(one.shapes.title._element)
text(slide("many-words"), "word " * 130, 0.5, 2, 12, 5, size=14)
deck.save("bad.pptx")
print("\n".join(faults))

with zipfile.ZipFile("bad.pptx") as source, zipfile.ZipFile("broken.pptx", "w") as target:
    for entry in source.infolist():
        content = source.read(entry)
        if entry.filename.startswith("ppt/media/"):
            content = b"no picture"
        if entry.filename == "ppt/slides/slide11.xml":
            continue
        target.writestr(entry.filename, content)
