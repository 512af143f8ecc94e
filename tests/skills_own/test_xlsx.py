"""The skill for workbooks: its scripts, with the libraries of the image."""

from __future__ import annotations

import json

from tests.skills_own.conftest import Run

SCRIPTS = "/skills/xlsx/scripts"

# What Excel gives, over the cells A1:D6 that CALCULATE writes.
KNOWN = {
    "SUM(C2:C6)": 42,
    'SUM(C2:C6,"3",TRUE)': 46,
    "AVERAGE(D2:D6)": 1.97,
    "COUNT(C2:C6)": 4,
    "COUNTA(A2:D6)": 19,
    'SUMIF(A2:A6,"north",C2:C6)': 15,
    'SUMIFS(D2:D6,A2:A6,"South",C2:C6,">=10")': 2.25,
    'COUNTIFS(A2:A6,"<>North",D2:D6,">1.2")': 2,
    'COUNTIF(B2:B6,"?ear")': 2,
    'AVERAGEIF(A2:A6,"North",D2:D6)': 1.75,
    'SUMPRODUCT((A2:A6="North")*(D2:D6))': 3.5,
    "SUMPRODUCT(1/COUNTIF(A2:A6,A2:A6))": 3,
    'VLOOKUP("East",A2:D6,4,FALSE)': 3,
    'INDEX(D2:D6,MATCH("East",A2:A6,0))': 3,
    '_xlfn.XLOOKUP("West",A2:A6,D2:D6,"none")': "none",
    'IFERROR(VLOOKUP("zzz",A2:D6,4,FALSE),"missing")': "missing",
    'IF(C5="","blank","full")': "blank",
    "ROUND(2.675,2)": 2.68,
    "ROUND(-2.5,0)": -3,
    "MOD(-7,3)": 2,
    "-2^2": 4,
    "2^3^2": 64,
    "10%*50": 5,
    "0.1+0.2=0.3": True,
    '"a">1': True,
    '"x"&1/4&TRUE': "x0.25TRUE",
    'TEXT(1234.5,"#,##0.00")': "1,234.50",
    'TEXT(DATE(2024,3,1),"d mmm yyyy")': "1 Mar 2024",
    "EOMONTH(DATE(2024,1,31),1)": 45351,
    "WEEKDAY(DATE(2024,3,1),2)": 5,
    "NETWORKDAYS(DATE(2024,3,1),DATE(2024,3,8))": 6,
    "PMT(0.05/12,360,200000)": -1073.6432460242795,
    "9^9^9^9": "#NUM!",
    "SQRT(-1)": "#NUM!",
    "1/0": "#DIV/0!",
    "A2+1": "#VALUE!",
    'MATCH("West",A2:A6,0)': "#N/A",
}

CALCULATE = """
import json, openpyxl
book = openpyxl.Workbook(); sheet = book.active
for row in [("Region", "Product", "Units", "Price"), ("North", "Apple", 10, 1.5), ("South", "Pear", 20, 2.25),
            ("North", "Pear", 5, 2), ("East", "Fig", None, 3), ("South", "Plum", 7, 1.1)]:
    sheet.append(row)
known = json.load(open("known.json"))
for row, formula in enumerate(known, 1):
    sheet.cell(row, 20, "=" + formula)
sheet["V1"] = "=OFFSET(A1,1,1)"
book.save("functions.xlsx")
"""

COMPARE = """
import json, openpyxl
values = openpyxl.load_workbook("functions.xlsx", data_only=True).active
for row, (formula, wanted) in enumerate(json.load(open("known.json")).items(), 1):
    value = values.cell(row, 20).value
    same = abs(value - wanted) < 1e-9 if isinstance(wanted, float) else value == wanted and type(value) is type(wanted)
    assert same, (formula, value, wanted)
assert values["V1"].value is None
"""

MAKE = """
import datetime, xlsxwriter
book = xlsxwriter.Workbook("plan.xlsx", {"use_future_functions": True})
data, total = book.add_worksheet("Data"), book.add_worksheet("Summary")
day, money = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "#,##0.00"})
rows = [[datetime.date(2025, 1, 1 + at), ["North", "South"][at % 2], at + 1, 2.5] for at in range(10)]
data.add_table(0, 0, 10, 4, {"name": "Sales", "data": rows, "columns": [
    {"header": "Date", "format": day}, {"header": "Region"}, {"header": "Units"}, {"header": "Price", "format": money},
    {"header": "Revenue", "format": money, "formula": "=Sales[@[Units]]*Sales[@[Price]]"}]})
data.set_column("A:E", 12)
for row, region in enumerate(["North", "South"], 2):
    total.write(f"A{row}", region)
    total.write_formula(f"B{row}", f"=SUMIFS(Sales[Revenue],Sales[Region],A{row})", money)
    total.write_formula(f"C{row}", f'=TEXTJOIN("/",TRUE,A{row},Data!$B$2)')
total.write_formula("B4", "=SUM(B2:B3)", money)
total.set_column("A:C", 14)
chart = book.add_chart({"type": "column"})
chart.add_series({"values": ["Summary", 1, 1, 2, 1], "categories": ["Summary", 1, 0, 2, 0]})
total.insert_chart("E2", chart)
book.close()
"""

EDIT = """
import openpyxl
book = openpyxl.load_workbook("plan.xlsx")
book["Data"]["D2"] = 4.5
book["Summary"]["A6"], book["Summary"]["B6"] = "Average", "=AVERAGE(B2:B3)"
book["Summary"]["B6"].number_format = "#,##0.00"
book.save("edited.xlsx")
"""

VALUES = """
import openpyxl, sys
sheet = openpyxl.load_workbook(sys.argv[1], data_only=True)["Summary"]
print([sheet[cell].value for cell in ("B2", "B3", "C2", "B4", "B6")])
"""

BAD = """
import datetime, openpyxl
from openpyxl.chart import BarChart, Reference
book = openpyxl.Workbook(); sheet = book.active; sheet.title = "Bad"
sheet["A1"], sheet["B1"] = "=B1+1", "=A1+1"                       # circular
sheet["A2"] = "=1/0*C3"                                           # an error value
sheet["A3"] = "=Bad!#REF!+1"                                      # deleted cells
sheet["A4"] = "=C3*2+Nowhere!B2"                                  # a sheet that is not there
sheet["A5"] = "=C3*1.19"                                          # a number in a formula
sheet["A6"] = "=C3+Z99"                                           # an empty cell
sheet["A7"], sheet["C7"] = "=C7*2", "twelve"                      # text
sheet["A8"] = "=IFNA(C3,0)"                                       # without prefix
sheet["A9"] = "=UNIQUE(C3:C4)"                                    # spills
sheet["C3"], sheet["C4"] = 5, 6
for row in range(10, 21):
    sheet.cell(row, 3, row)
    sheet.cell(row, 4, f"=C{row}*2")
sheet["D12"], sheet["D16"] = "=C12*C13", 28                       # unlike their neighbours
sheet["E1"], sheet["E2"] = "Due date", 45658                      # shows a number
sheet["E3"] = datetime.date(2025, 1, 1)                           # ####
sheet["F1"], sheet["F2"], sheet["F3"] = "Amount", "1,234.50", "2025-01-31"
sheet["G1"], sheet["H1"] = "a text that is far too long for it", "next"
chart = BarChart(); chart.add_data(Reference(sheet, min_col=30, min_row=1, max_row=4)); sheet.add_chart(chart, "J2")
book.save("bad.xlsx")
"""

FOUND = {
    ("circular", "Bad!A1"), ("circular", "Bad!B1"), ("value", "Bad!A2"), ("reference", "Bad!A3"),
    ("reference", "Bad!A4"), ("number", "Bad!A5"), ("empty", "Bad!A6"), ("text", "Bad!A7"), ("prefix", "Bad!A8"),
    ("spill", "Bad!A9"), ("unlike", "Bad!D12"), ("unlike", "Bad!D16"), ("date", "Bad!E2"), ("narrow", "Bad!E3"),
    ("text-number", "Bad!F2"), ("text-date", "Bad!F3"), ("cut-off", "Bad!G1"), ("chart", "Bad!chart 1"),
}  # fmt: skip

WRONG = """
cd ~ && mkdir -p wrong && cd wrong
echo 'no workbook' > text.xlsx
python3 -c "import zipfile; zipfile.ZipFile('zip.xlsx', 'w').writestr('a', 'b')"
python3 - <<'EOF'
import zipfile
with zipfile.ZipFile('bomb.xlsx', 'w') as bomb:
    for number in range(5001):
        bomb.writestr(str(number), b'')
with zipfile.ZipFile('damaged.xlsx', 'w') as damaged:
    damaged.writestr('xl/workbook.xml', '<workbook')
EOF
for file in none.xlsx text.xlsx zip.xlsx bomb.xlsx damaged.xlsx; do
    python3 {scripts}/check.py $file; echo "status $?"
done
for script in recalc.py overview.py; do python3 {scripts}/$script damaged.xlsx; echo "status $?"; done
python3 {scripts}/convert.py damaged.xlsx out.csv; echo "status $?"
"""


def python(text: str, *arguments: str) -> str:
    return f"cd ~ && python3 - {' '.join(arguments)} <<'EOF'\n{text}\nEOF\n"


def test_the_calculator_gives_what_excel_gives(run: Run) -> None:
    run(f"cat > ~/known.json <<'EOF'\n{json.dumps(KNOWN)}\nEOF\n" + python(CALCULATE))
    done = run(f"cd ~ && python3 {SCRIPTS}/recalc.py --engine python --json functions.xlsx", check=1)
    report = json.loads(done.stdout)
    assert set(report["errors"].values()) == {"#NUM!", "#DIV/0!", "#VALUE!", "#N/A"}
    # What it does not know it says, and gives no value.
    assert report["not_calculated"] == {"Sheet!V1": "the function OFFSET"}
    assert report["calculated"] == report["formulas"] - 1
    run(python(COMPARE))


def test_make_recalculate_check_edit(run: Run) -> None:
    run(python(MAKE))
    run(f"cd ~ && python3 {SCRIPTS}/recalc.py plan.xlsx -o calculated.xlsx")
    chart = "unzip -p {} xl/charts/chart1.xml | sha256sum"
    assert (
        run(f"cd ~ && {chart.format('plan.xlsx')}").stdout == run(f"cd ~ && {chart.format('calculated.xlsx')}").stdout
    )
    done = run(f"cd ~ && python3 {SCRIPTS}/check.py --strict calculated.xlsx")
    assert "1 charts, 1 tables, 15 formulas; 0 errors, 0 warnings" in done.stdout
    assert run(python(VALUES, "calculated.xlsx")).stdout == "[62.5, 75, 'North/North', 137.5, None]\n"
    run(python(EDIT))
    assert "no-value" in run(f"cd ~ && python3 {SCRIPTS}/check.py edited.xlsx").stdout
    done = run(f"cd ~ && python3 {SCRIPTS}/recalc.py edited.xlsx && python3 {SCRIPTS}/check.py --strict edited.xlsx")
    assert "16 formulas; 0 errors, 0 warnings" in done.stdout
    assert run(python(VALUES, "edited.xlsx")).stdout == "[64.5, 75, 'North/North', 139.5, 69.75]\n"
    seen = json.loads(run(f"cd ~ && python3 {SCRIPTS}/overview.py --json edited.xlsx").stdout)
    assert [sheet["title"] for sheet in seen["sheets"]] == ["Data", "Summary"]
    assert seen["sheets"][0]["tables"] == {"Sales": "A1:E11"}


def test_the_check_finds_each_fault(run: Run) -> None:
    run(python(BAD))
    done = run(f"cd ~ && python3 {SCRIPTS}/check.py --json --all bad.xlsx", check=1)
    findings = {(one["kind"], one["where"]) for one in json.loads(done.stdout)["findings"]}
    assert findings >= FOUND, FOUND - findings
    # And nothing wrong with what is right.
    assert not {place for _kind, place in findings} & {"Bad!C3", "Bad!C10", "Bad!D10", "Bad!D15", "Bad!H1"}
    run(f"cd ~ && python3 {SCRIPTS}/recalc.py --add-prefixes bad.xlsx -o mended.xlsx", check=1)
    assert "_xlfn.IFNA(C3,0)" in run("cd ~ && unzip -p mended.xlsx xl/worksheets/sheet1.xml").stdout


def test_wrong_and_hostile_files_are_refused_in_words(run: Run) -> None:
    done = run(WRONG.replace("{scripts}", SCRIPTS), check=None)
    assert done.stdout == "status 2\n" * 8
    assert done.stderr.count("error: ") == 8
    assert "Traceback" not in done.stderr
    assert "unpacks to more than 600 MiB or 5000 parts" in done.stderr
