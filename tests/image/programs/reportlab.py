"""A PDF with Chinese text in an embedded font, and a drawing as a picture."""

from pypdf import PdfReader
from reportlab.graphics import renderPM
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.shapes import Drawing
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

pdfmetrics.registerFont(TTFont("WenQuanYi", "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc", subfontIndex=0))
canvas = Canvas("page.pdf")
canvas.setFont("WenQuanYi", 14)
canvas.drawString(72, 700, "深海探测 bathysphere")
canvas.save()
assert "深海探测 bathysphere" in PdfReader("page.pdf").pages[0].extract_text()

drawing = Drawing(200, 100)
chart = VerticalBarChart()
chart.data = [(1, 3, 2)]
chart.width, chart.height = 150, 80
drawing.add(chart)
picture = renderPM.drawToPIL(drawing)
assert picture.size == (200, 100) and len(picture.getcolors(100_000)) > 3
