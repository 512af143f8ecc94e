"""A deck with each kind of slide, as the instructions of the skill say."""

import sys

sys.path.insert(0, "/tmp/skills/pptx/scripts")
from deck import CHARTS, Deck
from PIL import Image

Image.new("RGB", (800, 500), (120, 160, 200)).save("hall.png")
deck = Deck("Harbour Museum 2025", palette="forest", footer="Harbour Museum")
deck.title("A year of visitors", "Report to the board")
deck.bullets("Visits grew by 12 %", ["Two halls opened", ("Hall of maps", 1), "For {{reason}}"], notes="Say why.")
deck.section("What visitors said")
deck.two_columns("Praise and complaints", ["Friendly guides"], ["Queues"], heads=("Praise", "Complaints"))
for kind in CHARTS:
    series = {"Visits": [8200, 17400]} | ({} if kind in ("pie", "doughnut") else {"Groups": [1200, 1900]})
    categories = [1, 2] if kind == "scatter" else ["Jan", "Jul"]
    deck.chart(
        f"As a {kind} chart", kind, categories, series, takeaways=["Holidays bring families"], source="Source: desk"
    )
deck.table("Income by source", ["Source", "2025"], [["Tickets", "468,000"], ["Sum", "468,000"]], bold_last=True)
deck.picture("The hall of maps", "hall.png", "Floor plan", ["310 m²"], caption="Photo: museum")
deck.figures(
    "Three figures", [("149 k", "visits"), ("€ 569 k", "income"), ("4.6", "of 5 stars")], text="All are records."
)
deck.quote("We came for the ships and stayed for the maps.", "A visitor, July 2025")
deck.save("deck.pptx")
try:
    deck.bullets("Too much", ["a point with far too many words " * 8] * 12)
except ValueError as error:
    print(error)
