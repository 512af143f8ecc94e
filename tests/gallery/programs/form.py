"""A form to fill: the request of a school for an evening in the museum."""

import os
import sys

sys.path.insert(0, "/skills/pdf/scripts")
from fonts import register
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

register()
BLUE, GREY = colors.HexColor("#12638F"), colors.HexColor("#98A2B3")
page = Canvas(os.environ["OUTPUT_DIR"] + "/request.pdf", pagesize=A4, initialFontName="Sans")
page.setTitle("Request for an evening")
page.setFillColor(BLUE)
page.setFont("Sans-Bold", 22)
page.drawString(57, 760, "Request for an evening")
page.setFillColor(GREY)
page.setFont("Sans", 10)
page.drawString(57, 742, "Harbour Museum, education. Fields with a star are required.")
form = page.acroForm
LOOK = {"borderColor": GREY, "fillColor": colors.HexColor("#F5F8FB"), "borderWidth": 0.7, "forceBorder": True}


def label(text: str, x: float, y: float) -> None:
    page.setFillColor(colors.HexColor("#344054"))
    page.setFont("Sans", 10)
    page.drawString(x, y, text)


def text(name: str, title: str, x: float, y: float, width: float, height: float = 22, flags: str = "") -> None:
    label(title, x, y + height + 5)
    form.textfield(name=name, tooltip=title, x=x, y=y, width=width, height=height, maxlen=400, fieldFlags=flags, fontSize=11, **LOOK)


text("school", "School *", 57, 680, 300, flags="required")
text("pupils", "Pupils", 377, 680, 161)
text("teacher", "Teacher *", 57, 625, 300, flags="required")
text("date", "Date wished *", 377, 625, 161, flags="required")
label("Evening *", 57, 597)
for at, (value, shown) in enumerate([("maps", "Maps"), ("ships", "Ships"), ("both", "Both")]):
    form.radio(name="evening", value=value, tooltip="Evening", x=57 + at * 90, y=572, size=16, buttonStyle="circle", borderColor=GREY, fillColor=colors.white)
    label(shown, 79 + at * 90, 576)
label("Language", 377, 597)
form.choice(name="language", tooltip="Language", options=["English", "French", "Norwegian"], value="English", x=377, y=570, width=161, height=22, fontSize=11, **LOOK)
form.checkbox(name="supper", tooltip="Supper", x=57, y=535, size=16, borderColor=GREY, fillColor=colors.white, fieldFlags="")
label("Supper for the teachers", 79, 539)
form.checkbox(name="bus", tooltip="Bus", x=237, y=535, size=16, borderColor=GREY, fillColor=colors.white, fieldFlags="")
label("A bus is needed", 259, 539)
text("remarks", "Remarks", 57, 410, 481, 90, "multiline")
page.showPage()
page.save()
