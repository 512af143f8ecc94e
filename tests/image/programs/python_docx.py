"""A document with a heading, a table and a picture is written and read back."""

from docx import Document
from PIL import Image

Image.new("RGB", (20, 20), "red").save("dot.png")
document = Document()
document.add_heading("Bericht", level=1)
document.add_paragraph("Erste Zeile").add_run(" fett").bold = True
document.add_table(rows=2, cols=2).cell(1, 1).text = "unten rechts"
document.add_picture("dot.png")
document.save("report.docx")

again = Document("report.docx")
assert [paragraph.text for paragraph in again.paragraphs][:2] == ["Bericht", "Erste Zeile fett"]
assert again.tables[0].cell(1, 1).text == "unten rechts"
assert len(again.inline_shapes) == 1
