"""A PDF page becomes a picture, and its text is read."""

import pypdfium2
from reportlab.pdfgen.canvas import Canvas

canvas = Canvas("page.pdf", pagesize=(300, 200))
canvas.drawString(50, 100, "Hello, sphere")
canvas.save()
document = pypdfium2.PdfDocument("page.pdf")
picture = document[0].render(scale=2).to_pil()
assert picture.size == (600, 400)
assert picture.convert("L").getextrema()[0] < 60
assert document[0].get_textpage().get_text_bounded().strip() == "Hello, sphere"
document.close()
