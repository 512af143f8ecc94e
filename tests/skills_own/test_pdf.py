"""The skill for PDF files: its scripts, with the libraries of the image."""

from __future__ import annotations

import json

import pytest

from tests.skills_own.conftest import Run

SCRIPTS = "/skills/pdf/scripts"

MAKE = """
import sys; sys.path.insert(0, "/skills/pdf/scripts")
from fonts import escaped
from report import Report
import matplotlib.pyplot as plt
figure, axes = plt.subplots(); axes.bar(["a", "b"], [1, 2])
report = Report("report.pdf", title="Sales", author="Finance",
                header="Intern \u00e4\u00f6\u00fc")
report.cover("Sales \u2014 \u58f2\u4e0a", "What we sold"); report.contents()
report.heading("Summary")
report.paragraph("<b>\u041f\u0440\u0438\u0432\u0435\u0442</b> \u65e5\u672c\u8a9e " + escaped("R&D < 5"))
report.figures([("Revenue", "1.2 M", "+12 %"), ("Orders", "3,410", "")])
report.table([["Region", "Units"], *[[f"Region {n}", n] for n in range(60)], ["Total", 1770]], total=True)
report.heading("Detail", 2); report.picture(figure, 0.6, "Figure 1"); report.build()
from reportlab.pdfgen.canvas import Canvas
from fonts import register; register()
canvas = Canvas("form.pdf", initialFontName="Sans"); canvas.setTitle("Form"); form = canvas.acroForm
canvas.drawString(50, 796, "Name")
form.textfield(name="name", x=120, y=790, width=200, height=20)
form.checkbox(name="agree", x=120, y=755, size=16)
form.radio(name="size", value="small", x=120, y=720); form.radio(name="size", value="large", x=160, y=720)
form.choice(name="colour", options=["red", "blue"], value="red", x=120, y=680, width=100, height=20)
form.textfield(name="code", x=120, y=440, width=100, height=20, maxlen=4, fieldFlags="required")
canvas.save()
"""

FILL = f"""
cd ~ && python3 {SCRIPTS}/forms.py fill form.pdf - -o filled.pdf <<'EOF'
{{"name": "Ada \u611b \u041b\u0430\u0432\u043b\u0435\u0439\u0441",
 "agree": true, "size": "large", "colour": "blue", "code": "12"}}
EOF
"""

BAD = """
import sys; sys.path.insert(0, "/skills/pdf/scripts")
from reportlab.pdfgen.canvas import Canvas
from PIL import Image
import pikepdf
canvas = Canvas("bad.pdf", pagesize=(400, 400)); form = canvas.acroForm
canvas.drawString(360, 200, "beyond the edge"); canvas.drawString(3, 300, "near it")
canvas.drawString(50, 100, "one text"); canvas.drawString(55, 101, "another text")
Image.new("RGB", (20, 20), "red").save("small.png"); canvas.drawImage("small.png", 50, 150, 200, 100)
form.textfield(name="empty", x=50, y=350, width=50, height=20)
form.textfield(name="needed", x=150, y=350, width=50, height=20, fieldFlags="required")
form.textfield(name="long", x=250, y=350, width=40, height=14, fontSize=12)
form.textfield(name="unseen", x=300, y=350, width=40, height=14)
canvas.showPage(); canvas.showPage(); canvas.save()
with pikepdf.open("bad.pdf", allow_overwriting_input=True) as document:
    for field in document.Root.AcroForm.Fields:
        if field.T == "long":
            field.V = pikepdf.String("far too much for so little a field, whatever size its letters are given")
        if field.T == "unseen":
            field.V = pikepdf.String("x"); del field["/AP"]
    fonts = document.pages[0].Resources.Font
    font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.TrueType, BaseFont=pikepdf.Name.HouseFont)
    fonts["/Strange"] = document.make_indirect(font)
    document.save("bad.pdf")
"""

FOUND = {
    ("error", "outside", "page 1"), ("warning", "edge", "page 1"), ("error", "overlap", "page 1"),
    ("warning", "coarse", "page 1"), ("warning", "blank", "page 2"), ("error", "font", "page 1"),
    ("warning", "font", "page 1"), ("warning", "field", "field empty"), ("error", "field", "field needed"),
    ("warning", "field", "field long"), ("error", "field", "field unseen"),
}  # fmt: skip

WRONG = f"""
cd ~ && echo text > text.pdf && printf '%%PDF-1.7\\n1 0 obj <<' > damaged.pdf
python3 - <<'EOF'
import pikepdf
with pikepdf.new() as document:  # A form whose fields are their own parents.
    document.add_blank_page()
    field = document.make_indirect(pikepdf.Dictionary(T="a", FT=pikepdf.Name.Tx))
    field.Kids = pikepdf.Array([field])
    document.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([field]))
    document.save("circle.pdf")
EOF
for file in none.pdf text.pdf damaged.pdf; do python3 {SCRIPTS}/check.py $file; echo "status $?"; done
python3 {SCRIPTS}/forms.py fill circle.pdf - -o out.pdf <<< '{{"a": 1}}'; echo "status $?"
python3 {SCRIPTS}/forms.py fill form.pdf - -o out.pdf <<< '{{"size": "huge", "code": "12345", "nobody": 1}}'
echo "status $?"
python3 {SCRIPTS}/arrange.py pick form.pdf --pages 2-9 -o out.pdf; echo "status $?"
ls out.pdf 2> /dev/null
"""


def python(text: str) -> str:
    return f"cd ~ && python3 - <<'EOF'\n{text}\nEOF\n"


@pytest.fixture(scope="module")
def made(run: Run) -> Run:
    """The container, with a report and a form."""
    run(python(MAKE))
    return run


def test_make_check_read(made: Run) -> None:
    run = made
    done = run(f"cd ~ && python3 {SCRIPTS}/check.py --strict report.pdf")
    assert "report.pdf: 5 pages, 3 fonts; 0 errors, 0 warnings" in done.stdout
    text = run(f"cd ~ && python3 {SCRIPTS}/extract.py text report.pdf --pages 3").stdout
    assert "\u041f\u0440\u0438\u0432\u0435\u0442 \u65e5\u672c\u8a9e R&D < 5" in text
    assert "Page 3 of 5" in text
    tables = run(f"cd ~ && python3 {SCRIPTS}/extract.py tables report.pdf --out tables").stdout
    assert "x 2 columns; first ['Region', 'Units']" in tables
    assert run("cd ~ && cat tables/*.csv | grep -c '^Region [0-9]'").stdout == "60\n"
    # An independent program agrees.
    assert "Pages:           5" in run("cd ~ && pdfinfo report.pdf").stdout


def test_fill_merge_stamp_lock(made: Run) -> None:
    run = made
    run(FILL)
    assert "0 errors, 0 warnings" in run(f"cd ~ && python3 {SCRIPTS}/check.py --strict filled.pdf").stdout
    filled = {one["name"]: one for one in json.loads(run(f"cd ~ && python3 {SCRIPTS}/forms.py list filled.pdf").stdout)}
    assert [filled[name]["value"] for name in ("agree", "size", "colour", "code")] == ["Yes", "large", "blue", "12"]
    # What a viewer shows, in letters that the form's own font lacks.
    run(f"cd ~ && python3 {SCRIPTS}/forms.py flatten filled.pdf -o flat.pdf")
    assert "Ada \u611b \u041b\u0430\u0432\u043b\u0435\u0439\u0441" in run("cd ~ && pdftotext flat.pdf -").stdout
    done = run(f"cd ~ && python3 {SCRIPTS}/arrange.py merge report.pdf filled.pdf form.pdf -o merged.pdf")
    assert "a second field name is called name-2 now" in done.stderr
    run(
        f"cd ~ && python3 {SCRIPTS}/arrange.py stamp merged.pdf --text DRAFT -o stamped.pdf &&"
        f"python3 {SCRIPTS}/arrange.py encrypt stamped.pdf --new-password secret -o locked.pdf"
    )
    seen = json.loads(run(f"cd ~ && python3 {SCRIPTS}/overview.py --json --password secret locked.pdf").stdout)
    assert (seen["pages"], seen["encrypted"], seen["outline"]) == (7, True, ["report", "filled", "form"])
    assert len(seen["fields"]) == 10
    locked = run(f"cd ~ && python3 {SCRIPTS}/render.py locked.pdf", check=2)
    assert "locked.pdf" in locked.stderr
    drawn = run(
        f"cd ~ && python3 {SCRIPTS}/render.py locked.pdf --password secret --sheet --dpi 20 --out shown && ls shown"
    )
    assert "locked-sheet.png" in drawn.stdout


def test_the_check_finds_each_fault(run: Run) -> None:
    run(python(BAD))
    done = run(f"cd ~ && python3 {SCRIPTS}/check.py --json bad.pdf", check=1)
    findings = {(one["level"], one["kind"], one["where"]) for one in json.loads(done.stdout)["findings"]}
    assert findings >= FOUND, FOUND - findings


def test_wrong_and_hostile_files_are_refused_in_words(made: Run) -> None:
    done = made(WRONG, check=None)
    assert done.stdout == "status 2\n" * 6
    assert done.stderr.count("error: ") == 6
    assert "Traceback" not in done.stderr
    assert "'size' (radio) takes one of large, small, not 'huge'" in done.stderr
    assert "no field is called 'nobody'" in done.stderr
