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
total, before = sum(VISITS["2025"]), sum(VISITS["2024"])
growth = total / before - 1

deck = Deck("Harbour Museum 2025", palette="ocean", footer="Harbour Museum · Report to the board")
deck.title("A year of visitors", "Report to the board, March 2026")
deck.figures(
    "2025 was the best year since the museum opened",
    [(f"{total / 1000:.0f} k", f"visits, {growth:+.0%} on 2024"), ("569 k", "euros of income"), ("4.6", "of 5 stars from visitors")],
    "Two new halls and longer hours in summer brought most of the growth.",
)
deck.section("How many came", "Counted at the doors, every day")
deck.chart(
    "Every month of 2025 had more visits than the same month of 2024", "column", MONTHS, VISITS,
    number_format="#,##0", takeaways=["Summer brings half of the year", "November is the weakest month", "No month fell behind"],
    source="Source: door counters, January 2024 to December 2025",
)
deck.chart(
    "Families are now the largest group", "bar", ["Groups", "Schools", "Single visitors", "Couples", "Families"],
    {"Share of visits": [0.09, 0.14, 0.19, 0.24, 0.34]}, number_format="0%",
    takeaways=["Families grew by five points", "Schools come in spring"], source="Source: ticket desk, 2025",
)
deck.two_columns(
    "Visitors praise the guides and dislike the queues",
    ["Friendly guides, in four languages", "The hall of maps", "Room for children"],
    ["Queues at the ticket desk in July", "Too few seats on the upper floor", "Signs that are hard to read"],
    heads=("Praise", "Complaints"),
)
deck.quote("We came for the ships and stayed for the maps.", "A visitor, July 2025")
deck.table(
    "Tickets pay for four fifths of the running costs",
    ["Thousand euros", "2024", "2025", "Change"],
    [["Tickets", "412", "468", "+56"], ["Shop", "61", "66", "+5"], ["Events", "38", "35", "-3"], ["Income", "511", "569", "+58"]],
    widths=[4, 2, 2, 2],
)
deck.bullets(
    "Three steps for 2026",
    ["Tickets by phone, before the summer", ("No queue at the desk for half of the visitors", 1), "Forty seats on the upper floor",
     "An evening for schools in November", ("The weakest month gets an attraction", 1)],
    notes="The costs of each are in the annex.",
)  # fmt: skip
deck.bullets(
    "We ask the board for 48,000 euros",
    ["31,000 for the tickets by phone", "11,000 for seats and signs", "6,000 for the evenings of schools", "Decision by 30 April, so that July is without queues"],
)
deck.save(os.environ["OUTPUT_DIR"] + "/museum.pptx")
