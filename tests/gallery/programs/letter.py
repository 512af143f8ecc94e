"""A letter with an offer: a letter head, styles, a table, a list."""

import os
import sys

sys.path.insert(0, "/skills/docx/scripts")
from document import Document

letter = Document("Offer 2026-014", page="A4", palette="ocean", language="en-GB", page_numbers=False)
letter.letter_head(
    "Harbour Museum\nPier 4\n1012 Harbour Town",
    "Ms Ada Lind\nLind School\n12 Mill Lane\n2040 Riverside",
    "2 March 2026",
    "Offer 2026-014: three school evenings in November",
)
letter.text("Dear Ms Lind,")
letter.text(
    "Thank you for your visit in February. As you asked, we would like to offer your school **three evenings** in the "
    "museum, with guides for every class and the workshop in the hall of maps."
)
letter.table(
    ["Part", "Classes", "Price each", "Sum in euros"],
    [
        ["Guided evening, two hours", "6", "120.00", "720.00"],
        ["Workshop “Draw your own map”", "6", "85.00", "510.00"],
        ["Bus from Riverside and back", "3", "190.00", "570.00"],
        ["Total", "", "", "1,800.00"],
    ],
    bold_last=True,
)
letter.text("The price includes:")
letter.bullets(["one guide for each class, in English or French", "paper, pens and a print of every map", "a supper for the teachers"])
letter.note("The offer is open until **30 April 2026**. We keep 11, 18 and 25 November free for you.")
letter.text("If you have questions, call me at any time. I look forward to your answer.")
letter.text("Yours sincerely,")
letter.text("**Jon Berg**\nHead of education")
letter.save(os.environ["OUTPUT_DIR"] + "/letter.docx")
