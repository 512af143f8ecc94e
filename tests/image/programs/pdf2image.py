"""A PDF of two pages becomes two pictures by way of poppler."""

from pdf2image import convert_from_path, pdfinfo_from_path
from reportlab.pdfgen.canvas import Canvas

canvas = Canvas("pages.pdf", pagesize=(144, 72))
for text in ("first", "second"):
    canvas.drawString(20, 30, text)
    canvas.showPage()
canvas.save()
assert pdfinfo_from_path("pages.pdf")["Pages"] == 2
pictures = convert_from_path("pages.pdf", dpi=144)
assert [picture.size for picture in pictures] == [(288, 144), (288, 144)]
assert all(picture.convert("L").getextrema()[0] < 60 for picture in pictures)
