"""A table drawn into a PDF is found again, cell by cell."""

import pdfplumber
from reportlab.lib import colors
from reportlab.platypus import SimpleDocTemplate, Table

rows = [["name", "age"], ["Ada", "36"], ["Grace", "85"]]
SimpleDocTemplate("table.pdf").build([Table(rows, style=[("GRID", (0, 0), (-1, -1), 1, colors.black)])])
with pdfplumber.open("table.pdf") as pdf:
    assert pdf.pages[0].extract_table() == rows
    assert pdf.pages[0].to_image(resolution=72).original.width in (595, 596)
