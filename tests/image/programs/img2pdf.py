"""Two pictures become the two pages of a PDF, without losing a pixel."""

import img2pdf
from PIL import Image
from pypdf import PdfReader

Image.new("RGB", (40, 30), "red").save("a.jpg")
Image.new("RGB", (20, 10), "blue").save("b.png")
with open("both.pdf", "wb") as file:
    file.write(img2pdf.convert(["a.jpg", "b.png"]))
pages = PdfReader("both.pdf").pages
assert [page.images[0].image.size for page in pages] == [(40, 30), (20, 10)]
