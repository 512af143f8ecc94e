"""A workbook with a formula, a style, a picture and a chart is written and read back."""

import openpyxl
from openpyxl.chart import BarChart, Reference
from openpyxl.drawing.image import Image
from openpyxl.styles import Font
from PIL import Image as Picture

book = openpyxl.Workbook()
sheet = book.active
for row in [("city", "people"), ("Lyon", 522), ("京都", 1464)]:
    sheet.append(row)
sheet["A1"].font = Font(bold=True)
sheet["B4"] = "=SUM(B2:B3)"
chart = BarChart()
chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
sheet.add_chart(chart, "D2")
Picture.new("RGB", (8, 8), "red").save("dot.png")
sheet.add_image(Image("dot.png"), "D20")
book.save("book.xlsx")

again = openpyxl.load_workbook("book.xlsx").active
assert [cell.value for cell in again[3]][:2] == ["京都", 1464]
assert again["B4"].value == "=SUM(B2:B3)"
assert again["A1"].font.bold
