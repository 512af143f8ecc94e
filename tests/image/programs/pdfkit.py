"""HTML with a style and two scripts becomes a PDF, by way of wkhtmltopdf, with no display."""

import pdfkit
from pypdf import PdfReader

html = "<meta charset=utf-8><style>h1 {color: navy}</style><h1>Invoice</h1><p>合計 12 €</p>"
assert pdfkit.from_string(html, "invoice.pdf")
text = " ".join(PdfReader("invoice.pdf").pages[0].extract_text().split())
assert text == "Invoice 合計 12 €", text
