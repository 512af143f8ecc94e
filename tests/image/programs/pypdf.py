"""Two PDFs are merged, one page turned, the result encrypted, opened and read."""

from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen.canvas import Canvas

for name in ("one", "two"):
    canvas = Canvas(f"{name}.pdf")
    canvas.drawString(100, 700, f"Page {name}")
    canvas.save()
writer = PdfWriter()
for name in ("one", "two"):
    writer.append(f"{name}.pdf")
writer.pages[1].rotate(90)
writer.encrypt("secret", algorithm="AES-256")
writer.write("both.pdf")

reader = PdfReader("both.pdf", password="secret")
assert [page.extract_text().strip() for page in reader.pages] == ["Page one", "Page two"]
assert reader.pages[1].rotation == 90
