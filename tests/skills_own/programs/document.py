"""A document with each kind of element, as the instructions of the skill say."""

import sys

sys.path.insert(0, "/tmp/skills/docx/scripts")
from document import Document
from PIL import Image

Image.new("RGB", (800, 500), (120, 160, 200)).save("hall.png")
doc = Document("Annual report 2025", header="Harbour Museum", footer="Annual report", language="en-GB")
doc.title("Annual report 2025", "Harbour Museum")
doc.contents()
doc.page_break()
doc.heading("Visitors")
doc.text("Visits **grew by** 12 % *against* 2024; see [the data](https://example.org) and `visits.csv`.")
doc.bullets(["Two halls opened", ["Hall of maps", "Hall of ropes"], "Longer hours"])
doc.numbered(["First", ["inner"], "Second"])
doc.text("Dear {{name}},")
doc.numbered(["First again"])
doc.table(["Source", "2025"], [["Tickets", "468,000"], ["Sum", "468,000"]], caption="Income in euros", bold_last=True)
doc.picture("hall.png", "Floor plan of the hall of maps", width=9, caption="The hall of maps")
doc.note("The roof must be mended.")
doc.quote("We came for the ships.")
doc.code("print(1)\nprint(2)")
doc.markdown(
    "## Plans\n\nText in\ntwo lines.\n\n- a\n  - b\n\n1. one\n\n"
    "| A | B |\n|---|---|\n| x | 1 |\n\n> said\n\n```\ncode\n```\n"
)
doc.save("document.docx")
