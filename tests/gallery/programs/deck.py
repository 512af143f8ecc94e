"""Ten slides for the board of a museum, from the counts of one year."""

import os
import sys

sys.path.insert(0, "/skills/pptx/scripts")
from deck import Deck

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
VISITS = {
    "2024": [7300, 7900, 9800, 11200, 12100, 13900, 15800, 15100, 12000, 10900, 8300, 8700],
    "2025": [8200, 8600, 10900, 12800, 13700, 15600, 17400, 16900, 13500, 12400, 9300, 9700],
}
INCOME = {"Tickets": (412, 468), "Shop": (61, 66), "Events": (38, 35)}
total, before = sum(VISITS["2025"]), sum(VISITS["2024"])
summer = sum(VISITS["2025"][5:9]) / total
now, then = sum(year[1] for year in INCOME.values()), sum(year[0] for year in INCOME.values())

deck = Deck("Harbour Museum 2025", palette="ocean", footer="Harbour Museum · Report to the board")
deck.title("A year of visitors", "Report to the board, March 2026")
deck.figures(
    "2025 was the best year since the museum opened",
    [
        (f"{total / 1000:.0f} k", f"visits, {total / before - 1:+.0%} on 2024"),
        (f"{now} k", f"euros of income, {now / then - 1:+.0%}"),
        ("4.6", "of 5 stars from 1,204 visitors"),
    ],
    "Two new halls and longer hours in summer brought most of the growth.",
)
deck.section("Who came, and when", "Counted at the doors, every day")
deck.chart(
    "Every month had more visits than the year before", "column", MONTHS, VISITS, number_format="#,##0",
    takeaways=[f"June to September bring {summer:.0%} of the visits", "January is the weakest month", "No month fell behind"],
    source="Source: door counters, January 2024 to December 2025",
)  # fmt: skip
deck.chart(
    "Families are now the largest group", "bar", ["Families", "Couples", "Single visitors", "Schools", "Groups"],
    {"Share of visits": [0.34, 0.24, 0.19, 0.14, 0.09]}, number_format="0%",
    takeaways=["Families grew by five points", "Schools come in spring only"], source="Source: ticket desk, 2025",
)  # fmt: skip

slide = deck.blank("Visitors praise the guides and dislike the queues")
half = (deck.width - 0.4) / 2
SAID = (
    ("Praise", ["Friendly guides, in four languages", "The hall of maps", "Room for children to touch things", "The view from the tower"]),
    ("Complaints", ["Queues at the ticket desk in July", "Too few seats on the upper floor", "Signs that are hard to read", "No tickets by phone"]),
)
for at, (head, points) in enumerate(SAID):
    x = deck.left + at * (half + 0.4)
    deck.card(slide, x, deck.top + 0.1, half, deck.height - 0.6)
    deck.text(slide, head, x + 0.35, deck.top + 0.4, half - 0.7, 0.5, size=24, bold=True, colour="accent1" if at == 0 else "accent2")
    deck.text(slide, points, x + 0.35, deck.top + 1.15, half - 0.7, deck.height - 2.1, size=22)

deck.quote("We came for the ships and stayed for the maps.", "A visitor, July 2025", title="What they remember")

slide = deck.blank(f"Tickets bring {INCOME['Tickets'][1] / now:.0%} of the income")
rows = [[name, a, b, f"{b - a:+d}"] for name, (a, b) in INCOME.items()] + [["Income", then, now, f"{now - then:+d}"]]
left = deck.width * 0.52
deck.add_table(slide, ["Thousand euros", "2024", "2025", "Change"], rows, deck.left, deck.top + 0.2, left, 3.2, [3, 2, 2, 2], True)
deck.add_chart(slide, "doughnut", list(INCOME), {"2025": [b for _, b in INCOME.values()]}, deck.left + left + 0.4, deck.top, deck.width - left - 0.4, deck.height - 0.4, alt="Income of 2025: tickets 468, shop 66, events 35 thousand euros")
deck.text(slide, "The shop grew with the visits; fewer companies booked events.", deck.left, deck.top + 3.7, left, 1, size=20)

slide = deck.blank("Three steps for 2026", notes="The costs of each are on the next slide.")
third = (deck.width - 0.8) / 3
STEPS = (
    ("Tickets by phone", "No queue at the desk for half of the visitors in July.", "by June"),
    ("Forty seats and new signs", "The upper floor becomes a place to rest and to read.", "by September"),
    ("School evenings", "A quiet month gets an attraction of its own.", "in November"),
)
for at, (head, text, when) in enumerate(STEPS):
    x = deck.left + at * (third + 0.4)
    deck.card(slide, x, deck.top + 0.1, third, deck.height - 0.8)
    deck.text(slide, str(at + 1), x + 0.3, deck.top + 0.35, 1, 0.9, size=44, bold=True, colour="accent2")
    deck.text(slide, head, x + 0.3, deck.top + 1.35, third - 0.6, 0.9, size=22, bold=True, colour="accent1")
    deck.text(slide, text, x + 0.3, deck.top + 2.3, third - 0.6, 1.4, size=18)
    deck.text(slide, when, x + 0.3, deck.top + deck.height - 1.4, third - 0.6, 0.4, size=18, bold=True)

deck.figures(
    "We ask the board for 48,000 euros",
    [("31 k", "for tickets by phone"), ("11 k", "for seats and signs"), ("6 k", "for the evenings of schools")],
    "A decision by 30 April lets July pass without queues.",
)
deck.save(os.environ["OUTPUT_DIR"] + "/museum.pptx")
