"""A slide with a table, a chart and a picture is written and read back."""

from PIL import Image
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

show = Presentation()
slide = show.slides.add_slide(show.slide_layouts[5])
slide.shapes.title.text = "Quarterly résumé"
data = CategoryChartData()
data.categories = ["Q1", "Q2"]
data.add_series("Sales", (1.5, 2.5))
slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(2), Inches(4), Inches(3), data)
slide.shapes.add_table(2, 2, Inches(6), Inches(2), Inches(3), Inches(1)).table.cell(0, 0).text = "cell"
Image.new("RGB", (20, 20), "green").save("dot.png")
slide.shapes.add_picture("dot.png", Inches(6), Inches(4))
show.save("show.pptx")

shapes = list(Presentation("show.pptx").slides[0].shapes)
assert shapes[0].text_frame.text == "Quarterly résumé"
assert [shape.has_chart for shape in shapes].count(True) == 1
